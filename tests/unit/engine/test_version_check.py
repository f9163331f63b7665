"""Versions that differ are one line in the log for each change, and a metric."""

import logging
from dataclasses import dataclass, field

import pytest
from prometheus_client import generate_latest

from clientcert.controllers.version_check import VersionCheck
from clientcert.errors import KubeError, Reason
from clientcert.kube.decoding import Object
from clientcert.metrics import Metrics

OWN, SAME = "0.2.0", {"ClientCertificate": "0.2.0", "CertificatePolicy": "0.2.0"}


@dataclass
class Cluster:
    """The versions that the API server and the Lease show."""

    kinds: dict[str, str] = field(default_factory=lambda: dict(SAME))
    leader: str | None = OWN
    refusal: KubeError | None = None
    metrics: Metrics = field(default_factory=Metrics)

    async def openapi(self) -> Object:
        if self.refusal:
            raise self.refusal
        titles = {f"dev.clientcert.v1alpha1.{kind}": f"clientcert-operator/{each}" for kind, each in self.kinds.items()}
        return {"components": {"schemas": {name: {"title": title} for name, title in titles.items()}}}

    def skew(self, component: str) -> float:
        line = f'clientcert_version_skew{{component="{component}"}} '
        text = generate_latest(self.metrics.registry).decode()
        return float(next(each for each in text.splitlines() if each.startswith(line)).removeprefix(line))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def check(cluster: Cluster) -> VersionCheck:
    return VersionCheck(cluster.openapi, lambda: cluster.leader, cluster.metrics, OWN)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="clientcert.controllers.version_check")
    return caplog


async def test_nothing_is_said_of_equal_versions(
    cluster: Cluster, check: VersionCheck, log: pytest.LogCaptureFixture
) -> None:
    assert (cluster.skew("kinds"), cluster.skew("leader")) == (0, 0)
    await check.check()
    assert (cluster.skew("kinds"), cluster.skew("leader"), log.messages) == (0, 0, [])


@pytest.mark.parametrize(
    ("version", "value", "words"),
    [
        ("0.1.0", -1, "The kinds are older than this operator, and the API server drops the fields that they do not"),
        ("0.3.0", 1, "The kinds are newer than this operator, which does not act on the fields that it does not know"),
    ],
)
async def test_other_kinds_are_a_warning_and_a_metric(
    cluster: Cluster, check: VersionCheck, log: pytest.LogCaptureFixture, version: str, value: int, words: str
) -> None:
    """The line names the kinds that differ. It is there once, until something changes."""
    cluster.kinds["CertificatePolicy"] = version
    await check.check()
    await check.check()
    [line] = log.messages
    assert line.startswith(words)
    assert line.endswith(
        f"This operator has version 0.2.0; others have: certificatepolicies {version}. docs/upgrade.md says what to do"
    )
    assert cluster.skew("kinds") == value
    cluster.kinds = dict(SAME)
    await check.check()
    assert log.messages[1:] == ["All kinds, and the replica that leads, have the version of this operator"]
    assert cluster.skew("kinds") == 0


async def test_kinds_without_a_version_are_older(
    cluster: Cluster, check: VersionCheck, log: pytest.LogCaptureFixture
) -> None:
    cluster.kinds["ClientCertificate"] = ""
    await check.check()
    assert cluster.skew("kinds") == -1
    assert "clientcertificates none" in log.messages[0]


async def test_a_leader_of_another_version(
    cluster: Cluster, check: VersionCheck, log: pytest.LogCaptureFixture
) -> None:
    """The metric is read from the Lease at each scrape, so it ends with the roll-out."""
    cluster.leader = "0.3.0"
    assert cluster.skew("leader") == 1
    await check.check()
    assert log.messages[0].startswith("The replica that leads has another version. This operator has version 0.2.0")
    cluster.leader = OWN
    assert cluster.skew("leader") == 0


@pytest.mark.parametrize(
    ("reason", "lines"),
    [(Reason.API_UNAVAILABLE, []), (Reason.NOT_FOUND, ["The versions of the kinds cannot be read: no"])],
)
async def test_kinds_that_cannot_be_read_keep_their_versions(
    cluster: Cluster, check: VersionCheck, log: pytest.LogCaptureFixture, reason: Reason, lines: list[str]
) -> None:
    cluster.kinds["ClientCertificate"] = "0.1.0"
    await check.check()
    before = len(log.messages)
    cluster.refusal = KubeError(reason, "no")
    await check.check()
    assert (cluster.skew("kinds"), log.messages[before:]) == (-1, lines)
