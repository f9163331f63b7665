"""P13: P5 and P10 with 1,000 requests for renewals that wait for approval, beside 10,000 certificates.

The requests are about certificates in S3, under a policy with Manual approval; an operator has checked each, sent its
receipt, and waits. As in P5 that operator is stopped, and another one is started: when it is ready, has reconciled each
object and has been quiet for ten seconds, these are counted: objects whose resourceVersion has changed
(ClientCertificates, CertificateRenewals and Events), mails, and calls that arrived at Slack. As in P10 the operator has
a core to itself; stalls are those of its own gauge, over that restart, and over a day: an operator with a clock 24
hours ahead, which writes every status, and sends the daily notice about what waits.
"""

import asyncio

from bench import fleet
from bench.cores import one_kept_free
from bench.goals import Bound, Figure, Outcome
from bench.holders import holders
from bench.kubernetes import METADATA_ONLY
from bench.measures.restart import have_told, looked_at_all, versions
from bench.operator_run import LONGEST_STALL, QUEUE_DEPTH
from bench.scene import Scene
from bench.succession import RENEWALS, Succession, ask, declared, found, mail_settings, served_bucket
from tools.certificates import CertificateAuthority
from tools.mail_server import LoopbackMailServer

GOAL = "with 1,000 requests that wait for approval: a restart writes and sends nothing, no stall over 100 ms"
_QUIET_SECONDS = 10
_MS = 1000


async def measure(scene: Scene) -> Outcome:
    count = scene.sizes.requests
    await have_told(scene)
    scene.say(f"making {count} certificates, CSRs and proofs")
    former, new = CertificateAuthority.create("Former CA"), CertificateAuthority.create("New CA")
    made = await asyncio.to_thread(holders, former, scene.fleet.began, count)
    succession = Succession(former, new, made, "Manual")
    with one_kept_free() as cores, LoopbackMailServer() as mail:
        async with served_bucket(scene) as (server, client):
            settings = {**scene.slack_settings, **mail_settings(scene, server, mail)}
            await found(scene, succession, server, server.endpoint)
            async with declared(scene, succession, client):
                await _all_wait(scene, succession, settings)
                before, calls, mails = await _versions(scene), len(scene.slack.calls), len(mail.mails)
                async with scene.operator(env=settings, cores=cores) as run:
                    await run.ready()
                    await looked_at_all(run, scene.size + count)
                    await asyncio.sleep(_QUIET_SECONDS)
                    stall, memory = (await run.scrape()).own[LONGEST_STALL], await run.settled_memory()
                after = await _versions(scene)
                changed = sum(version != before.get(key) for key, version in after.items())
                sent, mailed = len(scene.slack.calls) - calls, len(mail.mails) - mails
                day = await _a_day(scene, settings, cores)
    return Outcome(
        GOAL,
        (
            Figure("objects changed", changed, "writes", Bound.AT_MOST, 0),
            Figure("to Slack", sent, "sends", Bound.AT_MOST, 0),
            Figure("mails", mailed, "sends", Bound.AT_MOST, 0),
            Figure("stall, restart", stall * _MS, "ms", Bound.AT_MOST, 100),
            Figure("stall, a day", day * _MS, "ms", Bound.AT_MOST, 100),
        ),
        against="every resourceVersion before; fixed limits",
        details={"certificates": scene.size + count, "requests": count, "residentMB": round(memory.resident, 1)},
    )


async def _all_wait(scene: Scene, succession: Succession, settings: dict[str, str]) -> None:
    """Create all requests, and have an operator bring each of them to the approval."""
    count = len(succession.holders)
    async with scene.operator(env=settings) as run:
        await run.ready()
        await scene.statuses.all_written(scene.size + count, 300)
        await ask(scene, succession, range(count))
        scene.say(f"{count} requests wait for approval")
        async with asyncio.timeout(300):
            while await _waiting(scene) < count:
                await asyncio.sleep(1)
        await looked_at_all(run, scene.size + count)
        await scene.statuses.quiet(3)


async def _a_day(scene: Scene, settings: dict[str, str], cores: frozenset[int]) -> float:
    """The longest stall of an operator for which a day has passed."""
    scene.say("a day passes: every status changes")
    before = {key: seen.days_remaining for key, seen in scene.statuses.objects.items()}
    async with scene.operator(args=["--clock-offset", "24h"], env=settings, cores=cores) as run:
        await run.ready()
        await scene.statuses.until(
            lambda: all(seen.days_remaining != before[key] for key, seen in scene.statuses.objects.items()),
            600,
            "all days remaining to change",
        )
        async with asyncio.timeout(300):
            while (await run.own_metrics())[QUEUE_DEPTH]:
                await asyncio.sleep(1)
        return (await run.scrape()).own[LONGEST_STALL]


async def _waiting(scene: Scene) -> int:
    # The API server does not say how many items remain of a list with a selector.
    query = {"fieldSelector": "status.state=AwaitingApproval"}
    return len((await scene.kubernetes.get(RENEWALS, accept=METADATA_ONLY, **query))["items"] or ())


async def _versions(scene: Scene) -> dict[tuple[str, str, str], str]:
    return await versions(
        scene, {"ClientCertificate": fleet.CERTIFICATES, "Event": "/api/v1/events", "CertificateRenewal": RENEWALS}
    )
