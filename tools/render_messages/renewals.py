"""The examples about renewals: one request in every state, and an alert while it is open."""

from dataclasses import dataclass, replace
from datetime import timedelta

from clientcert.cli.simulation import KnownCertificate
from clientcert.delivery.interface import Attachment, Instruction
from clientcert.lifecycle.assessment import Observation, accepted_certificate, assess
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.delivery_log import DeliveryLog
from clientcert.lifecycle.due import due_notifications
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import AlertPolicy, Channel
from clientcert.lifecycle.recorded_status import CertificateStatus, Condition
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Notice, NoticeKind, letter_channel
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, RenewalPolicy
from clientcert.lifecycle.renewal.situation import RenewalSituation, RequestSummary
from clientcert.lifecycle.renewal.spec import Approval, Decision, RenewalSpec
from clientcert.lifecycle.renewal.status import (
    STORED,
    CheckResult,
    DeliveryRecord,
    Outcome,
    RenewalStatus,
    State,
)
from clientcert.lifecycle.spec import ObjectKey
from clientcert.messages.digest import Digest
from clientcert.messages.message import Message, compose
from clientcert.messages.renewal_digest import NoticeLine, compose_notices, letter_about_many, notice_line
from clientcert.messages.renewal_letters import Enclosed
from clientcert.messages.renewal_message import compose_renewal
from tools.certificates import CertificateAuthority
from tools.render_messages.examples import (
    DAY,
    LEFT,
    MEMBER,
    NOW,
    SERIAL_NUMBER,
    UID,
    WITH_CONTACTS,
    Example,
    about,
    certificate,
    policy_of,
)

SENDER = "Integration team <certificates@gov.example>"
REQUEST, REQUEST_UID = "nhs-prod-4f1d0c9a2b", "7d0f5c52-2a3e-4c0b-9d49-5b1f6f0e8a11"
TECHNICAL = Recipient(Role.TECHNICAL, "jo@nhs.example", "Jo Bloggs")
AUTHORITY = Recipient(Role.AUTHORITY, "ra@gov.example")
TOOLS = policy_of("policy-to-other-tools.yaml")
POLICY = RenewalPolicy(
    CaSecretIssuer("client-ca"),
    retire_after_days=10,
    notify=(AUTHORITY.address,),
    call_if_unauthorised="security@gov.example",
)
WITHOUT_AUTHORITY = replace(POLICY, notify=(), call_if_unauthorised="", retire_after_days=None)
"""A policy whose renewal names only an issuer: the team's channels hear what the registration authority would."""
ASKED = NOW - DAY
REFUSED_CHECK = CheckResult(
    "KeyAllowed", Outcome.REFUSED, "the RSA key has 1024 bits: have the consumer make one of 3072 bits"
)
PASSED = (
    CheckResult("SourceReadable", Outcome.PASSED, ""),
    CheckResult("SubjectUnchanged", Outcome.PASSED, "the subject is the old one"),
)
ENCLOSED = Enclosed(
    (
        Attachment("client.pem", "application/x-pem-file", b"-----BEGIN CERTIFICATE-----\n"),
        Attachment("client.key.cms", "application/x-pem-file", b"-----BEGIN CMS-----\n"),
    ),
    (
        Instruction("Save the attachments in a new, empty folder, and open a terminal there."),
        Instruction(
            "Decrypt the new private key. credential-exchange-private-key.pem is the private key to the public key that"
            " you sent.",
            "openssl cms -decrypt -inform PEM -in client.key.cms -inkey credential-exchange-private-key.pem"
            " -out client.key",
        ),
    ),
)
NEW_SERIAL_NUMBER = 0x2AEB3FC310A48025182DFC3B9F6A40D69E90ED04


def new_pem() -> str:
    """The certificate that was issued."""
    authority = CertificateAuthority.create("Client CA")
    return authority.issue("nhs", NOW, NOW + 395 * DAY, serial_number=NEW_SERIAL_NUMBER).chain_pem.decode()


@dataclass(frozen=True)
class RequestExample:
    """One request, and the messages about it."""

    status: RenewalStatus
    policy: RenewalPolicy = POLICY
    alerts: AlertPolicy = WITH_CONTACTS
    approval: Approval | None = None
    recipient: Recipient = TECHNICAL

    @property
    def evaluation(self) -> RenewalEvaluation:
        """The request a day after it was made."""
        return RenewalEvaluation(
            key=ObjectKey("integration-api", REQUEST),
            uid=REQUEST_UID,
            created=ASKED,
            now=NOW,
            spec=RenewalSpec(
                certificate="nhs-prod",
                serial_number=f"{SERIAL_NUMBER:x}",
                requested_by="kim.roe@gov.example",
                public_key_pem="-----BEGIN PUBLIC KEY-----\n",
                approval=self.approval,
            ),
            status=self.status,
            certificate=_certificate(self.alerts),
            policy=self.policy,
            recipient=self.recipient,
        )

    def mail(self, kind: NoticeKind, recipient: Recipient | None = None) -> Message:
        """The message with the letter to this recipient; to the contact of record if there is none."""
        channel, recipient = letter_channel(self.alerts), recipient or self.recipient
        enclosed = ENCLOSED if kind is NoticeKind.DELIVERY else None
        return compose_renewal(self.evaluation, Notice(kind, channel, recipient.role, recipient), SENDER, enclosed)

    def message(self, kind: NoticeKind, channel: str = "team") -> Message:
        """The message for the channel of this name."""
        return compose_renewal(self.evaluation, Notice(kind, self.channel(channel), channel), SENDER)

    def many(self, kind: NoticeKind, number: int) -> Digest:
        """A message about so many requests like this one."""
        return compose_notices(self.evaluation, kind, self._lines(kind, number), SENDER)

    def mail_about_many(self, kind: NoticeKind, number: int) -> Message:
        """The same as a letter to the registration authority."""
        return letter_about_many(self.mail(kind, AUTHORITY), self.many(kind, number), self._lines(kind, number))

    def _lines(self, kind: NoticeKind, number: int) -> list[NoticeLine]:
        lines, evaluation = [], self.evaluation
        assert evaluation.certificate is not None
        for each in range(number):
            spec = replace(evaluation.certificate.spec, environment=f"site-{each:03}")
            key = ObjectKey(evaluation.key.namespace, f"nhs-site-{each:03}-{SERIAL_NUMBER + each:x}"[:23])
            one = replace(evaluation, key=key, certificate=replace(evaluation.certificate, spec=spec))
            lines.append(NoticeLine(notice_line(one, kind), NOW + LEFT, str(each)))
        return lines

    def channel(self, name: str) -> Channel:
        """The channel of this name in the policy."""
        return next(each for each in self.alerts.channels if each.name == name)


def _certificate(alerts: AlertPolicy) -> Evaluation:
    declaration, seen = about(LEFT).declaration, certificate(LEFT)
    known = CertificateStatus(accepted=accepted_certificate(seen))
    key = ObjectKey("integration-api", "nhs-prod")
    manifest = KnownCertificate(key, declaration, known, NOW - 100 * DAY)
    return Evaluation(
        key=key,
        uid=UID,
        spec=declaration,
        status=known,
        policy=alerts,
        assessment=assess(manifest, Observation(certificate=seen), alerts.start_days_before, NOW),
        log=DeliveryLog(),
    )


APPROVED = Approval(Decision.APPROVE, "alex.ra@gov.example", "", "")
_KEY_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_PENDING = RenewalStatus(state=State.AWAITING_APPROVAL, key_hash=_KEY_HASH, checks=PASSED, changed=("contact",))
_ISSUED = replace(_PENDING, state=State.ISSUED, certificate_pem=new_pem(), changed=())
_DELIVERED = replace(_ISSUED, state=State.DELIVERED, delivery=DeliveryRecord(NOW, TECHNICAL.role.value, ""))

PENDING = RequestExample(_PENDING)
REFUSED = RequestExample(replace(_PENDING, state=State.REFUSED, checks=(*PASSED, REFUSED_CHECK), changed=()))
ISSUED = RequestExample(_ISSUED, approval=APPROVED)
DELIVERED = RequestExample(_DELIVERED, approval=APPROVED)
NOT_STORED = RequestExample(
    replace(
        _DELIVERED,
        conditions=(
            Condition(
                STORED,
                "False",
                "WriteNotAllowed",
                "the operator may not write Secret nhs-client-cert: bind the Role clientcert-source-writer in the"
                " namespace, or put the certificate there yourself",
                NOW,
            ),
        ),
    ),
    approval=APPROVED,
)


def to_tools(example: RequestExample) -> RequestExample:
    """The same with the channels of policy-to-other-tools.yaml, and without a registration authority."""
    return replace(example, alerts=TOOLS, policy=WITHOUT_AUTHORITY)


def alert_while(state: State | None, channel: str, *, left: timedelta = LEFT, told: Recipient | None = None) -> Message:
    """An alert where the policy has a renewal, while a request is in this state; None: there is no request."""
    request = RequestSummary(
        key=ObjectKey("integration-api", REQUEST),
        uid=REQUEST_UID,
        created=ASKED,
        state=state or State.CHECKING,
        mode="Renew",
        waits_for="",
        old_serial=SERIAL_NUMBER,
        new_serial=None,
        delivered=None,
        mailed=False,
        ended=None,
        declared_hash="",
    )
    situation = RenewalSituation(POLICY, request if state else None)
    example: Example = about(left)
    evaluation = replace(_certificate(example.policy), renewal=situation)
    declaration, known = example.declaration, CertificateStatus(accepted=accepted_certificate(certificate(left)))
    manifest = KnownCertificate(evaluation.key, declaration, known, NOW - 100 * DAY)
    only = example.channel(channel)
    evaluation = replace(
        evaluation,
        status=known,
        policy=replace(example.policy, channels=(only,)),
        assessment=assess(manifest, example.seen, example.policy.start_days_before, NOW),
        contact=Resolution("", "", (told or TECHNICAL,)) if only.to_consumer else None,
    )
    [owed] = due_notifications(evaluation)
    return compose(replace(evaluation, policy=example.policy), owed, (told or TECHNICAL,) if only.to_consumer else ())


TO_SLACK_USER = replace(PENDING, recipient=MEMBER)
