"""docs/runbook.md describes each reason that the operator writes."""

import re

from clientcert.errors import Reason
from tests.conftest import REPOSITORY
from tests.docs.pages import first_column, section

PAGE = REPOSITORY / "docs/runbook.md"
_BEFORE = r'Condition\(\w+, "(?:True|False|Unknown)", |\("(?:True|False)", |Topic\.\w+, |_fact\(record, '
REASON_IN_CODE = re.compile(rf'(?:{_BEFORE})"([A-Z]\w+)"')


def test_each_reason_of_the_closed_list_has_a_row() -> None:
    """Each reason has a meaning and an action, and there is no row for an unknown reason."""
    assert sorted(first_column(section(PAGE, "## Reasons"))) == sorted(reason.value for reason in Reason)


def test_each_row_says_what_to_do() -> None:
    rows = [line.split("|")[1:-1] for line in section(PAGE, "## Reasons").splitlines() if line.startswith("| `")]
    assert [cells[0] for cells in rows if len(cells) != 3 or not all(cell.strip() for cell in cells)] == []


def test_every_other_reason_that_the_code_writes_is_there_too() -> None:
    folders = ("lifecycle", "cache", "controllers", "alerting", "messages", "notifiers")
    files = [path for folder in folders for path in (REPOSITORY / "operator/clientcert" / folder).rglob("*.py")]
    written = {reason for path in files for reason in REASON_IN_CODE.findall(path.read_text())}
    assert written >= {"Expiring", "Renewed", "Read", "Polled", "PrivateKeysFound"}
    text = PAGE.read_text()
    assert sorted(reason for reason in written if f"`{reason}`" not in text) == []
