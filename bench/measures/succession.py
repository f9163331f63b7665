"""P12: the day the CA is replaced. Certificates in S3 by a former CA are renewed by the new one, all at once.

The policy trusts the former CA, and its approval is Automatic: each holder sends a CSR, and a proof by the current key.
All requests are created by one client, as fast as the API server takes them. The time is from the first one until the
bench's watches have shown that every request is Done, and the status of every ClientCertificate names the new
certificate. Afterwards every source is read: it must hold the new certificate.

The peer (`bench/bare_renewals.py`) makes the same calls for each request, with as many at once, and decides nothing:
a rehearsal with a few certificates counts them, and keeps what is written (`bench/renewal_sample.py`). It runs before
the operator and after it, and the operator is compared with the mean. It has its time when its last call is answered.

As in P10 the operator has a core to itself, and so has the peer; all servers and the bench share the others. Stalls are
those of the operator's own gauge, from its start to the end. Its memory is the resident set after a scrape, once unused
connections are closed and it has settled. It is read after the first twenty renewals, for which the operator loads what
it needs once, and after all others. In the end a successor is started over all the ended requests, and another one
after they were deleted. The first writes and mails nothing; its memory beyond that of the second is the cost of the
requests. The operator's memory beyond that of the first is what did not go back.

Meanwhile twenty certificates of another policy in one of these namespaces fall due, one after the other: the silence of
each ends. An alert's delay is the time from the end of the silence until Slack has it. Slack's pace, a message a
second, is kept by their order.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from bench import fleet
from bench.api_calls import OF_RENEWALS, Calls, calls_between, calls_so_far
from bench.cores import one_kept_free
from bench.counting_proxy import counting
from bench.ended_requests import Ended, ended_requests
from bench.goals import Bound, Figure, Outcome
from bench.holders import holders
from bench.measures.restart import looked_at_all
from bench.operator_run import LONGEST_STALL, Memory
from bench.renewal_peer import PeerRun, peer_run
from bench.renewal_sample import Sample, rehearse
from bench.scene import Scene
from bench.succession import (
    NAMESPACES,
    RENEWALS,
    SECONDS_EACH,
    STORE,
    Place,
    Succession,
    ask,
    declared,
    found,
    not_renewed,
    served_bucket,
    server_seconds,
    spent,
)
from tools.certificates import CertificateAuthority
from tools.mail_server import LoopbackMailServer

GOAL = (
    "the CA is replaced: 10,000 certificates renewed ≤ 2 times a bare client, alerts on time, no stall over 100 ms,"
    " memory back within 10 %"
)
CHANNEL = "#succession"
_DONE = "status.state=Done"
_REHEARSED = 20
_PUNCTUAL = 20
_MS = 1000


@dataclass(frozen=True, slots=True)
class _Run:
    """The operator's part."""

    seconds: float
    calls: Calls
    stall: float
    before: Memory
    after: Memory
    cpu_seconds: float
    servers: Mapping[str, float]
    """The CPU time of each server meanwhile, in seconds."""
    delays: Sequence[float]
    """Of each alert, in seconds."""
    lost: int
    """Alerts that did not come."""
    not_renewed: int
    mails: int


async def measure(scene: Scene) -> Outcome:
    size = scene.sizes.large
    scene.say(f"making {size} certificates, CSRs and proofs")
    former, new = CertificateAuthority.create("Former CA"), CertificateAuthority.create("New CA")
    made = await asyncio.to_thread(holders, former, scene.fleet.began, size)
    succession = Succession(former, new, made)
    with one_kept_free() as cores, LoopbackMailServer() as mail:
        async with served_bucket(scene) as (server, client):
            place = Place(scene, succession, server, client, mail, cores)
            sample = await _rehearsed(place)
            peers = [await peer_run(place, sample)]
            async with declared(scene, succession, client):
                run = await _operator(place)
                ended = await ended_requests(place)
            peers.append(await peer_run(place, sample))
    return _judged(place, sample, peers, (run, ended))


async def _rehearsed(place: Place) -> Sample:
    scene, count = place.scene, min(_REHEARSED, place.size)
    few = Succession(place.succession.former, place.succession.new, place.succession.holders[:count])
    async with counting(place.server.endpoint) as proxy:
        await found(scene, few, place.server, f"http://{proxy.host}")
        async with declared(scene, few, place.client):
            settings = {**place.settings, "CLIENTCERT_ALLOWED_HOSTS": f"{proxy.host},127.0.0.1"}
            async with scene.operator(env=settings) as run:
                await run.ready()
                await scene.statuses.all_written(count, 60)
                await looked_at_all(run, count)
                scene.say(f"a rehearsal with {count}")
                sample = await rehearse(scene, few, place.client, proxy, place.mail, count)
    for where in NAMESPACES:
        path = f"/apis/{fleet.API_VERSION}/namespaces/{where}/certificatestores/{STORE}"
        await scene.kubernetes.merge_patch(path, {"spec": {"s3": {"endpoint": place.server.endpoint}}})
    scene.say(f"  for one renewal: {sample.calls}")
    return sample


async def _operator(place: Place) -> _Run:
    scene, size = place.scene, place.size
    async with (
        _punctual(scene, size) as due,
        scene.operator(env=place.settings, cores=place.cores) as run,
        _following_done(place),
    ):
        await run.ready()
        await scene.statuses.all_written(size + _PUNCTUAL, 60 + size * SECONDS_EACH)
        await looked_at_all(run, size)
        scene.say(f"the operator renews {size}")
        await _renewed(place, range(place.first))
        await run.scrape()
        before = await run.quiet_memory()
        calls, mails, cpu = await calls_so_far(scene.kubernetes, OF_RENEWALS), len(place.mail.mails), run.cpu_seconds()
        messages = len(scene.slack.messages)
        times = await due()
        began, servers = time.monotonic(), server_seconds(place)
        await _renewed(place, range(place.first, size))
        seconds, servers = time.monotonic() - began, spent(servers, server_seconds(place))
        scene.say(f"  {seconds:.1f} s; CPU time: {servers}")
        made, cpu = calls_between(calls, await calls_so_far(scene.kubernetes, OF_RENEWALS)), run.cpu_seconds() - cpu
        await _all_told(scene, messages, times)
        await looked_at_all(run, size)
        stall = (await run.scrape()).own[LONGEST_STALL]
        after = await run.quiet_memory(60)
        told = {message.text.split("punctual-")[1][:2]: message.time for message in scene.slack.messages[messages:]}
        delays = [(told[f"{n:02d}"] - moment).total_seconds() for n, moment in enumerate(times) if f"{n:02d}" in told]
        lost, mails = len(times) - len(delays), len(place.mail.mails) - mails
        left = await asyncio.to_thread(not_renewed, place.succession, place.client)
        memory = f"{before.resident:.0f} MB before and {after.resident:.0f} MB after"
        latest = f"latest alert after {max(delays, default=float('inf')):.2f} s, {lost} lost"
        scene.say(f"  stall {stall * _MS:.0f} ms, {latest}, {memory}, {left} sources are not renewed")
        return _Run(seconds, made, stall, before, after, cpu, servers, delays, lost, left, mails)


async def _renewed(place: Place, indices: range) -> None:
    """Ask for these renewals, and wait until all requests are Done, and all statuses name the new certificates."""
    scene, began, done = place.scene, time.monotonic(), len(place.done) + len(indices)
    keys = [(place.succession.namespace(index), place.succession.holders[index].name) for index in indices]
    old = {key: scene.statuses.objects[key].fingerprint for key in keys}
    await ask(scene, place.succession, indices)
    scene.say(f"  asked for {len(indices)} after {time.monotonic() - began:.1f} s, {len(place.done)} are done")

    def finished() -> bool:
        seen = scene.statuses.objects
        return len(place.done) >= done and all(seen[key].fingerprint != before for key, before in old.items())

    await scene.statuses.until(finished, 120 + len(keys) * SECONDS_EACH, "all to be renewed")


async def _all_told(scene: Scene, messages: int, times: Sequence[datetime]) -> None:
    """Wait for the alerts that are still to come."""
    until = max(0.0, (times[-1] - datetime.now(UTC)).total_seconds())
    with suppress(TimeoutError):
        await scene.statuses.until(lambda: len(scene.slack.messages) - messages >= len(times), until + 60, "alerts")


@asynccontextmanager
async def _following_done(place: Place) -> AsyncIterator[None]:
    """Note each request that is Done; only these are sent by the watch, without their content.

    The server may end a watch at any time, or be too busy for one; the next goes on from the last version. If that is
    too old, all of these requests are listed.
    """
    kubernetes, place.done = place.scene.kubernetes, set()

    async def follow() -> None:
        version = await _listed_done(place)
        while True:
            try:
                async for event in kubernetes.watch(RENEWALS, version, field_selector=_DONE, metadata_only=True):
                    if event["type"] == "ERROR":
                        version = await _listed_done(place)
                        break
                    metadata = event["object"]["metadata"]
                    version = metadata["resourceVersion"]
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        place.done.add(metadata["name"])
            except aiohttp.ClientError:
                await asyncio.sleep(1)

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def _listed_done(place: Place) -> str:
    """Note all requests that are Done; returns the version to watch from."""
    version = ""
    async for page in place.scene.kubernetes.pages(RENEWALS, metadata_only=True, field_selector=_DONE):
        version = page["metadata"]["resourceVersion"]
        place.done.update(each["metadata"]["name"] for each in page["items"] or ())
    return version


@asynccontextmanager
async def _punctual(scene: Scene, size: int) -> AsyncIterator[Any]:
    """Certificates of another policy, silenced for a day; yields a call that sets when each silence ends."""
    where = NAMESPACES[0]
    core, ours = f"/api/v1/namespaces/{where}/secrets", f"/apis/{fleet.API_VERSION}/namespaces/{where}"
    hook = {"stringData": {"url": scene.slack.webhook_url(CHANNEL)}, "metadata": {"name": "hook"}}
    await scene.kubernetes.create(core, {"apiVersion": "v1", "kind": "Secret", **hook})
    slack = {"webhookURLSecretRef": {"name": "hook", "key": "url"}}
    spec = {"alerts": {"group": "Never", "channels": [{"name": "team", "type": "Slack", "slack": slack}]}}
    policy = {"apiVersion": fleet.API_VERSION, "kind": "CertificatePolicy", "metadata": {"name": "punctual"}}
    await scene.kubernetes.create(f"{ours}/certificatepolicies", {**policy, "spec": spec})
    names = [f"punctual-{number:02d}" for number in range(_PUNCTUAL)]
    for number, name in enumerate(names):
        ends = scene.fleet.began + timedelta(days=10, hours=6, minutes=number)
        issued = scene.fleet.authority.issue(name, scene.fleet.began - timedelta(days=300), ends)
        secret = {"metadata": {"name": name}, "stringData": {"tls.crt": issued.certificate_pem.decode()}}
        await scene.kubernetes.create(core, {"apiVersion": "v1", "kind": "Secret", **secret})
        body = {
            "consumer": name,
            "environment": "prod",
            "contact": {"technical": {"name": "Jo", "email": "jo@consumer.example"}},
            "policyRef": {"name": "punctual"},
            "source": {"type": "Secret", "secret": {"name": name, "key": "tls.crt"}},
            "silence": _silence(datetime.now(UTC) + timedelta(days=1)),
        }
        certificate = {"apiVersion": fleet.API_VERSION, "kind": "ClientCertificate", "metadata": {"name": name}}
        await scene.kubernetes.create(f"{ours}/clientcertificates", {**certificate, "spec": body})

    async def due() -> Sequence[datetime]:
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
        every = max(2, size // 500)
        times = [first + timedelta(seconds=every * number) for number in range(_PUNCTUAL)]
        for name, moment in zip(names, times, strict=True):
            await scene.kubernetes.merge_patch(
                f"{ours}/clientcertificates/{name}", {"spec": {"silence": _silence(moment)}}
            )
        return times

    yield due


def _silence(until: datetime) -> dict[str, str]:
    return {"until": until.isoformat(timespec="seconds").replace("+00:00", "Z"), "reason": "until then"}


def _judged(place: Place, sample: Sample, peers: Sequence[PeerRun], ours: tuple[_Run, Ended]) -> Outcome:
    run, ended = ours
    size, peer = place.size, sum(each.seconds for each in peers) / len(peers)
    slower = run.seconds / (size - place.first) / (peer / size)
    return Outcome(
        GOAL,
        (
            Figure("renewed", slower, "times the bare client", Bound.AT_MOST, 2),
            Figure("sources with the former certificate", run.not_renewed, "sources", Bound.AT_MOST, 0),
            Figure("latest alert", max(run.delays, default=float("inf")), "s", Bound.AT_MOST, 2),
            Figure("lost alerts", run.lost, "alerts", Bound.AT_MOST, 0),
            Figure("stall", run.stall * _MS, "ms", Bound.AT_MOST, 100),
            Figure("resident afterwards", run.after.resident / run.before.resident, "times", Bound.AT_MOST, 1.1),
            Figure("resident beside it", run.after.resident / ended.resident, "times a successor", Bound.AT_MOST, 1.1),
            Figure("an ended request", ended.each, "KB in memory", Bound.AT_MOST, 1),
            Figure("a restart afterwards", ended.changed + ended.mails, "writes and mails", Bound.AT_MOST, 0),
        ),
        against=f"bare client: {peer:.0f} s; ours: {run.seconds:.0f} s; else fixed limits",
        details={
            "certificates": size,
            "oursSeconds": round(run.seconds, 1),
            "oursCpuSeconds": round(run.cpu_seconds, 1),
            "oursServersCpuSeconds": run.servers,
            "peerSeconds": [round(each.seconds, 1) for each in peers],
            "peerServersCpuSeconds": peers[0].servers,
            "callsOfOne": sample.calls,
            "statusesOfOne": [len(json.dumps(each)) for each in sample.statuses],
            "oursCalls": dict(run.calls),
            "peerCalls": dict(peers[0].calls),
            "mails": run.mails,
            "residentBeforeMB": round(run.before.resident, 1),
            "residentAfterMB": round(run.after.resident, 1),
            "residentSuccessorMB": round(ended.resident, 1),
            "peakMB": round(run.after.peak, 1),
            "alertDelays": [round(each, 2) for each in run.delays],
        },
    )
