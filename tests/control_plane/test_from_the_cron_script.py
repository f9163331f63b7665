"""The way from the cron script to the operator: import, apply, a week in which it only observes, and the switch.

Forty consumers in two buckets and a Secret, the wiki page of clients as CSV, and the script's own list of ignored words
(`shared/reference/incumbent.md`). `make demo` shows the same way, and `make test` runs it.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.control_plane.operators import OWN_CHANNEL, Operators
from tests.control_plane.team import DAY, Team
from tests.control_plane.test_cli import Terminal
from tests.scenarios import secret, store_credentials
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client

pytestmark = pytest.mark.soak

WEEK = 7
OWN = "operator/slack"
ENDS = (-3.5, 2.5, 11.5, 20.5, 29.5, 36.5, *range(45, 308, 8))
"""Days from the import until each certificate of the buckets ends: six alert by the end of the week, in two buckets."""
IGNORED_NUMBERS = (2, 4)
ENVIRONMENTS = ("prod", "preprod")


@dataclass
class Move:
    """The observations on the way."""

    team: Team
    imported: list[str] = field(default_factory=list)
    """The last remark of each import."""
    rows: int = 0
    written: int = 0
    observed: Counter[str] = field(default_factory=Counter)
    """The messages of the week."""
    undelivered: Counter[tuple[str, str]] = field(default_factory=Counter)
    foreseen: list[dict[str, Any]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    """The number of messages about each certificate after the switch."""
    repeated: Counter[str] = field(default_factory=Counter)


def consumer(number: int, team: Team) -> str:
    return team.consumer(f"client{number:02}")


def name_of(number: int, team: Team) -> str:
    return f"{consumer(number, team)}-{ENVIRONMENTS[number % 2]}"


@pytest.fixture(scope="module")
def move(
    lasting_team: Team,
    operators: Operators,
    s3: tuple[S3Server, S3Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Move:
    team, home = lasting_team, tmp_path_factory.mktemp("person")
    server, client = s3
    found, terminal = Move(team), Terminal(team, home)
    buckets = upload(team, server, client, home)
    lists = ("--endpoint-url", server.endpoint, "--credentials-secret", "backup", "--ignored", "ignored.txt")
    imports = [
        ("s3", buckets[environment], "--store", f"backup-{environment}", "--environment", environment, *lists)
        for environment in ENVIRONMENTS
    ]
    for arguments in (*imports, ("secrets", "--environment", "prod")):
        ran = terminal.clientcert("import", *arguments, "--contacts", "clients.csv", now=team.began)
        assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
        found.imported.append(next(line for line in ran.stdout.splitlines() if " new" in line and line[0].isdigit()))
    found.written = len(list((home / "clientcert-manifests").glob("*.yaml")))
    team.control_plane.kubectl("apply", "-k", home / "clientcert-manifests")

    observing = {"CLIENTCERT_OBSERVE_ONLY": "true"}
    for day in (0, 4, WEEK):
        with operators.running(team.namespace, later=day * DAY, settings=observing) as operator:
            operator.settle(reconciles=40)
    found.rows = len(team.items("ClientCertificate"))
    found.observed = messages(team) + Counter(event["reason"] for event in team.items("Event"))
    found.undelivered = Counter(
        team.condition(each["metadata"]["name"], "AlertsDelivered") for each in team.items("ClientCertificate")
    )
    moment = team.began + WEEK * DAY
    forecast = terminal.clientcert("forecast", "--days", "1", "-o", "json", now=moment)
    found.foreseen = [json.loads(line) for line in forecast.stdout.splitlines()]

    with operators.running(team.namespace, later=WEEK * DAY) as operator:
        operator.settle(reconciles=40)
    found.sent = messages(team)
    with operators.running(team.namespace, later=WEEK * DAY) as operator:  # after a restart nothing is repeated
        operator.settle(reconciles=40)
    found.repeated = messages(team)
    return found


def upload(team: Team, server: S3Server, client: S3Client, home: Path) -> dict[str, str]:
    """The buckets, the Secrets, the client list and the ignore list; returns the bucket of each environment."""
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text(f"[default]\nregion = {server.region}\n")
    keys = f"aws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    (home / ".aws/credentials").write_text(f"[default]\n{keys}")
    buckets = {environment: f"{environment}-{team.namespace}" for environment in ENVIRONMENTS}
    for bucket in buckets.values():
        client.create_bucket(bucket)
    for number, days in enumerate(ENDS):
        issued = team.authority.issue(consumer(number, team), team.began - 300 * DAY, team.began + days * DAY)
        key = f"{consumer(number, team)}/client.pem"
        client.put_object(buckets[ENVIRONMENTS[number % 2]], key, issued.certificate_pem)
    team.apply(
        store_credentials("backup", server.access_key, server.secret_key),
        secret("gateway", tls_crt=team.issue("gateway", days=15.5).certificate_pem),
    )
    rows = [f"{consumer(number, team)},Jo Bloggs,jo@client{number}.example" for number in range(0, len(ENDS), 2)]
    (home / "clients.csv").write_text("\n".join(["Consumer,Technical name,Technical email", *rows]))
    words = [f"{ENVIRONMENTS[number % 2]}/{consumer(number, team)}" for number in IGNORED_NUMBERS]
    (home / "ignored.txt").write_text(f'ignore="{" ".join(words)}"\n')
    return buckets


def messages(team: Team) -> Counter[str]:
    """By consumer: the messages in the operator's own channel that name it."""
    every = [each for each in tuple(team.slack.messages) if each.channel == OWN_CHANNEL and not each.thread_ts]
    known: Sequence[str] = [consumer(number, team) for number in range(len(ENDS))] + [team.consumer("gateway")]
    return Counter(name for name in known for each in every if f" {name} " in each.text)


def test_everything_is_imported(move: Move) -> None:
    """One object for each consumer, and the stores; the ignore list of both environments is one file."""
    assert move.rows == 40 == len(ENDS) + 1
    assert move.written == 40 + len(ENVIRONMENTS) + 1


def test_the_ignored_are_silenced(move: Move) -> None:
    silenced = [
        each["metadata"]["name"] for each in move.team.items("ClientCertificate") if each["spec"].get("silence")
    ]
    assert sorted(silenced) == sorted(name_of(number, move.team) for number in IGNORED_NUMBERS)


def test_a_week_beside_the_script_sends_nothing(move: Move) -> None:
    """No message and no Event, and each object says why."""
    assert move.observed == {}
    assert set(move.undelivered) == {("Unknown", "ObserveOnly")}


def test_the_switch_sends_what_is_forecast(move: Move) -> None:
    """Once each, and nothing about the ignored ones."""
    foreseen = Counter(
        line["consumer"] for line in move.foreseen if line["channel"] == OWN and line["stage"] is not None
    )
    due = [number for number, days in enumerate(ENDS) if days - WEEK < 30 and number not in IGNORED_NUMBERS]
    assert set(foreseen) >= {consumer(number, move.team) for number in due} | {move.team.consumer("gateway")}
    at_once = {line["consumer"] for line in move.foreseen if line["channel"] == OWN and _is_now(line, move.team)}
    assert move.sent == Counter(at_once)
    assert len(move.sent) == 5  # four of the buckets, and the one in the Secret
    assert not any(consumer(number, move.team) in move.sent for number in IGNORED_NUMBERS)


def test_a_restart_repeats_nothing(move: Move) -> None:
    assert move.repeated == move.sent


def _is_now(line: dict[str, Any], team: Team) -> bool:
    """Due at the moment of the switch, not later that day."""
    return line["time"] <= f"{team.began + WEEK * DAY:%Y-%m-%dT%H:%M:%SZ}"
