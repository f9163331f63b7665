"""Reports to a waiting person the current work, its usual time and the time so far."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPORT_EVERY_SECONDS = 15.0


def report(line: str) -> None:
    """Print at once, also into a pipe: a build log that is silent for minutes looks like a hang."""
    print(line, flush=True)


class Stopwatch:
    """Reports the elapsed time of one piece of work every 15 seconds, if it is called often enough."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = self._reported = time.monotonic()

    @property
    def seconds(self) -> int:
        return round(time.monotonic() - self._started)

    def tick(self) -> None:
        """Report if the last report is old enough."""
        if time.monotonic() - self._reported >= REPORT_EVERY_SECONDS:
            self._reported = time.monotonic()
            report(f"  {self._what}: {self.seconds} s")

    def wait_for(self, finished: Callable[[], bool]) -> None:
        """Return when `finished` returns True; report meanwhile."""
        while not finished():
            time.sleep(0.2)
            self.tick()


@contextmanager
def exclusive(lock_path: Path) -> Iterator[None]:
    """Hold a lock between processes; the kernel releases it if this process dies."""
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with lock_path.open("w") as lock_file:

        def acquired() -> bool:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not acquired():
            report("Another run is building the same binaries: waiting for it.")
            Stopwatch("waiting for the other run").wait_for(acquired)
        yield
