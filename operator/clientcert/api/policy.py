"""Parses the alert settings of a CertificatePolicy, and has the defaults without a policy.

No mistake in a policy can silence a certificate: an invalid setting is replaced by its default and listed in
`problems`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from clientcert.api.client_certificate import parse_duration, secret_key_ref
from clientcert.lifecycle.policy import (
    DEFAULT_GRACE,
    DEFAULT_MESSAGE,
    EVENTS_CHANNEL,
    Address,
    AlertPolicy,
    Channel,
    ContactPolicy,
    EmailAddress,
    Group,
    Role,
    Schedule,
    SendAt,
    SlackAddress,
    UrlAddress,
)
from clientcert.lifecycle.policy_review import remarks

DEFAULT_CHANNEL = "operator/slack"
"""The name of the operator's own channel in a status; channels of a policy cannot have a slash in their names."""
BUSINESS_SUFFIX = "/business"
"""Suffix, in a status, for the channel that an escalation adds to a channel of type Email."""
MESSAGE_FIELDS = frozenset({"name", "environment", "duration", "date", "serialNumber", "owner"})
_FIELDS = {
    "Slack": "slack",
    "Email": "email",
    "Webhook": "webhook",
    "Alertmanager": "alertmanager",
    "Apprise": "apprise",
}
"""The field of each type of channel."""
_FIELD = re.compile(r"\{([^{}]*)\}")
_MOST_DAYS = 3650
_WEEK = 7
_UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
_LONGEST_GRACE = timedelta(days=1)


def default_channel(slack_channel: str) -> Channel:
    """The operator's own Slack channel, for policies without a usable channel."""
    return Channel(DEFAULT_CHANNEL, "Slack", Schedule(), SlackAddress(channel=slack_channel))


def default_policy(fallback: Channel | None) -> AlertPolicy:
    """The policy of certificates without one: 30 days, daily, an Event, and the operator's own channel if any."""
    return parse_policy({}, fallback)


def parse_policy(spec: Mapping[str, Any], fallback: Channel | None) -> AlertPolicy:
    """Parse the spec of a CertificatePolicy. `fallback` is the operator's own channel, used if the policy has none.

    It never raises: if the spec does not conform to the schema, the defaults are used for the whole policy.
    """
    try:
        return _policy(spec, fallback)
    except _PartError as error:
        words = f"the spec cannot be used: {error}; the defaults are used instead"
        return replace(_policy({}, fallback), problems=(words,))


class _PartError(ValueError):
    """A part of the spec cannot be used; the message has its path."""


@contextmanager
def _part(name: str) -> Iterator[None]:
    """Name this part in errors. They do not quote its value, which may be an address or a token."""
    try:
        yield
    except _PartError as error:
        raise _PartError(f"{name}.{error}") from None
    except _UNUSABLE as error:
        raise _PartError(f"{name} ({type(error).__name__})") from None


@_part("spec")
def _policy(spec: Mapping[str, Any], fallback: Channel | None) -> AlertPolicy:
    return _alerts(spec.get("alerts") or {}, _contacts(spec.get("contacts") or {}), fallback)


@_part("alerts")
def _alerts(alerts: Mapping[str, Any], contacts: ContactPolicy, fallback: Channel | None) -> AlertPolicy:
    problems: list[str] = []
    channels = _all_channels(alerts, problems)
    if not channels and fallback is not None:
        channels = (Channel(fallback.name, fallback.type, _schedule(alerts, {}, problems), fallback.address),)
    if channels and all(channel.escalation for channel in channels):
        words = "nobody is alerted before them, and an acknowledgement ends all alerts: add a channel without it"
        problems.append(f"spec.alerts.channels: all have escalation: true, so {words}")
    # Events are for machines and `kubectl describe` and disturb nobody, so they ignore sendAt.
    events = Channel(EVENTS_CHANNEL, "Event", _schedule({**alerts, "sendAt": None}, {}, []))
    all_channels = (*channels, events)
    return AlertPolicy(
        channels=all_channels,
        message=_template(_text(alerts.get("message")), "message", problems) or DEFAULT_MESSAGE,
        group=Group(_text(alerts.get("group")) or Group.AUTO),
        runbook_url=_text(alerts.get("runbookURL")),
        contacts=contacts,
        start_days_before=max(channel.schedule.start_days_before for channel in all_channels),
        source_grace=_grace(alerts, problems),
        problems=tuple(dict.fromkeys(problems)),
        remarks=remarks(all_channels, alerts.get("escalateAfterDays")),
    )


def _all_channels(alerts: Mapping[str, Any], problems: list[str]) -> tuple[Channel, ...]:
    found: list[Channel] = []
    for number, entry in enumerate(alerts.get("channels") or ()):
        with _part(f"channels[{number}]"):
            found += _channels(entry, alerts, problems)
    return tuple(found)


def _channels(entry: Mapping[str, Any], alerts: Mapping[str, Any], problems: list[str]) -> tuple[Channel, ...]:
    """The declared channel, and for escalations of letters one more, which writes to the business contact."""
    channel, after = _channel(entry, alerts, problems), alerts.get("escalateAfterDays")
    if after is None:
        return (channel,)
    later = replace(channel, schedule=_escalated(channel.schedule, _days(after)), escalate_after=after)
    if entry.get("escalation"):
        return (later,)
    if isinstance(channel.address, EmailAddress):
        business = replace(channel.address, role=Role.BUSINESS)
        return channel, replace(later, name=f"{channel.name}{BUSINESS_SUFFIX}", address=business)
    return (channel,)


def _escalated(schedule: Schedule, after_days: int) -> Schedule:
    """The same schedule, starting `after_days` later: an escalation is a channel that starts late."""
    start = max(schedule.start_days_before - after_days, 0)
    on_days = tuple(day for day in schedule.on_days if day <= start) or ((start,) if schedule.on_days else ())
    return replace(schedule, start_days_before=start, on_days=on_days)


def _channel(entry: Mapping[str, Any], alerts: Mapping[str, Any], problems: list[str]) -> Channel:
    name, kind = _text(entry["name"]), _text(entry["type"])
    if entry.get("escalation") and alerts.get("escalateAfterDays") is None:
        words = "it is for escalations, but spec.alerts.escalateAfterDays is not set, so it is alerted at once"
        problems.append(f"channel {name}: {words}")
    address = _address(kind, entry.get(_FIELDS[kind]) or {}, problems) if kind in _FIELDS else None
    if kind not in _FIELDS:
        problems.append(f"channel {name}: this version cannot send to channels of type {kind}")
    elif address is None:
        problems.append(f"channel {name}: {_FIELDS[kind]}.urlSecretRef is not set")
    return Channel(name, kind, _schedule(alerts, entry, problems), address)


def _address(kind: str, entry: Mapping[str, Any], problems: list[str]) -> Address | None:
    if kind == "Slack":
        return SlackAddress(
            channel=_text(entry.get("channel")),
            token_ref=secret_key_ref(entry.get("tokenSecretRef")),
            webhook_ref=secret_key_ref(entry.get("webhookURLSecretRef")),
        )
    if kind == "Email":
        return EmailAddress(
            sender=_text(entry.get("sender")),
            system=_text(entry.get("system")),
            reply_to=_text(entry.get("replyTo")),
            subject=_template(_text(entry.get("subject")), "email.subject", problems),
            body=_template(_text(entry.get("body")), "email.body", problems),
        )
    url = secret_key_ref(entry.get("urlSecretRef"))
    if url is None:
        return None
    return UrlAddress(
        url, secret_key_ref(entry.get("signingSecretRef")), secret_key_ref(entry.get("authorizationSecretRef"))
    )


@_part("contacts")
def _contacts(entry: Mapping[str, Any]) -> ContactPolicy:
    return ContactPolicy(
        directory=_text((entry.get("directoryRef") or {}).get("name")),
        internal_environments=frozenset(map(_text, entry.get("internalEnvironments") or ())),
        slack_token_ref=secret_key_ref(entry.get("slackTokenSecretRef")),
    )


def _schedule(alerts: Mapping[str, Any], override: Mapping[str, Any], problems: list[str]) -> Schedule:
    repeat = override.get("repeat") or alerts.get("repeat") or {}
    every, for_days = _after_expiry(alerts, override, repeat)
    start = _days(_first(override.get("startDaysBefore"), alerts.get("startDaysBefore"), 30))
    on_days = sorted((_days(day, least=0) for day in repeat.get("onDays") or ()), reverse=True)
    if on_days and on_days[-1] > start:
        named = ", ".join(map(str, on_days))
        words = f"every day of repeat.onDays ({named}) is before startDaysBefore ({start}), when its alerts start"
        problems.append(f"{_whose(override)}: {words}: name a later day; day {start} is used instead")
        on_days = [start]
    return Schedule(
        start_days_before=start,
        every_days=_days(repeat.get("everyDays", 1)),
        on_days=tuple(on_days),
        after_expiry_every_days=every,
        after_expiry_for_days=None if for_days is None else _days(for_days),
        send_at=_send_at(override.get("sendAt") or alerts.get("sendAt"), problems),
    )


def _whose(channel: Mapping[str, Any]) -> str:
    return f"channel {channel['name']}" if channel else "spec.alerts"


@_part("afterExpiry")
def _after_expiry(
    alerts: Mapping[str, Any], channel: Mapping[str, Any], repeat: Mapping[str, Any]
) -> tuple[int, int | None]:
    """Days between alerts after expiry, and their end in days (None: no end): the channel's own, else the policy's.

    Unless the channel sets its own interval, a contact gets no more letters after expiry than before.
    """
    common, own = alerts.get("afterExpiry") or {}, channel.get("afterExpiry")
    every = _days(common.get("everyDays", 1))
    if channel.get("type") == "Email":
        every = max(every, _WEEK if repeat.get("onDays") else _days(repeat.get("everyDays", 1)))
    if own is None:
        return every, common.get("forDays")
    return _days(own.get("everyDays", every)), own.get("forDays")


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _days(value: Any, least: int = 1) -> int:
    if type(value) is not int or not least <= value <= _MOST_DAYS:
        raise ValueError("it is not a number of days")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str | None):
        raise TypeError("it is not text")
    return value or ""


@_part("sendAt")
def _send_at(entry: Mapping[str, Any] | None, problems: list[str]) -> SendAt | None:
    if not entry:
        return None
    hours, minutes = entry.get("time", "09:00").split(":")
    return SendAt(
        time(int(hours), int(minutes)),
        _timezone(entry.get("timezone", "UTC"), problems),
        bool(entry.get("weekdaysOnly")),
    )


def _timezone(name: str, problems: list[str]) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        problems.append(f"spec.alerts.sendAt.timezone: there is no time zone {name!r}; UTC is used instead")
        return UTC


def _grace(alerts: Mapping[str, Any], problems: list[str]) -> timedelta:
    text = _text(alerts.get("sourceGrace"))
    try:
        grace = timedelta(seconds=parse_duration(text)) if text else DEFAULT_GRACE
    except (ValueError, OverflowError):
        grace = _LONGEST_GRACE + DEFAULT_GRACE
    if grace > _LONGEST_GRACE:
        problems.append("spec.alerts.sourceGrace: it must be a time from 0s to 24h; 2m is used instead")
        return DEFAULT_GRACE
    return grace


def _template(template: str, where: str, problems: list[str]) -> str:
    """The template; empty, which means the default, if it names an unknown field."""
    unknown = sorted(set(_FIELD.findall(template)) - MESSAGE_FIELDS)
    if unknown:
        problems.append(f"spec.alerts.{where}: there is no field {{{unknown[0]}}}; the default is used instead")
        return ""
    return template
