"""Runs a verb of the command line in a forked process."""

import subprocess
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from clientcert.cli.main import cli
from tests.forked import Forked, become

_LONGEST_SECONDS = 60


def run_verb(
    arguments: tuple[str, ...], environment: Mapping[str, str], directory: Path, typed: str, now: datetime | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `clientcert` with these arguments, and `typed` as its input; without `now` by the machine's clock."""
    with tempfile.TemporaryDirectory() as place:
        streams = [Path(place, name) for name in ("stdin", "stdout", "stderr")]
        streams[0].write_text(typed)
        verb = Forked(_verb, arguments, dict(environment), directory, streams, now)
        try:
            code = verb.wait(_LONGEST_SECONDS)
        finally:
            verb.kill()
        output, errors = (path.read_text() if path.exists() else "" for path in streams[1:])
        return subprocess.CompletedProcess(arguments, code, output, errors)


def _verb(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    directory: Path,
    streams: list[Path],
    now: datetime | None,
) -> None:
    become(("clientcert", *arguments), environment, directory, *streams)
    from clientcert.__main__ import main

    if now is None:
        main()
    else:
        cli(prog_name="clientcert", obj={"now": lambda: now})
