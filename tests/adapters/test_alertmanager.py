"""In Alertmanager an alert fires from its first stage until it is closed, without a gap and as one alert."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import accepted_certificate, unread
from clientcert.lifecycle.policy import Channel, Schedule, SendAt, UrlAddress
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.messages.message import Message
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.http.alertmanager import CRITICAL_FROM, AlertmanagerNotifier, alerts, fires_until
from tests.adapters.sample_messages import alert, closing, failure
from tests.adapters.web_receiver import SENT, URL_REF, Alertmanager, Vault, WebReceiver, of_another_expired_certificate
from tests.builders import DAY, HOUR, NOW, SECOND, certificate, notified
from tests.unit.messages.composing import composed, knowing

NAMES = {"namespace": "integration", "name": "nhs-prod", "consumer": "nhs", "environment": "prod"}
WARNING = {"alertname": "ClientCertificateExpiring", **NAMES, "owner": "integration-team", "severity": "warning"}
CRITICAL = WARNING | {"severity": "critical"}
PROBLEM = WARNING | {"alertname": "ClientCertificateProblem"}


def to_alertmanager(schedule: Schedule | None = None) -> Channel:
    return Channel("team", "Alertmanager", schedule or Schedule(), UrlAddress(URL_REF))


@asynccontextmanager
async def posting(receiver: WebReceiver, url: str = "", *, path: str = "") -> AsyncIterator[AlertmanagerNotifier]:
    async with receiver.running():
        vault = Vault(url=url or f"http://{receiver.host}{path}")
        async with AlertmanagerNotifier(vault.read, EgressPolicy([receiver.host]), lambda: SENT) as notifier:
            yield notifier


def at(now: datetime, not_after: datetime, **changes: Any) -> Message:
    return composed(certificate(not_after, not_before=NOW - 300 * DAY), now, **changes)


def by_labels(message: Message, schedule: Schedule | None = None) -> list[dict[str, str]]:
    return [each["labels"] for each in alerts(schedule or Schedule(), message)]


class TestThePostedAlert:
    async def test_the_whole_alert(self) -> None:
        """One POST to the API below the URL."""
        server = Alertmanager()
        async with posting(server) as notifier:
            await notifier.notify(to_alertmanager(), alert(20.5))
        (call,) = server.calls
        assert (call.method, call.path) == ("POST", "/api/v2/alerts")
        assert call.headers["Content-Type"] == "application/json"
        assert call.json == [
            {
                "labels": WARNING,
                "annotations": {
                    "summary": "The certificate for nhs in prod will expire within the next 21 days",
                    "description": "Ask the technical contact to renew it, and put the renewed certificate into"
                    " Secret nhs-client-cert, key tls.crt. The alerts stop when it is there.",
                    "runbook_url": "https://runbooks.example/renew?a=1&b=2",
                    "reason": "Expiring",
                    "serial_number": "1a2b3",
                    "not_after": "2026-12-12T21:00:00Z",
                    "expires": "2026-12-12T21:00:00Z",
                },
                "startsAt": "2026-11-22T09:00:00Z",
                "endsAt": "2026-11-23T21:00:00Z",
            }
        ]

    @pytest.mark.parametrize("path", ["", "/", "/alertmanager", "/alertmanager/", "/alertmanager/api/v2/alerts"])
    async def test_the_path_may_have_a_prefix(self, path: str) -> None:
        """Or already end with the API's path."""
        server = Alertmanager()
        async with posting(server, path=path) as notifier:
            await notifier.notify(to_alertmanager(), alert())
        prefix = "/alertmanager" if "alertmanager" in path else ""
        assert server.calls[0].path == f"{prefix}/api/v2/alerts"

    def test_no_label_is_empty(self) -> None:
        """Alertmanager treats an empty label as a missing one."""
        assert "owner" not in by_labels(alert(20, owner=""))[0]

    def test_no_person_is_named(self) -> None:
        """The alert has no name and no address of a contact."""
        assert [word for word in ("Jo", "Bloggs", "@") if word in str(alerts(Schedule(), alert()))] == []


class TestSeverity:
    @pytest.mark.parametrize(
        ("left", "labels"),
        [
            (CRITICAL_FROM + SECOND, [WARNING]),
            (CRITICAL_FROM, [WARNING, CRITICAL]),
            (DAY, [WARNING, CRITICAL]),
            (-3 * DAY, [WARNING, CRITICAL]),
        ],
    )
    def test_critical_joins_two_weeks_before(self, left: timedelta, labels: list[dict[str, str]]) -> None:
        """The warning continues, so that no resolution is reported before the certificate is renewed."""
        assert by_labels(at(NOW, NOW + left)) == labels

    def test_a_problem_is_an_alert_of_its_own(self) -> None:
        """If the date is distant or unknown."""
        assert by_labels(composed(unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert"))) == [PROBLEM]

    def test_a_problem_near_the_date_is_an_alert_beside_it(self) -> None:
        """It ends soon without another message, also if the next stage of the date is weeks away."""
        known = CertificateStatus(accepted=accepted_certificate(certificate(NOW + 20 * DAY)))
        message = composed(unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert"), recorded=known)
        schedule = Schedule(on_days=(30, 3))
        found = alerts(schedule, message)
        assert [each["labels"]["alertname"] for each in found] == [WARNING["alertname"], PROBLEM["alertname"]]
        assert [each["endsAt"] for each in found] == ["2026-12-10T09:00:00Z", "2026-11-24T09:00:00Z"]

    def test_an_expired_certificate_in_the_source_is_a_problem(self) -> None:
        """The certificate in use has not expired; the alert is repeated daily, and ends soon without a message."""
        message = of_another_expired_certificate()
        assert by_labels(message) == [PROBLEM]
        assert fires_until(Schedule(start_days_before=30), message) <= NOW + 3 * DAY


class TestTheEndOfAnAlert:
    """Until the next stage, and a day of grace."""

    @pytest.mark.parametrize(
        ("schedule", "left", "upcoming"),
        [(Schedule(), 20, 19), (Schedule(every_days=7), 16, 9), (Schedule(on_days=(30, 20, 3)), 20, 3)],
        ids=["daily", "weekly", "on days"],
    )
    def test_before_the_date(self, schedule: Schedule, left: int, upcoming: int) -> None:
        """Even with long intervals."""
        assert fires_until(schedule, alert(left)) == NOW + (left - upcoming) * DAY + DAY

    def test_over_a_weekend(self) -> None:
        """From Friday 9:00 to Monday 9:00, and a day."""
        friday = datetime.fromisoformat("2026-11-20T09:00:00+00:00")
        schedule = Schedule(send_at=SendAt(time(9), weekdays_only=True))
        assert fires_until(schedule, at(friday, friday + 20 * DAY)) == friday + 4 * DAY

    def test_after_the_date(self) -> None:
        """By the schedule after expiry."""
        assert fires_until(Schedule(after_expiry_every_days=3), at(NOW, NOW - SECOND)) >= NOW + 3 * DAY

    def test_a_problem_ends_soon_by_itself(self) -> None:
        """It is repeated daily, and no message says that it was fixed: so it must not fire until the next stage."""
        old = certificate(NOW + 300 * DAY)
        known = CertificateStatus(accepted=accepted_certificate(old))
        message = composed(unread(Reason.SOURCE_NOT_FOUND, "there is no Secret"), recorded=known)
        assert NOW + DAY < fires_until(Schedule(start_days_before=30), message) <= NOW + 3 * DAY

    def test_a_certificate_that_was_never_read(self) -> None:
        """Also daily; an escalation has its own schedule, and must not end before its next message."""
        message = composed(unread(Reason.SOURCE_NOT_FOUND, "there is no Secret"))
        assert fires_until(Schedule(), message) == NOW + 2 * DAY
        assert fires_until(Schedule(after_expiry_every_days=7), message) == NOW + 8 * DAY


class TestOneAlert:
    async def test_from_the_first_stage_to_the_last_without_a_gap(self) -> None:
        """A month of daily messages, each an hour late: one alert fires all the time, from the first message on."""
        server = Alertmanager()
        not_after = NOW + 30 * DAY
        async with posting(server) as notifier:
            for days in range(33):
                now = NOW + days * DAY + (HOUR if days else timedelta(0))
                await notifier.notify(to_alertmanager(), at(now, not_after))
                assert WARNING in server.firing(now)
                assert (CRITICAL in server.firing(now)) == (days >= 16)
                assert WARNING in server.firing(now + DAY + HOUR)
        assert len(server.alerts) == 2
        assert server.alerts[tuple(sorted(WARNING.items()))]["startsAt"] == NOW

    async def test_closed_is_resolved(self) -> None:
        """All alerts that were firing; a moment later none is."""
        server = Alertmanager()
        async with posting(server) as notifier:
            await notifier.notify(to_alertmanager(), alert(5))
            assert server.firing(NOW) == [WARNING, CRITICAL]
            await notifier.notify(to_alertmanager(), closing())
        assert server.firing(NOW) == []
        assert [each["endsAt"] for each in server.alerts.values()] == [NOW, NOW, NOW]

    async def test_a_problem_is_resolved_too(self) -> None:
        """When the first certificate was read."""
        server = Alertmanager()
        async with posting(server) as notifier:
            await notifier.notify(to_alertmanager(), composed(unread(Reason.KEY_MISSING, "there is no key tls.crt")))
            assert server.firing(NOW) == [PROBLEM]
            message = composed(certificate(NOW + 400 * DAY), recorded=knowing(None, notified(0, "")))
            await notifier.notify(to_alertmanager(), message)
        assert server.firing(NOW) == []

    async def test_another_object_of_the_same_consumer_is_another_alert(self) -> None:
        """After the resolution of one alert the other still fires."""
        server = Alertmanager()
        async with posting(server) as notifier:
            other = alert(20)
            other = replace(other, object_key=other.object_key._replace(name="nhs-prod-2"))
            await notifier.notify(to_alertmanager(), other)
            await notifier.notify(to_alertmanager(), closing())
        assert server.firing(NOW) == [WARNING | {"name": "nhs-prod-2"}]


class TestNothingIsInterpreted:
    HOSTILE = '"},"severity":"none\r\n\x00\u202e<!channel><b>{{ .Labels }}\ud800'

    async def test_in_every_field_at_once(self) -> None:
        """Each label stays one value, without a tag or a mention for any program that shows it."""
        server = Alertmanager()
        async with posting(server) as notifier:
            message = alert(20, consumer=self.HOSTILE, environment=self.HOSTILE, owner=self.HOSTILE)
            await notifier.notify(to_alertmanager(), message)
        (posted,) = server.calls[0].json
        assert set(posted["labels"]) == set(WARNING)
        assert posted["labels"]["severity"] == "warning"
        shown = '"},"severity":"none \ufffd\ufffd\u2039!channel\u203a\u2039b\u203a{{ .Labels }}\ufffd'
        assert [posted["labels"][name] for name in ("consumer", "environment", "owner")] == [shown] * 3
        assert not set("<>\r\n") & set("".join(posted["annotations"].values()))

    def test_a_long_name_is_cut(self) -> None:
        """10 KB in a label."""
        (posted,) = alerts(Schedule(), alert(20, consumer="n" * 10_000))
        assert len(posted["labels"]["consumer"]) == 253


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "reason"),
        [(400, Reason.MESSAGE_REFUSED), (404, Reason.CHANNEL_NOT_FOUND), (503, Reason.CHANNEL_UNAVAILABLE)],
    )
    async def test_failures_are_those_of_a_webhook(self, status: int, reason: Reason) -> None:
        """The errors name Alertmanager."""
        server = WebReceiver()
        server.always(status, "canary-9e1c")
        async with posting(server) as notifier:
            error = await failure(notifier, to_alertmanager())
        assert error.reason is reason
        assert error.message.startswith("Alertmanager ")
        assert "canary" not in error.message

    @pytest.mark.parametrize(
        "url", ["http://alertmanager.monitoring:9093", "https://[", "https://[::1", "alertmanager:9093"]
    )
    async def test_a_url_that_may_not_be_called(self, url: str) -> None:
        """One inside the cluster must be listed."""
        server = Alertmanager()
        async with posting(server, url) as notifier:
            error = await failure(notifier, to_alertmanager())
        assert (error.reason, error.retryable) == (Reason.ENDPOINT_NOT_ALLOWED, False)
        assert server.calls == []
