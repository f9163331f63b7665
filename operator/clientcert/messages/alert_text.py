"""The sentence about a certificate and the next step, for every state of the certificate.

The documented sentence about the expiry comes first whenever the date is near. A problem with the source comes first
only if the date is not near, because then the problem is the reason for the alert.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Assessment, Problem
from clientcert.lifecycle.delivery_log import DueNotification, MessageKind
from clientcert.lifecycle.due import next_stage
from clientcert.lifecycle.ends_first import OTHER_ENDED, is_issuer, name_first
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.policy import DEFAULT_MESSAGE, AlertPolicy
from clientcert.lifecycle.recorded_status import (
    AcceptedCertificate,
    CertificateStatus,
    ChannelStatus,
    PreviousCertificate,
)
from clientcert.lifecycle.schedule import duration
from clientcert.lifecycle.spec import CertificateSpec, Contact
from clientcert.messages.renewal_progress import Progress
from clientcert.messages.text import (
    LONGEST_NAME,
    LONGEST_VALUE,
    day,
    days_ago,
    lower_first,
    name_source,
    request_to,
    sanitize_line,
    sentence,
    substitute,
)
from clientcert.messages.topic import Topic

LONGEST_TEXT = 1000
LONGEST_STEP = 1500
LONGEST_PROBLEM = 500

_STOP = "The alerts stop when a valid certificate is there."

Predecessor: TypeAlias = AcceptedCertificate | PreviousCertificate


@dataclass(frozen=True, slots=True)
class AlertText:
    """The part of a message that depends on the state of the certificate."""

    topic: Topic
    reason: str
    text: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Situation:
    """The values that a sentence may contain. The texts in it are sanitized."""

    assessment: Assessment
    policy: AlertPolicy
    notification: DueNotification
    contact: Contact
    predecessor: Predecessor | None
    """The certificate that the current one has replaced."""
    before: ChannelStatus | None
    """The last delivery through the channel."""
    name: str
    environment: str
    owner: str
    source: str
    problem: str
    """The problem with the source; empty if there is none."""
    ends_first: str
    """The certificate in the same file that ends first, in words; empty if the date is the certificate's own."""
    other_ended: bool = False
    """True if the date until now was that of another certificate of the consumer, and not of an issuer."""
    progress: Progress | None = None
    """Of the renewal; None if the policy has none."""
    cluster: str = ""
    """The name of the cluster; empty: none is shown."""

    @classmethod
    def of(cls, spec: CertificateSpec, evaluation: Evaluation, notification: DueNotification) -> "Situation":
        """`spec` names the contact that was found; the evaluation describes the state before the message is sent."""
        assessment = evaluation.assessment
        # A gap that may be a moment's is in no message.
        problem = assessment.problem.message if assessment.problem and not assessment.grace_ends else ""
        accepted = assessment.accepted
        first = ""
        if accepted is not None and accepted.ends_first is not None:
            first = name_first(accepted.ends_first, accepted.subject_dn)
        ended = evaluation.status.accepted.ends_first if evaluation.status.accepted else None
        return cls(
            assessment=assessment,
            policy=evaluation.policy,
            notification=notification,
            contact=spec.contact,
            predecessor=_predecessor(assessment, evaluation.status),
            before=evaluation.log.channel(notification.channel.name),
            name=sanitize_line(spec.consumer, LONGEST_VALUE),
            environment=sanitize_line(spec.environment, LONGEST_VALUE),
            owner=sanitize_line(spec.owner, LONGEST_VALUE),
            source=sanitize_line(name_source(spec.source), LONGEST_NAME),
            problem=sanitize_line(problem.rstrip(". "), LONGEST_PROBLEM),
            ends_first=sanitize_line(first, LONGEST_VALUE),
            other_ended=ended is not None and accepted is not None and not is_issuer(ended, accepted.subject_dn),
            progress=Progress.of(evaluation.key, evaluation.renewal) if evaluation.renewal else None,
            cluster=sanitize_line(evaluation.cluster, LONGEST_VALUE),
        )

    @property
    def subject(self) -> str:
        """The beginning of every sentence but a policy's own."""
        return f"The certificate for {self.name} in {self.environment}"

    @property
    def closes(self) -> bool:
        """True if this is the last message about the certificate that the channel was alerted about."""
        return self.notification.kind is MessageKind.CLOSING

    @property
    def first_reading(self) -> bool:
        """True if the channel was alerted only because no certificate had ever been read."""
        return self.before is not None and not self.before.fingerprint_sha256

    @property
    def replaced_fingerprint(self) -> str:
        """In a closing message: the fingerprint of the certificate that the channel was alerted about."""
        return self.before.fingerprint_sha256 if self.before and self.closes else ""

    @property
    def chain_alone(self) -> bool:
        """True if it closes the alerts about another certificate of the chain: the certificate itself stays."""
        if self.before is None or self.assessment.accepted is None or not self.closes:
            return False
        return self.before.leaf_fingerprint_sha256 == self.assessment.accepted.fingerprint_sha256

    @property
    def previous(self) -> datetime | None:
        """The time of the channel's first alert about the certificate that its last message was about."""
        return (self.before.first_sent or self.before.last_sent) if self.before else None

    @property
    def date_is_near(self) -> bool:
        """True if the date itself is a reason for an alert."""
        accepted = self.assessment.accepted
        return accepted is not None and self.assessment.expires_soon and accepted.not_before <= accepted.not_after


def render(situation: Situation) -> AlertText:
    """Return the text of a due notification."""
    assessment, begins = situation.assessment, situation.notification.begins
    accepted, problem = assessment.accepted, None if assessment.grace_ends else assessment.problem
    if accepted is None:
        rendered = _nothing_read(situation, problem)
    elif situation.closes:
        rendered = _closing(situation, accepted)
    elif problem is not None and (begins or not situation.date_is_near):
        rendered = _problem(situation, accepted, problem)
    else:
        rendered = _expiry(situation, accepted)
    return replace(
        rendered,
        text=sanitize_line(rendered.text, LONGEST_TEXT),
        next_step=sanitize_line(rendered.next_step, LONGEST_STEP),
    )


def template_values(situation: Situation, accepted: AcceptedCertificate) -> dict[str, str]:
    """The values for the fields of a policy's own message or letter."""
    return {
        "name": situation.name,
        "environment": situation.environment,
        "duration": str(days_left(situation)),
        "date": day(situation.assessment.expires.time),
        "serialNumber": sanitize_line(accepted.serial_number, LONGEST_VALUE),
        "owner": situation.owner,
    }


def days_left(situation: Situation) -> int:
    """Whole days until the date that counts, rounded up; at least one."""
    return max(duration(situation.assessment.expires.time, situation.assessment.now), 1)


def _predecessor(assessment: Assessment, status: CertificateStatus) -> Predecessor | None:
    """The certificate that the accepted one replaced: just now, or earlier if its message was delayed."""
    if assessment.replaced is not None or assessment.accepted is None or not status.history:
        return assessment.replaced
    latest = status.history[0]
    return latest if latest.serial_number != assessment.accepted.serial_number else None


def _expiry(situation: Situation, accepted: AcceptedCertificate) -> AlertText:
    step, expires = _renew(situation, accepted), situation.assessment.expires.time
    if _has_expired(situation):
        when = f"on {day(expires)}, {days_ago(expires, situation.assessment.now)}"
        text = f"{situation.subject} expired {when}: no replacement has been seen"
        if situation.ends_first:
            text = f"{situation.subject} stopped working {when}: {situation.ends_first}, in the same file, has expired"
        return AlertText(Topic.EXPIRED, "Expired", text, f"{situation.name} may already have lost access. {step}")
    values = template_values(situation, accepted)
    text = substitute(situation.policy.message, values).strip()
    if values["duration"] == "1" and situation.policy.message == DEFAULT_MESSAGE:
        text = f"{situation.subject} will expire within the next 24 hours"
    text = text or substitute(DEFAULT_MESSAGE, values)
    if situation.ends_first:
        itself = f"the certificate itself is valid until {day(accepted.not_after)}"
        text = f"{text.rstrip('. ')}: {situation.ends_first}, in the same file, ends first ({itself})"
    return AlertText(Topic.EXPIRING, "Expiring", text, step)


def _renew(situation: Situation, accepted: AcceptedCertificate) -> str:
    """The person to ask, and the request. A problem with the source comes first: its fix may be all that is missing."""
    ask = f"{request_to(situation.contact, situation.name)}, and put the renewed certificate into {situation.source}."
    if situation.assessment.host:
        ask = (
            "Request a new one where this one was requested (a host certificate is not renewed here), and put it into"
            f" {situation.source}."
        )
    if accepted.ends_first is not None and is_issuer(accepted.ends_first, accepted.subject_dn):
        ask = _renew_chain(situation)
    elif situation.progress is not None and not situation.assessment.host:
        ask = situation.progress.ask(
            request_to(situation.contact, situation.name), situation.name, situation.source, situation.assessment
        )
    problem = situation.assessment.problem
    if problem is None or not situation.problem:
        is_open = situation.progress is not None and situation.progress.is_open
        return f"{ask} The alerts stop when {'the new certificate' if is_open else 'it'} is there."
    if problem.reason is Reason.NOT_YET_VALID and accepted.not_before <= situation.assessment.now:
        return f"{sentence(situation.problem)} If that is too late, put one there that is valid now: the alerts stop."
    return f"{sentence(situation.problem)} If there is no renewed certificate yet: {lower_first(ask)} {_STOP}"


def _renew_chain(situation: Situation) -> str:
    return (
        f"Get the renewed issuing certificate from the CA, put it into {situation.source} in the place of the old one,"
        f" and send it to {situation.name}: the consumer needs the new intermediate, too. If the CA has a new key, the"
        " certificate itself must be renewed as well."
    )


def _has_expired(situation: Situation) -> bool:
    """True if the certificate has expired: also at the second of notAfter, if the stage after expiry is due."""
    stage, expires = situation.notification.stage, situation.assessment.expires.time
    after = stage is not None and stage < 0 and situation.assessment.now >= expires
    return after or situation.assessment.now > expires


def _nothing_read(situation: Situation, problem: Problem | None) -> AlertText:
    if problem is None:
        text, step = f"{situation.subject} has not been read yet", "Nothing to do: it will be read soon."
        return AlertText(Topic.PROBLEM, "Pending", text, step)
    text = f"{situation.subject} {_fault(problem)}: {situation.problem}; none was ever read, so its date is unknown"
    return AlertText(Topic.PROBLEM, problem.reason, text, f"Fix the source: {situation.source}. {_STOP}")


def _problem(situation: Situation, accepted: AcceptedCertificate, problem: Problem) -> AlertText:
    if situation.assessment.source_problem:
        text = f"{situation.subject} {_fault(problem)}: {situation.problem}"
        step = f"Fix the source: {situation.source}. Until then the operator cannot see whether it was renewed."
    else:
        text = f"{situation.subject} needs attention: {situation.problem}"
        step = f"Put a usable certificate into {situation.source}."
    if accepted.not_before <= accepted.not_after:
        ends = "expired" if situation.assessment.expired else "expires"
        text += f"; the last known one {ends} on {day(situation.assessment.expires.time)}"
        text += f", with {situation.ends_first}" if situation.ends_first else ""
    return AlertText(Topic.PROBLEM, problem.reason, text, f"{step} {_STOP}")


def _fault(problem: Problem) -> str:
    faults = {Phase.MISSING: "is missing", Phase.INVALID: "needs attention"}
    return faults.get(problem.phase, "could not be read")


def _closing(situation: Situation, accepted: AcceptedCertificate) -> AlertText:
    serial_number = sanitize_line(accepted.serial_number, LONGEST_VALUE)
    expires = situation.assessment.expires.time
    ends = f"valid until {day(expires)}"
    if situation.assessment.now > expires:
        ends = f"which expired on {day(expires)}"
    if situation.ends_first:
        ends += f", the end of {situation.ends_first} in the same file"
    topic, reason = Topic.RENEWED, "Renewed"
    text = f"{situation.subject} was replaced by serial number {serial_number}, {ends}"
    if situation.chain_alone:
        text = f"{situation.subject} has a new chain, {ends}"
        text = f"{situation.subject}, {ends}, {OTHER_ENDED}" if situation.other_ended else text
    if situation.first_reading:
        topic, reason = Topic.READABLE, "SourceReadable"
        text = f"{situation.subject} can be read now: serial number {serial_number}, {ends}"
    old = None if situation.chain_alone else situation.predecessor
    sooner = old is not None and not situation.first_reading and expires < old.not_after
    if old is not None and sooner:
        text += f", sooner than the one before it ({day(old.not_after)})"
    if situation.problem:
        text += f"; but {situation.problem}"
    return AlertText(topic, reason, text, _after_closing(situation, sooner=sooner))


def _after_closing(situation: Situation, *, sooner: bool) -> str:
    if situation.problem:
        return "The alerts continue until that is fixed."
    check = f"Check that the right certificate was put into {situation.source}. " if sooner else ""
    if situation.chain_alone:
        what = "does not use that one" if situation.other_ended else "has the new chain, too"
        check = f"Check that {situation.name} {what}. "
    if situation.date_is_near:
        return f"{check}This one must be renewed as well, so the alerts continue."
    upcoming = next_stage(situation.assessment, situation.notification.channel)
    begins = f"; the alerts about this certificate begin on {day(upcoming.slot)}" if upcoming else ""
    return f"{check or 'Nothing to do. '}The alerts have stopped{begins}."
