"""A command imports only the libraries that it needs: others would cost memory, or time at each call."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from clientcert.cli import cli

CLIENT = frozenset({"urllib3"})
"""The libraries of a verb that connects to a cluster."""
OPERATOR = frozenset({"aiohttp", "aiosmtplib", "slack_sdk", "prometheus_client", "uvloop"})
WHEN_NEEDED = frozenset({"aiobotocore", "botocore", "apprise", "jinja2"})
"""Imported by the operator for the first store, and for the first channel of type Apprise; by a report for its page."""
PARSERS = frozenset(("cryptography", "yaml", "msgspec"))
EVERYTHING = CLIENT | OPERATOR | WHEN_NEEDED | PARSERS
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


def test_the_operator_loads_its_own_libraries() -> None:
    """None of those that only some of its objects need, and none of the command line."""
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
        (["check", "--help"], ("cryptography", "yaml")),
        (["import", "s3", "--help"], ("yaml",)),
        (["report", "--help"], ("cryptography", "yaml")),
        (["run", "--help"], ()),
    ],
    ids=" ".join,
)
def test_a_verb_loads_what_it_needs(arguments: list[str], needed: tuple[str, ...]) -> None:
    assert imported(CALL, *arguments) & EVERYTHING == set(needed)


def test_a_verb_that_connects_loads_urllib3_and_nothing_of_the_operator(tmp_path: Path) -> None:
    """Even if no API server answers."""
    kubeconfig = tmp_path / "kubeconfig"
    content = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    kubeconfig.write_text(json.dumps(content))
    found = imported(f"import os; os.environ['KUBECONFIG'] = {str(kubeconfig)!r}\n" + CALL, "list")
    assert found & EVERYTHING == CLIENT | {"yaml"}


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_each_verb_in_the_help_exists(name: str) -> None:
    """The group lists its verbs without importing them."""
    context = click.Context(cli)
    _, verb, rest = cli.resolve_command(context, [name, "--help"])
    assert verb is not None
    assert (verb.name, rest) == (name, ["--help"])
    assert verb is not cli.commands[name]


def test_the_subprocess_for_containers_loads_neither_x509_nor_the_parser() -> None:
    """It is started for each container: what it loads takes longer than to open one."""
    command = [sys.executable, "-I", "-c", "import sys, clientcert.pki.container_formats\nprint(*sys.modules)"]
    found = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert found & {"cryptography.x509", "clientcert.pki.parsing", "clientcert.pki.lenient", "subprocess"} == set()
