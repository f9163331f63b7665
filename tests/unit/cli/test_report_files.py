"""A report as CSV and as JSON, and how a file is written."""

import csv
import io
import json
import os
from pathlib import Path

import pytest

from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.files import write_file
from clientcert.cli.report_files import COLUMNS, as_csv, as_json, guarded
from tests.conftest import REPOSITORY
from tests.docs.pages import first_column, section
from tests.unit.cli.report_objects import ADDRESS, NOW, certificate, condition, four, reported

PAGE = REPOSITORY / "docs/cli.md"


def test_a_line_for_each_certificate() -> None:
    text = as_csv(reported(four()))
    assert text.count("\r\n") == text.count("\n") == 5
    first, *rows = csv.reader(io.StringIO(text, newline=""))
    assert tuple(first) == COLUMNS
    found = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    assert [(each["name"], each["days"], each["problems"]) for each in found] == [
        ("court-lists-preprod", "-3", "Expired"),
        ("nhs-prod", "3", "AlertsUndelivered EndsSoon"),
        ("weather-prod", "300", ""),
        ("tribunals-test", "", "NotObserved"),
    ]
    assert found[0]["silencedUntil"] == "2026-12-24T00:00:00Z"
    assert (found[0]["silencedReason"], found[0]["silencedBy"]) == ("being decommissioned", "clientcert")
    assert found[1]["contacts"] == "Jo Bloggs (technical contact)"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\uff1d1", '=HYPERLINK("https://bad.example")', "=cmd|' /C calc'!A0"],
)
def test_no_cell_is_a_formula(text: str) -> None:
    found = certificate("nhs-prod", NOW, condition("Ready", "False", "Other", text), phase="Valid", owner=text)
    found["spec"]["silence"] = {"until": "2099-01-01T00:00:00Z", "reason": text}
    [row] = csv.DictReader(io.StringIO(as_csv(reported([found])), newline=""))
    assert (row["owner"], row["silencedReason"], row["nextStep"]) == (
        f"'{text}",
        f"'{text}",
        f"'{text[:1].upper()}{text[1:]}.",
    )


@pytest.mark.parametrize("text", ["", "nhs", "1=1", "'=1", "a-b", "CN=nhs"])
def test_other_texts_are_as_they_are(text: str) -> None:
    assert guarded(text) == text


def test_quotes_and_line_ends_stay_in_their_cell() -> None:
    text = 'say "hello", now\r\nnext'
    found = certificate("nhs-prod", NOW, phase="Valid", owner=text)
    [row] = csv.DictReader(io.StringIO(as_csv(reported([found])), newline=""))
    assert row["owner"] == 'say "hello", now\\x0d\\x0anext'


def test_the_document() -> None:
    found = json.loads(as_json(reported(four()), {"namespace": "integration", "selector": None}))
    assert (found["time"], found["namespace"]) == ("2026-11-22T09:00:00Z", "integration")
    assert found["counts"] == {
        "certificates": 4,
        "expired": 1,
        "endWithin7Days": 1,
        "endWithin30Days": 1,
        "endWithin90Days": 1,
        "withoutDate": 1,
        "needAttention": 2,
        "silenced": 1,
    }
    assert found["months"][:2] == [
        {"month": "expired", "environments": {"preprod": 1}},
        {"month": "2026-11", "environments": {"prod": 1}},
    ]
    old, soon, good, new = found["certificates"]
    assert old["silenced"] == {"until": "2026-12-24T00:00:00Z", "reason": "being decommissioned", "by": "clientcert"}
    assert [each["kind"] for each in soon["problems"]] == ["AlertsUndelivered", "EndsSoon"]
    assert (good["contacts"], good["problems"]) == ([{"role": "client list", "name": None}], [])
    assert (new["expires"], new["days"], new["status"]) == (None, None, "Pending")


def test_addresses_are_there_only_if_asked_for() -> None:
    without, with_them = reported(four()), reported(four(), contacts=True)
    assert ADDRESS not in as_csv(without) + as_json(without, {})
    assert f"Jo Bloggs <{ADDRESS}> (technical contact)" in as_csv(with_them)
    person = {"role": "technical contact", "name": "Jo Bloggs", "address": ADDRESS}
    assert json.loads(as_json(with_them, {}))["certificates"][0]["contacts"] == [person]


def test_every_field_is_on_the_page() -> None:
    """Other programs rely on them."""
    assert set(first_column(section(PAGE, "### Fields of CSV and JSON"))) == _fields() | set(COLUMNS)


def _fields() -> set[str]:
    """Those of the certificates in the JSON form."""
    report = json.loads(as_json(reported(four(), contacts=True), {"namespace": None, "selector": None}))
    found = set(report["certificates"][0])
    for name in ("problems", "contacts"):
        found |= {f"{name}[].{each}" for entry in report["certificates"] for item in entry[name] for each in item}
    return found | {f"silenced.{each}" for each in report["certificates"][0]["silenced"]} - {"silenced"}


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Its permissions stay, also those of a link's target; nothing else is left behind."""
    target, link = tmp_path / "report.html", tmp_path / "link"
    write_file(str(target), "one")
    target.chmod(0o640)
    link.symlink_to(target)
    write_file(str(link), "zwei ✓")
    assert (target.read_text(encoding="utf-8"), target.stat().st_mode & 0o777) == ("zwei ✓", 0o640)
    assert link.is_symlink()
    assert {each.name for each in tmp_path.iterdir()} == {"report.html", "link"}


def test_a_device_is_written_to(tmp_path: Path) -> None:
    """A pipe or a device is not replaced by a file."""
    write_file(os.devnull, "one")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("name", ["missing/report.html", "file/report.html", "."])
def test_a_file_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("one")
    with pytest.raises(AnswerIsNo, match=r"cannot be written .*: name another file"):
        write_file(str(tmp_path / name), "two")
    assert {each.name for each in tmp_path.iterdir()} == {"file"}
