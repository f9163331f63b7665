"""Calls that need no cluster to be refused: exit code 2, and words that help and quote nobody."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clientcert.cli import cli

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def clientcert(*arguments: str) -> Result:
    """Without a kubeconfig: whoever gets so far as to connect fails with 1."""
    return CliRunner().invoke(
        cli, [*arguments], obj={"now": lambda: NOW}, env={"KUBECONFIG": "/nowhere/kubeconfig", "COLUMNS": "200"}
    )


class TestSilence:
    @pytest.mark.parametrize(
        ("until", "words"),
        [
            ("2026-11-22T08:59:59Z", "--until has passed already"),
            ("2026-11-22T10:00:00+01:00", "--until has passed already"),
            ("0d", "--until has passed already"),
            ("tomorrow", "--until must be an RFC 3339 time"),
            ("2026-12-24", "--until must be an RFC 3339 time"),
            ("2026-12-24T00:00:00", "--until must be an RFC 3339 time"),
            ("2026-13-24T00:00:00Z", "--until must be an RFC 3339 time"),
            ("0000-12-24T00:00:00Z", "--until must be an RFC 3339 time"),
            ("9999-12-31T23:59:59-23:00", "--until must be an RFC 3339 time"),
            ("99999d", "--until must be an RFC 3339 time"),
            ("-5d", "--until must be an RFC 3339 time"),
            ("nand", "--until must be an RFC 3339 time"),
            ("9" * 5000 + "d", "--until must be an RFC 3339 time"),
            ("", "--until must be an RFC 3339 time"),
        ],
    )
    def test_an_end_that_is_none(self, until: str, words: str) -> None:
        """It is still to come, and says its time zone."""
        result = clientcert("silence", "nhs-prod", "--until", until, "--reason", "moving house")
        assert (result.exit_code, words in result.stderr) == (2, True)

    @pytest.mark.parametrize("reason", ["", "two\nlines", " padded", "<!channel>", "r" * 257, "turned\u202e"])
    def test_a_reason_that_the_schema_would_refuse(self, reason: str) -> None:
        result = clientcert("silence", "nhs-prod", "--until", "30d", "--reason", reason)
        assert result.exit_code == 2
        assert "--reason must be one line of visible characters" in result.stderr

    @pytest.mark.parametrize(
        "arguments",
        [[], ["--until", "30d"], ["--reason", "moving"], ["--end", "--until", "30d"], ["--end", "--reason", "x"]],
    )
    def test_an_end_and_a_reason_or_none_of_both(self, arguments: list[str]) -> None:
        result = clientcert("silence", "nhs-prod", *arguments)
        assert result.exit_code == 2
        assert "--end" in result.stderr


class TestContact:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "say whom: give --technical, --business or --note"),
            (["--technical", "Jo <jo@acme.example>"], "--technical must be one plain e-mail address"),
            (["--business", "jo@acme.example\nBcc: x@acme.example"], "--business must be one plain e-mail address"),
            (["--technical-name", "Jo of acme.example"], "give the address, too"),
            (
                ["--technical", "a@b.example", "--technical-name", "<jo@acme.example>"],
                "--technical-name must be one line",
            ),
            (["--note", "acme.example" * 100], "--note has more than 1024 characters"),
        ],
    )
    def test_somebody_who_cannot_be_written_to(self, arguments: list[str], words: str) -> None:
        """The words do not repeat what they refuse: they may be kept in a log."""
        result = clientcert("contact", "set", "nhs-prod", *arguments)
        assert result.exit_code == 2
        assert words in result.stderr
        assert "acme.example" not in result.stderr

    def test_a_list_with_lines_that_cannot_be_used(self, tmp_path: Path) -> None:
        """Exit code 3, the first twenty lines, and no cluster was asked."""
        file = tmp_path / "list.csv"
        file.write_text("consumer,technical_email\n" + "".join(f"c{number},@acme.example\n" for number in range(25)))
        result = clientcert("contact", "import", str(file), "--configmap", "clients")
        assert result.exit_code == 3
        lines = result.stderr.splitlines()
        assert lines[0] == "Error: nothing was imported:"
        assert [line.split(":")[0] for line in lines[1:21]] == [f"line {number}" for number in range(2, 22)]
        assert lines[21:] == ["and 5 more"]
        assert "acme.example" not in result.stderr

    def test_a_list_that_is_none(self, tmp_path: Path) -> None:
        """Nobody reads a file of any size to find out."""
        file = tmp_path / "disk.img"
        with file.open("wb") as stream:
            stream.truncate(9 * 1024 * 1024)
        result = clientcert("contact", "import", str(file), "--configmap", "clients")
        assert (result.exit_code, result.stderr) == (
            3,
            "Error: the file is larger than 8 MiB, which is no client list\n",
        )
        assert clientcert("contact", "import", str(tmp_path / "none.csv"), "--configmap", "c").exit_code == 2


class TestForecast:
    @pytest.mark.parametrize("arguments", [["--days", "-1"], ["--days", "367"], ["-A", "-n", "team"], ["-o", "xml"]])
    def test_what_cannot_be_foreseen(self, arguments: list[str]) -> None:
        result = clientcert("forecast", *arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("Usage: clientcert forecast")


VERBS = [
    ["silence", "nhs-prod", "--end"],
    ["contact", "set", "nhs-prod", "--technical", "jo@nhs.example"],
    ["contact", "show", "nhs-prod"],
    ["forecast"],
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_without_a_kubeconfig_no_verb_works(verb: list[str]) -> None:
    """Exit code 1: it is none of the answers that a cluster gives."""
    result = clientcert(*verb)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("content", ["", "[", "apiVersion: v1\nkind: Config\n", "{\x00", "current-context: none\n"])
def test_a_kubeconfig_that_is_none(content: str, tmp_path: Path) -> None:
    """One line that says what to set, and no traceback. A process of its own: the library looks for it but once."""
    file = tmp_path / "kubeconfig"
    file.write_text(content)
    ran = subprocess.run(
        [sys.executable, "-m", "clientcert", "forecast"],
        env={"KUBECONFIG": str(file), "HOME": str(tmp_path), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: the kubeconfig cannot be used: set KUBECONFIG to one")
    assert ran.stderr.count("\n") == 1
