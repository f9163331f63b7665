"""Row 8: the Lease itself, with several electors in one process, against the real API server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from clientcert.kube.client import KubeClient
from clientcert.kube.kubeconfig import load_connection
from clientcert.kube.leader_election import LEASE_SECONDS, LeaderElector
from tests.faults.api_proxy import before
from tests.faults.proxy import FaultyProxy
from tests.faults.scenario import row
from tools.control_plane import ControlPlane
from tools.control_plane.kubeconfig import write_kubeconfig

LEASE = "one-of-many"
SLOW_SECONDS = 4.0
_PATIENCE_SECONDS = 20.0
_POLL_SECONDS = 0.02

Elect = Callable[[str], LeaderElector]


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultyProxy]:
    with before(control_plane) as running:
        yield running


@pytest.fixture
async def candidates(
    control_plane: ControlPlane, proxy: FaultyProxy, namespace: str, tmp_path: Path
) -> AsyncIterator[Elect]:
    """Makes an elector of this identity that does not run yet; all compete for the same Lease."""
    kubeconfig = write_kubeconfig(
        tmp_path / "kubeconfig",
        url=proxy.url,
        ca_path=control_plane.ca_path,
        user="admin",
        token=control_plane.admin_token,
    )
    login = partial(load_connection, cluster_host="", cluster_port="", kubeconfig=str(kubeconfig), context="")
    async with AsyncExitStack() as stack:

        def made(identity: str) -> LeaderElector:
            client = KubeClient(login)
            stack.push_async_callback(client.close)
            return LeaderElector(client, namespace, identity, lambda: datetime.now(UTC), LEASE)

        yield made


@pytest.fixture
async def start_elector(candidates: Elect) -> AsyncIterator[Elect]:
    """Starts an elector of this identity; all stop at the end of the test."""
    async with AsyncExitStack() as stack:

        def started(identity: str) -> LeaderElector:
            elector = candidates(identity)
            stack.callback(asyncio.create_task(elector.run()).cancel)
            return elector

        yield started


def declare_lease(control_plane: ControlPlane, namespace: str, holder: str, seconds: int) -> None:
    control_plane.api.request(
        "POST",
        f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds},
        },
    )


async def until(what: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(_POLL_SECONDS)


def leases(request: web.Request) -> bool:
    return "/leases" in request.path


def writes_of_the_lease(request: web.Request) -> bool:
    return leases(request) and request.method != "GET"


@row(8, "five replicas want a Lease that nobody has held yet")
async def test_one_of_five_creates_it(start_elector: Elect) -> None:
    """The API server accepts one creation, and the others wait."""
    electors = [start_elector(f"replica-{number}") for number in range(5)]
    await until(lambda: any(elector.is_leader for elector in electors))
    for _ in range(50):
        assert sum(elector.is_leader for elector in electors) == 1
        await asyncio.sleep(_POLL_SECONDS)


@row(8, "five replicas want a Lease whose holder is gone")
async def test_one_of_five_takes_it_over(
    start_elector: Elect, proxy: FaultyProxy, control_plane: ControlPlane, namespace: str
) -> None:
    """All see the expiry at the same time; the others get a 409."""
    declare_lease(control_plane, namespace, "gone", seconds=1)
    electors = [start_elector(f"replica-{number}") for number in range(5)]
    proxy.delay(0.5, when=writes_of_the_lease)  # so that all have sent their request before the first is answered
    await until(lambda: any(elector.is_leader for elector in electors))
    await until(lambda: [each.status for each in proxy.passages if each.is_write].count(409) == 4)
    assert sum(elector.is_leader for elector in electors) == 1


@row(8, "a Lease that is held by another, whose clock nobody knows")
async def test_a_renewed_lease_is_not_taken_over(
    start_elector: Elect, control_plane: ControlPlane, namespace: str
) -> None:
    """A Lease has expired only if it is seen unchanged for its whole duration; its timestamps do not matter."""
    declare_lease(control_plane, namespace, "another", seconds=2)
    elector = start_elector("replica")
    for count in range(8):
        renewed = {"spec": {"renewTime": f"1999-12-31T23:59:{count:02}.000000Z"}}
        control_plane.api.request(
            "PATCH",
            f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}",
            renewed,
            content_type="application/merge-patch+json",
        )
        await asyncio.sleep(0.5)
        assert not elector.is_leader
    await until(lambda: elector.is_leader, seconds=5)


@row(8, "the Lease is deleted under its leader")
async def test_a_lease_that_is_deleted(start_elector: Elect, control_plane: ControlPlane, namespace: str) -> None:
    """Its leader continues and recreates it; the others wait for that."""
    leader = start_elector("leader")
    await until(lambda: leader.is_leader)
    other = start_elector("other")
    await asyncio.sleep(2)
    control_plane.api.request("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}")
    began = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() - began < 8:
        assert (leader.is_leader, other.is_leader) == (True, False)
        await asyncio.sleep(_POLL_SECONDS)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}"
    assert control_plane.api.request("GET", path)["spec"]["holderIdentity"] == "leader"


@row(8, "the answer to a renewal takes three seconds")
async def test_the_fence_counts_from_before_the_request(start_elector: Elect, proxy: FaultyProxy) -> None:
    """When the answer arrives, three seconds of the term have passed."""
    proxy.delay(3, when=writes_of_the_lease)
    elector, longer = start_elector("replica"), []

    def allows_what_is_left() -> bool:
        longer.append(elector.allows(LEASE_SECONDS - 2.9))
        return elector.allows(LEASE_SECONDS - 4)

    await until(allows_what_is_left)
    assert elector.is_leader
    assert not any(longer)


@row(8, "a renewal that arrived is not answered")
async def test_an_unanswered_renewal_is_repeated(start_elector: Elect, proxy: FaultyProxy) -> None:
    """The version changed by the own write: the Lease is read and renewed, and can be released at the end."""
    elector = start_elector("replica")
    await until(lambda: elector.is_leader)
    proxy.cut(when=writes_of_the_lease, times=1, passes=True)
    await until(lambda: not elector.allows(LEASE_SECONDS - 5))
    await until(lambda: elector.allows(LEASE_SECONDS - 1))
    proxy.cut(when=writes_of_the_lease, times=1, passes=True)
    await until(lambda: any(each.status == 0 for each in proxy.passages[-1:]))
    await elector.release()
    other = start_elector("other")
    await until(lambda: other.is_leader, seconds=3)


@pytest.mark.slow
@row(8, "each request for the Lease takes four seconds, for longer than the Lease")
async def test_a_slow_api_server_ends_no_term(start_elector: Elect, proxy: FaultyProxy) -> None:
    """A leader renews with one request, well before its Lease expires."""
    elector = start_elector("replica")
    await until(lambda: elector.is_leader)
    proxy.delay(SLOW_SECONDS, when=leases)
    began = len(proxy.passages)
    while sum(each.is_write for each in proxy.passages[began:]) < LEASE_SECONDS / 8:
        assert elector.is_leader
        await asyncio.sleep(_POLL_SECONDS)


@pytest.mark.slow
@row(8, "renewals are refused until just before the end of the term, and the next one is answered after it")
async def test_a_term_that_ends_during_a_renewal_is_followed_by_another(
    start_elector: Elect, proxy: FaultyProxy
) -> None:
    """The holder of the Lease works: a new Lease also starts a new term."""
    elector = start_elector("replica")
    terms = elector.terms()
    lost = await anext(terms)
    proxy.answer(503, when=leases)
    await until(lambda: not elector.allows(7), seconds=LEASE_SECONDS)
    proxy.recover()
    proxy.delay(9, when=leases, times=1)
    await asyncio.wait_for(lost.wait(), 10)
    again = await asyncio.wait_for(anext(terms), 10)
    assert elector.is_leader
    assert not again.is_set()
    await terms.aclose()


@row(8, "a replica is stopped before the API server has answered that it is the leader")
async def test_a_lease_whose_answer_never_came(
    candidates: Elect, start_elector: Elect, proxy: FaultyProxy, control_plane: ControlPlane, namespace: str
) -> None:
    """It may hold the Lease without knowing, so it releases it: the next leader need not wait for the expiry."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}"
    proxy.cut(when=writes_of_the_lease, times=1, passes=True)
    stopped = candidates("stopped")
    running = asyncio.create_task(stopped.run())
    await until(lambda: any(each.is_write for each in proxy.passages))
    running.cancel()
    assert not stopped.is_leader
    assert control_plane.api.request("GET", path)["spec"]["holderIdentity"] == "stopped"
    await stopped.release()
    successor = start_elector("successor")
    await until(lambda: successor.is_leader, seconds=5)
