"""The world of a scenario with its proxies, and the table of all scenarios."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.control_plane.buckets import Backup, running_proxy
from tests.control_plane.operators import OWN_CHANNEL, forget_leader, with_mail
from tests.control_plane.team import Team
from tests.faults.api_proxy import before, seen_through
from tests.faults.arrivals import Hook, called, mailed
from tests.faults.hostile import Hostile
from tests.faults.proxy import FaultyProxy
from tests.faults.replicas import Pair
from tests.faults.scenario import CHANNELS, World
from tests.faults.table import Table
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane, S3Server
from tools.control_plane.s3_client import S3Client
from tools.mail_server import LoopbackMailServer
from tools.slack_server import SlackServer

REFUSED = ("revoked", "unknown", "forbidden", "missing", "gone")
"""The channels that fail in test_slack.py."""


@pytest.fixture(scope="session")
def workspace() -> Iterator[SlackServer]:
    with SlackServer(channels=(OWN_CHANNEL, *(f"#{name}" for name in (*CHANNELS, *REFUSED)))).start() as server:
        yield server


@pytest.fixture
def world(
    control_plane: ControlPlane,
    namespace: str,
    workspace: SlackServer,
    authority: CertificateAuthority,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> Iterator[World]:
    """A team with its policy; no operator yet, and no Lease. The counts of the scenario are added to the table."""
    forget_leader(control_plane)
    with before(control_plane) as api_server, FaultyProxy(workspace.url).running() as slack:
        world = World(
            team=Team(control_plane, namespace, workspace, authority),
            control_plane=seen_through(control_plane, api_server),
            api_server=api_server,
            slack=slack,
            workspace=workspace,
            directory=tmp_path_factory.mktemp("operators"),
        )
        world.policy()
        try:
            yield world
        finally:
            world.close()
            audit = world.audit
            record_property("counted", (audit.duplicates, len(audit.lost), world.recovered_after))


@pytest.fixture
def bucket(world: World, s3: tuple[S3Server, S3Client]) -> Iterator[Backup]:
    """The team's backup bucket, behind a proxy that counts requests and can refuse them."""
    server, client = s3
    with running_proxy(server) as proxy:
        yield Backup(world.team, server, client, proxy)
        world.close()  # the operator that polls the bucket stops before it


@pytest.fixture
def hostile(world: World, control_plane: ControlPlane, namespace: str) -> Iterator[Hostile]:
    """The operator of this world serves all namespaces, and reaches the API server without a proxy, which would keep
    whole answers.
    """
    world.control_plane = control_plane
    name = f"{namespace}-hostile"
    control_plane.create_namespace(name)
    hostile = Hostile(control_plane, name)
    try:
        yield hostile
    finally:
        world.close()
        hostile.leaves()


@pytest.fixture
def mail(world: World, tmp_path: Path) -> Iterator[LoopbackMailServer]:
    """The operator's mail server; accepted mails are counted."""
    with mailed(world.arrivals.append) as server:
        world.settings |= with_mail(server, tmp_path)
        yield server
        world.close()  # the operator that sends stops before its server


@pytest.fixture
def hook(world: World) -> Iterator[Hook]:
    """The receiver of webhooks; accepted calls are counted."""
    with called(world.arrivals.append) as hook:
        yield hook
        world.close()


@pytest.fixture
def pair(world: World, control_plane: ControlPlane) -> Iterator[Pair]:
    """Two replicas that are not started yet."""
    with ExitStack() as stack:
        yield Pair(world, control_plane, stack)
        world.close()  # they stop before their proxies


@pytest.fixture(autouse=True)
def rows(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """The rows of each test, for the table."""
    record_property("rows", [mark.args for mark in request.node.iter_markers("row")])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help="print a line for each scenario at the end")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Table())
