"""Prometheus' Alertmanager: a message is an alert there, until it is resolved or its endsAt has passed.

    notifier = AlertmanagerNotifier(read_secret, egress, clock)
    async with notifier:
        receipt = await notifier.notify(channel, message)

Alertmanager identifies an alert by its labels. So the labels never depend on the time left: an alert of severity
`warning` fires from the first stage on, and from two weeks before the date a second one of severity `critical`. A
closing message resolves all alerts that can have fired.
"""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from clientcert.api.kinds import timestamp
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel, Schedule
from clientcert.lifecycle.schedule import DAY, every_day, next_after
from clientcert.messages.message import Message
from clientcert.messages.text import LONGEST_VALUE, sanitize_line
from clientcert.messages.topic import Topic
from clientcert.notifiers.deadline import deadline
from clientcert.notifiers.http.url_caller import UrlCaller, url_address
from clientcert.notifiers.interface import Receipt
from clientcert.pki.der import shifted

API_PATH = "/api/v2/alerts"
EXPIRING, PROBLEM = "ClientCertificateExpiring", "ClientCertificateProblem"
RENEWAL, TEST = "ClientCertificateRenewal", "ClientCertificateTest"
WARNING, CRITICAL = "warning", "critical"
CRITICAL_FROM = 14 * DAY
"""Before the date that counts."""
GRACE = DAY
"""For this time after the next stage an alert still fires: an outage on either side may delay the next message."""
TEST_LASTS = timedelta(minutes=5)
"""Longer than Alertmanager usually waits before it notifies (`group_wait`)."""

_EXPIRY = frozenset({Topic.EXPIRING, Topic.EXPIRED})
_EVERY = ((EXPIRING, WARNING), (EXPIRING, CRITICAL), (PROBLEM, WARNING))
_INERT = str.maketrans("<>", "\u2039\u203a")


class AlertmanagerNotifier(UrlCaller):
    """Posts to /api/v2/alerts, below the URL in the Secret."""

    receiver = "Alertmanager"

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        """As in the interface. An alert that is posted again stays one alert."""
        address, namespace = url_address(channel), message.object_key.namespace
        async with deadline(self.receiver):
            url = await self.url(namespace, address.url_ref)
            body = json.dumps(alerts(channel.schedule, message), separators=(",", ":")).encode()
            headers = await self.authorization(namespace, address.authorization_ref)
            await self.post(namespace, _below(url), body, {"Content-Type": "application/json", **headers})
        return Receipt()


def alerts(schedule: Schedule, message: Message) -> list[dict[str, Any]]:
    """The message as Alertmanager's `postableAlerts`: alerts that fire until their endsAt, or that are resolved."""
    now = message.about.time
    if message.kind is MessageKind.TEST:
        return [_alert(message, TEST, WARNING) | {"startsAt": timestamp(now), "endsAt": timestamp(now + TEST_LASTS)}]
    if message.kind is MessageKind.NOTICE:
        # A message that says what was done resolves the alert about what had to be done.
        renewal = _alert(message, RENEWAL, WARNING)
        if message.is_done:
            return [renewal | {"endsAt": timestamp(now)}]
        return [renewal | {"startsAt": timestamp(now), "endsAt": timestamp(now + DAY + GRACE)}]
    if message.kind is MessageKind.CLOSING:
        return [_alert(message, *each) | {"endsAt": timestamp(now)} for each in _EVERY]
    return [
        _alert(message, name, severity)
        | {"startsAt": timestamp(now), "endsAt": timestamp(fires_until(schedule, message, name))}
        for name, severity in _firing(message)
    ]


def fires_until(schedule: Schedule, message: Message, alertname: str = EXPIRING) -> datetime:
    """The time of the next stage of the alert with this name, and a day of grace.

    The next message extends it. Without a next message the alert ends: its object was deleted or silenced, or the
    problem with the source was fixed.
    """
    about = message.about
    # A problem with the source is repeated daily, in an escalation as its schedule says, before a distant stage is due.
    is_of_the_date = message.topic in _EXPIRY and alertname == EXPIRING
    schedules = [every_day(schedule)] + [schedule] * (is_of_the_date or about.expires is None)
    upcoming = (next_after(each, about.expires.time if about.expires else about.time, about.time) for each in schedules)
    return shifted(max((stage.slot for stage in upcoming if stage), default=about.time + DAY), GRACE)


def _firing(message: Message) -> list[tuple[str, str]]:
    if message.topic not in _EXPIRY:
        return [(PROBLEM, WARNING)]
    expires = message.about.expires
    near = expires is not None and expires.time - message.about.time <= CRITICAL_FROM
    return [(EXPIRING, WARNING)] + [(EXPIRING, CRITICAL)] * near + [(PROBLEM, WARNING)] * bool(message.about.problem)


def _alert(message: Message, alertname: str, severity: str) -> dict[str, Any]:
    """One alert, without generatorURL: there is no page to link to.

    Labels and annotations may be shown by any program, so they contain no character of markup.
    """
    namespace, name = message.object_key
    about = message.about
    labels = {
        "alertname": alertname,
        "namespace": namespace,
        "name": name,
        "consumer": about.consumer,
        "environment": about.environment,
        "cluster": about.cluster,
        "owner": about.owner,
        "severity": severity,
        "renewal": about.renewal.name if about.renewal else "",
        "test": "true" if message.test else "",
    }
    annotations = {
        "summary": message.text,
        "description": message.next_step,
        "runbook_url": message.runbook_url,
        "reason": message.reason,
        "serial_number": sanitize_line(about.serial_number, LONGEST_VALUE),
        "not_after": timestamp(about.not_after) if about.not_after else "",
        "expires": timestamp(about.expires.time) if about.expires else "",
    }
    return {
        "labels": {
            key: sanitize_line(value, LONGEST_VALUE).translate(_INERT) for key, value in labels.items() if value
        },
        "annotations": {key: value.translate(_INERT) for key, value in annotations.items() if value},
    }


def _below(url: str) -> str:
    """The address of the API; the Secret may hold that of Alertmanager, or that of its API."""
    parts = urlsplit(url)
    base = parts.path.rstrip("/").removesuffix(API_PATH)
    return urlunsplit(parts._replace(path=base + API_PATH, fragment=""))
