"""Reviews a CertificatePolicy: settings that are valid one by one, and together have an effect that few people want."""

from collections.abc import Iterator, Sequence

from clientcert.lifecycle.policy import EVENT, Channel


def remarks(channels: Sequence[Channel], escalate_after: int | None) -> tuple[str, ...]:
    """Remarks for people about these channels; none of them is about a channel that stays silent.

    `escalate_after` is the policy's `escalateAfterDays`.
    """
    people = [channel for channel in channels if channel.type != EVENT]
    about_each = [words for each in people for words in _about(each, people)]
    return (*_about_the_whole(people, escalate_after), *about_each)


def _about_the_whole(people: Sequence[Channel], escalate_after: int | None) -> Iterator[str]:
    if not people:
        yield "there is no channel, and the operator has none of its own: alerts are Kubernetes Events alone"
    elif all(each.to_consumer or each.escalation for each in people):
        yield (
            "no channel is for the team: a problem with a source is told in Kubernetes Events alone; add a channel that"
            " is neither of type Email nor an escalation"
        )
    if escalate_after is not None and not any(each.escalation for each in people):
        yield "escalateAfterDays has no effect: no channel has escalation: true or is of type Email"


def _about(channel: Channel, people: Sequence[Channel]) -> Iterator[str]:
    schedule = channel.schedule
    if not channel.escalation:
        if not schedule.on_days and schedule.every_days > schedule.start_days_before:
            yield (
                f"channel {channel.name}: repeat.everyDays ({schedule.every_days}) is longer than startDaysBefore"
                f" ({schedule.start_days_before}), so it has one alert before expiry"
            )
        return
    before = [each for each in people if not each.escalation and (each.to_consumer or not channel.to_consumer)]
    if not before:
        yield f"channel {channel.name}: it is an escalation, and nobody is written to before it"
        return
    begins = min(
        schedule.start_days_before,
        max(each.schedule.start_days_before for each in before) - (channel.escalate_after or 0),
    )
    if begins <= 0:
        yield (
            f"channel {channel.name}: the alerts do not begin more than escalateAfterDays ({channel.escalate_after})"
            " days before expiry, so it is used on the last day at the earliest"
        )
