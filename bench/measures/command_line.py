"""P14: the command line over 10,000 certificates, beside kubectl.

`clientcert list -A` and `kubectl get clientcertificates -A` in turn, five times each, both with their output to a pipe
and the same kubeconfig; the statuses are those that an operator has written. The first line is there when the first
byte can be read. The whole time is from the start of the process to its end. kubectl has its cache of kinds.

`--help`, and the completion of a verb as a shell asks for it, are timed from the start of the process to its end: the
median of eleven, with the imports compiled.
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.cold_starts import cold_start
from bench.goals import Bound, Figure, Outcome
from bench.scene import Scene

GOAL = "clientcert list -A of 10,000: first line ≤ 1 s, whole ≤ 1.5 times kubectl get; --help and each TAB ≤ 100 ms"
_ROUNDS = 5
_CALLS = 11
_MS = 1000
_CLIENTCERT = str(Path(sys.executable).parent / "clientcert")


@dataclass(frozen=True, slots=True)
class _Call:
    first_line: float
    """Seconds from the start of the process."""
    whole: float
    lines: int


async def measure(scene: Scene) -> Outcome:
    await cold_start(scene, scene.sizes.large)
    kubeconfig = str(scene.control_plane.kubeconfig)
    environment = {"PATH": os.defpath, "HOME": str(scene.directory), "KUBECONFIG": kubeconfig}
    kubectl = [str(scene.control_plane.binaries.kubectl), "get", "clientcertificates", "-A"]
    ours, theirs = list[_Call](), list[_Call]()
    scene.say(f"clientcert list and kubectl get, over {scene.size} certificates")
    await _called(kubectl, environment)
    for _ in range(_ROUNDS):
        ours.append(await _called([_CLIENTCERT, "list", "-A"], environment))
        theirs.append(await _called(kubectl, environment))
    if {each.lines for each in (*ours, *theirs)} != {scene.size + 1}:
        raise RuntimeError(f"not every certificate was listed: {ours}, {theirs}")
    tab = {"_CLIENTCERT_COMPLETE": "bash_complete", "COMP_WORDS": "clientcert li", "COMP_CWORD": "1"}
    offered = await _median(["--help"], environment), await _median([], environment | tab)
    whole, peer = median(each.whole for each in ours), median(each.whole for each in theirs)
    return Outcome(
        GOAL,
        (
            Figure("first line", max(each.first_line for each in ours), "s", Bound.AT_MOST, 1),
            Figure("whole list", whole / peer, "times kubectl get", Bound.AT_MOST, 1.5),
            Figure("--help", offered[0] * _MS, "ms", Bound.AT_MOST, 100),
            Figure("completion of a verb", offered[1] * _MS, "ms", Bound.AT_MOST, 100),
        ),
        against=f"kubectl get: {peer:.2f} s; clientcert list: {whole:.2f} s; else fixed limits",
        details={
            "oursSeconds": [round(each.whole, 2) for each in ours],
            "oursFirstLineSeconds": [round(each.first_line, 3) for each in ours],
            "peerSeconds": [round(each.whole, 2) for each in theirs],
            "peerFirstLineSeconds": [round(each.first_line, 3) for each in theirs],
        },
    )


async def _median(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    return median([(await _called([_CLIENTCERT, *arguments], environment)).whole for _ in range(_CALLS)])


async def _called(command: Sequence[str], environment: Mapping[str, str]) -> _Call:
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command, env=dict(environment), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    first = await process.stdout.read(1)
    first_line = time.monotonic() - began
    rest = await process.stdout.read()
    if await process.wait() != 0:
        raise RuntimeError(f"{' '.join(command)} has failed with exit code {process.returncode}")
    return _Call(first_line, time.monotonic() - began, (first + rest).count(b"\n"))
