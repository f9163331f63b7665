"""Runs a verb in a process of its own that is forked from one with all libraries: their import takes half a second."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from clientcert.cli.main import cli

_LONGEST_SECONDS = 60
_CONTEXT = multiprocessing.get_context("forkserver")
_LIBRARIES = ("core_v1_api", "custom_objects_api", "authentication_v1_api")
_CONTEXT.set_forkserver_preload(
    [
        __name__,
        "clientcert.__main__",
        *(f"clientcert.cli.{name.replace('-', '_')}" for name in cli.commands),
        "kubernetes.config.kube_config",
        *(f"kubernetes.client.api.{name}" for name in _LIBRARIES),
    ]
)


def run_verb(
    arguments: tuple[str, ...], environment: Mapping[str, str], directory: Path, typed: str, now: datetime | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `clientcert` with these arguments, and `typed` as its input; without `now` by the machine's clock."""
    with tempfile.TemporaryDirectory() as place:
        streams = [Path(place, name) for name in ("stdin", "stdout", "stderr")]
        streams[0].write_text(typed)
        process = _CONTEXT.Process(target=_verb, args=(arguments, dict(environment), directory, streams, now))
        process.start()
        process.join(_LONGEST_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, _LONGEST_SECONDS)
        output, errors = (path.read_text() if path.exists() else "" for path in streams[1:])
        return subprocess.CompletedProcess(arguments, process.exitcode, output, errors)


def _verb(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    directory: Path,
    streams: list[Path],
    now: datetime | None,
) -> None:
    for number, path in enumerate(streams):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        open(0, encoding="utf-8"),  # noqa: SIM115
        open(1, "w", encoding="utf-8"),  # noqa: SIM115
        open(2, "w", encoding="utf-8"),  # noqa: SIM115
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["clientcert", *arguments]
    from kubernetes.config import kube_config

    from clientcert.__main__ import main

    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = environment["KUBECONFIG"]  # read at its import, which was earlier
    if now is None:
        main()
    else:
        cli(prog_name="clientcert", obj={"now": lambda: now})
