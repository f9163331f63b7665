"""docs/comparison.md: what it says was measured holds, and the versions are those that the tests use."""

import json
import re

from tests.conftest import REPOSITORY
from tests.docs.pages import section
from tools.control_plane.components import required_version

PAGE = REPOSITORY / "docs/comparison.md"
RESULTS = REPOSITORY / "bench/results.json"
_ROW = re.compile(r"^\| (P\d+) \| .+ \| (.+) \|$", re.MULTILINE)


def test_each_bound_is_a_goal_that_holds() -> None:
    """So the page stays true after another bench, or this fails."""
    text, results = section(PAGE, "## Measured beside the script"), json.loads(RESULTS.read_text())
    bounds = [*_ROW.findall(text), ("P3", "≤ 120 MB")]
    assert len(bounds) == 4
    assert "≤ 120 MB for 10,000 certificates (P3)" in text
    for goal, bound in bounds:
        assert results[goal]["holds"]
        assert bound.removesuffix(" faster") in results[goal]["goal"]


def test_the_version_of_cert_manager_is_that_of_the_tests() -> None:
    version = required_version("cert-manager", "github.com/cert-manager/cert-manager")
    assert f"cert-manager {version}," in PAGE.read_text()
