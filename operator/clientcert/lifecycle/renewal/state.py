"""Decides the next step of a request, from what is recorded and observed. Pure.

A request goes Checking → (Waiting) → AwaitingApproval → Approved → Issued → Delivered → Done; or it ends as Refused,
Denied or Ended. The state follows from the status: what is signed has `certificate`, what is delivered has `delivery`.
So the same decision is made after a restart, and deciding twice changes nothing.

The conditions, all in the past tense: True when it happened, False (or Unknown) with the reason why not yet.

| type      | reasons                                                                                     |
|-----------|---------------------------------------------------------------------------------------------|
| Accepted  | ChecksPassed; that of the check that refused (False) or waits (Unknown); RenewalNotConfigured |
| Approved  | Approved, Automatic; AwaitingApproval (False); KeyChanged, ContactChanged, SpecChanged (False) |
| Denied    | the approver's, else Denied                                                                 |
| Issued    | Issued; Pending, or the reason why nothing could be signed (False)                          |
| Delivered | Mailed, HandedOver; LeftForRetrieval, or why no mail could be sent (False)                  |
| Stored    | Stored; SourceChanged, or why the source could not be written or read (False)               |
| Retired   | Announced (False); Retired; Ended, before it was revoked; Forbidden: it may not be (False)  |
| Failed    | the reason why it can never be signed (True)                                                |

While the operator only observes, the next of Issued, Delivered and Stored is Unknown, ObserveOnly.
Notified says whether the messages about the request were sent (`status_changes.py`); no decision depends on it.
"""

from dataclasses import replace

from clientcert.errors import Reason
from clientcert.lifecycle.observing import withheld
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.check_rules import Verdict
from clientcert.lifecycle.renewal.checks import decided_by
from clientcert.lifecycle.renewal.declaration import CONTACT as CONTACT_FIELD
from clientcert.lifecycle.renewal.declaration import UID, changed_fields
from clientcert.lifecycle.renewal.delivering import LOOKUP_UNAVAILABLE, after_issuance, with_delivery
from clientcert.lifecycle.renewal.progress import (
    ADMISSION_POLICIES,
    APPROVAL,
    CONTACT,
    FINAL_PROBLEMS,
    ISSUER,
    OBSERVER,
    POLICY,
    SOURCE,
    WAITS_FOR,
    Decision,
    Progress,
    Step,
)
from clientcert.lifecycle.renewal.spec import Decision as Verb
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.lifecycle.renewal.status import (
    ACCEPTED,
    APPROVED,
    DELIVERED,
    DENIED,
    FAILED,
    FINAL,
    ISSUED,
    STORED,
    Outcome,
    RenewalStatus,
    State,
)
from clientcert.lifecycle.renewal.status_changes import ended, with_condition, without_withheld

_ACCEPTED_STATES = frozenset({State.AWAITING_APPROVAL, State.APPROVED})
_EFFECTS = {
    Step.WRITE_AHEAD: (ISSUED, "nothing is signed"),
    Step.SIGN: (ISSUED, "nothing is signed"),
    Step.DELIVER: (DELIVERED, "nothing is sent to the consumer"),
    Step.STORE: (STORED, "nothing is written to the source"),
}
"""The steps with an effect outside of the status: the condition that says why one is not taken, and its words."""
_UNDECIDED = "nobody decided about the request before the certificate ended"


def decide(progress: Progress) -> Decision:
    """The next step, and the status to be written; no step with an effect outside while the operator only observes."""
    decision = _next(progress)
    kind, words = _EFFECTS.get(decision.step, ("", "")) if progress.observe_only else ("", "")
    status = without_withheld(decision.status, {each for each, _ in _EFFECTS.values()} - {kind})
    if not kind:
        return replace(decision, status=status)
    found = Condition(kind, "Unknown", Reason.OBSERVE_ONLY, withheld(words))
    return Decision(Step.WAIT, with_condition(status, found, progress.now), OBSERVER, Reason.OBSERVE_ONLY)


def _next(progress: Progress) -> Decision:
    status = progress.status
    if status.state in FINAL:
        return Decision(Step.NOTHING, status)
    if not progress.certificate_found:
        words = "the ClientCertificate was deleted: if the certificate is still needed, declare it again, and ask again"
        return _end(progress, Reason.CERTIFICATE_GONE, words)
    if UID in changed_fields(status.declared_hash, progress.declared_hash):
        words = "the ClientCertificate was deleted and made anew: ask again"
        return _end(progress, Reason.CERTIFICATE_GONE, words)
    if status.certificate_pem:
        return after_issuance(progress)
    return _before_issuance(progress)


def _before_issuance(progress: Progress) -> Decision:
    approval = progress.spec.approval
    if approval is not None and approval.decision is Verb.DENY:
        words = approval.message or "the request was denied"
        found = Condition(DENIED, "True", approval.reason or "Denied", words)
        status = with_condition(progress.status, found, progress.now)
        return Decision(Step.DENY, ended(status, State.DENIED, progress.now), reason=approval.reason or "Denied")
    if progress.configured and not progress.contact_pending:
        refused = _refusal(progress)
        if refused is not None:
            return refused
    if approval is None and _certificate_ended(progress):
        return _end(progress, Reason.EXPIRED, _UNDECIDED)
    held = _held(progress)
    if held is not None:
        return held
    accepted = _accepted(progress)
    if approval is None and progress.needs_approval:
        found = Condition(APPROVED, "False", "AwaitingApproval", progress.needs_approval)
        status = replace(with_condition(accepted, found, progress.now), state=State.AWAITING_APPROVAL)
        return Decision(Step.AWAIT_APPROVAL, status, APPROVAL)
    return _sign(progress, _approved(accepted, progress))


def _refusal(progress: Progress) -> Decision | None:
    """The refusal by an approval that is void, or by a check; None if there is neither."""
    void = _void(progress)
    if void is not None:
        status = with_condition(progress.status, Condition(APPROVED, "False", *void), progress.now)
        return Decision(Step.REFUSE, ended(status, State.REFUSED, progress.now), reason=void[0])
    verdict = decided_by(progress.verdicts)
    if verdict is None or verdict.result.outcome is not Outcome.REFUSED:
        return None
    was_accepted = progress.status.state in _ACCEPTED_STATES
    if was_accepted and verdict.reason is Reason.NOT_CURRENT:
        return _end(progress, Reason.NOT_CURRENT, "the certificate was replaced in the meantime: nothing is signed")
    undecided = progress.spec.approval is None
    if was_accepted and undecided and verdict.reason is Reason.EXPIRED:
        return _end(progress, Reason.EXPIRED, _UNDECIDED)
    reason = verdict.reason or verdict.result.name
    found = Condition(ACCEPTED, "False", reason, verdict.result.message)
    status = with_condition(_checked(progress), found, progress.now)
    return Decision(Step.REFUSE, ended(status, State.REFUSED, progress.now), reason=reason)


def _void(progress: Progress) -> tuple[Reason, str] | None:
    """The difference between the request that was accepted or approved and the one now; None if there is none."""
    status, approval = progress.status, progress.spec.approval
    if status.key_hash and progress.key_hash and status.key_hash != progress.key_hash:
        words = "the CSR or key that the request stands for was replaced since it was accepted: ask again"
        return Reason.KEY_CHANGED, words
    if approval is None:
        return None
    if not status.key_hash or approval.key_hash != status.key_hash:
        return Reason.KEY_CHANGED, "the approval is about another key than the request: ask again"
    if approval.recipient_hash != status.recipient_hash or status.recipient_hash != progress.recipient_hash:
        words = "the contact is another one than the approver saw, so the approval is void: ask again"
        return Reason.CONTACT_CHANGED, words
    changed = changed_fields(status.declared_hash, progress.declared_hash)
    if CONTACT_FIELD in changed:
        words = "the contact was changed since the approval, which is void: ask again"
        return Reason.CONTACT_CHANGED, words
    if changed:
        words = f"{', '.join(changed)} of the ClientCertificate changed since the approval, which is void: ask again"
        return Reason.SPEC_CHANGED, words
    return None


def _certificate_ended(progress: Progress) -> bool:
    """True if the certificate to be renewed has ended; a Reissue may be about one that ended long ago."""
    ends = progress.certificate_ends
    return progress.spec.mode is Mode.RENEW and ends is not None and ends < progress.now


def _held(progress: Progress) -> Decision | None:
    """The decision to wait for something outside; None if there is nothing to wait for."""
    verdict = decided_by(progress.verdicts)
    if not progress.configured:
        words = "the policy of the certificate has no spec.renewal, or cannot be used: add it"
        return _wait(progress, POLICY, Reason.RENEWAL_NOT_CONFIGURED, words)
    if progress.contact_pending:
        return _wait(progress, CONTACT, LOOKUP_UNAVAILABLE, "the contact is looked up")
    if not progress.verdicts:
        words = "the checks could not be run: they are run again"
        return _wait(progress, SOURCE, Reason.SOURCE_UNAVAILABLE, words)
    if verdict is not None:
        waits_for = WAITS_FOR.get(verdict.result.name, SOURCE)
        reason = verdict.reason or verdict.result.name
        return _wait(progress, waits_for, reason, verdict.result.message, checked=verdict)
    return None


def _wait(progress: Progress, waits_for: str, reason: str, message: str, *, checked: Verdict | None = None) -> Decision:
    """Wait in the state that was reached. A request that awaits its approval goes on awaiting it, without a write."""
    status = progress.status
    if status.state is State.AWAITING_APPROVAL and progress.spec.approval is None:
        return Decision(Step.AWAIT_APPROVAL, status, APPROVAL, reason)
    status = _checked(progress) if checked else status
    if status.state in _ACCEPTED_STATES:
        status, found = _approved(status, progress), Condition(ISSUED, "False", reason, message)
    else:
        status, found = replace(status, state=State.WAITING), Condition(ACCEPTED, "Unknown", reason, message)
    return Decision(Step.WAIT, with_condition(status, found, progress.now), waits_for, reason)


def _accepted(progress: Progress) -> RenewalStatus:
    """The status with the checks passed; until somebody decides, it follows what is declared and found."""
    found = Condition(ACCEPTED, "True", "ChecksPassed", "all checks have passed")
    status = with_condition(_checked(progress), found, progress.now)
    if progress.spec.approval is not None:
        return status
    return replace(
        status,
        key_hash=status.key_hash or progress.key_hash,
        recipient_hash=progress.recipient_hash,
        recipient_role=progress.recipient_role,
        declared_hash=progress.declared_hash,
        changed=progress.changed,
    )


def _approved(status: RenewalStatus, progress: Progress) -> RenewalStatus:
    words = "a request of the holder, with a proof and a CSR, needs no approval"
    found = Condition(APPROVED, "True", "Automatic", words)
    if progress.spec.approval is not None:
        words = progress.spec.approval.message or "a user with the verb approve has approved it"
        found = Condition(APPROVED, "True", "Approved", words)
    return replace(with_condition(status, found, progress.now), state=State.APPROVED)


def _sign(progress: Progress, status: RenewalStatus) -> Decision:
    problem = progress.signing_problem
    if problem is not None and problem.reason in FINAL_PROBLEMS:
        failed = with_condition(status, Condition(FAILED, "True", problem.reason, problem.message), progress.now)
        return Decision(Step.REFUSE, ended(failed, State.REFUSED, progress.now), reason=problem.reason)
    if problem is not None:
        status = with_condition(status, Condition(ISSUED, "False", problem.reason, problem.message), progress.now)
        waits_for = ADMISSION_POLICIES if problem.reason is Reason.ADMISSION_POLICY_MISSING else ISSUER
        return Decision(Step.WAIT, status, waits_for, problem.reason)
    if status.issuance is None or progress.issuance_stale:
        return Decision(Step.WRITE_AHEAD, status, ISSUER)
    if progress.pending:
        status = with_condition(status, Condition(ISSUED, "False", "Pending", progress.pending), progress.now)
        return Decision(Step.WAIT, status, ISSUER, "Pending")
    return Decision(Step.SIGN, status, ISSUER)


def _end(progress: Progress, reason: Reason, message: str) -> Decision:
    """End the request, with the reason at the first condition that was not reached."""
    status = with_delivery(progress, progress.status)
    status = with_condition(status, Condition(_not_reached(status), "False", reason, message), progress.now)
    return Decision(Step.END, ended(status, State.ENDED, progress.now), reason=reason)


def _not_reached(status: RenewalStatus) -> str:
    """The condition that the request did not come to."""
    if status.certificate_pem:
        return STORED if status.delivery else DELIVERED
    return ISSUED if status.state in _ACCEPTED_STATES else ACCEPTED


def _checked(progress: Progress) -> RenewalStatus:
    return replace(progress.status, checks=tuple([each.result for each in progress.verdicts]))
