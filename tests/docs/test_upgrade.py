"""docs/upgrade.md: each command works."""

import pytest

from tests.conftest import REPOSITORY
from tests.docs.commands import run_dry
from tests.docs.pages import blocks, section
from tools.control_plane import ControlPlane
from tools.helm import Helm

PAGE = REPOSITORY / "docs/upgrade.md"
COMMANDS = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_works(control_plane: ControlPlane, helm: Helm, line: str) -> None:
    run_dry(line, helm, control_plane)


def test_going_back_leaves_the_kinds() -> None:
    """No command of that section applies them, or lets Helm do so."""
    commands = [line for line in section(PAGE, "## Go back").splitlines() if line.startswith(("helm", "kubectl"))]
    assert commands
    assert all("--set crds.enabled=false" in line for line in commands)
