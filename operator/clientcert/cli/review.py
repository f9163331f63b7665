"""The facts that an approver must see before a decision about a request."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clientcert.api.kinds import moment
from clientcert.cli.cluster import Object
from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.loading import LoadedCertificate
from clientcert.cli.renewal_request import requested_key
from clientcert.cli.table import aligned, aligned_facts, printable, to_the_minute
from clientcert.errors import CertificateError
from clientcert.lifecycle.contacts import Recipient, Role, resolve_email, slack_question
from clientcert.lifecycle.renewal.naming import recipient_hash
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.lifecycle.renewal.subject import first_names
from clientcert.lifecycle.spec import CertificateSpec
from clientcert.pki.alternative_names import read_alternative_names
from clientcert.pki.der import read_element
from clientcert.pki.names import read_name

NO_SECOND_WAY = "nobody: the certificate is left for `clientcert retrieve`"
_SLACK = "a Slack user, whom the operator alone can look up"
_ANOTHER = "not the one that the operator has checked"
_BY_CURRENT_KEY, _NOT_VERIFIED = "by the current key", "none that counts: nobody verifies that of a Reissue"
_UNREAD = "cannot be shown, because you have no right to read the client list"


@dataclass(frozen=True, slots=True)
class Review:
    """One request, its certificate and its contact, as they are now."""

    request: Object
    certificate: Object
    loaded: LoadedCertificate = field(repr=False)

    @property
    def status(self) -> dict[str, Any]:
        """Of the request."""
        return dict(self.request.get("status") or {})

    @property
    def spec(self) -> dict[str, Any]:
        """Of the request."""
        return dict(self.request["spec"])

    @property
    def pinned(self) -> tuple[Any, ...]:
        """The subject of a decision. If it differs, it has to be shown again."""
        status = self.status
        hashes = status.get("keyHash", ""), status.get("recipientHash", ""), status.get("declaredHash", "")
        uids = self.request["metadata"]["uid"], self.certificate["metadata"]["uid"]
        return *uids, *hashes, tuple(status.get("changed") or ())

    @property
    def is_proved(self) -> bool:
        """True if there is a proof by the current key, which the checks have verified."""
        return bool(self.spec.get("proof")) and self._mode is Mode.RENEW

    def check(self) -> None:
        """Raise AnswerIsNo or Failed if the hashes of the status, which an approval pins, are not of what is shown."""
        request, recorded = requested_key(self.spec), self.status.get("keyHash")
        if not self.spec.get("reuse") and (request is None or request.key_hash != recorded):
            raise AnswerIsNo("the status names another key than the request: deny it, and find out why")
        if self._recipient() == _ANOTHER:
            raise Failed("the contact is another one than the operator has checked: try again in a minute")

    def lines(self) -> Iterator[str]:
        """For people."""
        yield from aligned_facts(self._facts())
        checks = self.status.get("checks") or ()
        if checks:
            yield ""
            rows = [(printable(each["name"]), _outcome(each), printable(each.get("message", ""))) for each in checks]
            yield from aligned(("CHECK", "RESULT", "MESSAGE"), rows)

    def _facts(self) -> Iterator[tuple[str, str]]:
        declared, spec, status = self.certificate["spec"], self.spec, self.status
        yield "Consumer", declared["consumer"]
        yield "Environment", declared["environment"]
        yield "Certificate", self.certificate["metadata"]["name"]
        yield "Request", f"{self._mode}, {_form(spec)}"
        yield "Requested by", spec["requestedBy"]
        if spec.get("reason"):
            yield "Reason", spec["reason"]
        yield "Subject", self._subject()
        yield "Key, SHA-256", self._key()
        yield "Proof", _BY_CURRENT_KEY if self.is_proved else _NOT_VERIFIED if spec.get("proof") else "none"
        yield "Replaces", self._previous()
        yield "Recipient", self._recipient()
        changed = ", ".join(status.get("changed") or ())
        yield "Changed", f"{changed} of the ClientCertificate, since the last delivery" if changed else "nothing"

    @property
    def _mode(self) -> Mode:
        return Mode(self.spec.get("mode", Mode.RENEW))

    def _subject(self) -> str:
        """The subject that will be certified: that of a CSR is the same, or is not used."""
        known, serial = (self.certificate.get("status") or {}).get("certificate") or {}, self.spec.get("serialNumber")
        if serial and known.get("serialNumber") == serial:
            return f"{known.get('subjectDN') or 'empty'}, as before"
        if serial:
            return f"that of the certificate with serial number {serial}"
        policy = self.loaded.renewal
        return _first_in_words(self.loaded.spec, policy) if policy else "as the policy says"

    def _key(self) -> str:
        request = requested_key(self.spec)
        if request is None:
            return str(self.status.get("keyHash", ""))
        return f"{request.key_hash} ({request.key_algorithm})"

    def _previous(self) -> str:
        known = (self.certificate.get("status") or {}).get("certificate") or {}
        named, serial = self.spec.get("serialNumber"), self.spec.get("serialNumber") or known.get("serialNumber")
        if not serial:
            return "none: the consumer's first"
        ends = moment(known.get("notAfter")) if known.get("serialNumber") == serial else None
        words = [f"serial number {serial}", f"which ends {to_the_minute(ends)}" if ends else ""]
        return ", ".join(filter(None, (*words, "" if named and ends else "no longer in the source")))

    def _recipient(self) -> str:
        """The person whom the status means by its hash."""
        wanted, loaded = self.status.get("recipientHash", ""), self.loaded
        found = resolve_email(loaded.spec, loaded.policy.contacts, loaded.client_list)
        question = slack_question(loaded.spec, loaded.policy.contacts)
        slack = [Recipient(Role.SLACK, question.member_id)] if question and question.member_id else []
        uid = self.certificate["metadata"]["uid"]
        for each in (*slack, *found.recipients):
            if recipient_hash(uid, each.address) == wanted:
                return f"{each.role}: {' '.join(filter(None, (each.name, f'<{each.address}>')))}"
        role = self.status.get("recipientRole") or "contact"
        if not wanted:
            return NO_SECOND_WAY
        if question is not None:
            return _SLACK
        if loaded.client_list is None:
            return f"{role}; name and address {_UNREAD}"
        return _ANOTHER


def _first_in_words(spec: CertificateSpec, policy: RenewalPolicy) -> str:
    """The names of a consumer's first certificate."""
    try:
        planned = first_names(spec, policy)
    except CertificateError:
        return "none that could be certified"
    subject, _ = read_name(planned.subject_der)
    names = planned.alternative_names_der
    alternative = read_alternative_names(read_element(names)) if names else ()
    return "; and ".join([subject, *(f"{each.kind} {each.value}" for each in alternative)])


def _form(spec: dict[str, Any]) -> str:
    if spec.get("csr"):
        return "by the consumer's CSR"
    return "by a public key, for which the operator makes the key" if spec.get("publicKey") else "with the key reused"


def _outcome(check: dict[str, Any]) -> str:
    return "passed" if check.get("passed") else "waits" if check.get("waits") else "refused"
