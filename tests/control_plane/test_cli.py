"""`clientcert silence`, and the exit codes of verbs that use a cluster: as a process, with a kubeconfig."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.control_plane.forked_verbs import run_verb
from tests.control_plane.team import Team
from tests.scenarios import client_certificate
from tools.control_plane.kubeconfig import write_kubeconfig

OF_NHS = "nhs (nhs in prod)"


@dataclass(frozen=True)
class Terminal:
    """The shell of a person whose kubeconfig has the team's namespace in its context."""

    team: Team
    directory: Path
    token: str = ""

    def __post_init__(self) -> None:
        control_plane = self.team.control_plane
        write_kubeconfig(
            self.kubeconfig,
            url=control_plane.url,
            ca_path=control_plane.ca_path,
            user="somebody",
            token=self.token or control_plane.admin_token,
            namespace=self.team.namespace,
        )

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    def clientcert(
        self, *arguments: str, typed: str = "", now: datetime | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`typed` is what the person answers to questions."""
        return run_verb(arguments, self._environment, self.directory, typed, now)

    def run(self, command: list[str], typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run with an environment that has only what a verb needs."""
        return subprocess.run(
            command,
            env=self._environment,
            cwd=self.directory,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A call during which something happens."""
        return subprocess.Popen(
            [sys.executable, "-m", "clientcert", *arguments],
            env=self._environment,
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "HOME": str(self.directory), "KUBECONFIG": str(self.kubeconfig)}

    def succeeds(self, *arguments: str) -> str:
        """The output of a call that must succeed without a complaint."""
        ran = self.clientcert(*arguments)
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    def fails(self, *arguments: str) -> tuple[int, str]:
        """Exit code and message of a call that must fail, with one line and no other output."""
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
        """The end is in the spec, in UTC, and for that one object."""
        team.apply(client_certificate("nhs"), client_certificate("nhs-2", consumer="nhs"))
        said = terminal.succeeds("silence", "nhs", "--until", "2099-12-24T01:00:00+01:00", "--reason", "moving house")
        assert said == f"{OF_NHS} is silenced until 2099-12-24 00:00 UTC: moving house\n"
        assert silence(team, "nhs") == {"until": "2099-12-24T00:00:00Z", "reason": "moving house"}
        assert silence(team, "nhs-2") is None

    def test_for_a_duration_and_its_end(self, team: Team, terminal: Terminal) -> None:
        """A new silence replaces the old one; its end removes the field, and may be repeated."""
        team.apply(client_certificate("nhs", silence={"until": "2099-01-01T00:00:00Z", "reason": "a reason"}))
        terminal.succeeds("silence", "nhs", "--until", "30d", "--reason", "another")
        found = silence(team, "nhs")
        assert found is not None
        assert found["reason"] == "another"
        late = datetime.now(UTC) + timedelta(days=30) - datetime.fromisoformat(found["until"])
        assert timedelta(0) <= late < timedelta(minutes=2)
        for _ in range(2):
            assert terminal.succeeds("silence", "nhs", "--end") == f"{OF_NHS} is not silenced.\n"
            assert silence(team, "nhs") is None

    def test_the_schema_accepts_every_written_value(self, team: Team, terminal: Terminal) -> None:
        """Texts of the maximum length, and in any script."""
        team.apply(client_certificate("nhs"))
        reason = "Zoë 名前 " + "r" * 248
        terminal.succeeds("silence", "nhs", "--until", "9999-12-31T23:59:59.5Z", "--reason", reason)
        assert silence(team, "nhs") == {"until": "9999-12-31T23:59:59Z", "reason": reason}


class TestExitCodes:
    def test_a_missing_object(self, team: Team, terminal: Terminal) -> None:
        """3, and no object is created."""
        words = f"Error: ClientCertificate nhs in namespace {team.namespace}: not found, or its kind is not"
        code, said = terminal.fails("silence", "nhs", "--until", "30d", "--reason", "moving house")
        assert (code, said.startswith(words)) == (3, True)
        assert team.get("ClientCertificate", "nhs") == {}

    def test_another_namespace(self, team: Team, terminal: Terminal) -> None:
        """-n overrides the context."""
        team.apply(client_certificate("nhs"))
        code, said = terminal.fails("silence", "nhs", "--end", "-n", "default")
        assert code == 3
        assert "in namespace default" in said

    def test_an_unknown_user(self, team: Team, terminal: Terminal) -> None:
        """3: a retry would not help."""
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
    def test_a_name_with_a_path(self, terminal: Terminal, arguments: tuple[str, ...]) -> None:
        """2: the name becomes no part of a path, and only visible characters are printed."""
        ran = terminal.clientcert(*arguments)
        assert (ran.returncode, "is not a valid name of a " in ran.stderr) == (2, True)
        assert ran.stderr.replace("\n", "").isprintable()

    def test_a_missing_context(self, terminal: Terminal) -> None:
        code, said = terminal.fails("silence", "nhs", "--end", "--context", "nowhere")
        assert (code, "--context to a context of it" in said) == (1, True)

    def test_an_unreachable_cluster(self, team: Team, terminal: Terminal) -> None:
        """1, at once and in one line: a later call may succeed."""
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
