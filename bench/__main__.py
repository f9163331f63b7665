"""`python -m bench [P1 P2 …] [--size 10000] [--quick]`: prints the table, and writes bench/results.json."""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import docs, report
from bench.crowd import slack_channels
from bench.etcd import Etcd
from bench.fleet import Fleet, team_channels
from bench.goals import Outcome, not_measured
from bench.kubernetes import Kubernetes
from bench.measures import month, rush, succession
from bench.measuring import MEASURES, ONLY_WHEN_ASKED_FOR
from bench.scene import Scene
from bench.sizes import Sizes
from bench.statuses import Statuses
from tools.control_plane import ControlPlane
from tools.slack_server import SlackServer

_ROOT = Path(__file__).parent.parent
_DESCRIPTION = "Measures the goals, each beside its peer, and writes them down."
_EXIT_CODES = (
    "Exit code: 0 if every goal asked for holds, 1 if one does not (all is written down the same), 2 for a wrong call."
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=_DESCRIPTION, epilog=_EXIT_CODES)
    names = sorted(MEASURES, key=_number)
    without = " and ".join(sorted(ONLY_WHEN_ASKED_FOR))
    parser.add_argument(
        "goals", nargs="*", metavar="GOAL", help=f"some of {' '.join(names)}; default: all but {without}"
    )
    parser.add_argument("--size", type=int, default=Sizes().large, help="certificates, where a goal says 10,000")
    parser.add_argument("--scale", type=int, default=Sizes().scale, help="certificates, where a goal says 100,000")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: tries the bench, measures nothing")
    parser.add_argument("--output", type=Path, help="default: bench/results.json; results-quick.json for other sizes")
    parser.add_argument("--keep", action="store_true", help="keep the logs also if all could be measured")
    parser.add_argument("--write-docs", action="store_true", help="only write the table of docs/scale.md anew")
    given = parser.parse_args()
    if given.write_docs:
        docs.write()
        return 0
    if unknown := set(given.goals) - set(MEASURES):
        parser.error(f"there is no goal {', '.join(sorted(unknown))}")
    sizes = Sizes.quick() if given.quick else Sizes.scaled_to(given.size, given.scale)
    output = given.output or _ROOT / "bench" / ("results.json" if sizes == Sizes() else "results-quick.json")
    goals = given.goals or [name for name in names if name not in ONLY_WHEN_ASKED_FOR]
    where = report.conditions(sizes.scale if goals == ["P11"] else sizes.large)
    began = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="clientcert-bench-"))
    keep_logs = True  # also of an aborted run
    try:
        found = uvloop.run(_measured(goals, sizes, directory))  # as the operator: P2 has its reader here
        keep_logs = given.keep or not all(outcome.figures for outcome in found.values())
    finally:
        _remove_all_but_logs(directory) if keep_logs else shutil.rmtree(directory, ignore_errors=True)
    outcomes = {name: found[name] for name in sorted(found, key=_number)}
    report.write(output, outcomes, where)
    minutes = (time.monotonic() - began) / 60
    print(f"\n{report.table(outcomes)}\n\n{report.sentence(where)}; {minutes:.1f} minutes; see {output.name}")
    return 0 if all(outcome.holds for outcome in outcomes.values()) else 1


async def _measured(goals: Sequence[str], sizes: Sizes, directory: Path) -> dict[str, Outcome]:
    """Measure each goal. A failed measurement is reported, and does not prevent the others."""
    outcomes = {}
    async with _scene(sizes, directory) as scene:
        for name, (goal, measure) in MEASURES.items():
            if name not in goals:
                continue
            scene.say(f"{name}: {goal}")
            try:
                async with scene.alive():
                    outcomes[name] = await measure(scene)
            except Exception as error:  # noqa: BLE001 - any error is written into the results
                outcomes[name] = not_measured(goal, error)
                scene.say(f"  not measured: {outcomes[name].details['error']}")
    return outcomes


@asynccontextmanager
async def _scene(sizes: Sizes, directory: Path) -> AsyncIterator[Scene]:
    """A new API server with all that the operator needs, a Slack server, and a watch on all objects."""
    crowds = ((rush.NAMESPACE, rush.CHANNELS), (month.NAMESPACE, month.CHANNELS))
    channels = [*team_channels(), succession.CHANNEL, *(name for crowd in crowds for name in slack_channels(*crowd))]
    with (
        ControlPlane.start(directory / "control-plane") as control_plane,
        SlackServer(channels=channels).start() as slack,
    ):
        control_plane.apply_kustomize(_ROOT / "crds", _ROOT / "deploy" / "kustomize" / "base")
        async with Kubernetes(control_plane) as kubernetes:
            statuses = Statuses()
            fleet = Fleet.founded(datetime.now(UTC))
            following = asyncio.create_task(statuses.follow(kubernetes))
            etcd = Etcd(control_plane)
            try:
                yield Scene(control_plane, kubernetes, statuses, following, slack, fleet, sizes, directory, etcd)
            finally:
                following.cancel()
                await asyncio.wait({following})


def _remove_all_but_logs(directory: Path) -> None:
    """Keep the logs, which show the cause of a failure, and remove the gigabytes of etcd."""
    logs = {path.name: path.read_bytes() for path in directory.rglob("*.log")}
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name, content in logs.items():
        (directory / name).write_bytes(content)
    print(f"The logs are in {directory}")


def _number(goal: str) -> int:
    return int(goal.removeprefix("P"))


if __name__ == "__main__":
    raise SystemExit(main())
