"""docs/runbook.md describes each reason that the operator writes."""

import re
from pathlib import Path

from clientcert.cli.check.advice import ADVICE, OF_CONTACTS
from clientcert.cli.check.finding import Check, CheckReason, Severity
from clientcert.errors import Reason
from tests.conftest import REPOSITORY
from tests.docs.pages import first_column, section

PAGE = REPOSITORY / "docs/runbook.md"
_BEFORE = r'Condition\(\w+, "(?:True|False|Unknown)", |\("(?:True|False)", |Topic\.\w+, |_fact\(record, '
CONTACTS = REPOSITORY / "docs/contacts.md"
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#]*)(?:#[^)]*)?\)")
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


def advice_of(page: Path, text: str) -> dict[str, str]:
    """The last cell of each row, by the reasons in its first cell; a link is the page that it leads to."""
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return {
        reason: _LINK.sub(lambda found: f"{found[1]} (docs/{found[2] or page.name})", cells[2].strip())
        for cells in rows
        for reason in re.findall(r"`(\w+)`", cells[0])
    }


def test_check_gives_the_same_advice() -> None:
    """`clientcert check` says of each condition what these pages say."""
    assert {str(reason): words for reason, words in ADVICE.items()} == advice_of(PAGE, section(PAGE, "## Reasons"))
    of_contacts = advice_of(CONTACTS, section(CONTACTS, "## When nobody is found"))
    del of_contacts["ContactResolved"]
    assert of_contacts == OF_CONTACTS


def test_every_check_and_each_of_its_own_reasons_is_described() -> None:
    rows = first_column(section(REPOSITORY / "docs/cli.md", "## Check"))
    assert sorted(rows) == sorted(each.value for each in (*Check, *CheckReason, *Severity))
