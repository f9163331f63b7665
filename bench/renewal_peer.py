"""One run of the peer of P12, `bench/bare_renewals.py`."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench.api_calls import OF_RENEWALS, Calls, calls_between, calls_so_far
from bench.cores import confine
from bench.liveness import ProcessEndedError
from bench.renewal_sample import Sample
from bench.succession import BUCKET, SECONDS_EACH, SENDER, Place, ask, declared, server_seconds, spent
from tools.control_plane.operator_process import SERVICE_ACCOUNT
from tools.control_plane.process import ChildProcess


@dataclass(frozen=True, slots=True)
class PeerRun:
    """The peer's part."""

    seconds: float
    """From the first request until its last call is answered."""
    calls: Calls
    servers: Mapping[str, float]
    """The CPU time of each server meanwhile, in seconds."""


async def peer_run(place: Place, sample: Sample) -> PeerRun:
    """Have the peer do the same."""
    scene = place.scene
    async with declared(scene, place.succession, place.client):
        await scene.statuses.quiet(2)
        before = await calls_so_far(scene.kubernetes, OF_RENEWALS)
        process = await asyncio.to_thread(_start, place, sample)
        try:
            while "watching" not in process.log_text():
                await asyncio.sleep(0.1)
                _must_run(process)
            scene.say(f"the bare client renews {place.size}")
            began, servers = time.monotonic(), server_seconds(place)
            async with asyncio.timeout(120 + place.size * SECONDS_EACH):
                await ask(scene, place.succession, range(place.size))
                while process.returncode is None:
                    await asyncio.sleep(0.05)
            seconds, servers = time.monotonic() - began, spent(servers, server_seconds(place))
            _must_run(process)
        finally:
            process.kill()
        scene.say(f"  {seconds:.1f} s; CPU time: {servers}")
        calls = calls_between(before, await calls_so_far(scene.kubernetes, OF_RENEWALS))
        return PeerRun(seconds, calls, servers)


def _start(place: Place, sample: Sample) -> ChildProcess:
    scene, server = place.scene, place.server
    kubeconfig, given = scene.directory / "bare-renewals.kubeconfig", scene.directory / "renewal-sample.json"
    scene.control_plane.service_account_kubeconfig(*SERVICE_ACCOUNT, kubeconfig)
    smtp = {"host": "localhost", "port": place.mail.port, "from": SENDER, "to": "jo@consumer.example"}
    content = {
        "count": place.size,
        "secrets": sample.secrets,
        "sourceReads": sample.source_reads,
        "statuses": sample.statuses,
        "certificateStatuses": sample.certificate_statuses,
        "events": sample.events,
        "mails": sample.mails,
        "certificate": sample.certificate,
        "csr": sample.csr,
        "smtp": {**smtp, "content": sample.mail},
        "endpoint": server.endpoint,
        "region": server.region,
        "bucket": BUCKET,
        "accessKey": server.access_key,
        "secretKey": server.secret_key,
    }
    given.write_text(json.dumps(content))
    log = scene.directory / f"bare-renewals-{time.monotonic_ns()}.log"
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-u", "-m", "bench.bare_renewals", str(kubeconfig), str(given)]
    process = ChildProcess.start(command, log_path=log, env=environment, cwd=scene.directory)
    confine(process.pid, place.cores)
    return process


def _must_run(process: ChildProcess) -> None:
    if process.returncode:
        raise ProcessEndedError(process.last_words())
