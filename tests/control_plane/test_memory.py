"""Whatever comes and goes leaves nothing behind: neither memory nor metric series grow with what was once there.

In each cycle a ClientCertificate comes with a Secret, a policy and a Slack channel of its own; it is read, alerted
about and recorded, and all of it is deleted. The cycles run in batches, side by side within each.
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

BATCH = 100
AT_ONCE = 3
"""So many of a batch are made side by side."""
WARM_UP = 400
"""Cycles until every pool, cache and label is as large as it gets."""
CYCLES = 1_000
ROOM_MIB = 5.0
BATCH_SECONDS = 60.0


@dataclass(frozen=True)
class Footprint:
    memory_mib: float
    """Resident."""
    series: int

    @classmethod
    def of(cls, operator: Operator) -> "Footprint":
        status = Path(f"/proc/{operator.process.pid}/status").read_text(encoding="ascii")
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident is not None
        families = text_string_to_metric_families(operator.get("/metrics")[1])
        return cls(int(resident[1]) / 1024, sum(len(family.samples) for family in families))


def test_no_series_stays_behind(team: Team, operators: Operators) -> None:
    """Two hundred cycles; how memory stands after a thousand takes longer to see."""
    names = (f"c{number}" for number in range(2 * BATCH))
    with operators.running(team.namespace) as operator:
        come_and_go(team, operator, names, BATCH)
        before = Footprint.of(operator)
        come_and_go(team, operator, names, BATCH)
        after = Footprint.of(operator)
    assert after.series == before.series


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_thousand_that_come_and_go(team: Team, operators: Operators) -> None:
    """After 1,000 more cycles it is as large as before them, ± 5 MB, with the same number of series."""
    names = (f"c{number}" for number in range(WARM_UP + CYCLES))
    with operators.running(team.namespace) as operator:
        come_and_go(team, operator, names, WARM_UP)
        before = Footprint.of(operator)
        come_and_go(team, operator, names, CYCLES)
        after = Footprint.of(operator)
    print(f"{CYCLES} cycles: {before} -> {after}")
    assert after.memory_mib == pytest.approx(before.memory_mib, abs=ROOM_MIB)
    assert after.series == before.series


def come_and_go(team: Team, operator: Operator, names: Iterator[str], cycles: int) -> None:
    """Add and delete so many, a batch at a time, and wait until the operator rests; each is alerted about once."""
    certificate = team.issue("shared", days=20).certificate_pem
    for _ in range(0, cycles, BATCH):
        told = len(team.slack.messages)
        batch = list(islice(names, BATCH))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tuple(pool.map(lambda part: create(team, part, certificate), (batch[at::AT_ONCE] for at in range(AT_ONCE))))
        eventually(lambda told=told: channels_told(team, told), ["#team"] * BATCH, BATCH_SECONDS)
        for kind in (*OUR_KINDS, "Secret"):
            team.api.request("DELETE", team.path(kind))
        eventually(lambda: operator.metric("clientcert_certificate_info"), 0, BATCH_SECONDS)
    operator.settle()


def create(team: Team, names: list[str], certificate: bytes) -> None:
    manifests = [each for name in names for each in of_one_cycle(team, name, certificate)]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    team.control_plane.kubectl("create", "-n", team.namespace, "-f", "-", input=listed)


def channels_told(team: Team, since: int) -> list[str]:
    """Where alerts went; details in their threads left out."""
    return [posted.channel for posted in tuple(team.slack.messages)[since:] if not posted.thread_ts]


def of_one_cycle(team: Team, name: str, certificate: bytes) -> tuple[Manifest, ...]:
    """Each channel has a token of its own, so that none waits for another's."""
    return (
        secret(f"{name}-cert", tls_crt=certificate, token=team.slack.tokens[1]),
        certificate_policy(name, slack_channel("team", "#team", f"{name}-cert")),
        client_certificate(name, consumer=team.consumer("shared"), policyRef={"name": name}),
    )
