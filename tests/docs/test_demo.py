"""`make demo` ends with 0 only if everything was seen, needs no input, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.pages import blocks
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


class Kept:
    """A demo that was left running: what it printed, and what it prints now."""

    def __init__(self, demo: "subprocess.Popen[str]") -> None:
        self.demo = demo
        self.lines: list[str] = []

    def read_until(self, words: str) -> None:
        """Read its output up to a line with these words. If it ends before, the error shows its last lines."""
        assert self.demo.stdout is not None
        for line in self.demo.stdout:
            self.lines.append(line)
            if words in line:
                return
        raise AssertionError("".join(self.lines[-60:]))

    @property
    def commands(self) -> list[str]:
        """The commands that a person is told to type, in order, after the heading about a renewal."""
        text = "".join(self.lines).partition("Renew a certificate yourself")[2]
        return [line.strip() for line in text.splitlines() if line.startswith("    ") and line.strip()]


class Shell:
    """A person's terminal in the checkout, which remembers variables and its directory."""

    def __init__(self, kept: Kept, directory: Path) -> None:
        text = "".join(kept.lines)
        [self._begin] = re.findall(r"export KUBECONFIG=\S+/control-plane/kubeconfig", text)
        alias = re.findall(r"alias kubectl=(\S+)", text)
        directory.mkdir()
        if alias:
            (directory / "kubectl").symlink_to(alias[0])
        self._environment = {**os.environ, "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}"}
        self._before: list[str] = []

    def type(self, command: str, *, answers: str = "") -> str:
        """The output of a command that must succeed."""
        script = "\n".join(["set -e", self._begin, *self._before, command])
        ran = subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=REPOSITORY,
            env=self._environment,
            input=answers,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        if command.startswith(("export ", "cd ")):
            self._before.append(command)
        return ran.stdout


@pytest.mark.timeout(900)  # as many steps as ten other tests
def test_the_demo_succeeds_and_a_person_renews_a_certificate_with_it(tmp_path: Path) -> None:
    """With `--keep` it is the same demo, and then runs until SIGTERM. What it says to type, works."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    kept = Kept(start(temporary, "--keep"))
    try:
        kept.read_until("Ctrl-C stops")
        renew_by_hand(kept, Shell(kept, tmp_path / "bin"))
    finally:
        kept.demo.send_signal(signal.SIGTERM)
        rest, _ = kept.demo.communicate(timeout=60)
    assert kept.demo.returncode == 0
    output = "".join([*kept.lines, rest])
    assert "[17/17]" in output
    assert "Subject: Action needed: certificate for nhs in prod expires on " in output
    assert "openssl genrsa -out credential-exchange-private-key.pem 3072" in output
    assert "Subject: Done: a renewed certificate for nhs in prod is in place" in output
    assert "Subject: Please check: a new certificate for prison-visits in prod was requested" in output
    assert "Subject: Done: the new certificate for prison-visits in prod" in output
    assert "\033[" not in output
    assert "PRIVATE KEY" not in output
    assert list(temporary.iterdir()) == []
    shown = normalized(output)
    assert [line for line in readme_lines() if line not in shown] == []


def readme_lines() -> list[str]:
    """The renewal as the README shows it, but for the lines that it leaves out."""
    found = [each for each in blocks(REPOSITORY / "README.md", "console") if "$ clientcert renew" in each or
             "$ clientcert approve" in each]  # fmt: skip
    assert len(found) == 2
    return [normalized(line) for block in found for line in block.splitlines() if line.strip() not in {"", "…"}]


def normalized(text: str) -> str:
    """Without what differs at each run: serial numbers, hashes, dates, ages and the width of columns."""
    text = re.sub(r"\b[0-9a-f]{10,}\b", "HEX", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "TIME", text)
    return re.sub(r"[ \t]+", " ", re.sub(r"\b\d+m?\d*s\b", "AGE", text))


def renew_by_hand(kept: Kept, shell: Shell) -> None:
    """Each printed command, in its order: policy, request, approval, and the mail, until the alerts cease."""
    opened = table = ""
    for command in kept.commands:
        if command.endswith(" approve ID"):
            renewal = re.search(r"^(ferries-prod-\w+) .* AwaitingApproval ", table, re.MULTILINE)
            assert renewal is not None, table
            shell.type(command.replace("ID", renewal[1]), answers="phone call\ny\n")
            kept.read_until("Its attachments are in ")
        elif "get certificaterenewals" in command:
            wanted = "Done" if "clientcertificates" in command else "AwaitingApproval"
            eventually(f"{command}: {wanted}", True, lambda: wanted in rows(shell.type(command)))  # noqa: B023
            table = shell.type(command)
        elif "get clientcertificates" in command:
            eventually(f"{command}: ExpiringSoon", True, lambda: "ExpiringSoon" in rows(shell.type(command)))  # noqa: B023
        else:
            opened = shell.type(command)
    assert "CN=ferries" in opened.replace(" ", "")
    eventually("The alerts cease", True, lambda: "Valid" in shell.type("kubectl get clientcertificates ferries-prod"))


def rows(table: str) -> str:
    """Those about ferries."""
    return "\n".join(line for line in table.splitlines() if "ferries-prod" in line)


def test_a_demo_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = start(tmp_path)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "[2/" in line:
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
