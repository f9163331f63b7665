"""The input of all examples: one certificate in every possible state, and a fixed time."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from clientcert.api.client_certificate import parse_spec
from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.api.policy import parse_policy
from clientcert.cli.describe_recipient import possible_recipients
from clientcert.cli.simulation import KnownCertificate
from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Observation, accepted_certificate, assess, unread
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.delivery_log import DeliveryLog
from clientcert.lifecycle.due import due_notifications
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import AlertPolicy, Channel, EmailAddress
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey
from clientcert.messages.alert_test import AskedTest, compose_test
from clientcert.messages.digest import Digest, batch_letter, compose_digest
from clientcert.messages.message import Message, compose
from clientcert.pki.certificate import Certificate, Expiry

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LEFT = 13 * DAY + 5 * HOUR
"""The time left of the certificate in most examples."""
EXPIRED_LEFT = -3 * DAY - 2 * HOUR
UID = "0b5a3f3e-7c1d-4a52-9f0e-3d1f6a2b4c5d"
MANY = 500
BATCH = "2026-spring"
SERIAL_NUMBER = 0x678A8251D7ECACAD80896622728AD433A7C047DB
NHS: Mapping[str, Any] = {
    "consumer": "nhs",
    "environment": "prod",
    "owner": "integration-team",
    "identity": {"commonName": "nhs"},
    "source": {"type": "Secret", "secret": {"name": "nhs-client-cert", "key": "tls.crt"}},
    "contact": {
        "technical": {"name": "Jo Bloggs", "email": "jo@nhs.example"},
        "business": {"name": "Sam Patel", "email": "sam@nhs.example"},
    },
}
MEMBER = Recipient(Role.SLACK, "U012AB3CD")
BUSINESS = Recipient(Role.BUSINESS, "sam@nhs.example", "Sam Patel")
GONE = "Secret integration-api/nhs-client-cert does not exist: create it, or correct the reference"


def certificate(left: timedelta, serial_number: int = SERIAL_NUMBER) -> Certificate:
    """A certificate that was issued a year before its end."""
    return Certificate(
        not_before=min(NOW, NOW + left) - 352 * DAY,
        not_after=NOW + left,
        fingerprint_sha256=hashlib.sha256(f"{serial_number} {left}".encode()).hexdigest(),
        serial_number=serial_number,
        subject_dn="CN=nhs",
        issuer_dn="CN=Client CA,O=Example,C=GB",
        subject_common_name="nhs",
        issuer_common_name="Client CA",
        key_algorithm="RSA 3072",
        container_format="PEM",
    )


def with_issuer(left: timedelta) -> Certificate:
    """A certificate that ends long after its issuing certificate in the same file, which has this time left."""
    issuer = certificate(left, SERIAL_NUMBER + 1)
    ends = Expiry(
        issuer.not_after, "CN=Client CA,O=Example,C=GB", f"{issuer.serial_number:x}", issuer.fingerprint_sha256
    )
    return replace(certificate(300 * DAY), ends_first=ends)


RENEWED = certificate(365 * DAY, 0x2AEB3FC310A48025182DFC3B9F6A40D69E90ED04)


def policy_of(example: str, **alerts: object) -> AlertPolicy:
    """The CertificatePolicy of a file in deploy/examples, with some of its spec.alerts changed."""
    manifests = yaml.safe_load_all((REPOSITORY / "deploy/examples" / example).read_text())
    spec = next(each["spec"] for each in manifests if each["kind"] == "CertificatePolicy")
    return parse_policy({**spec, "alerts": {**spec["alerts"], **alerts}}, None)


WITH_CONTACTS = policy_of("policy-with-contacts.yaml")


@dataclass(frozen=True)
class Example:
    """The state of one certificate, and the messages about it."""

    seen: Observation
    before: Certificate | None = None
    """The certificate in the status, which each channel was alerted about; None: nothing was ever read."""
    spec: Mapping[str, Any] | None = None
    """Changes to the spec of the ClientCertificate above."""
    policy: AlertPolicy = WITH_CONTACTS
    closes: bool = False
    """True if each channel was alerted about the certificate in the status."""

    @property
    def declaration(self) -> CertificateSpec:
        """The spec as it is parsed from a manifest."""
        return parse_spec({**NHS, **(self.spec or {})})

    def channel(self, name: str) -> Channel:
        """The channel of this name in the policy."""
        return next(channel for channel in self.policy.channels if channel.name == name)

    def message(
        self, name: str = "team", told: tuple[Recipient, ...] | None = None, written_to: Role = Role.TECHNICAL
    ) -> Message:
        """The message of the channel of this name; `told` are the contacts, if not the declared ones.

        `written_to` is the role that has had the letters before the escalation.
        """
        channel, evaluation = self.channel(name), self._evaluation(name, written_to)
        [owed] = due_notifications(evaluation)
        if told is None:
            told = possible_recipients(channel, self.declaration, self.policy.contacts, {})[0]
        return compose(replace(evaluation, policy=self.policy), owed, told)

    def test(self, name: str = "team") -> Message:
        """The test of the channel of this name; a letter goes to its `replyTo`."""
        channel, evaluation = self.channel(name), replace(self._evaluation(name), policy=self.policy)
        to = channel.address.reply_to if isinstance(channel.address, EmailAddress) else ""
        return compose_test(evaluation, channel, AskedTest(CLIENT_CERTIFICATE, "2026-11-22T09:00:00Z-5f3a0c1e"), to)

    def _evaluation(self, name: str, written_to: Role = Role.TECHNICAL) -> Evaluation:
        """The state of the certificate, with this channel alone."""
        channel, declaration = self.channel(name), self.declaration
        key = ObjectKey("integration-api", f"{declaration.consumer}-{declaration.environment}")
        before = accepted_certificate(self.before) if self.before else None
        fingerprint = (before.ends_first or before).fingerprint_sha256 if before else ""
        last = ChannelStatus(
            name,
            fingerprint,
            14,
            NOW - DAY,
            thread_ref="C012AB3CD:1795251600.000100",
            leaf_fingerprint_sha256=before.fingerprint_sha256 if before and before.ends_first else "",
        )
        known = CertificateStatus(accepted=before, channels=(last,) if self.closes else ())
        manifest = KnownCertificate(key, declaration, known, NOW - 100 * DAY)
        return Evaluation(
            key=key,
            uid=UID,
            spec=declaration,
            status=known,
            policy=replace(self.policy, channels=(channel,)),
            assessment=assess(manifest, self.seen, self.policy.start_days_before, NOW),
            log=DeliveryLog(known.channels),
            contact=Resolution("", "", (Recipient(written_to, "before@nhs.example"),)) if channel.to_consumer else None,
        )


def about(left: timedelta, number: int = 0, **changes: Any) -> Example:
    """A certificate without a problem; a different one for each number."""
    seen = certificate(left, SERIAL_NUMBER + number)
    return Example(Observation(certificate=seen), before=seen, **changes)


def replaced(by: Certificate = RENEWED, **changes: Any) -> Example:
    """An alerted certificate that was replaced by a renewed one."""
    return Example(Observation(certificate=by), before=certificate(LEFT), closes=True, **changes)


ALERT, EXPIRED, CLOSED = about(LEFT), about(EXPIRED_LEFT), replaced()
ENDS_SOON = replaced(certificate(20 * DAY, SERIAL_NUMBER + 1))
NEAR_AND_GONE = replace(ALERT, seen=unread(Reason.SOURCE_NOT_FOUND, GONE))
CHAIN_ENDS = Example(Observation(certificate=with_issuer(LEFT)), before=with_issuer(LEFT))
CHAIN_RENEWED = Example(Observation(certificate=certificate(300 * DAY)), before=with_issuer(LEFT), closes=True)
BUSINESS_ONLY = {"contact": {"business": NHS["contact"]["business"]}}
COLLEAGUE = {"consumer": "jo.bloggs", "environment": "dev", "contact": {"slack": {"memberID": MEMBER.address}}}
HOST = {
    "consumer": "gateway-1.example",
    "profile": "Host",
    "contact": {"requester": {"name": "Lee Wong", "email": "lee@hosting.example"}},
}
WAYS = {
    "Some days before": ALERT,
    "On the last day": about(20 * HOUR),
    "After it has expired": EXPIRED,
    "In a sentence of the policy's own": about(
        LEFT, policy=policy_of("policy-with-contacts.yaml", message="{name}: {duration} days left, {owner} sees to it")
    ),
    "The date is near, and the source is gone": NEAR_AND_GONE,
    "The date is near, today's alert was sent, and now the source is gone": replace(NEAR_AND_GONE, closes=True),
    "The date is near, and the renewed one is not valid yet": replace(
        ALERT, seen=Observation(certificate=replace(RENEWED, not_before=NOW + 2 * DAY))
    ),
    "The date is far, and the source is gone": replace(
        NEAR_AND_GONE, before=certificate(200 * DAY), seen=unread(Reason.SOURCE_NOT_FOUND, GONE)
    ),
    "The date is far, and what is there cannot be read": replace(
        NEAR_AND_GONE,
        before=certificate(200 * DAY),
        seen=unread(Reason.NOT_A_CERTIFICATE, "this is a certificate request (CSR): put the signed certificate there"),
    ),
    "The date is far, and somebody else's certificate is there": replace(
        NEAR_AND_GONE,
        before=certificate(200 * DAY),
        seen=Observation(
            certificate=replace(
                RENEWED,
                identity_mismatch='a certificate of "nhs-test", not of "nhs": put the right certificate there, or'
                ' set spec.identity.commonName: "nhs-test"',
            )
        ),
    ),
    "An issuing certificate in the same file ends first": CHAIN_ENDS,
    "An issuing certificate in the same file has expired": replace(
        CHAIN_ENDS, seen=Observation(certificate=with_issuer(EXPIRED_LEFT))
    ),
    "The date is far, and cert-manager has not issued the certificate": replace(
        NEAR_AND_GONE,
        before=certificate(200 * DAY),
        seen=Observation(
            certificate=replace(
                RENEWED, issuer_common_name="cert-manager.local", subject_dn="2.5.4.5=1234567890,CN=nhs"
            )
        ),
    ),
    "Nothing could ever be read": Example(unread(Reason.SOURCE_NOT_FOUND, GONE)),
    "Nobody is declared in the object": about(LEFT, spec={"contact": {"lookup": ["Directory"]}}),
    "It is a server's certificate": about(LEFT, spec=HOST),
    "It was replaced": CLOSED,
    "It was replaced by one that ends sooner": replace(CLOSED, before=certificate(400 * DAY)),
    "It was replaced by one that ends soon as well": ENDS_SOON,
    "Its chain was renewed": CHAIN_RENEWED,
    "It could be read at last": replace(CLOSED, before=None),
}


def digest() -> Digest:
    """A digest of many certificates that are due on one morning."""
    messages = [
        about(LEFT + number * HOUR / 2, number, spec={"environment": f"site-{number:03}"}).message()
        for number in range(MANY)
    ]
    return compose_digest(messages)


def small_digest() -> Digest:
    """A digest of an expired certificate, one that expires soon and one whose source is missing."""
    gone = WAYS["The date is far, and the source is gone"]
    return compose_digest(
        [ALERT.message(), replace(EXPIRED, spec={"environment": "preprod"}).message(), gone.message()]
    )


def batch() -> Message:
    """A message whose letter is about host certificates that were issued together."""
    hosts = [
        about(
            LEFT + number * 26 * HOUR,
            number,
            spec={**HOST, "batch": BATCH, "consumer": f"gateway-{number + 1}.example"},
        ).message("consumer")
        for number in range(3)
    ]
    return replace(hosts[0], letters=(batch_letter(BATCH, hosts),))
