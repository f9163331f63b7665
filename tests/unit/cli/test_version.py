"""`clientcert version`: each difference has a sentence that says what to do."""

import json

import pytest
from click.testing import CliRunner

from clientcert import __version__
from clientcert.api.installed_kinds import KINDS
from clientcert.cli import cli
from clientcert.cli.version import Installed, differences_of

OWN = "0.2.0"


def kinds(version: str, **others: str) -> dict[str, str]:
    return {kind.plural: version for kind in KINDS} | others


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Installed(kinds(OWN), OWN), []),
        (Installed(kinds(OWN), lease_problem="forbidden"), []),
        (Installed(kinds("0.1.0"), OWN), ["The kinds are older than the operator"]),
        (Installed(kinds(OWN, certificatestores=""), OWN), ["The kinds are older than the operator"]),
        (Installed(kinds("0.3.0"), OWN), ["The kinds are newer than the operator"]),
        (Installed(kinds("0.1.0"), "0.1.0"), ["This program has another version than the operator"]),
        (Installed(kinds("0.3.0"), "0.3.0"), ["This program has another version than the operator"]),
        (Installed(kinds("0.1.0"), lease_problem="forbidden"), ["The kinds are older"]),
        (Installed(kinds(OWN)), ["There is no Lease a-lease in namespace a-namespace"]),
        (Installed(kinds(OWN), ""), ["The Lease names no version"]),
        (Installed({}, OWN), ["No kind is installed"]),
        (Installed({"clientcertificates": OWN}, OWN), ["Some kinds are not installed"]),
        (Installed({}), ["There is no Lease", "No kind is installed"]),
        (
            Installed(kinds("0.1.0"), "0.3.0"),
            ["This program has another version", "The kinds are older than the operator"],
        ),
    ],
)
def test_each_difference_is_said(found: Installed, words: list[str]) -> None:
    """In the order in which a reader corrects them. The operator's version is the one that counts, if it is known."""
    said = differences_of(found, OWN, lease="a-lease", namespace="a-namespace")
    assert len(said) == len(words)
    assert [each for each, expected in zip(said, words, strict=True) if not each.startswith(expected)] == []


def test_a_version_from_the_cluster_cannot_control_the_terminal() -> None:
    [said] = differences_of(Installed(kinds("9\x1b[2J"), "9\x1b[2J"), OWN, lease="", namespace="")
    assert said.isprintable()


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
def test_the_program_alone_needs_no_cluster(output: str) -> None:
    ran = CliRunner().invoke(cli, ["version", "--client", "-o", output], env={"KUBECONFIG": "/nowhere/kubeconfig"})
    assert ran.exit_code == 0
    assert __version__ in ran.stdout
    if output == "json":
        assert json.loads(ran.stdout) == {"client": {"version": __version__}}


def test_without_a_cluster_it_fails() -> None:
    ran = CliRunner().invoke(cli, ["version"], env={"KUBECONFIG": "/nowhere/kubeconfig"})
    assert (ran.exit_code, "the kubeconfig cannot be used" in ran.stderr) == (1, True)
