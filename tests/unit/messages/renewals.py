"""One request about the certificate of `tests.builders`, in any state."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import AlertPolicy, Channel, EmailAddress, Schedule, UrlAddress
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, RenewalPolicy
from clientcert.lifecycle.renewal.situation import RenewalSituation, RequestSummary
from clientcert.lifecycle.renewal.spec import Approval, Decision, RenewalSpec
from clientcert.lifecycle.renewal.status import CheckResult, DeliveryRecord, NoticeRecord, Outcome, RenewalStatus, State
from clientcert.lifecycle.spec import ObjectKey, SecretKeyRef
from tests.builders import DAY, NOW, assessment, certificate, channel, declaration, evaluation, policy
from tests.unit.messages.composing import knowing
from tools.certificates import CertificateAuthority

JO = Recipient(Role.TECHNICAL, "jo@nhs.example", "Jo Bloggs")
ALEX = Recipient(Role.SLACK, "U012AB3CD", "Alex")
RA = "ra@gov.example"
SENDER = "Operator <operator@integration.example>"
REQUEST = ObjectKey("integration", "nhs-prod-4f1d0c9a2b")
OLD, NEW = 0x1A2B3, 0x2AEB3F
OLD_END = NOW + 14 * DAY
TEAM = channel()
CONSUMER = Channel(
    "consumer",
    "Email",
    Schedule(),
    EmailAddress(sender="Integration team", system="Integration API", reply_to="team@integration.example"),
)
PAGER = Channel("pager", "Webhook", Schedule(start_days_before=3), UrlAddress(SecretKeyRef("pager", "url")))
ISSUER_ALONE = RenewalPolicy(CaSecretIssuer("client-ca"))
FULL = replace(ISSUER_ALONE, notify=(RA,), call_if_unauthorised="security@gov.example")
APPROVED = Approval(Decision.APPROVE, "alex.ra@gov.example", "", "")
DENIED = Approval(Decision.DENY, "alex.ra@gov.example", "", "", "NotTheirs", "the key is not theirs")
TOO_SHORT = CheckResult("KeyAllowed", Outcome.REFUSED, "the RSA key has 1024 bits: have a longer one made")
TOO_EARLY = CheckResult("WindowOpen", Outcome.REFUSED, "it can be renewed from 2027-01-01 on")
PEM = CertificateAuthority.create("Client CA").issue("nhs", NOW, NOW + 395 * DAY, serial_number=NEW).chain_pem.decode()
KEY_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def status(state: State, *sent: str, when: datetime = NOW, **changes: Any) -> RenewalStatus:
    """The status of a request in this state, after messages of these names were sent at `when`."""
    found = RenewalStatus(state=state, key_hash=KEY_HASH, notices=tuple(NoticeRecord(name, when) for name in sent))
    if state in {State.ISSUED, State.DELIVERED, State.DONE}:
        found = replace(found, certificate_pem=PEM)
    if state in {State.DELIVERED, State.DONE}:
        found = replace(found, delivery=DeliveryRecord(NOW, "technical contact", ""))
    return replace(found, **changes)


def of_certificate(plan: AlertPolicy | None = None, now: datetime = NOW, **declared: Any) -> Evaluation:
    """The evaluation of the ClientCertificate, whose certificate has 14 days left at NOW."""
    seen, facts = certificate(OLD_END, serial_number=OLD), declaration(**declared)
    known = knowing(seen)
    return evaluation(
        assessment(seen, now, recorded=known, declared=facts), plan or policy(TEAM, CONSUMER), known, spec=facts
    )


def request(
    state: RenewalStatus,
    renewal: RenewalPolicy | None = FULL,
    *,
    now: datetime = NOW,
    age: timedelta = DAY,
    recipient: Recipient | None = JO,
    plan: AlertPolicy | None = None,
    certificate_: Evaluation | None = None,
    **spec: Any,
) -> RenewalEvaluation:
    """A request of this age at NOW, in the state at `now`; keywords change its spec."""
    asked = RenewalSpec("nhs-prod", f"{OLD:x}", "kim.roe@gov.example", public_key_pem="-----BEGIN PUBLIC KEY-----\n")
    return RenewalEvaluation(
        key=REQUEST,
        uid="7d0f5c52-2a3e-4c0b-9d49-5b1f6f0e8a11",
        created=NOW - age,
        now=now,
        spec=replace(asked, **spec),
        status=state,
        certificate=certificate_ or of_certificate(plan, now),
        policy=renewal,
        recipient=recipient,
    )


def summary(state: State, **changes: Any) -> RequestSummary:
    """The request as the certificate's own decisions see it."""
    found = RequestSummary(
        key=REQUEST,
        uid="7d0f5c52",
        created=NOW - DAY,
        state=state,
        mode="Renew",
        waits_for="",
        old_serial=OLD,
        new_serial=None,
        delivered=None,
        mailed=False,
        ended=None,
        declared_hash="",
    )
    return replace(found, **changes)


def situation(state: State | None = None, **changes: Any) -> RenewalSituation:
    """The situation with an open request in this state; None: there is none."""
    return replace(RenewalSituation(FULL, summary(state) if state else None), **changes)
