"""A real operator calls receivers over HTTP: a webhook, an Alertmanager, and a receiver of its heartbeat."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.adapters.web_receiver import KEY, OLDER_KEY, Alertmanager, Call, WebReceiver
from tests.control_plane.operators import Operator, Operators
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.faults.listening import listening
from tests.scenarios import Manifest, certificate_policy, secret

LEADER, STANDBY = "/heartbeat/canary-leader", "/heartbeat/canary-standby"
HOOK = "/hook/canary-71fe"
HEARTBEAT_SECONDS = 65.0
"""It is called once a minute, for the first time a minute after the start."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebReceiver]:
    with listening(WebReceiver()) as running:
        yield running


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Alertmanager]:
    with listening(Alertmanager()) as running:
        yield running


@pytest.fixture(scope="module")
def operator(operators: Operators, receiver: WebReceiver) -> Iterator[Operator]:
    with operators.running(settings=heartbeat(receiver, LEADER)) as leading:
        until(lambda: leading.metric("clientcert_leader"))
        yield leading


@pytest.fixture(scope="module", autouse=True)
def standby_since(operator: Operator, operators: Operators, receiver: WebReceiver) -> Iterator[float]:
    """When the other replica, which has a heartbeat as well, was ready; by time.monotonic."""
    with operators.running(settings=heartbeat(receiver, STANDBY)):
        yield time.monotonic()


def heartbeat(receiver: WebReceiver, path: str) -> dict[str, str]:
    return {"CLIENTCERT_HEARTBEAT_URL": f"http://{receiver.host}{path}"}


def use_policy(team: Team, kind: str, url: str, **more: object) -> None:
    """A policy with one channel of this type, whose URL and signing key are in a Secret."""
    address: Manifest = {"urlSecretRef": {"name": "pager", "key": "url"}, **more}
    channel = {"name": "pager", "type": kind, kind.lower(): address}
    team.apply(secret("pager", url=url, key=f"{KEY} {OLDER_KEY}"), certificate_policy("team", channel))


def hand_out(team: Team, name: str, *, days: float) -> None:
    team.hand_out(name, days=days, policyRef={"name": "team"}, owner="integration-team")


def calls(receiver: WebReceiver, path: str) -> list[Call]:
    return [call for call in tuple(receiver.calls) if call.path == path]


def firing(alertmanager: Alertmanager, team: Team, name: str) -> list[dict[str, str]]:
    every = alertmanager.firing(datetime.now(UTC))
    return [labels for labels in every if labels["consumer"] == team.consumer(name)]


def is_signed_by(call: Call, key: str) -> bool:
    """Standard Webhooks: `v1` is HMAC-SHA256 over id, timestamp and body."""
    headers = {name.lower(): value for name, value in call.headers.items()}
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + call.body
    signature = base64.b64encode(hmac.digest(base64.b64decode(key.removeprefix("whsec_")), text, hashlib.sha256))
    return f"v1,{signature.decode()}" in headers["webhook-signature"].split()


def test_a_webhook_gets_an_event_for_the_alert_and_for_the_closing_message(
    team: Team, operator: Operator, receiver: WebReceiver
) -> None:
    """CloudEvents, signed with each key in the Secret, each with its own id; without names and addresses of persons."""
    use_policy(team, "Webhook", f"http://{receiver.host}{HOOK}", signingSecretRef={"name": "pager", "key": "key"})
    hand_out(team, "nhs", days=14)
    [alert] = until(lambda: calls(receiver, HOOK))
    eventually(lambda: team.channel("nhs", "pager").get("stage"), 14)
    renewed = team.renew("nhs", days=365)
    [_, closing] = until(lambda: calls(receiver, HOOK), lambda found: len(found) == 2)
    events = [alert.json, closing.json]
    assert [event["type"].rpartition(".")[2] for event in events] == ["expiring", "renewed"]
    assert [event["data"]["kind"] for event in events] == ["Alert", "Closing"]
    assert {event["specversion"] for event in events} == {"1.0"}
    assert {event["subject"] for event in events} == {team.consumer("nhs")}
    assert {event["data"]["uid"] for event in events} == {team.get("ClientCertificate", "nhs")["metadata"]["uid"]}
    assert alert.json["data"]["stage"] == 14
    assert closing.json["data"]["serialNumber"] == renewed.serial_number_hex
    assert closing.json["data"]["replacedFingerprintSHA256"] == alert.json["data"]["fingerprintSHA256"]
    assert alert.json["id"] != closing.json["id"]
    for call in (alert, closing):
        assert call.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        assert call.headers["webhook-id"] == call.json["id"]
        assert abs(int(call.headers["webhook-timestamp"]) - time.time()) < 60
        assert is_signed_by(call, KEY)
        assert is_signed_by(call, OLDER_KEY)
        assert b"Bloggs" not in call.body
        assert b"jo@" not in call.body
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("True", "Delivered"))
    eventually(lambda: team.phase("nhs"), "Valid")


def test_an_alertmanager_has_the_alert_until_the_renewal(
    team: Team, operator: Operator, alertmanager: Alertmanager
) -> None:
    """It fires with the certificate's labels, is critical in the last two weeks, and is resolved by the renewal."""
    use_policy(team, "Alertmanager", f"http://{alertmanager.host}/")
    hand_out(team, "nhs", days=14)
    hand_out(team, "moj", days=20)
    found = until(lambda: firing(alertmanager, team, "nhs"))
    assert sorted(labels["severity"] for labels in found) == ["critical", "warning"]
    assert {
        (each["alertname"], each["namespace"], each["name"], each["environment"], each["owner"]) for each in found
    } == {("ClientCertificateExpiring", team.namespace, "nhs", "prod", "integration-team")}
    eventually(lambda: [labels["severity"] for labels in firing(alertmanager, team, "moj")], ["warning"])
    eventually(lambda: team.channel("nhs", "pager").get("stage"), 14)
    team.renew("nhs", days=365)
    eventually(lambda: firing(alertmanager, team, "nhs"), [])
    assert len(firing(alertmanager, team, "moj")) == 1
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("True", "Delivered"))


def test_no_url_and_no_key_is_visible(team: Team, operator: Operator, receiver: WebReceiver) -> None:
    """Anyone who knows them could use them, so they are in no status, Event, metric or log, even after a refusal."""
    receiver.always(403, f"no {HOOK}")
    try:
        use_policy(team, "Webhook", f"http://{receiver.host}{HOOK}", signingSecretRef={"name": "pager", "key": "key"})
        hand_out(team, "nhs", days=14)
        eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "TokenRejected"))
    finally:
        receiver.answer = None
    events = " ".join(map(str, team.items("Event")))
    shown = f"{team.status('nhs')} {events} {operator.process.log_text()} {operator.get('/metrics')[1]}"
    for secret_text in ("canary", KEY.removeprefix("whsec_"), OLDER_KEY.removeprefix("whsec_")):
        assert secret_text not in shown


@pytest.mark.soak
def test_the_heartbeat_is_that_of_the_leader(operator: Operator, standby_since: float, receiver: WebReceiver) -> None:
    """The leader sends GET requests, and the standby none, although its interval has passed, too."""
    [call, *_] = until(lambda: calls(receiver, LEADER), seconds=HEARTBEAT_SECONDS)
    assert (call.method, call.body) == ("GET", b"")
    until(lambda: operator.metric("clientcert_heartbeats_total", outcome="ok"))
    assert operator.metric("clientcert_heartbeats_total", outcome="failed") == 0
    time.sleep(max(0.0, standby_since + HEARTBEAT_SECONDS - time.monotonic()))
    assert calls(receiver, STANDBY) == []
