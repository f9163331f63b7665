"""The next step of a request: its way, its ends, and rules that hold for every combination of states and facts."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.renewal.check_rules import Verdict
from clientcert.lifecycle.renewal.checks import Problem
from clientcert.lifecycle.renewal.progress import Decision, Progress, SourceHolds, Step
from clientcert.lifecycle.renewal.spec import Approval, Mode, RenewalSpec
from clientcert.lifecycle.renewal.spec import Decision as Verb
from clientcert.lifecycle.renewal.state import decide
from clientcert.lifecycle.renewal.status import (
    FINAL,
    CheckResult,
    DeliveryRecord,
    Issuance,
    Outcome,
    RenewalStatus,
    State,
)
from tests.builders import DAY, HOUR, NOW, SECOND

KEY, OTHER_KEY = "a" * 64, "b" * 64
CONTACT, OTHER_CONTACT = "c" * 64, "d" * 64
DECLARED = "uid=1;policyRef=1;identity=1;contact=1"
SPEC = RenewalSpec("nhs-prod", "4af2", "sam", csr_pem="…")
ISSUANCE = Issuance("5b", NOW, NOW + DAY, "f" * 64, "1" * 64, "2" * 64, "…")
MANUAL = "the policy has approval: Manual"
PEM = "-----BEGIN CERTIFICATE-----"


def approval(decision: Verb = Verb.APPROVE, key: str = KEY, recipient: str = CONTACT) -> Approval:
    return Approval(decision, "alex", key, recipient)


def verdicts(outcome: Outcome, reason: Reason | None = None, name: str = "SourceReadable") -> tuple[Verdict, ...]:
    return (Verdict(CheckResult(name, outcome, "a sentence"), reason),)


PASSED = verdicts(Outcome.PASSED)
NO_SOURCE = verdicts(Outcome.WAITS, Reason.ACCESS_DENIED)
NO_ISSUER = verdicts(Outcome.WAITS, Reason.ISSUER_NOT_FOUND, "IssuerReady")
EXPIRED = verdicts(Outcome.REFUSED, Reason.EXPIRED, "InDate")
REPLACED = verdicts(Outcome.REFUSED, Reason.NOT_CURRENT, "SerialCurrent")
OTHER_SUBJECT = verdicts(Outcome.REFUSED, Reason.SUBJECT_CHANGED, "SubjectUnchanged")

NEW = RenewalStatus()
PINNED = RenewalStatus(
    State.AWAITING_APPROVAL, key_hash=KEY, recipient_hash=CONTACT, declared_hash=DECLARED, checks=(PASSED[0].result,)
)
APPROVED = replace(PINNED, state=State.APPROVED)
WRITTEN_AHEAD = replace(APPROVED, issuance=ISSUANCE)
SIGNED = replace(WRITTEN_AHEAD, state=State.ISSUED, certificate_pem=PEM)
MAILED = replace(SIGNED, state=State.DELIVERED, delivery=DeliveryRecord(NOW, "technical contact", "3" * 64))


def progress(status: RenewalStatus = NEW, *, by: Approval | None = None, **facts: Any) -> Progress:
    """A request whose checks have passed, under approval: Manual."""
    spec = replace(SPEC, approval=by, mode=facts.pop("mode", Mode.RENEW), handed_over_by=facts.pop("handed_over", ""))
    plain = Progress(
        NOW,
        spec,
        status,
        certificate_ends=NOW + 30 * DAY,
        key_hash=KEY,
        recipient_hash=CONTACT,
        recipient_role="technical contact",
        declared_hash=DECLARED,
        verdicts=PASSED,
        needs_approval=MANUAL,
        source_holds=SourceHolds.OLD,
    )
    return replace(plain, **facts)


def step(found: Progress) -> tuple[Step, State, str]:
    decision = decide(found)
    return decision.step, decision.status.state, decision.waits_for


def conditions(decision: Decision) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in decision.status.conditions}


class TestTheWay:
    def test_of_one_request(self) -> None:
        """Checks, approval, write-ahead, signature, delivery, source; each step is taken once."""
        seen, spec, status = [], SPEC, NEW
        holds = SourceHolds.OLD
        for _ in range(9):
            decision = decide(replace(progress(status, source_holds=holds), spec=spec))
            status = decision.status
            seen.append((decision.step, status.state))
            match decision.step:
                case Step.AWAIT_APPROVAL:
                    spec = replace(spec, approval=approval())
                case Step.WRITE_AHEAD:
                    status = replace(status, issuance=ISSUANCE)
                case Step.SIGN:
                    status = replace(status, certificate_pem=PEM)
                case Step.DELIVER:
                    status = replace(status, delivery=DeliveryRecord(NOW, "technical contact", ""))
                case Step.STORE:
                    holds = SourceHolds.NEW
        assert seen == [
            (Step.AWAIT_APPROVAL, State.AWAITING_APPROVAL),
            (Step.WRITE_AHEAD, State.APPROVED),
            (Step.SIGN, State.APPROVED),
            (Step.DELIVER, State.ISSUED),
            (Step.STORE, State.DELIVERED),
            (Step.FINISH, State.DONE),
            (Step.NOTHING, State.DONE),
            (Step.NOTHING, State.DONE),
            (Step.NOTHING, State.DONE),
        ]
        assert [(each.type, each.status, each.reason) for each in status.conditions] == [
            ("Accepted", "True", "ChecksPassed"),
            ("Approved", "True", "Approved"),
            ("Issued", "True", "Issued"),
            ("Delivered", "True", "Mailed"),
            ("Stored", "True", "Stored"),
        ]

    def test_acceptance_pins_what_the_approver_sees(self) -> None:
        """Key, recipient, and what the certificate declares; why a person is needed is in the condition."""
        decision = decide(progress(changed=("identity",)))
        found = decision.status
        assert (found.key_hash, found.recipient_hash, found.declared_hash) == (KEY, CONTACT, DECLARED)
        assert (found.changed, found.recipient_role) == (("identity",), "technical contact")
        assert found.condition("Approved") is not None
        assert [each.message for each in found.conditions if each.type == "Approved"] == [MANUAL]

    def test_automatic(self) -> None:
        """It is signed at once, and the condition says that nobody approved it."""
        decision = decide(progress(needs_approval=""))
        assert (decision.step, decision.status.state) == (Step.WRITE_AHEAD, State.APPROVED)
        assert conditions(decision)["Approved"] == ("True", "Automatic")

    def test_a_change_makes_an_automatic_one_manual(self) -> None:
        """Also after it was approved, as long as nothing is signed."""
        found = progress(WRITTEN_AHEAD, needs_approval="changed since the last delivery or first look: contact")
        assert step(found) == (Step.AWAIT_APPROVAL, State.AWAITING_APPROVAL, "approval")

    def test_denied(self) -> None:
        """Before anything is signed, whatever else holds; with the approver's reason."""
        no = replace(approval(Verb.DENY), reason="LeftTheProject", message="they have left")
        decision = decide(progress(PINNED, by=no, verdicts=NO_SOURCE))
        assert (decision.step, decision.status.state, decision.status.ended) == (Step.DENY, State.DENIED, NOW)
        assert conditions(decision)["Denied"] == ("True", "LeftTheProject")


class TestWaiting:
    def test_before_it_is_accepted(self) -> None:
        """It says for what; Accepted is unknown."""
        assert step(progress(verdicts=NO_SOURCE)) == (Step.WAIT, State.WAITING, "source")
        assert step(progress(verdicts=NO_ISSUER)) == (Step.WAIT, State.WAITING, "issuer")
        assert step(progress(configured=False)) == (Step.WAIT, State.WAITING, "spec.renewal of the policy")
        assert step(progress(contact_pending=True)) == (Step.WAIT, State.WAITING, "contact lookup")
        assert conditions(decide(progress(verdicts=NO_SOURCE))) == {"Accepted": ("Unknown", "AccessDenied")}

    def test_checks_that_were_not_run_have_not_passed(self) -> None:
        """Nothing is signed for want of a verdict."""
        for found in (progress(verdicts=()), progress(WRITTEN_AHEAD, by=approval(), verdicts=())):
            assert decide(found).step is Step.WAIT
        assert step(progress(needs_approval="", verdicts=())) == (Step.WAIT, State.WAITING, "source")

    def test_for_the_approval(self) -> None:
        """A source that is away in the meantime changes nothing, and writes nothing."""
        awaiting = decide(progress()).status
        for away in ({"verdicts": NO_SOURCE}, {"configured": False}, {"contact_pending": True}):
            decision = decide(progress(awaiting, **away))
            assert (decision.step, decision.status, decision.waits_for) == (Step.AWAIT_APPROVAL, awaiting, "approval")

    def test_after_the_approval(self) -> None:
        """All checks run again right before signing."""
        assert step(progress(PINNED, by=approval(), verdicts=NO_ISSUER)) == (Step.WAIT, State.APPROVED, "issuer")
        assert step(progress(WRITTEN_AHEAD, by=approval(), verdicts=NO_SOURCE)) == (Step.WAIT, State.APPROVED, "source")
        assert step(progress(WRITTEN_AHEAD, by=approval(), pending="…")) == (Step.WAIT, State.APPROVED, "issuer")

    def test_for_an_issuer_that_cannot_sign(self) -> None:
        """The condition Issued says why."""
        away = Problem(Reason.ISSUER_UNAVAILABLE, "the issuer does not answer")
        decision = decide(progress(WRITTEN_AHEAD, by=approval(), signing_problem=away))
        assert (decision.step, decision.waits_for) == (Step.WAIT, "issuer")
        assert conditions(decision)["Issued"] == ("False", "IssuerUnavailable")
        missing = Problem(Reason.ADMISSION_POLICY_MISSING, "apply admission.yaml")
        assert decide(progress(APPROVED, by=approval(), signing_problem=missing)).waits_for == "admission policies"


class TestRefusal:
    def test_by_a_check(self) -> None:
        """The condition has its reason and sentence; it is final."""
        decision = decide(progress(verdicts=OTHER_SUBJECT))
        assert (decision.step, decision.status.state, decision.status.ended) == (Step.REFUSE, State.REFUSED, NOW)
        assert conditions(decision) == {"Accepted": ("False", "SubjectChanged")}
        assert decision.status.checks == (OTHER_SUBJECT[0].result,)

    @pytest.mark.parametrize(
        ("given", "now", "expected"),
        [
            (approval(key=OTHER_KEY), {}, Reason.KEY_CHANGED),
            (approval(key=""), {}, Reason.KEY_CHANGED),
            (approval(), {"key_hash": OTHER_KEY}, Reason.KEY_CHANGED),
            (approval(recipient=OTHER_CONTACT), {}, Reason.CONTACT_CHANGED),
            (approval(), {"recipient_hash": OTHER_CONTACT}, Reason.CONTACT_CHANGED),
            (approval(), {"recipient_hash": ""}, Reason.CONTACT_CHANGED),
            (approval(), {"declared_hash": DECLARED.replace("contact=1", "contact=2")}, Reason.CONTACT_CHANGED),
            (approval(), {"declared_hash": DECLARED.replace("policyRef=1", "policyRef=2")}, Reason.SPEC_CHANGED),
        ],
    )
    def test_an_approval_that_is_void(self, given: Approval, now: dict[str, str], expected: Reason) -> None:
        """It was given for another key, recipient or declaration than there is now."""
        for status in (PINNED, APPROVED, WRITTEN_AHEAD):
            for outcome in (PASSED, NO_ISSUER):
                decision = decide(progress(status, by=given, verdicts=outcome, **now))
                assert (decision.step, decision.reason) == (Step.REFUSE, expected)

    def test_an_approval_before_the_checks(self) -> None:
        """Nobody can approve what no status has shown, not even with an empty hash."""
        decision = decide(progress(NEW, by=approval(key="", recipient=CONTACT)))
        assert (decision.step, decision.reason) == (Step.REFUSE, Reason.KEY_CHANGED)

    def test_the_key_behind_an_undecided_request_is_another(self) -> None:
        """The receipt named the key; a new contact is just pinned anew."""
        assert decide(progress(PINNED, key_hash=OTHER_KEY)).reason is Reason.KEY_CHANGED
        moved = decide(progress(PINNED, recipient_hash=OTHER_CONTACT, changed=("contact",)))
        assert (moved.step, moved.status.recipient_hash) == (Step.AWAIT_APPROVAL, OTHER_CONTACT)
        assert moved.status.changed == ("contact",)

    def test_what_can_never_be_signed(self) -> None:
        """The issuer's final word, or a ciphertext that is too large."""
        for reason in (Reason.ISSUANCE_REFUSED, Reason.CERTIFICATE_REFUSED, Reason.CIPHERTEXT_TOO_LARGE):
            decision = decide(progress(APPROVED, by=approval(), signing_problem=Problem(reason, "…")))
            assert (decision.status.state, conditions(decision)["Failed"]) == (State.REFUSED, ("True", reason.value))


class TestTheEnd:
    def test_undecided_it_ends_with_the_certificate(self) -> None:
        """One second after; by the check, or by the date if the source cannot be read."""
        assert step(progress(PINNED, verdicts=EXPIRED))[:2] == (Step.END, State.ENDED)
        late = {"certificate_ends": NOW - SECOND, "verdicts": NO_SOURCE}
        assert step(progress(PINNED, **late))[:2] == (Step.END, State.ENDED)
        assert step(progress(PINNED, **late | {"certificate_ends": NOW}))[0] is Step.AWAIT_APPROVAL
        assert step(progress(PINNED, mode=Mode.REISSUE, certificate_ends=NOW - DAY))[0] is Step.AWAIT_APPROVAL

    def test_asked_for_too_late_it_is_refused(self) -> None:
        """As after an approval that came in time, when nothing could be signed."""
        assert step(progress(verdicts=EXPIRED))[:2] == (Step.REFUSE, State.REFUSED)
        assert step(progress(APPROVED, by=approval(), verdicts=EXPIRED))[:2] == (Step.REFUSE, State.REFUSED)

    def test_replaced_in_the_meantime(self) -> None:
        """An accepted request ends; one that was never right is refused."""
        assert step(progress(PINNED, verdicts=REPLACED))[:2] == (Step.END, State.ENDED)
        assert step(progress(WRITTEN_AHEAD, by=approval(), verdicts=REPLACED))[:2] == (Step.END, State.ENDED)
        assert step(progress(verdicts=REPLACED))[:2] == (Step.REFUSE, State.REFUSED)

    def test_the_certificate_is_gone(self) -> None:
        """Deleted, or another object of its name: in every state."""
        for status in (NEW, PINNED, WRITTEN_AHEAD, SIGNED, MAILED):
            gone = decide(progress(status, certificate_found=False))
            assert (gone.step, gone.reason) == (Step.END, Reason.CERTIFICATE_GONE)
        for status in (PINNED, WRITTEN_AHEAD, SIGNED, MAILED):
            found = decide(progress(status, declared_hash=DECLARED.replace("uid=1", "uid=2")))
            assert (found.step, found.reason) == (Step.END, Reason.CERTIFICATE_GONE)


class TestDelivery:
    def test_what_is_signed_is_delivered_whatever_the_checks_say(self) -> None:
        """They were about the signature."""
        for outcome in (PASSED, EXPIRED, REPLACED, NO_SOURCE, ()):
            assert step(progress(SIGNED, by=approval(), verdicts=outcome)) == (
                Step.DELIVER,
                State.ISSUED,
                "mail server",
            )

    def test_nothing_is_mailed_to_another_contact(self) -> None:
        """Than at the approval: it is left for the team to hand over."""
        decision = decide(progress(SIGNED, by=approval(), recipient_hash=OTHER_CONTACT))
        assert (decision.step, decision.waits_for) == (Step.WAIT, "consumer (retrieve)")
        assert conditions(decision)["Delivered"] == ("False", "ContactChanged")

    def test_left_for_retrieval(self) -> None:
        """Until somebody says that the consumer has it."""
        left = progress(SIGNED, by=approval(), undeliverable="the policy has delivery.type None")
        decision = decide(left)
        assert (decision.step, decision.waits_for) == (Step.WAIT, "consumer (retrieve)")
        assert conditions(decision)["Delivered"] == ("False", "LeftForRetrieval")
        handed = decide(replace(left, spec=replace(left.spec, handed_over_by="sam")))
        assert (handed.step, handed.status.state) == (Step.STORE, State.DELIVERED)
        assert conditions(handed)["Delivered"] == ("True", "HandedOver")
        assert handed.status.delivery is not None
        assert (handed.status.delivery.role, handed.status.delivery.time) == ("handed over", NOW)

    def test_a_mail_that_fails(self) -> None:
        """It is retried; an address that is refused is not."""
        away = Problem(Reason.CHANNEL_UNAVAILABLE, "the mail server does not answer")
        assert decide(progress(SIGNED, by=approval(), delivery_problem=away)).waits_for == "mail server"
        wrong = Problem(Reason.RECIPIENT_REFUSED, "the mail server refuses the address: correct the contact")
        decision = decide(progress(SIGNED, by=approval(), delivery_problem=wrong))
        assert (decision.step, decision.waits_for) == (Step.WAIT, "consumer (retrieve)")
        assert conditions(decision)["Delivered"] == ("False", "RecipientRefused")


class TestTheSource:
    def test_it_is_written_after_the_delivery(self) -> None:
        """Only while it holds the old certificate."""
        assert step(progress(MAILED)) == (Step.STORE, State.DELIVERED, "source")
        assert step(progress(MAILED, source_holds=SourceHolds.UNKNOWN)) == (Step.WAIT, State.DELIVERED, "source")

    def test_it_cannot_be_written(self) -> None:
        """The request waits until somebody puts the new certificate there."""
        private = Problem(Reason.SOURCE_HAS_PRIVATE_KEY, "the Secret holds a private key: replace both by hand")
        decision = decide(progress(MAILED, store_problem=private))
        assert (decision.step, decision.waits_for) == (Step.WAIT, "source")
        assert conditions(decision)["Stored"] == ("False", "SourceHasPrivateKey")
        assert decide(progress(MAILED, store_problem=private, source_holds=SourceHolds.NEW)).step is Step.FINISH

    def test_a_month_after_the_delivery_the_encrypted_key_is_removed(self) -> None:
        """Also while the source cannot be written, and the request stays open."""
        sealed, ends = replace(MAILED, ciphertext="…"), NOW + 30 * DAY
        for now, kept in ((ends - SECOND, "…"), (ends, "")):
            found = replace(progress(sealed, source_holds=SourceHolds.UNKNOWN), now=now)
            assert decide(found).status.ciphertext == kept

    def test_somebody_has_replaced_it(self) -> None:
        """Nothing is written, and the request is done: the consumer has what they asked for."""
        decision = decide(progress(MAILED, source_holds=SourceHolds.OTHER))
        assert (decision.step, decision.status.state) == (Step.FINISH, State.DONE)
        assert conditions(decision)["Stored"] == ("False", "SourceChanged")


STATUSES = (
    NEW,
    replace(NEW, state=State.WAITING),
    PINNED,
    APPROVED,
    WRITTEN_AHEAD,
    SIGNED,
    MAILED,
    *[replace(MAILED, state=state, ended=NOW - DAY) for state in sorted(FINAL)],
)
APPROVALS = (
    None,
    approval(),
    approval(key=OTHER_KEY),
    approval(recipient=OTHER_CONTACT),
    approval(Verb.DENY),
)
BEFORE = {
    "verdicts": ((), PASSED, NO_SOURCE, NO_ISSUER, EXPIRED, REPLACED, OTHER_SUBJECT),
    "needs_approval": ("", MANUAL),
    "certificate_found": (True, False),
    "configured": (True, False),
    "contact_pending": (False, True),
    "recipient_hash": (CONTACT, OTHER_CONTACT, ""),
    "certificate_ends": (NOW - SECOND, NOW, None),
}
SIGNING = {
    "key_hash": (KEY, OTHER_KEY, ""),
    "declared_hash": (DECLARED, DECLARED.replace("uid=1", "uid=2"), DECLARED.replace("policyRef=1", "policyRef=2"), ""),
    "issuance_stale": (False, True),
    "signing_problem": (None, Problem(Reason.ISSUER_UNAVAILABLE, "…"), Problem(Reason.ISSUANCE_REFUSED, "…")),
    "pending": ("", "the issuer"),
    "needs_approval": ("", MANUAL),
}
DELIVERING = {
    "recipient_hash": (CONTACT, OTHER_CONTACT, ""),
    "contact_pending": (False, True),
    "undeliverable": ("", "no mail server"),
    "delivery_problem": (None, Problem(Reason.CHANNEL_UNAVAILABLE, "…"), Problem(Reason.RECIPIENT_REFUSED, "…")),
    "source_holds": tuple(SourceHolds),
    "store_problem": (None, Problem(Reason.WRITE_NOT_ALLOWED, "…")),
    "handed_over": ("", "sam"),
}


def every(facts: dict[str, tuple[Any, ...]]) -> Iterator[Progress]:
    for status, by, *values in product(STATUSES, APPROVALS, *facts.values()):
        yield progress(status, by=by, **dict(zip(facts, values, strict=True)))


@pytest.mark.parametrize("facts", [BEFORE, SIGNING, DELIVERING], ids=["before", "signing", "delivering"])
def test_rules_that_hold_for_every_combination(facts: dict[str, tuple[Any, ...]]) -> None:
    """Of all states and decisions with what matters before, at or after the signature."""
    for found in every(facts):
        _check(found, decide(found))


def _check(found: Progress, decision: Decision) -> None:
    before, after, by = found.status, decision.status, found.spec.approval
    step, seen = decision.step, (found, decision)
    if before.state in FINAL:
        assert (step, after) == (Step.NOTHING, before), seen
        return
    assert (after.state in FINAL) == (after.ended is not None) == (step in _ENDS), seen
    assert bool(decision.waits_for) == (step not in _ENDS), seen
    assert len(decision.waits_for) <= 128, seen
    if step in {Step.WRITE_AHEAD, Step.SIGN}:
        assert not before.certificate_pem, seen
        assert found.verdicts == PASSED, seen
        assert found.certificate_found and found.configured and not found.contact_pending, seen  # noqa: PT018
        if by is None:
            assert not found.needs_approval, seen
        else:
            assert (by.decision, by.key_hash, by.recipient_hash) == (Verb.APPROVE, after.key_hash, found.recipient_hash)
        assert found.key_hash in {after.key_hash, ""}, seen
        assert after.state is State.APPROVED, seen
    if step is Step.SIGN:
        assert before.issuance is not None and not found.issuance_stale, seen  # noqa: PT018
    if step is Step.DELIVER:
        assert before.certificate_pem and before.delivery is None, seen  # noqa: PT018
        assert found.recipient_hash == before.recipient_hash, seen
        assert not found.undeliverable, seen
    if step is Step.STORE:
        assert after.delivery is not None, seen
        assert found.source_holds is SourceHolds.OLD, seen
        assert found.store_problem is None, seen
    if not found.certificate_found:
        assert step is Step.END, seen
    if not found.configured or found.contact_pending:
        assert step is not Step.REFUSE, seen
    if before.certificate_pem:
        assert step not in {Step.REFUSE, Step.DENY, Step.WRITE_AHEAD, Step.SIGN, Step.AWAIT_APPROVAL}, seen
        assert after.certificate_pem == before.certificate_pem, seen
    elif by is not None and by.decision is Verb.DENY and step is not Step.END:
        assert step is Step.DENY, seen
    _check_that_it_rests(found, decision)


_ENDS = frozenset({Step.NOTHING, Step.REFUSE, Step.DENY, Step.END, Step.FINISH})


def _check_that_it_rests(found: Progress, decision: Decision) -> None:
    """Deciding again, later, from the written status changes nothing: no write follows from a write."""
    again = decide(replace(found, status=decision.status, now=found.now + HOUR))
    if decision.step in _ENDS:
        assert (again.step, again.status) == (Step.NOTHING, decision.status)
    elif not (found.certificate_ends and found.certificate_ends < found.now + HOUR):
        assert again == decision, (found, decision, again)
