"""Decides which messages about a request are due. Each is recorded with the request, so that it is sent once."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from clientcert.errors import Reason
from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Destinations, Notice, NoticeKind
from clientcert.lifecycle.renewal.policy import DeliveryType
from clientcert.lifecycle.renewal.status import (
    HANDED_OVER,
    NOTIFIED,
    RETIRED,
    STORED,
    CheckResult,
    Outcome,
    RenewalStatus,
    State,
)
from clientcert.lifecycle.renewal.status_changes import with_condition
from clientcert.lifecycle.schedule import DAY
from clientcert.pki.der import shifted

REFUSALS_A_DAY = 3
"""The refusals about one certificate that are told in one day."""
WAITING_TOLD = 3
"""The requests about one certificate that wait for approval and are told: the oldest. Of another one the contact hears
with its certificate. Else whoever may ask has a message sent with each of a thousand requests.
"""
ANNOUNCED_BEFORE = 7 * DAY
"""The old certificate's retirement is announced again this long before it."""
TOLD_UNTIL = 7 * DAY
"""Of a request that is done, nothing is told later than this: a new address in `notify` hears of no old ones."""
WINDOW_OPEN = "WindowOpen"
"""The check whose refusal is told to nobody: the request was only too early."""

_OF_INTEREST = frozenset(
    {State.AWAITING_APPROVAL, State.REFUSED, State.DENIED, State.DELIVERED, State.DONE, State.ENDED}
)
"""States of which somebody hears, unless the policy names nobody."""
_LATE = timedelta(hours=1)
"""An announcement that is late by less moves no retirement."""
_LASTING = timedelta(hours=1)
"""A fault of the store or of the API server that lasts for less is told to nobody."""
_PASSING = frozenset({Reason.SOURCE_UNAVAILABLE, Reason.API_UNAVAILABLE, Reason.CONFLICT})


def due_notices(
    evaluation: RenewalEvaluation, *, has_mail_server: bool, refusals_told: int = 0, waiting_before: int = 0
) -> tuple[Notice, ...]:
    """The messages that are due at the evaluation's `now`, but for the mail with the certificate (`delivery_notice`).

    `has_mail_server` is True if the operator sends mails for this namespace. `refusals_told` is the number of other
    requests about the certificate whose refusal was told to somebody within the last day, `waiting_before` that of
    older ones that wait for approval, too.
    """
    if evaluation.certificate is None:
        return ()
    to = Destinations(evaluation, evaluation.certificate, has_mail_server)
    if evaluation.status.state is State.AWAITING_APPROVAL and waiting_before >= WAITING_TOLD:
        return ()
    return tuple(each for each in _wanted(to, refusals_told, is_late=_is_late(evaluation)) if to.is_due(each))


def has_told_everybody(evaluation: RenewalEvaluation, *, has_mail_server: bool) -> bool:
    """True if everybody who hears of this state according to the policy as it is now was told of it.

    False if somebody was not, although it is too late for that by now. False also in a state in between, of which
    nobody hears. Of a request that ended undecided, people heard while it waited.
    """
    if evaluation.certificate is None:
        return False
    to = Destinations(evaluation, evaluation.certificate, has_mail_server)
    wanted = tuple(_undecided(to) if evaluation.status.state is State.ENDED else _wanted(to, 0, is_late=False))
    if any(to.sent(each) is None for each in wanted):
        return False
    return bool(wanted) or evaluation.status.state in _OF_INTEREST


def next_notice(evaluation: RenewalEvaluation, *, has_mail_server: bool) -> datetime | None:
    """The first moment after `now` at which a message may be due although nothing else happens; None: never."""
    if evaluation.certificate is None:
        return None
    to, status = Destinations(evaluation, evaluation.certificate, has_mail_server), evaluation.status
    moments: list[datetime | None] = []
    if status.state is State.AWAITING_APPROVAL:
        moments += [to.due_again(each) for each in to.waiting()]
    retires, stored = retires_at(evaluation), status.condition(STORED)
    moments.append(shifted(retires, -ANNOUNCED_BEFORE) if retires else None)
    if stored is not None and stored.last_transition is not None and status.state is State.DELIVERED:
        moments.append(shifted(stored.last_transition, _LASTING))
    return min((moment for moment in moments if moment and moment > evaluation.now), default=None)


def delivery_notice(evaluation: RenewalEvaluation) -> Notice | None:
    """The mail with the new certificate, to the contact of record; None if that cannot be mailed to."""
    if evaluation.certificate is None or can_be_mailed(evaluation, has_mail_server=True):
        return None
    to = Destinations(evaluation, evaluation.certificate, has_mail_server=True)
    return next(iter(to.contact(NoticeKind.DELIVERY)), None)


def can_be_mailed(evaluation: RenewalEvaluation, *, has_mail_server: bool) -> str:
    """Empty if the new certificate is mailed to the contact of record; else why it is left for `retrieve`.

    The sentence is for the condition Delivered.
    """
    request = evaluation.key.name
    by_hand = f"hand it over with `clientcert retrieve {request}`, then say so with `clientcert handed-over {request}`"
    if evaluation.policy is None:
        return f"the policy has no spec.renewal any more, which says how it is delivered: add it, or {by_hand}"
    if evaluation.policy.delivery.type is DeliveryType.NONE:
        return f"the policy mails no certificates (spec.renewal.delivery.type is None): {by_hand}"
    if not has_mail_server:
        return f"the operator sends no mail for this namespace: {by_hand}"
    if evaluation.recipient is None:
        return f"no contact is known: {by_hand}"
    if evaluation.recipient.role is Role.SLACK:
        return f"the contact is a Slack user, and has no e-mail address: {by_hand}"
    return ""


def retires_at(evaluation: RenewalEvaluation) -> datetime | None:
    """The time from which the old certificate is not accepted any more; None: it stays valid, or is not delivered."""
    delivery = evaluation.status.delivery
    return would_retire_at(evaluation, delivery.time) if delivery else None


def would_retire_at(evaluation: RenewalEvaluation, delivered: datetime) -> datetime | None:
    """The same for a delivery at that time; None: the old certificate stays valid until its end."""
    if evaluation.policy is None or evaluation.policy.retire_after_days is None:
        return None
    announced = retirement_announced(evaluation.status) or evaluation.now
    retires = retirement_time(delivered, evaluation.policy.retire_after_days, announced)
    ends = old_not_after(evaluation)
    return retires if ends is None or retires < ends else None


def retirement_time(delivered: datetime, days: int, announced: datetime) -> datetime:
    """So many days after the delivery, and not within a week of the announcement before it."""
    return max(shifted(delivered, days * DAY), shifted(announced, _notice_time(days) - _LATE))


def announces_retirement_at(delivered: datetime, days: int) -> datetime:
    """The time of the last announcement of the retirement: a week before, or on delivery."""
    return shifted(delivered, days * DAY - _notice_time(days))


def retirement_announced(status: RenewalStatus) -> datetime | None:
    """The time when that announcement was sent; None: not yet."""
    found = status.condition(RETIRED)
    return found.last_transition if found is not None and found.status == "False" else None


def with_retirement_announced(evaluation: RenewalEvaluation) -> RenewalStatus:
    """The status with the announcement, if it is time.

    A policy that was changed meanwhile, or an operator that was away or only observed, takes nothing from the week that
    follows it.
    """
    policy, delivery, retires = evaluation.policy, evaluation.status.delivery, retires_at(evaluation)
    if policy is None or policy.retire_after_days is None or delivery is None or retires is None:
        return evaluation.status
    if evaluation.now < announces_retirement_at(delivery.time, policy.retire_after_days):
        return evaluation.status
    if evaluation.status.condition(RETIRED) is not None or evaluation.observe_only:
        return evaluation.status
    words = f"the old certificate is not accepted any more from {retires:%Y-%m-%d} on"
    return with_condition(evaluation.status, Condition(RETIRED, "False", "Announced", words), evaluation.now)


def old_not_after(evaluation: RenewalEvaluation) -> datetime | None:
    """The end of the certificate that the request renews, if the ClientCertificate still knows it."""
    if evaluation.certificate is None:
        return None
    accepted, serial_number = evaluation.certificate.assessment.accepted, evaluation.spec.serial_number
    if accepted is not None and accepted.serial_number == serial_number:
        return accepted.not_after
    history = evaluation.certificate.status.history
    return next((each.not_after for each in history if each.serial_number == serial_number), None)


def refusing_check(status: RenewalStatus) -> CheckResult | None:
    """The check that refused the request; None if none did."""
    return next((each for each in status.checks if each.outcome is Outcome.REFUSED), None)


def _wanted(to: Destinations, refusals_told: int, *, is_late: bool) -> Iterator[Notice]:
    """Everything that is told in this state, whether it was told already or not; `is_late`: nothing of its end."""
    evaluation, state = to.evaluation, to.evaluation.status.state
    if state is State.AWAITING_APPROVAL:
        yield from _undecided(to)
    elif state is State.APPROVED and evaluation.spec.approval is not None:
        yield from to.contact(NoticeKind.RECEIPT)
    elif state in {State.REFUSED, State.DENIED} and not is_late and _is_told(evaluation, refusals_told):
        yield from to.contact(NoticeKind.REFUSED)
        yield from to.authority_or_team(NoticeKind.REFUSED)
    elif state in {State.ISSUED, State.DELIVERED, State.DONE}:
        if not is_late:
            yield from _issued(to)
        yield from _retiring(to)


def _undecided(to: Destinations) -> Iterator[Notice]:
    """Everything that is told while it waits for approval."""
    yield from to.contact(NoticeKind.RECEIPT)
    yield from to.waiting()


def _issued(to: Destinations) -> Iterator[Notice]:
    """Everything that is told once it is signed. The mail with the certificate is the contact's notice of it."""
    evaluation, delivery = to.evaluation, to.evaluation.status.delivery
    by_hand = bool(can_be_mailed(evaluation, has_mail_server=to.has_mail_server))
    by_hand = by_hand if delivery is None else delivery.role == HANDED_OVER
    if by_hand:
        yield from to.contact(NoticeKind.ISSUED)
    if to.has_authority:
        yield from to.authority(NoticeKind.ISSUED)
    elif delivery is None:
        yield from to.team(NoticeKind.ISSUED)
    if delivery is not None:
        yield from to.team(NoticeKind.DELIVERED)
        if retires_at(evaluation) is not None:
            yield from to.contact(NoticeKind.RETIREMENT) if by_hand else ()
            yield from to.authority(NoticeKind.RETIREMENT)
    if _is_not_stored(evaluation):
        yield from to.team(NoticeKind.NOT_STORED)


def _retiring(to: Destinations) -> Iterator[Notice]:
    """The second announcement of a retirement; none if the first one was not earlier."""
    evaluation, retires = to.evaluation, retires_at(to.evaluation)
    policy, delivery = evaluation.policy, evaluation.status.delivery
    if retires is None or policy is None or policy.retire_after_days is None or delivery is None:
        return
    begins = announces_retirement_at(delivery.time, policy.retire_after_days)
    announced = retirement_announced(evaluation.status) or max(begins, evaluation.now)
    if begins <= evaluation.now < retires and announced > shifted(delivery.time, _LATE):
        yield from to.contact(NoticeKind.RETIRING)
        yield from to.authority_or_team(NoticeKind.RETIRING)


def _notice_time(days: int) -> timedelta:
    return min(days * DAY, ANNOUNCED_BEFORE)


def _is_late(evaluation: RenewalEvaluation) -> bool:
    """True if it ended so long ago that nobody is told of that any more.

    The time in which the operator only observed does not count.
    """
    ended, notified = evaluation.status.ended, evaluation.status.condition(NOTIFIED)
    if ended is None or (notified is not None and notified.reason == Reason.OBSERVE_ONLY):
        return False
    untold = notified.last_transition if notified is not None and notified.status != "True" else None
    limit = TOLD_UNTIL if evaluation.status.state is State.DONE else DAY
    return evaluation.now - max(ended, untold or ended) >= limit


def _is_told(evaluation: RenewalEvaluation, refusals_told: int) -> bool:
    """True if a refusal is told: no more than a few a day about one certificate, and none that was only too early."""
    refused = refusing_check(evaluation.status)
    too_early = refused is not None and refused.name == WINDOW_OPEN
    return not too_early and refusals_told < REFUSALS_A_DAY


def _is_not_stored(evaluation: RenewalEvaluation) -> bool:
    """True if somebody has to put the certificate into the source: it was not written, and that is no passing fault."""
    stored = evaluation.status.condition(STORED)
    if stored is None or stored.status != "False" or evaluation.status.state is not State.DELIVERED:
        return False
    return stored.reason not in _PASSING or evaluation.now - (stored.last_transition or evaluation.now) >= _LASTING
