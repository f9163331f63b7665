"""Nothing is imported that the called command has no use for: it would cost memory, or time at each call."""

import subprocess
import sys

import click
import pytest

from clientcert.cli import cli

OFFICIAL_CLIENT = frozenset({"kubernetes", "pydantic", "pydantic_core", "requests", "oauthlib", "websocket", "google"})
"""The `kubernetes` package, and some of those that come with it alone."""
OPERATOR = frozenset({"kopf", "aiohttp", "aiosmtplib", "slack_sdk", "prometheus_client", "uvloop"})
WHEN_NEEDED = frozenset({"aiobotocore", "botocore", "apprise"})
"""The operator imports them for the first store, and for the first channel of type Apprise."""
PARSERS = frozenset({"cryptography", "yaml", "orjson"})
EVERYTHING = OFFICIAL_CLIENT | OPERATOR | WHEN_NEEDED | PARSERS
CALL = """
import contextlib, io, sys
from clientcert.__main__ import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""


def imported(code: str, *arguments: str) -> set[str]:
    """The packages, by their top-level names, that a process has imported after this code."""
    command = [sys.executable, "-c", f"{code}\nprint(*sys.modules)", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return {module.partition(".")[0] for module in ran.stdout.split()}


def test_the_operator_does_not_load_the_official_client() -> None:
    """Nor pydantic, which comes with it; kopf would import both because the command line has them installed."""
    found = imported("import sys, clientcert.app")
    assert found & EVERYTHING == OPERATOR | PARSERS


def test_kopf_alone_may_not_have_the_client_either() -> None:
    """A later import of the client works: it is hidden from kopf, and from nobody else."""
    found = imported("import sys, clientcert.handlers.kopf_registry")
    assert found & (OFFICIAL_CLIENT | {"kopf"}) == {"kopf"}
    found = imported("import sys, clientcert.handlers.kopf_registry, kubernetes.client")
    assert found >= {"kopf", "kubernetes"}


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["inspect", "--help"], {"cryptography"}),
        (["inspect", "/nowhere/client.pem"], {"cryptography"}),
        (["forecast", "--help"], {"cryptography", "yaml", "orjson"}),
        (["run", "--help"], set()),
    ],
    ids=" ".join,
)
def test_a_verb_loads_what_it_needs(arguments: list[str], needed: set[str]) -> None:
    assert imported(CALL, *arguments) & EVERYTHING == needed


def test_the_client_is_loaded_by_a_verb_that_connects() -> None:
    """Also where there is no cluster to connect to."""
    found = imported("import os; os.environ['KUBECONFIG'] = '/nowhere/kubeconfig'\n" + CALL, "forecast")
    assert found >= {"kubernetes", "pydantic"}


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_each_verb_in_the_help_is_there(name: str) -> None:
    """The help of the group shows a line of its own for each verb, as it does not import them."""
    context = click.Context(cli)
    _, verb, rest = cli.resolve_command(context, [name, "--help"])
    assert verb is not None
    assert (verb.name, rest) == (name, ["--help"])
    assert verb is not cli.commands[name]
