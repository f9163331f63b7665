"""`clientcert silence`, and how verbs get on with a cluster: as a process, by a kubeconfig, with its exit codes."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.control_plane.team import Team
from tests.scenarios import client_certificate
from tools.control_plane.kubeconfig import write_kubeconfig

OF_NHS = "nhs (nhs in prod)"


@dataclass(frozen=True)
class Terminal:
    """Where a person types, whose kubeconfig has the team's namespace in its context."""

    team: Team
    directory: Path
    token: str = ""

    def __post_init__(self) -> None:
        control_plane = self.team.control_plane
        write_kubeconfig(
            self._kubeconfig,
            url=control_plane.url,
            ca_path=control_plane.ca_path,
            user="somebody",
            token=self.token or control_plane.admin_token,
            namespace=self.team.namespace,
        )

    @property
    def _kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    def clientcert(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run([sys.executable, "-m", "clientcert", *arguments])

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """With nothing in its environment but what a verb needs."""
        return subprocess.run(
            command,
            env={"PATH": os.defpath, "HOME": str(self.directory), "KUBECONFIG": str(self._kubeconfig)},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def does(self, *arguments: str) -> str:
        """What a call prints that must end well, and have nothing to complain of."""
        ran = self.clientcert(*arguments)
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    def fails(self, *arguments: str) -> tuple[int, str]:
        """Exit code and words of one that must not; it says so in one line, and prints nothing else."""
        ran = self.clientcert(*arguments)
        assert (ran.stdout, ran.stderr.count("\n")) == ("", 1)
        return ran.returncode, ran.stderr.strip()


@pytest.fixture
def terminal(team: Team, tmp_path: Path) -> Terminal:
    return Terminal(team, tmp_path)


def silence(team: Team, name: str) -> dict[str, str] | None:
    found: dict[str, str] | None = team.get("ClientCertificate", name)["spec"].get("silence")
    return found


class TestSilence:
    def test_until_a_time(self, team: Team, terminal: Terminal) -> None:
        """It is in the spec, in UTC, and for that one object."""
        team.apply(client_certificate("nhs"), client_certificate("nhs-2", consumer="nhs"))
        said = terminal.does("silence", "nhs", "--until", "2099-12-24T01:00:00+01:00", "--reason", "moving house")
        assert said == f"{OF_NHS} is silenced until 2099-12-24 00:00 UTC: moving house\n"
        assert silence(team, "nhs") == {"until": "2099-12-24T00:00:00Z", "reason": "moving house"}
        assert silence(team, "nhs-2") is None

    def test_for_so_long_and_then_no_longer(self, team: Team, terminal: Terminal) -> None:
        """A new one takes the place of the old one; its end leaves nothing behind, and may be said twice."""
        team.apply(client_certificate("nhs", silence={"until": "2099-01-01T00:00:00Z", "reason": "a reason"}))
        terminal.does("silence", "nhs", "--until", "30d", "--reason", "another")
        found = silence(team, "nhs")
        assert found is not None
        assert found["reason"] == "another"
        late = datetime.now(UTC) + timedelta(days=30) - datetime.fromisoformat(found["until"])
        assert timedelta(0) <= late < timedelta(minutes=2)
        for _ in range(2):
            assert terminal.does("silence", "nhs", "--end") == f"{OF_NHS} is not silenced.\n"
            assert silence(team, "nhs") is None

    def test_whatever_it_writes_the_schema_takes(self, team: Team, terminal: Terminal) -> None:
        """As long as may be, and in any script."""
        team.apply(client_certificate("nhs"))
        reason = "Zoë 名前 " + "r" * 248
        terminal.does("silence", "nhs", "--until", "9999-12-31T23:59:59.5Z", "--reason", reason)
        assert silence(team, "nhs") == {"until": "9999-12-31T23:59:59Z", "reason": reason}


class TestExitCodes:
    def test_there_is_no_such_object(self, team: Team, terminal: Terminal) -> None:
        """3, and nothing is made."""
        words = f"Error: ClientCertificate nhs in namespace {team.namespace}: not found, or its kind is not"
        code, said = terminal.fails("silence", "nhs", "--until", "30d", "--reason", "moving house")
        assert (code, said.startswith(words)) == (3, True)
        assert team.get("ClientCertificate", "nhs") == {}

    def test_another_namespace(self, team: Team, terminal: Terminal) -> None:
        """-n counts more than the context."""
        team.apply(client_certificate("nhs"))
        code, said = terminal.fails("silence", "nhs", "--end", "-n", "default")
        assert code == 3
        assert "in namespace default" in said

    def test_somebody_whom_the_cluster_does_not_know(self, team: Team, terminal: Terminal) -> None:
        """3: another try would not help."""
        stranger = Terminal(team, terminal.directory, token="of a stranger")
        code, said = stranger.fails("silence", "nhs", "--end")
        assert (code, "the API server refuses" in said) == (3, True)

    @pytest.mark.parametrize(
        "arguments",
        [
            ("silence", "", "--end"),
            ("silence", "..", "--end"),
            ("silence", "nhs/status", "--end"),
            ("silence", "nhs\x1b[2J", "--end"),
            ("contact", "show", "../certificatepolicies/nhs"),
            ("contact", "show", "nhs", "-n", "../../nodes"),
            ("contact", "show", "NHS"),
        ],
    )
    def test_a_name_that_leads_elsewhere(self, terminal: Terminal, arguments: tuple[str, ...]) -> None:
        """2: no path is made of it, and nothing of it reaches the terminal but what can be seen."""
        ran = terminal.clientcert(*arguments)
        assert (ran.returncode, "is not a valid name of a " in ran.stderr) == (2, True)
        assert ran.stderr.replace("\n", "").isprintable()

    def test_a_context_that_is_not_there(self, terminal: Terminal) -> None:
        code, said = terminal.fails("silence", "nhs", "--end", "--context", "nowhere")
        assert (code, "--context to a context of it" in said) == (1, True)

    def test_nobody_answers(self, team: Team, terminal: Terminal) -> None:
        """1, at once and in one line: it may be another time."""
        kubeconfig = terminal.directory / "away"
        write_kubeconfig(
            kubeconfig, url="https://127.0.0.1:9", ca_path=team.control_plane.ca_path, user="somebody", token="any"
        )
        ran = subprocess.run(
            [sys.executable, "-m", "clientcert", "forecast"],
            env={"PATH": os.defpath, "HOME": str(terminal.directory), "KUBECONFIG": str(kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert "the API server does not answer" in ran.stderr
