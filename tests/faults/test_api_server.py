"""Rows 1 to 4: the API server is unavailable, loses its history, reports conflicts, or limits the rate."""

from collections.abc import Callable

import pytest
from aiohttp import web

from tests.control_plane.buckets import STORE, Backup
from tests.control_plane.waiting import eventually, until
from tests.faults.proxy import Passage
from tests.faults.scenario import POLICY, World, row

CERTIFICATES, SECRETS = "/clientcertificates", "/secrets"
SMALL_PAGE = 2


def status_of(name: str) -> str:
    return f"{CERTIFICATES}/{name}/status"


@pytest.mark.slow
@row(1, "API server refuses connections for 5 s, then answers 503 for 5 s; an alert falls due in each")
def test_the_api_server_is_unavailable_for_seconds(world: World) -> None:
    """An alert that falls due meanwhile is sent, or waits; it is sent once, and recorded as soon as possible."""
    world.operator_starts()
    for name, begin in {"nhs": world.api_server.refuse, "moj": lambda: world.api_server.answer(503)}.items():
        world.hand_out(name, days=14, falls_due_in=6)
        world.all_is_delivered()
        begin()
        world.waits(5, until_due=name)
        world.fault_ends()
        world.all_is_delivered(within=10)
        assert world.notified(name, "team") == 2


@row(2, "410 in the watches of every kind and of Secrets; 410 on a continue token")
def test_an_expired_version_causes_a_new_list(world: World) -> None:
    """The process continues; changes are found by a new list; no alert is repeated."""
    for name in ("nhs", "moj", "dwp"):
        world.hand_out(name, days=14)
    world.api_server.small_pages(SMALL_PAGE)
    world.api_server.answer(410, when=lambda request: "continue" in request.query, times=1)
    operator = world.operator_starts("--resync", "3s")
    world.all_is_delivered()
    lists = counted(world, lambda each: "limit=" in each.path and SECRETS in each.path)
    for path in (CERTIFICATES, SECRETS, "/certificatepolicies", "/certificatestores"):
        world.api_server.end_watches_with(410, path)
    world.api_server.answer(410, when=lambda request: "continue" in request.query, times=1)
    world.is_fixed()
    world.renew("nhs")
    world.hand_out("hmrc", days=7)
    world.all_is_delivered(within=10)
    until(lambda: counted(world, lambda each: "limit=" in each.path and SECRETS in each.path) > lists)
    assert operator.process.process.returncode is None


@row(3, "409 on the status: another write came in between, and the API server says so without one")
def test_a_write_conflict(world: World) -> None:
    """The object is read and written again, and no alert is repeated."""
    annotated = []

    def annotate(request: web.Request) -> None:
        if request.path.endswith(status_of("nhs")) and not annotated:
            annotated.append(request.path)
            path = world.team.path("ClientCertificate", "nhs")
            touch = {"metadata": {"annotations": {"example.com/touched": "yes"}}}
            world.team.api.request("PATCH", path, touch, content_type="application/merge-patch+json")

    world.api_server.before_write = annotate
    world.api_server.answer(409, when=lambda request: request.path.endswith(status_of("moj")), times=2)
    world.operator_starts()
    for name in ("nhs", "moj"):
        world.hand_out(name, days=14)
    world.is_fixed()
    world.all_is_delivered(within=10)
    assert annotated


@row(3, "409, 500 and no answer at all to the status of a CertificateStore, which is polled once a day")
@pytest.mark.parametrize("refusal", [409, 500, 0])
def test_the_status_of_a_store_cannot_be_written(world: World, bucket: Backup, refusal: int) -> None:
    """It is written without another poll."""

    def about_the_store(request: web.Request) -> bool:
        return request.path.endswith(f"/certificatestores/{STORE}/status")

    if refusal:
        world.api_server.answer(refusal, when=about_the_store, times=2)
    else:
        world.api_server.cut(when=about_the_store, times=2)
    bucket.declare()
    world.operator_starts()
    eventually(bucket.store_says, ("True", "Polled"))
    assert bucket.proxy.lists <= 2  # a second one if the Secret is heard of after the first


@row(3, "objects change while the answer to the write of their status is on its way")
def test_a_change_before_the_answer(world: World, bucket: Backup) -> None:
    """The event about the change comes before the answer about the status: what is later counts, and nothing that was
    sent is forgotten.
    """
    world.api_server.delay_answers(1.5)
    bucket.declare()
    world.operator_starts()
    world.hand_out("nhs", days=14)
    world.hand_out("moj", days=7)
    eventually(bucket.store_says, ("True", "Polled"))
    bucket.declare_store(bucket="another-bucket")
    eventually(bucket.store_says, ("False", "BucketNotFound"))
    until(lambda: world.team.channel("moj", "team"))
    touch = {"metadata": {"annotations": {"example.com/touched": "yes"}}}
    path = world.team.path("ClientCertificate", "moj")
    world.team.api.request("PATCH", path, touch, content_type="application/merge-patch+json")
    for kind, name, change in (
        ("ClientCertificate", "nhs", lambda: world.team.declare("nhs", policyRef={"name": POLICY}, owner="another")),
        ("CertificatePolicy", POLICY, lambda: world.policy(runbookURL="https://runbooks.example/renew")),
    ):
        eventually(lambda kind=kind, name=name: observed(world, kind, name), 1)
        change()
        eventually(lambda kind=kind, name=name: observed(world, kind, name), 2)
    world.fault_ends()
    world.all_is_delivered(within=10)


def observed(world: World, kind: str, name: str) -> int:
    """The generation that the status is about."""
    return world.team.status(name, kind)["conditions"][0]["observedGeneration"]


@row(4, "429 with Retry-After on the first of every write, GET, LIST and watch")
def test_the_api_server_limits_the_rate(world: World) -> None:
    """No request is repeated before the Retry-After, and the watches stay open."""
    seconds = 2
    world.policy("team")
    operator = world.operator_starts("--resync", "4s")
    refused = set()

    def is_first(request: web.Request) -> bool:
        what = kind(request.method, request.path_qs)
        return not (what in refused or refused.add(what))

    world.api_server.answer(429, when=is_first, retry_after=seconds)
    world.api_server.end_watches()
    world.hand_out("nhs", days=14, channels=("team",))
    world.is_fixed()
    world.all_is_delivered(within=8 * seconds)
    assert refused >= {
        "watch clientcertificates",
        "watch secrets",
        "list secrets limit=500",
        "get secrets/nhs-cert",
        "patch clientcertificates/nhs/status",
    }
    assert repeated_too_early(world.api_server.passages, seconds) == []
    assert operator.process.process.returncode is None


def kind(method: str, path: str) -> str:
    """The kind of a request: watch, list and read of one object differ."""
    address, _, query = path.partition("?")
    parts = address.partition("/namespaces/")[2].split("/")[1:] or [address]
    if "watch=true" in query:
        return f"watch {parts[0]}"
    if method == "GET" and len(parts) == 1:
        return f"list {parts[0]} {query}" if query else f"list {parts[0]}"
    return f"{method.lower()} {'/'.join(parts)}"


_ON_ITS_WAY_SECONDS = 0.1
"""A request may be on its way when another one like it is refused; the shortest backoff is longer."""


def repeated_too_early(passages: list[Passage], seconds: float) -> list[tuple[str, float]]:
    """The requests that were repeated before the end of their Retry-After, with the interval."""
    refused: dict[str, float] = {}
    found = []
    for passage in passages:
        what = kind(passage.method, passage.path)
        since = passage.time - refused.get(what, float("-inf"))
        if since < _ON_ITS_WAY_SECONDS:
            continue
        refused.pop(what, None)
        if since < seconds - 0.05:
            found.append((what, since))
        if passage.status == 429:
            refused[what] = passage.time
    return found


def counted(world: World, which: Callable[[Passage], bool]) -> int:
    return sum(map(which, world.api_server.passages))


@row(4, "the API server takes two seconds for each Event")
def test_an_event_that_is_written_last(world: World) -> None:
    """An alert and a closing message are sent once, whichever of status and Event is written first."""
    world.api_server.delay(2, when=lambda request: "/events" in request.path)
    world.operator_starts()
    world.hand_out("nhs", days=14)
    world.all_is_delivered()
    world.renew("nhs")
    world.all_is_delivered()
    until(lambda: _counts(world), lambda counts: "Renewed" in counts)
    world.waits(5)
    assert _counts(world) == {"Expiring": 1, "Renewed": 1}


def _counts(world: World) -> dict[str, int]:
    return {event["reason"]: event["count"] for event in world.team.items("Event")}
