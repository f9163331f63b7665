"""A command imports only the libraries that it needs: others would cost memory, or time at each call."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import click
import pytest

from clientcert.cli import cli

OFFICIAL_CLIENT = frozenset({"kubernetes", "pydantic", "pydantic_core", "requests", "oauthlib", "websocket", "google"})
"""The `kubernetes` package, and some packages that only it depends on."""
OPERATOR = frozenset({"aiohttp", "aiosmtplib", "slack_sdk", "prometheus_client", "uvloop"})
WHEN_NEEDED = frozenset({"aiobotocore", "botocore", "apprise"})
"""Imported by the operator for the first store, and for the first channel of type Apprise."""
PARSERS = frozenset(("cryptography", "yaml", "msgspec"))
EVERYTHING = OFFICIAL_CLIENT | OPERATOR | WHEN_NEEDED | PARSERS
CALL = """
import contextlib, io, sys
from clientcert.__main__ import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""


def imported(code: str, *arguments: str) -> set[str]:
    """The top-level packages that a process has imported after it ran this code."""
    command = [sys.executable, "-c", f"{code}\nprint(*sys.modules)", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return {module.partition(".")[0] for module in ran.stdout.split()}


def test_the_operator_does_not_load_the_official_client() -> None:
    """Nor pydantic, which comes with it. The client is installed for the command line."""
    found = imported("import sys, clientcert.app")
    assert found & EVERYTHING == OPERATOR | PARSERS


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], ()),
        (["--version"], ()),
        (["inspect", "--help"], ("cryptography",)),
        (["inspect", "/nowhere/client.pem"], ("cryptography",)),
        (["forecast", "--help"], ("cryptography", "yaml", "msgspec")),
        (["run", "--help"], ()),
    ],
    ids=" ".join,
)
def test_a_verb_loads_what_it_needs(arguments: list[str], needed: tuple[str, ...]) -> None:
    assert imported(CALL, *arguments) & EVERYTHING == set(needed)


def test_a_verb_that_connects_loads_the_client() -> None:
    """Even if there is no cluster to connect to."""
    found = imported("import os; os.environ['KUBECONFIG'] = '/nowhere/kubeconfig'\n" + CALL, "forecast")
    assert found >= {"kubernetes", "pydantic"}


def test_without_the_client_a_verb_says_what_to_install(tmp_path: Path) -> None:
    """The image has no such package."""
    code = """
import pathlib, sys
installed, without = pathlib.Path(sys.argv.pop(1)), pathlib.Path(sys.argv.pop(1))
for each in installed.iterdir():
    if not each.name.startswith("kubernetes"):
        (without / each.name).symlink_to(each)
sys.path = [str(without) if path == str(installed) else path for path in sys.path]
from clientcert.__main__ import main
main()
"""
    command = [sys.executable, "-c", code, sysconfig.get_path("purelib"), tmp_path, "forecast"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.strip() == (
        "Error: this verb needs the Python package kubernetes, which is not installed here: "
        "install clientcert-operator with its extra `cli`"
    )


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_each_verb_in_the_help_exists(name: str) -> None:
    """The group lists its verbs without importing them."""
    context = click.Context(cli)
    _, verb, rest = cli.resolve_command(context, [name, "--help"])
    assert verb is not None
    assert (verb.name, rest) == (name, ["--help"])
    assert verb is not cli.commands[name]
