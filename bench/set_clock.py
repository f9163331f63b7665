"""Runs the operator with a clock that another process sets.

    python -m bench.set_clock FILE --port PORT [--namespace NS]

FILE holds the difference in seconds between its wall clock and the machine's, as a double; the monotonic clock is not
changed. Writing to the file sets the clock, as an administrator sets that of a machine.
"""

import argparse
import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clientcert.app import run
from clientcert.settings import load_settings

_SECONDS = struct.Struct("d")


def write_offset(path: Path, offset: timedelta) -> None:
    """Set the clock of the operator that reads this file."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(_SECONDS.pack(offset.total_seconds()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--namespace")
    asked = parser.parse_args()
    with asked.path.open("rb") as file, mmap.mmap(file.fileno(), _SECONDS.size, access=mmap.ACCESS_READ) as offset:

        def clock() -> datetime:
            return datetime.now(UTC) + timedelta(seconds=_SECONDS.unpack_from(offset)[0])

        namespaces = (asked.namespace,) if asked.namespace else ()
        run(load_settings({"namespaces": namespaces, "port": asked.port}), clock)


if __name__ == "__main__":
    main()
