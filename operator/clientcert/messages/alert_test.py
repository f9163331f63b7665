"""Composes the message of a test alert: that of an alert about the certificate, marked as a test in every form."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE, Kind
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.delivery_log import DeliveryLog, DueNotification, MessageKind
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.policy import AlertPolicy, Channel, EmailAddress
from clientcert.lifecycle.recorded_status import AcceptedCertificate, CertificateStatus
from clientcert.lifecycle.spec import CertificateSpec, Contact, ObjectKey, SecretSource
from clientcert.messages.alert_text import LONGEST_TEXT
from clientcert.messages.letter import LONGEST_SUBJECT, Letter, Writer, paragraph, sanitize_parts, stable_hash
from clientcert.messages.message import Message, compose
from clientcert.messages.text import LONGEST_VALUE, sanitize_line
from clientcert.messages.topic import Topic
from clientcert.pki.certificate import Expiry

REASON = "TestAlert"
MARK = "TEST: "
_NO_ACTION = "Nothing has to be done"
_LEFT, _VALIDITY = timedelta(days=13, hours=5), timedelta(days=365)
_FINGERPRINT = "0" * 64


@dataclass(frozen=True, slots=True)
class AskedTest:
    """The test that somebody has asked for."""

    kind: Kind
    """Of the object that asks for it."""
    value: str
    """It tells this test and others of the object apart."""


def compose_test(evaluation: Evaluation, channel: Channel, asked: AskedTest, to: str = "") -> Message:
    """Compose the test of one channel. `to` is the address of its letter, which is never that of the contact."""
    role = channel.address.role if isinstance(channel.address, EmailAddress) else None
    recipients = (Recipient(role or Role.TECHNICAL, to),) if to else ()
    stage = channel.schedule.start_days_before
    alert = compose(evaluation, DueNotification(channel, MessageKind.ALERT, stage), recipients)
    test = replace(
        alert,
        kind=MessageKind.TEST,
        topic=Topic.TEST,
        reason=REASON,
        text=sanitize_line(f"{MARK}{alert.text}", LONGEST_TEXT),
        next_step=_step(evaluation.key, channel, asked),
        about=replace(alert.about, stage=None, previous=None, replaced_fingerprint="", begins=""),
        letters=(),
        overdue=False,
        object_kind=asked.kind,
        test=asked.value,
    )
    if asked.kind == CERTIFICATE_POLICY:
        test = replace(test, details=_policy_details(evaluation.key))
    return replace(test, letters=(_letter(alert, test, channel.address, to),)) if recipients else test


def example_of(policy: AlertPolicy, key: ObjectKey, uid: str, now: datetime, cluster: str = "") -> Evaluation:
    """A certificate that is none, for the test of a policy: it expires in 13 days."""
    ends = now + _LEFT
    accepted = AcceptedCertificate(
        subject_dn="CN=example",
        issuer_dn="CN=Example CA",
        serial_number="1",
        fingerprint_sha256=_FINGERPRINT,
        not_before=ends - _VALIDITY,
        not_after=ends,
        key_algorithm="RSA 3072",
    )
    return Evaluation(
        key=key,
        uid=uid,
        spec=CertificateSpec("example", "example", SecretSource("example", "tls.crt"), Contact()),
        status=CertificateStatus(accepted=accepted),
        policy=policy,
        assessment=Assessment(
            now=now,
            phase=Phase.EXPIRING_SOON,
            accepted=accepted,
            replaced=None,
            problem=None,
            source_problem=False,
            expires=Expiry(ends, accepted.subject_dn, accepted.serial_number, _FINGERPRINT),
            fingerprints=frozenset((_FINGERPRINT,)),
            expires_soon=True,
        ),
        log=DeliveryLog(),
        cluster=cluster,
    )


def _step(key: ObjectKey, channel: Channel, asked: AskedTest) -> str:
    namespace, name = (sanitize_line(part, LONGEST_VALUE) for part in key)
    facts = "" if asked.kind == CLIENT_CERTIFICATE else ", with the facts of an example"
    return (
        f"{_NO_ACTION}: this tests the channel {sanitize_line(channel.name, LONGEST_VALUE)}{facts}."
        f" It was asked for on {asked.kind.name} {name} in namespace {namespace}, and counts as no alert."
    )


def _policy_details(key: ObjectKey) -> tuple[tuple[str, str], ...]:
    namespace, name = (sanitize_line(part, LONGEST_VALUE) for part in key)
    return (
        ("Object", f"CertificatePolicy {name} in namespace {namespace}"),
        ("Look closer", f"kubectl describe certificatepolicy {name} --namespace {namespace}"),
    )


def _letter(alert: Message, test: Message, address: object, to: str) -> Letter:
    """The letter of the alert, if there is one at present, after a paragraph that says what it is.

    It belongs to no thread of letters to the contact.
    """
    assert isinstance(address, EmailAddress)  # noqa: S101 - the other channels have no letters
    written = alert.letters[0] if alert.letters else None
    step = f"{test.next_step} The contact has not been written to."
    parts = [paragraph(f"{MARK}{step} An alert's letter follows.")] if written else [paragraph(test.text + ".")]
    parts += written.parts if written else [paragraph(step)]
    thread = stable_hash("test", test.object_uid, test.about.channel)
    return Letter(
        recipient=Recipient(Role.TESTER, to),
        subject=sanitize_line(f"{MARK}{written.subject}" if written else test.text, LONGEST_SUBJECT),
        parts=sanitize_parts(parts),
        writer=written.writer if written else Writer(address, test.about.owner),
        thread=thread,
        key=stable_hash(thread, test.test),
    )
