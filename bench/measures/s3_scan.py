"""P2: the duration of a scan of all certificates in a bucket, compared with the scripts that teams use today.

The incumbent (`bench/incumbent.sh`): from the start of the script to its end. Ours (`bench/s3_scan.py`): from the
beginning of a poll until every certificate is read, parsed and assessed. Our first scan is that of a reader without a
client and without connections; the unchanged scan is the median of five later ones. Both use the same S3 server and the
same bucket of 1,000 certificates; neither sends anything. The incumbent reads everything each time, so one run of it,
between two of ours, is the peer of both. One earlier scan, in which the process also loads the S3 library, is only
reported in the details.
"""

import asyncio
import os
import time
from pathlib import Path
from statistics import mean, median

from bench import bucket
from bench.bucket import Bucket, filled_bucket
from bench.goals import Bound, Figure, Outcome
from bench.s3_scan import Scanner
from bench.scene import Scene

GOAL = "first scan ≥ 20 times and unchanged scan ≥ 100 times faster than one copy and one openssl a certificate"
_SCRIPT = Path(__file__).parent.parent / "incumbent.sh"
_UNCHANGED_SCANS = 5


async def measure(scene: Scene) -> Outcome:
    async with filled_bucket(scene) as filled:
        loading, _ = await _ours(filled)
        scene.say("our own reader, the incumbent, our own reader again")
        before = await _ours(filled)
        incumbent = await _incumbent(filled)
        after = await _ours(filled)
    first, unchanged = (mean(pair) for pair in zip(before, after, strict=True))
    scene.say(f"  first {first:.2f} s, unchanged {unchanged:.3f} s; the incumbent {incumbent:.1f} s")
    return Outcome(
        GOAL,
        (
            Figure("first scan", incumbent / first, "times faster", Bound.AT_LEAST, 20),
            Figure("unchanged scan", incumbent / unchanged, "times faster", Bound.AT_LEAST, 100),
        ),
        against=f"the incumbent: {incumbent:.1f} s; ours: {first:.2f} s, then {unchanged:.3f} s",
        details={
            "incumbentSeconds": round(incumbent, 2),
            "firstScanSeconds": [round(before[0], 3), round(after[0], 3)],
            "firstScanWithLoadingTheLibrarySeconds": round(loading, 3),
            "unchangedScanSeconds": [round(before[1], 4), round(after[1], 4)],
            "keys": filled.keys,
        },
    )


async def _ours(filled: Bucket) -> tuple[float, float]:
    """The seconds of the first scan, and of an unchanged one."""
    scanner = Scanner.of(filled)
    try:
        first = await _timed(scanner)
        if scanner.reads != filled.certificates or any(each.problem for each in scanner.assessed.values()):
            raise RuntimeError("the scan has not read every certificate")
        unchanged = median([await _timed(scanner) for _ in range(_UNCHANGED_SCANS)])
    finally:
        await scanner.reader.close()
    if scanner.reads != filled.certificates:
        raise RuntimeError("an unchanged scan has read something")
    return first, unchanged


async def _timed(scanner: Scanner) -> float:
    began = time.perf_counter()
    await scanner.scan()
    return time.perf_counter() - began


async def _incumbent(filled: Bucket) -> float:
    server = filled.server
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        "bash",
        str(_SCRIPT),
        server.endpoint,
        bucket.NAME,
        server.region,
        "prod",
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), **keys},
    )
    output, _ = await process.communicate()
    seconds = time.perf_counter() - began
    if f"checked {filled.certificates}\n".encode() not in output:
        raise RuntimeError(f"the incumbent has not read every certificate: {output[-200:].decode()}")
    return seconds
