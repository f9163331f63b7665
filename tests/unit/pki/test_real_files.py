"""Files as people have them (`tests/cases`): each was made after a public bug report, with a key made for it.

`expected.json` says what must come out if `commonName` is declared: the values, or a reason; what must be spoken of in
the message (`words`) or in a warning (`warningAbout`); and why the file is here (`what`).
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clientcert.cli import cli

NOW = datetime(2026, 11, 28, 20, tzinfo=UTC)
CASES = sorted(each for each in (Path(__file__).parents[2] / "cases").iterdir() if each.is_dir())
VALUES = ("notAfter", "reason", "identityMatches", "expires")


def inspected(case: Path, common_name: str | None) -> dict[str, Any]:
    [file] = [each for each in case.iterdir() if each.name not in ("expected.json", "password")]
    arguments = ["inspect", "-o", "json", str(file)]
    if (case / "password").exists():
        arguments += ["--password-file", str(case / "password")]
    if common_name is not None:
        arguments += ["--common-name", common_name]
    result = CliRunner().invoke(cli, arguments, obj={"now": lambda: NOW})
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    assert result.exit_code == (0 if document["readable"] else 3)
    return document


@pytest.mark.parametrize("case", CASES, ids=lambda each: each.name)
def test_what_is_expected_comes_out(case: Path) -> None:
    """The values or the reason are those of `expected.json`, and the words are spoken of."""
    expected = json.loads((case / "expected.json").read_text())
    document = inspected(case, expected.get("commonName"))
    assert {name: plain(document.get(name)) for name in VALUES if name in expected} == {
        name: expected[name] for name in VALUES if name in expected
    }
    if "words" in expected:
        assert expected["words"].split()[-1] in document["message"]
    if "warningAbout" in expected:
        assert any(expected["warningAbout"] in each for each in document["warnings"])


def plain(value: Any) -> Any:
    """The time alone of a value that has more beside it, as `expires` has the certificate whose date counts."""
    return value["time"] if isinstance(value, dict) else value


def test_there_are_all_of_them() -> None:
    """A case that is lost on the way is noticed."""
    assert len(CASES) == 152
