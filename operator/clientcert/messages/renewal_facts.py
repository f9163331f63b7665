"""The values that messages about a request contain: sanitized lines, and dates."""

from dataclasses import dataclass, field
from datetime import datetime

from clientcert.errors import CertificateError
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import EmailAddress
from clientcert.lifecycle.renewal.due_notices import old_not_after, refusing_check, retires_at, would_retire_at
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import letter_channel
from clientcert.lifecycle.renewal.status import STORED, State
from clientcert.messages.letter import Writer
from clientcert.messages.text import LONGEST_NAME, LONGEST_VALUE, day, name_source, sanitize_line
from clientcert.pki.certificate import Certificate
from clientcert.pki.parsing import parse

LONGEST_CHECK = 500


@dataclass(frozen=True, slots=True)
class RenewalFacts:
    """Everything that a sentence about a request may say. `requested_by` and `decided_by` are users of the cluster."""

    name: str
    environment: str
    cluster: str
    """Empty: none is shown."""
    certificate: str
    """The name of the ClientCertificate."""
    namespace: str
    request: str
    created: datetime
    now: datetime
    writer: Writer
    source: str
    key_hash: str
    old_serial: str
    """Of the certificate that is to be replaced; empty for a consumer's first."""
    old_until: datetime | None
    serial: str
    """Of the new certificate; empty until it is issued."""
    until: datetime | None
    retires: datetime | None
    """From then on the old certificate is not accepted any more; None: that is unknown, or it stays valid."""
    retires_after_days: int | None
    """The days from the delivery to that; None if it is delivered, or stays valid."""
    refusal: str
    """The cause of the refusal: the check and its sentence, or the words of the approver."""
    not_stored: str
    """The reason why the new certificate is not in its source."""
    changed: str
    """The fields of the ClientCertificate that changed since the last delivery or first look."""
    role: str
    """The role of the contact of record, or of the recipient of the new certificate."""
    asks_with: str
    """The content of the request: csr, public key or reuse."""
    proved: bool
    """True if the request has a proof by the current key, which the checks have verified."""
    whom: str = field(repr=False)
    """The person to call if the renewal is not authorised."""
    requested_by: str = field(repr=False)
    decided_by: str = field(repr=False)

    @classmethod
    def of(cls, evaluation: RenewalEvaluation, certificate: Evaluation, sender: str) -> "RenewalFacts":
        """`certificate` is that of the evaluation; `sender` is the From of the operator's mails, if it sends any."""
        status, spec, new = evaluation.status, evaluation.spec, new_certificate(evaluation)
        channel = letter_channel(certificate.policy)
        address = channel.address if isinstance(channel.address, EmailAddress) else EmailAddress()
        writer = Writer(address, _line(certificate.spec.owner))
        recipient, approval = evaluation.recipient, spec.approval
        stored, issuance = status.condition(STORED), status.issuance
        return cls(
            name=_line(certificate.spec.consumer),
            environment=_line(certificate.spec.environment),
            cluster=_line(certificate.cluster),
            certificate=_line(spec.certificate),
            namespace=_line(evaluation.key.namespace),
            request=_line(evaluation.key.name),
            created=evaluation.created,
            now=evaluation.now,
            writer=writer,
            source=sanitize_line(name_source(certificate.spec.source), LONGEST_NAME),
            key_hash=_line(status.key_hash) or "unknown",
            old_serial=_line(spec.serial_number),
            old_until=old_not_after(evaluation),
            serial=f"{new.serial_number:x}" if new else _line(issuance.serial_number if issuance else ""),
            until=new.not_after if new else (issuance.not_after if issuance else None),
            retires=retires_at(evaluation),
            retires_after_days=_retires_after_days(evaluation),
            refusal=_refusal(evaluation),
            not_stored=sanitize_line(stored.message if stored else "", LONGEST_CHECK).rstrip(". "),
            changed=_line(", ".join(status.changed)),
            role=_line(status.delivery.role if status.delivery else (recipient.role.value if recipient else "")),
            asks_with="csr" if spec.csr_pem else "public key" if spec.public_key_pem else "reuse",
            proved=spec.proves,
            whom=_line(_whom(evaluation, writer, sender)).rstrip(". "),
            requested_by=_line(spec.requested_by),
            decided_by=_line(approval.by if approval else ""),
        )

    @property
    def whose(self) -> str:
        """The certificate, as sentences name it."""
        return f"the certificate for {self.name} in {self.environment}"

    @property
    def new_one(self) -> str:
        """Serial number and end of the new certificate."""
        until = f", valid until {day(self.until)}" if self.until else ""
        return f"serial number {self.serial}{until}"

    @property
    def old_one_ends(self) -> str:
        """A sentence about the old certificate: from when on it is not accepted, or that it stays valid."""
        if not self.old_serial:
            return ""
        old = f"The old certificate, serial number {self.old_serial},"
        if self.retires:
            return f"{old} is not accepted any more from {day(self.retires)} on."
        if self.retires_after_days is not None:
            return f"{old} will not be accepted any more from {self.retires_after_days} days after the delivery on."
        if self.old_until and self.old_until > self.now:
            return f"{old} stays valid until {day(self.old_until)}."
        return ""

    def command(self, verb: str) -> str:
        """A command about the request."""
        return f"clientcert {verb} {self.request} --namespace {self.namespace}"


def new_certificate(evaluation: RenewalEvaluation) -> Certificate | None:
    """The certificate that was issued; None if there is none yet."""
    pem = evaluation.status.certificate_pem
    try:
        return parse(pem.encode(), now=evaluation.now) if pem else None
    except CertificateError:
        return None


def _line(value: str) -> str:
    return sanitize_line(value, LONGEST_VALUE)


def _whom(evaluation: RenewalEvaluation, writer: Writer, sender: str) -> str:
    if evaluation.policy is not None and evaluation.policy.call_if_unauthorised.strip():
        return evaluation.policy.call_if_unauthorised
    return writer.address.reply_to.strip() or sender.strip() or writer.whom


def _retires_after_days(evaluation: RenewalEvaluation) -> int | None:
    if evaluation.policy is None or evaluation.status.delivery is not None:
        return None
    return evaluation.policy.retire_after_days if would_retire_at(evaluation, evaluation.now) else None


def _refusal(evaluation: RenewalEvaluation) -> str:
    approval, check = evaluation.spec.approval, refusing_check(evaluation.status)
    if evaluation.status.state is State.DENIED and approval is not None:
        words = ": ".join(part for part in (approval.reason.strip(), approval.message.strip()) if part)
        return sanitize_line(f"an approver has denied it{f' ({words})' if words else ''}", LONGEST_CHECK)
    if check is None:
        return "no reason is recorded"
    why = sanitize_line(check.message, LONGEST_CHECK).rstrip(". ")
    return f"{why} (check {_line(check.name)})"
