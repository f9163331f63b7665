"""The words that a shell offers after a part of a call: names from the cluster, and nothing if there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.scenarios import client_certificate

PROGRAM = Path(sys.executable).parent / "clientcert"
PLUGIN = Path(sys.executable).parent / "kubectl_complete-clientcert"


@pytest.fixture
def terminal(team: Team, tmp_path: Path) -> Terminal:
    team.apply(client_certificate("nhs-prod"), client_certificate("nhs-preprod"), client_certificate("weather-prod"))
    return Terminal(team, tmp_path)


def offered(terminal: Terminal, words: str, **environment: str) -> list[str]:
    """The words that bash offers for the last word; a space at the end begins a new one."""
    call = {"_CLIENTCERT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    ran = subprocess.run(
        [PROGRAM],
        env={"PATH": os.defpath, "HOME": str(terminal.directory), "KUBECONFIG": str(terminal.kubeconfig)}
        | call
        | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return [line.partition(",")[2] for line in ran.stdout.splitlines() if line]


def test_names(team: Team, terminal: Terminal) -> None:
    assert offered(terminal, "clientcert silence nhs") == ["nhs-preprod", "nhs-prod"]
    assert offered(terminal, "clientcert contact show ") == ["nhs-preprod", "nhs-prod", "weather-prod"]
    assert offered(terminal, "clientcert silence -n default nhs") == []
    assert team.namespace in offered(terminal, "clientcert list -n ")
    assert offered(terminal, "clientcert list --context clientcert-") == ["clientcert-control-plane"]


def test_verbs_and_options(terminal: Terminal) -> None:
    assert offered(terminal, "clientcert ret") == ["retire", "retrieve"]
    assert "--expiring-in" in offered(terminal, "clientcert list --e")


@pytest.mark.parametrize("words", ["clientcert silence ", "clientcert list -n ", "clientcert list --context "])
def test_without_a_cluster_nothing_is_offered(terminal: Terminal, words: str) -> None:
    """And no error is in the way of the one who types."""
    assert offered(terminal, words, KUBECONFIG="/nowhere") == []


def test_as_a_plugin_of_kubectl(terminal: Terminal) -> None:
    """kubectl asks a program of this name, and is told whether files may follow."""

    def asked(*words: str) -> list[str]:
        environment = {"PATH": os.defpath, "HOME": str(terminal.directory), "KUBECONFIG": str(terminal.kubeconfig)}
        ran = subprocess.run([PLUGIN, *words], env=environment, capture_output=True, text=True, check=True)
        assert ran.stderr == ""
        return ran.stdout.splitlines()

    assert asked("silence", "nhs") == ["nhs-preprod", "nhs-prod", ":4"]
    assert asked("sil") == ["silence\tStop alerts about one certificate until a time.", ":4"]
    assert asked("inspect", "")[-1] == ":0"
    assert asked() == asked("")
    assert len(asked("")) > 10
