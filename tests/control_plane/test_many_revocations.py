"""Ten thousand revocations of one namespace: lists in several ConfigMaps, and nobody else notices.

`tests/unit/engine/test_revocation_costs.py` counts what is computed in the event loop.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import local

import pytest

from tests.control_plane.operators import Operators
from tests.control_plane.revoking import LISTS, Revoker, many
from tests.control_plane.sentences import expiring
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import Manifest
from tools.control_plane import ApiClient, ControlPlane

COUNT = 10_000
MIB = 1024 * 1024


@pytest.fixture
def revoker(team: Team) -> Revoker:
    found = Revoker(team)
    found.allow(LISTS)
    return found


def call_all(team: Team, method: str, issuer_dn: str) -> None:
    """Create or delete all, as quickly as eight scripts would."""
    own, plane = local(), team.control_plane
    manifests = iter(many(COUNT, team.began + 300 * DAY, issuer_dn))

    def call(chunk: list[Manifest]) -> None:
        if not hasattr(own, "api"):
            own.api = ApiClient(plane.url, plane.ca_path, plane.admin_token)
        for each in chunk:
            name, body = ("", each) if method == "POST" else (each["metadata"]["name"], None)
            own.api.request(method, team.path("CertificateRevocation", name), body)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, iter(lambda: list(islice(manifests, 100)), [])))


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_lists_and_crl_of_ten_thousand(
    team: Team, revoker: Revoker, operators: Operators, control_plane: ControlPlane
) -> None:
    """They are continued in further ConfigMaps, all below 1 MiB; alerts of others are on time meanwhile."""
    client_ca = revoker.make_ca()
    revoker.declare_policy()
    other = f"{team.namespace}-other"
    control_plane.create_namespace(other)
    neighbour = Team(control_plane, other, team.slack, team.authority)
    call_all(team, "POST", client_ca.identity.subject_dn)
    with operators.running() as operator:
        until(lambda: revoker.config_map("client-ca-revocations"), seconds=120)
        neighbour.hand_out("weather", days=20)
        eventually(lambda: neighbour.notified("weather"), [expiring("weather", 20)])
        names = ["client-ca-revocations", "client-ca-revocations-2", "client-ca-revocations-3"]
        eventually(lambda: len(revoker.listed(*names)), COUNT, 300, every=2)
        eventually(lambda: len(revoker.revoked()), COUNT, 120, every=2)
        name = "many-9999"
        eventually(lambda: revoker.condition(name), ("True", "Listed"), 240, every=1)
        until(
            lambda: operator.metric("clientcert_status_writes_total", kind="CertificateRevocation") >= COUNT,
            seconds=300,
        )
        operator.settle()
        found = [revoker.config_map(each) for each in names]
        assert all(size(each) < MIB for each in found)
        lists = [sum(len(text.encode()) for text in each["data"].values()) for each in found]
        assert max(lists) <= 512 * 1024
        assert len(revoker.crl_der()) < MIB
        # One more is put where there is room: the others stay as they are.
        versions = [each["metadata"]["resourceVersion"] for each in found[:2]]
        revoker.is_listed(revoker.revoke(client_ca.issue("nhs", team.began - DAY, team.began + DAY)), 60)
        assert [revoker.config_map(each)["metadata"]["resourceVersion"] for each in names[:2]] == versions
    with operators.running(team.namespace) as operator:
        until(lambda: operator.series("clientcert_crl_next_update_timestamp_seconds"), seconds=120)
        operator.settle()
        assert operator.metric("clientcert_status_writes_total", kind="CertificateRevocation") == 0
    neighbour.leave()
    call_all(team, "DELETE", client_ca.identity.subject_dn)  # too many for one request of the fixture


def size(config_map: dict[str, dict[str, str]]) -> int:
    """As the API server counts it: binary values decoded."""
    text = sum(len(each.encode()) for each in (config_map.get("data") or {}).values())
    return text + sum(len(each) * 3 // 4 for each in (config_map.get("binaryData") or {}).values())
