"""`python -m tools.demo [--keep]`."""

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from tools.control_plane import ApiError, ControlPlaneError
from tools.demo.checks import NotSeenError
from tools.demo.keep import keep
from tools.demo.screen import Screen
from tools.demo.stage import Stage
from tools.demo.steps import STEPS

_LOG_LINES = 25


def main() -> int:
    """Return the exit code: 0 if all was seen; 1 and a printed difference if not; 130 on Ctrl-C, 143 on SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description="See the operator at work.")
    parser.add_argument("--keep", action="store_true", help="leave everything running and say how to use it")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _exit_cleanly)
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="clientcert-demo-") as directory, ExitStack() as exits:
        stage = Stage(Path(directory), screen, exits)
        try:
            _play(stage)
        except (NotSeenError, ControlPlaneError, ApiError, OSError) as error:
            screen.failure(str(error), stage.operator_log(_LOG_LINES))
            return 1
        except KeyboardInterrupt:
            return 130
        if arguments.keep:
            keep(stage)
    return 0


def _play(stage: Stage) -> None:
    started = time.monotonic()
    for number, step in enumerate(STEPS, 1):
        stage.screen.step(number, len(STEPS), step.__doc__ or "")
        step(stage)
    stage.screen.success(f"All of this was seen and checked in {time.monotonic() - started:.0f} seconds.")


def _exit_cleanly(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
