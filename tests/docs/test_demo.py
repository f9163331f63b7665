"""`make demo` ends with 0 only if everything was seen, needs no input, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tools.demo.checks import NotSeenError, eventually

COMMAND = [sys.executable, "-m", "tools.demo"]


def start(temporary: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Without a terminal, and with its own directory for files."""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_demo_succeeds_and_runs_until_it_is_stopped(tmp_path: Path) -> None:
    """With `--keep` it is the same demo, and then runs until SIGTERM."""
    demo = start(tmp_path, "--keep")
    assert demo.stdout is not None
    lines = []
    for line in demo.stdout:
        lines.append(line)
        print(line, end="")  # for the report, if it does not end
        if "Ctrl-C stops" in line or "has failed" in line:
            demo.send_signal(signal.SIGTERM)
    assert demo.wait(30) == 0
    output = "".join(lines)
    assert "[10/10]" in output
    assert "Subject: Action needed: certificate for nhs in prod expires on " in output
    assert "openssl genrsa -out credential-exchange-private-key.pem 3072" in output
    assert "Subject: Done: a renewed certificate for nhs in prod is in place" in output
    assert "\033[" not in output
    assert "PRIVATE KEY" not in output
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = start(tmp_path)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "[2/10]" in line:
            demo.send_signal(signal.SIGTERM)
            break
    demo.communicate(timeout=30)
    assert demo.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_an_error_shows_the_expected_and_the_found_state() -> None:
    """Only the entries that differ are shown."""
    started = time.monotonic()
    with pytest.raises(NotSeenError) as raised:
        eventually("The days", {"nhs": 23, "weather": 300}, lambda: {"nhs": 22, "weather": 300}, seconds=0.2)
    assert time.monotonic() - started < 10
    assert str(raised.value).splitlines() == ["The days", "expected: {'nhs': 23}", "found:    {'nhs': 22}"]
