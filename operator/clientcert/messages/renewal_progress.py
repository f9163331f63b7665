"""The state of a renewal, in the words of the alerts and letters about its certificate."""

from dataclasses import dataclass

from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.renewal.situation import RenewalSituation, RequestSummary
from clientcert.lifecycle.renewal.status import State
from clientcert.lifecycle.spec import ObjectKey
from clientcert.messages.text import LONGEST_VALUE, sanitize_line

LONGEST_WAIT = 200
_VETTED = "Vetted"
"""The check whose refusal only a vetting overcomes."""

_STANDS = {
    State.CHECKING: "is being checked",
    State.WAITING: "waits for a check",
    State.AWAITING_APPROVAL: "waits for approval",
    State.APPROVED: "is approved, and being issued",
    State.ISSUED: "is issued, and not delivered yet",
    State.DELIVERED: "is delivered, and not in its source yet",
}
_FOR_CONSUMER = {
    State.CHECKING: "We are checking it.",
    State.WAITING: "We are checking it.",
    State.AWAITING_APPROVAL: "It waits for our approval.",
    State.APPROVED: "It is approved, and the new certificate will be issued next.",
    State.ISSUED: "The new certificate is issued, and will reach you next.",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """The open request about a certificate, if there is one; and the commands for the next step."""

    certificate: str
    """The name of the ClientCertificate."""
    namespace: str
    situation: RenewalSituation

    @classmethod
    def of(cls, key: ObjectKey, situation: RenewalSituation) -> "Progress":
        """Of the ClientCertificate with this key."""
        return cls(sanitize_line(key.name, LONGEST_VALUE), sanitize_line(key.namespace, LONGEST_VALUE), situation)

    @property
    def is_revoked(self) -> bool:
        """True if the certificate is not accepted any more."""
        return self.situation.revoked

    @property
    def retires_after_days(self) -> int | None:
        """Days from the delivery of a new certificate until this one is revoked; None: it stays valid."""
        return self.situation.policy.retire_after_days

    @property
    def is_open(self) -> bool:
        """True if a request is open: nobody is asked for a key, or to renew."""
        return self.situation.open_request is not None

    @property
    def renew(self) -> str:
        """The command that passes on what the consumer has sent."""
        return f"clientcert renew {self.certificate} --namespace {self.namespace} --public-key FILE (or --csr FILE)"

    @property
    def stands(self) -> str:
        """The open request in one line; empty if there is none."""
        request = self.situation.open_request
        if request is None:
            return ""
        wait = _wait(request)
        stands = _STANDS.get(request.state, "is open")
        return f"request {_name(request)} {stands}{f' ({wait})' if wait else ''}"

    def ask(self, request: str, name: str, source: str, assessment: Assessment) -> str:
        """The next step in an alert to the team: a command, or what an open request waits for.

        `request` asks the contact to renew; `name` is the consumer's. Both are sanitized, as `source` is.
        """
        if self.is_open:
            return self.next_step(source)
        otherwise = f"Or put the renewed certificate into {source}."
        if self.needs_vetting(expired=assessment.expired):
            return f"{self.reissue(name)} {otherwise}"
        return f"{request}, and pass on the public key or CSR that they send: {self.renew}. {otherwise}"

    def needs_vetting(self, *, expired: bool) -> bool:
        """True if no renewal is possible, only a certificate that is issued anew after a vetting."""
        ended = self.situation.last_ended
        lapsed = ended is not None and ended.state is State.REFUSED and ended.reason == _VETTED
        return expired or self.situation.revoked or lapsed

    def reissue(self, name: str) -> str:
        """The way to a new certificate after a vetting; `name` is the consumer's."""
        where = f"{self.certificate} --namespace {self.namespace}"
        state = "It is revoked, so it is not accepted any more. It can" if self.is_revoked else "It can"
        return (
            f"{state}not be renewed any more, only issued anew: verify who {name} is, record that with"
            f" clientcert vet {where}, and pass on the public key or CSR that they send:"
            f" clientcert renew {where} --reissue --public-key FILE (or --csr FILE)."
        )

    def next_step(self, source: str) -> str:
        """The cause for which the open request waits, and the person who has to act."""
        request = self.situation.open_request
        if request is None:
            return ""
        where = f"{_name(request)} --namespace {self.namespace}"
        text = f"A renewal is in progress: {self.stands}."
        match request.state:
            case State.AWAITING_APPROVAL:
                return f"{text} Decide: clientcert approve {where}, or clientcert deny {where}."
            case State.ISSUED:
                return (
                    f"{text} If it is left for retrieval, hand it over: clientcert retrieve {where}; then say so:"
                    f" clientcert handed-over {where}."
                )
            case State.DELIVERED:
                return f"{text} Put it into {source}: clientcert retrieve {where}."
            case _:
                return f"{text} See what it waits for: kubectl describe certificaterenewal {where}."

    @property
    def for_consumer(self) -> str:
        """The same for the consumer, who needs no names of objects."""
        request = self.situation.open_request
        return _FOR_CONSUMER.get(request.state, "The new certificate is with you.") if request else ""


def _name(request: RequestSummary) -> str:
    return sanitize_line(request.name, LONGEST_VALUE)


def _wait(request: RequestSummary) -> str:
    """The text of the column WAITS FOR, if the state does not say the same."""
    if request.state is State.AWAITING_APPROVAL:
        return ""
    return sanitize_line(request.waits_for, LONGEST_WAIT).rstrip(". ")
