import uuid
from collections.abc import Iterator

import pytest

from tests.control_plane.buckets import Backup, running_proxy
from tests.control_plane.diary import Diary
from tests.control_plane.operators import MAIL_LOGIN, OWN_CHANNEL, Operator, Operators
from tests.control_plane.renewal_scene import RenewalScene
from tests.control_plane.team import Team
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane, S3Server
from tools.control_plane.s3_client import S3Client
from tools.mail_server import LoopbackMailServer
from tools.slack_server import SlackServer

CHANNELS = (OWN_CHANNEL, "#team", "#on-call")
OPERATOR_TOKEN, TEAM_TOKEN = "xoxb-operators-own-token", "xoxb-token-of-the-team"


@pytest.fixture(scope="session")
def slack() -> Iterator[SlackServer]:
    with SlackServer(channels=CHANNELS, tokens=(OPERATOR_TOKEN, TEAM_TOKEN)).start() as server:
        yield server


@pytest.fixture(scope="session")
def operators(control_plane: ControlPlane, slack: SlackServer, tmp_path_factory: pytest.TempPathFactory) -> Operators:
    """For tests of restarts and dates, which start their own operators."""
    return Operators(control_plane, tmp_path_factory.mktemp("operators"), slack)


@pytest.fixture(scope="module")
def operator(operators: Operators) -> Iterator[Operator]:
    """One operator for all tests of a module. A module uses either this or `operators`: two at once would
    alert twice.
    """
    with operators.running() as running:
        yield running


@pytest.fixture
def team(
    control_plane: ControlPlane, namespace: str, slack: SlackServer, authority: CertificateAuthority
) -> Iterator[Team]:
    yield Team(control_plane, namespace, slack, authority)
    slack.recover()


@pytest.fixture(scope="module")
def lasting_team(control_plane: ControlPlane, slack: SlackServer, authority: CertificateAuthority) -> Iterator[Team]:
    """For a module whose tests all check the result of one fixture."""
    name = f"lasting-{uuid.uuid4().hex[:12]}"
    control_plane.create_namespace(name)
    yield (team := Team(control_plane, name, slack, authority))
    team.leave()


@pytest.fixture(scope="module")
def diary(lasting_team: Team, operators: Operators) -> Diary:
    """Runs the lasting team's operator on single days, for a fixture or test of the module."""
    return Diary(lasting_team, operators)


@pytest.fixture
def backup(team: Team, s3: tuple[S3Server, S3Client]) -> Iterator[Backup]:
    """The team's backup bucket, behind a proxy; `declare` creates it."""
    server, client = s3
    with running_proxy(server) as proxy:
        yield Backup(team, server, client, proxy)


@pytest.fixture
def mail() -> Iterator[LoopbackMailServer]:
    """A mail server that requires TLS and a login."""
    with LoopbackMailServer(tls="starttls", login=MAIL_LOGIN) as server:
        yield server


@pytest.fixture
def scene(team: Team) -> RenewalScene:
    """A CA, a policy with a renewal, and a certificate that may be renewed."""
    found = RenewalScene.of(team)
    found.install()
    return found
