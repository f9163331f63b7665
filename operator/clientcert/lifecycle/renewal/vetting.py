"""The age of a vetting. It has a date without a time of day, and counts from the beginning of that day, in UTC."""

from datetime import UTC, date, datetime, time

from clientcert.errors import Reason
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.renewal.window import days_after

VETTED = "Vetted"
"""The condition of a ClientCertificate whose policy has maxVettingAgeDays."""
VETTING_LAPSES = "VettingLapses"
"""Its reason while the vetting still counts, but does not until the certificate ends."""


def vetted_until(vetting: date, max_age_days: int) -> datetime:
    """From this moment the vetting is too old: it must be less than `max_age_days` old."""
    return days_after(begin_of(vetting), max_age_days)


def vetting_problem(vetting: date | None, policy: RenewalPolicy, now: datetime) -> str:
    """The reason why the vetting does not count at `now`; empty if it does, or the policy asks for none."""
    if policy.max_vetting_age_days is None:
        return ""
    return vetting_record_problem(vetting, policy, now)


def vetting_record_problem(vetting: date | None, policy: RenewalPolicy, now: datetime) -> str:
    """The same where a vetting is required in any case."""
    if vetting is None:
        return "no vetting of the consumer is on record"
    if begin_of(vetting) > now:
        return f"the date of the vetting, {vetting}, is in the future"
    if policy.max_vetting_age_days is not None and now >= vetted_until(vetting, policy.max_vetting_age_days):
        return f"the vetting of {vetting} is not less than {policy.max_vetting_age_days} days ago"
    return ""


def vetting_warning(vetting: date | None, policy: RenewalPolicy, not_after: datetime) -> str:
    """A sentence if the vetting lapses before the certificate ends, or is missing; empty otherwise. No moving times."""
    if policy.max_vetting_age_days is None:
        return ""
    if vetting is None:
        return "no vetting of the consumer is on record, so renewals are refused: record one with clientcert vet"
    until = vetted_until(vetting, policy.max_vetting_age_days)
    if until > not_after:
        return ""
    return (
        f"the vetting of {vetting} counts until {until:%Y-%m-%d} only, before the certificate ends: vet the consumer"
        " again, and record it with clientcert vet"
    )


def vetting_condition(
    vetting: date | None, policy: RenewalPolicy, now: datetime, not_after: datetime | None
) -> Condition | None:
    """The condition, which warns before the vetting lapses; None if the policy asks for none."""
    if policy.max_vetting_age_days is None:
        return None
    problem = vetting_problem(vetting, policy, now)
    if problem:
        words = f"{problem}, so a renewal would be refused: vet the consumer, and record it with clientcert vet"
        return Condition(VETTED, "False", Reason.VETTING_REQUIRED, words)
    lapses = vetting_warning(vetting, policy, not_after) if not_after else ""
    if lapses:
        return Condition(VETTED, "False", VETTING_LAPSES, lapses)
    return Condition(VETTED, "True", "Vetted", f"the consumer was vetted on {vetting}")


def begin_of(day: date) -> datetime:
    """The first moment of that day, in UTC."""
    return datetime.combine(day, time(0), UTC)
