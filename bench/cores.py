"""One core for the operator alone, and the others for everything else, as on machines that are not shared.

Without it, a stall of the operator's loop could not be distinguished from a stall of the whole process, because an API
server used both cores. On a machine with one core, or if processes cannot be assigned to cores, nothing is done.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def one_kept_free() -> Iterator[frozenset[int]]:
    """Within the block, keep this process and all its descendants off one core, and yield that core.

    Yields an empty set if there is no core to spare.
    """
    allowed = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
    kept = frozenset(sorted(allowed)[-1:]) if len(allowed) > 1 else frozenset()
    if not kept:
        yield kept
        return
    try:
        for pid in _family():
            confine(pid, allowed - kept)
        yield kept
    finally:
        for pid in _family():
            confine(pid, allowed)


def confine(pid: int, cores: frozenset[int]) -> None:
    """Restrict all threads of a process to these cores; does nothing if there are none."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir() if cores else ():
            with suppress(OSError):
                os.sched_setaffinity(int(thread.name), cores)


def _family() -> list[int]:
    """The process of the bench and its descendants (proc(5): the fourth field of stat is the parent)."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found
