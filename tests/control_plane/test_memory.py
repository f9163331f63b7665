"""Deleted objects leave nothing behind: neither memory nor metric series grow.

Each cycle creates a ClientCertificate with its own Secret, policy and Slack channel; it is read, alerted and recorded,
and then everything is deleted. The cycles run in batches, concurrently within each batch.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.control_plane.operators import Operator, Operators
from tests.control_plane.team import OUR_KINDS, Team
from tests.control_plane.waiting import eventually
from tests.scenarios import Manifest, certificate_policy, client_certificate, secret, slack_channel
from tools.control_plane.process import ChildProcess

BATCH = 100
AT_ONCE = 3
"""The number of certificates that exist at the same time."""
WARM_UP = 400
"""Cycles until every pool, cache and label has reached its full size."""
CYCLES = 1_000
ROOM_MIB = 5.0
BATCH_SECONDS = 60.0


@dataclass(frozen=True)
class Footprint:
    memory_mib: float
    """The resident size."""
    series: int

    @classmethod
    def of(cls, operator: Operator) -> "Footprint":
        status = Path(f"/proc/{operator.process.pid}/status").read_text(encoding="ascii")
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident is not None
        families = text_string_to_metric_families(operator.get("/metrics")[1])
        return cls(int(resident[1]) / 1024, sum(len(family.samples) for family in families))


def test_no_series_of_a_deleted_object_stays(team: Team, operators: Operators) -> None:
    """Two hundred cycles; memory needs a thousand to be measured, which takes longer."""
    names = (f"c{number}" for number in range(2 * BATCH))
    with operators.running(team.namespace) as operator:
        create_and_delete(team, operator, names, BATCH)
        before = Footprint.of(operator)
        create_and_delete(team, operator, names, BATCH)
        after = Footprint.of(operator)
    assert after.series == before.series


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_thousand_created_and_deleted(team: Team, operators: Operators) -> None:
    """After 1,000 more cycles the process has the same size, ± 5 MB, and the same number of series."""
    names = (f"c{number}" for number in range(WARM_UP + CYCLES))
    with operators.running(team.namespace, launch=ChildProcess.start) as operator:
        create_and_delete(team, operator, names, WARM_UP)
        before = Footprint.of(operator)
        create_and_delete(team, operator, names, CYCLES)
        after = Footprint.of(operator)
    print(f"{CYCLES} cycles: {before} -> {after}")
    assert after.memory_mib == pytest.approx(before.memory_mib, abs=ROOM_MIB)
    assert after.series == before.series


def create_and_delete(team: Team, operator: Operator, names: Iterator[str], cycles: int) -> None:
    """Create and delete so many, in batches, and wait until the operator is idle; each causes one alert."""
    certificate = team.issue("shared", days=20).certificate_pem
    for _ in range(0, cycles, BATCH):
        messages_before = len(team.slack.messages)
        batch = list(islice(names, BATCH))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tuple(pool.map(lambda part: create(team, part, certificate), (batch[at::AT_ONCE] for at in range(AT_ONCE))))
        eventually(
            lambda messages_before=messages_before: channels_notified(team, messages_before),
            ["#team"] * BATCH,
            BATCH_SECONDS,
        )
        for kind in (*OUR_KINDS, "Secret"):
            team.api.request("DELETE", team.path(kind))
        eventually(lambda: operator.metric("clientcert_certificate_info"), 0, BATCH_SECONDS)
    operator.settle()


def create(team: Team, names: list[str], certificate: bytes) -> None:
    manifests = [each for name in names for each in of_one_cycle(team, name, certificate)]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    team.control_plane.kubectl("create", "-n", team.namespace, "-f", "-", input=listed)


def channels_notified(team: Team, since: int) -> list[str]:
    """The channels of the alerts, without the details in their threads."""
    return [posted.channel for posted in tuple(team.slack.messages)[since:] if not posted.thread_ts]


def of_one_cycle(team: Team, name: str, certificate: bytes) -> tuple[Manifest, ...]:
    """Each channel has its own token, so none waits for the rate limit of another."""
    return (
        secret(f"{name}-cert", tls_crt=certificate, token=team.slack.tokens[1]),
        certificate_policy(name, slack_channel("team", "#team", f"{name}-cert")),
        client_certificate(name, consumer=team.consumer("shared"), policyRef={"name": name}),
    )
