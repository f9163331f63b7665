"""Composes the message of a due notification; every channel shows the same message in its own form."""

from dataclasses import dataclass, field
from datetime import datetime

from clientcert.api.kinds import CLIENT_CERTIFICATE, Kind
from clientcert.lifecycle.contacts import Recipient, with_contact
from clientcert.lifecycle.delivery_log import DueNotification, MessageKind
from clientcert.lifecycle.due import next_stage
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.recorded_status import AcceptedCertificate, CertificateStatus
from clientcert.lifecycle.spec import CertificateSpec, Contact, ObjectKey, Person
from clientcert.messages.alert_text import Situation, render
from clientcert.messages.letter import Letter
from clientcert.messages.letters import letters
from clientcert.messages.text import LONGEST_NAME, LONGEST_VALUE, day, minute, sanitize_line, time_left
from clientcert.messages.topic import Topic
from clientcert.pki.certificate import Expiry

LONGEST_URL = 2000


@dataclass(frozen=True, slots=True)
class About:
    """The message for machines: unchanged values, without names or addresses of people."""

    time: datetime
    """The time of the assessment, in UTC."""
    consumer: str
    environment: str
    owner: str
    profile: str
    phase: str
    days_remaining: int | None
    """Rounded down, as in the status; None if no certificate was ever read."""
    not_before: datetime | None
    not_after: datetime | None
    serial_number: str
    fingerprint_sha256: str
    """Both in lower-case hex; empty if no certificate was ever read."""
    expires: Expiry | None
    """The date that counts, and whose it is: the certificate's own, or that of another one in the file."""
    channel: str
    stage: int | None
    """Days before notAfter; None for a closing message."""
    replaced_fingerprint: str
    """In a closing message: the fingerprint of the certificate that the channel was alerted about."""
    previous: datetime | None
    """The time of the channel's first alert about its last certificate; it tells messages before and after a roll-back
    apart."""
    problem: str
    """The reason of the problem with the source that an alert reports; empty if there is none."""
    begins: str
    """Of an alert about a problem that has begun: it tells this alert and others of the same stage apart."""
    renewal: "AboutRenewal | None" = None
    """In a message about a renewal: the request."""
    cluster: str = ""
    """The name of the cluster, sanitized; empty: none is shown."""

    @property
    def whose(self) -> str:
        """Consumer and environment, sanitized for a sentence."""
        return f"{sanitize_line(self.consumer, LONGEST_VALUE)} in {sanitize_line(self.environment, LONGEST_VALUE)}"


@dataclass(frozen=True, slots=True)
class AboutRenewal:
    """The request that a message is about, for machines."""

    name: str
    uid: str
    state: str
    mode: str
    old_serial_number: str
    serial_number: str
    """Of the new certificate; empty until it is issued."""
    not_after: datetime | None
    """Of the new certificate."""
    key_hash: str
    occasion: str
    """It tells this message and others about the same request apart."""


@dataclass(frozen=True, slots=True)
class Message:
    """The message about one certificate.

    All texts are plain, sanitized lines; each channel escapes them in its own way. Names and addresses of people are
    only in `contact` and in the letters.
    """

    kind: MessageKind
    topic: Topic
    reason: str
    """For display: `Expiring`, `Expired`, `Renewed`, `SourceReadable`, or the problem's reason (also `Expired`)."""
    text: str
    """The sentence, complete in itself: consumer, environment and time left. At most 1,000 characters."""
    facts: tuple[tuple[str, str], ...]
    """Name and value, in reading order: consumer, environment, cluster, days left, date, serial number, owner."""
    contact: str = field(repr=False)
    """The person to ask, with name and address: only for channels that may show personal data."""
    problem: str
    """The problem with the source; empty if there is none."""
    ends_first: str
    """The certificate in the same file that ends first; empty if the date is the certificate's own."""
    next_step: str
    """At most 1,500 characters."""
    details: tuple[tuple[str, str], ...]
    """For a closer look: object, source, subject, issuer, fingerprint, history."""
    runbook_url: str
    """http or https; empty if the policy has no usable link."""
    object_key: ObjectKey
    object_uid: str
    about: About
    letters: tuple[Letter, ...] = ()
    """To the consumer's contact, and one for each fallback recipient; only in a channel of type Email."""
    overdue: bool = False
    """True if the first recipient has not been reached for a day, so that an unclear refusal counts against them."""
    object_kind: Kind = CLIENT_CERTIFICATE
    test: str = ""
    """In a message of kind TEST: what tells it and other tests of the object apart; empty in all others."""

    @property
    def is_done(self) -> bool:
        """True if it only says what was done, so that nobody has to do anything."""
        if self.kind is MessageKind.NOTICE:
            return self.topic in {Topic.RENEWAL_ISSUED, Topic.RENEWAL_DELIVERED}
        return self.kind is MessageKind.CLOSING

    def shown(self, *, contact: bool) -> tuple[tuple[str, str], ...]:
        """The facts and the problem with the source; with the contact between them, if the channel may show it."""
        people = (("Contact", self.contact),) if contact else ()
        problem = (("Problem", self.problem),) if self.problem else ()
        first = (("Ends first", self.ends_first),) if self.ends_first else ()
        return (*self.facts, *first, *people, *problem)


def compose(evaluation: Evaluation, notification: DueNotification, recipients: tuple[Recipient, ...] = ()) -> Message:
    """Put a due notification into words.

    `recipients` are the people whom a channel of type Email writes to, in order.
    """
    spec = with_contact(evaluation.spec, evaluation.contact, evaluation.earlier_recipients)
    situation = Situation.of(spec, evaluation, notification)
    said = render(situation)
    is_letter = notification.channel.to_consumer
    return Message(
        kind=notification.kind,
        topic=said.topic,
        reason=said.reason,
        text=said.text,
        facts=tuple(_facts(situation)),
        contact=_contact(spec.contact),
        problem=situation.problem,
        ends_first=situation.ends_first,
        next_step=said.next_step,
        details=tuple(_details(evaluation, situation)),
        runbook_url=runbook_link(url) if (url := evaluation.policy.runbook_url) else "",
        object_key=evaluation.key,
        object_uid=evaluation.uid,
        about=_about_it(spec, situation),
        letters=letters(situation, said.topic, evaluation, recipients) if is_letter else (),
        overdue=is_letter and evaluation.is_overdue(notification.channel),
    )


def _about_it(spec: CertificateSpec, situation: Situation) -> About:
    assessment, notification = situation.assessment, situation.notification
    accepted, before = assessment.accepted, situation.before
    return About(
        time=assessment.now,
        consumer=spec.consumer,
        environment=spec.environment,
        owner=spec.owner,
        profile=spec.profile,
        phase=assessment.phase.value,
        days_remaining=assessment.days_remaining,
        not_before=accepted.not_before if accepted else None,
        not_after=accepted.not_after if accepted else None,
        serial_number=accepted.serial_number if accepted else "",
        fingerprint_sha256=accepted.fingerprint_sha256 if accepted else "",
        expires=assessment.expires if accepted else None,
        channel=notification.channel.name,
        stage=notification.stage,
        replaced_fingerprint=situation.replaced_fingerprint,
        previous=situation.previous,
        problem=notification.problem or "",
        begins=f"{notification.problem} {before.last_sent}" if notification.begins and before else "",
        cluster=situation.cluster,
    )


def _facts(situation: Situation) -> list[tuple[str, str]]:
    facts = [("Consumer", situation.name), ("Environment", situation.environment)]
    if situation.cluster:
        facts.append(("Cluster", situation.cluster))
    accepted = situation.assessment.accepted
    if accepted is not None:
        facts += [
            ("Time left", time_left(situation.assessment.expires.time, situation.assessment.now)),
            ("Expires", minute(situation.assessment.expires.time)),
            ("Serial number", sanitize_line(accepted.serial_number, LONGEST_VALUE)),
        ]
    old = situation.predecessor
    if situation.closes and old is not None and not situation.chain_alone:
        serial_number = sanitize_line(old.serial_number, LONGEST_VALUE)
        facts.append(("Replaces", f"serial number {serial_number}, valid until {day(old.not_after)}"))
    if situation.owner:
        facts.append(("Owner", situation.owner))
    if situation.progress is not None and situation.progress.is_open and not situation.closes:
        facts.append(("Renewal", situation.progress.stands))
    return facts


def _contact(contact: Contact) -> str:
    """The person to ask: the technical contact, else the business contact, else the contact in Slack."""
    people = (
        ("technical contact", contact.technical),
        ("business contact", contact.business),
        ("requester", contact.requester),
    )
    for role, person in people:
        if person is not None and (words := _person(person)):
            return f"{words} ({role})"
    slack = contact.slack_email or contact.slack_member_id
    if slack:
        return f"{sanitize_line(slack, LONGEST_VALUE)} (in Slack)"
    return "is being looked up" if contact.pending else "none declared"


def _person(person: Person) -> str:
    return ", ".join(sanitize_line(part, LONGEST_VALUE) for part in (person.name, person.email) if part.strip())


def _details(evaluation: Evaluation, situation: Situation) -> list[tuple[str, str]]:
    assessment, before = situation.assessment, situation.before
    namespace, name = (sanitize_line(part, LONGEST_VALUE) for part in evaluation.key)
    details = [
        ("Object", f"ClientCertificate {name} in namespace {namespace}"),
        ("Source", situation.source),
    ]
    if assessment.accepted is not None:
        details += _about(assessment.accepted)
    if before is not None and before.last_sent is not None:
        details.append(("Last message here", minute(before.last_sent)))
    upcoming = next_stage(assessment, situation.notification.channel)
    if upcoming is not None:
        details.append(("Next alert here", minute(upcoming.slot)))
    if evaluation.status.history:
        details.append(("Before it", _history(evaluation.status)))
    details.append(("Look closer", f"kubectl describe clientcertificate {name} --namespace {namespace}"))
    return details


def _about(certificate: AcceptedCertificate) -> list[tuple[str, str]]:
    about = [
        ("Subject", sanitize_line(certificate.subject_dn, LONGEST_NAME) or "empty"),
        ("Issuer", sanitize_line(certificate.issuer_dn, LONGEST_NAME) or "empty"),
        ("Key", sanitize_line(certificate.key_algorithm, LONGEST_VALUE) or "unknown"),
        ("Valid from", minute(certificate.not_before)),
        ("SHA-256 fingerprint", sanitize_line(certificate.fingerprint_sha256, LONGEST_VALUE)),
        ("openssl x509 -serial", f"serial={_as_openssl_shows(certificate.serial_number)}"),
    ]
    if (first := certificate.ends_first) is not None:
        whose = sanitize_line(first.subject_dn, LONGEST_NAME) or "empty"
        about.append(("Valid until", minute(certificate.not_after)))
        about.append(
            ("Ends first", f"{whose}, on {minute(first.time)}; SHA-256 fingerprint {first.fingerprint_sha256}")
        )
    if certificate.warnings:
        about.append(("Warnings", sanitize_line("; ".join(certificate.warnings), LONGEST_NAME)))
    return about


def _as_openssl_shows(serial_number: str) -> str:
    """The serial number in the form of `openssl x509 -serial`: whole octets in upper case."""
    digits = sanitize_line(serial_number, LONGEST_VALUE).upper()
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    return sign + digits.zfill(len(digits) + len(digits) % 2)


def _history(status: CertificateStatus) -> str:
    entries = (
        f"serial number {sanitize_line(old.serial_number, LONGEST_VALUE)}, valid until {day(old.not_after)},"
        f" replaced on {day(old.replaced_time)}"
        for old in status.history
    )
    return "; ".join(entries)


def runbook_link(url: str) -> str:
    """The address of the runbook; empty if it is not a plain link."""
    plain = url.isascii() and url.isprintable() and not set(url) & set(" <>|\"'`\\")
    return url if plain and len(url) <= LONGEST_URL and url.lower().startswith(("https://", "http://")) else ""
