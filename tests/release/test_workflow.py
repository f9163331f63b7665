"""The workflow of a release: what it calls exists, and what it does not need it may not do."""

import re
import shlex
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tools.release.__main__ import parser

TEXT = (REPOSITORY / ".github/workflows/release.yaml").read_text()
WORKFLOW: dict[str, Any] = yaml.safe_load(TEXT)
[JOB] = WORKFLOW["jobs"].values()
CALLS = re.findall(r"python -m tools\.release ([^|\n]*)", "\n".join(step.get("run", "") for step in JOB["steps"]))


def runs() -> list[str]:
    return [step["run"] for step in JOB["steps"] if "run" in step]


def place(words: str) -> int:
    """The place of the only step whose command has these words."""
    [found] = [index for index, step in enumerate(JOB["steps"]) if words in step.get("run", "")]
    return found


@pytest.mark.parametrize("action", re.findall(r"uses: (\S+)", TEXT))
def test_each_action_has_one_version(action: str) -> None:
    assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", action)


def test_no_more_rights_than_needed() -> None:
    assert WORKFLOW["permissions"] == {}
    assert set(JOB["permissions"]) == {"contents", "packages", "id-token", "attestations"}


def test_no_command_is_made_of_text_from_outside() -> None:
    """Expressions are variables, which the shell does not read as commands."""
    assert [command for command in runs() if "${{" in command] == []


def test_a_step_that_fails_ends_the_release() -> None:
    """`bash` has pipefail only if it is named."""
    assert WORKFLOW["defaults"]["run"]["shell"] == "bash"


@pytest.mark.parametrize("call", CALLS)
def test_each_call_of_our_own_tool_is_valid(call: str) -> None:
    assert parser().parse_args(shlex.split(call)).verb


def test_both_lists_are_signed_after_they_were_published() -> None:
    assert [shlex.split(call)[0] for call in CALLS] == ["publish", "plugin", "references", "sboms"]
    assert place(".ci/run") < place("tools.release publish")
    assert place("tools.release plugin") < place("cosign sign-blob") < place("gh release create")


def test_the_checkout_is_tested_and_each_make_target_exists() -> None:
    targets = [target for command in runs() for target in re.findall(r"\bmake (\S+)", command)]
    rules = re.findall(r"^([^#\s:]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert targets
    assert [target for target in targets if target.replace(".venv", "$(VENV)") not in rules] == []
