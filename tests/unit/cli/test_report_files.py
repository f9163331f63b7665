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
    other = condition("Ready", "False", "Other", text)
    found = certificate("nhs-prod", NOW.replace(year=2027), other, phase="Valid", owner=text)
    found["spec"]["silence"] = {"until": "2099-01-01T00:00:00Z", "reason": text}
    [row] = csv.DictReader(io.StringIO(as_csv(reported([found])), newline=""))
    assert (row["owner"], row["silencedReason"], row["nextStep"]) == (
        f"'{text}",
        f"'{text}",
        f"'{text[:1].upper()}{text[1:]}.",
    )


@pytest.mark.parametrize("separator", [";", "|"])
@pytest.mark.parametrize(
    "text", ["a;=1", "a; =1", 'a;"=1', 'a";=1', 'a"; "=1', "a;;=1", "a|+1", ";\uff1d1", ";=1", '"=1', '";"@x', "a,;-1"]
)
def test_no_cell_is_a_formula_where_another_sign_separates(text: str, separator: str) -> None:
    """A spreadsheet takes the separator of its user's country, and splits a text there."""
    lines = as_csv(reported([certificate("nhs-prod", NOW, phase="Valid", owner=text)]))
    for row in csv.reader(io.StringIO(lines, newline=""), delimiter=separator):
        for cell in row:
            assert cell.lstrip(' "')[:1] not in {"=", "+", "-", "@", "\uff1d"}


@pytest.mark.parametrize("text", ["", "nhs", "1=1", "'=1", "a-b", "CN=nhs", 'say "hello"', "one; two"])
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


def test_permissions_of_a_new_file(tmp_path: Path) -> None:
    """As of any other one; with addresses it is for its owner alone. Earlier permissions stay."""
    before = os.umask(0o027)
    try:
        write_file(str(tmp_path / "report.html"), "one")
        write_file(str(tmp_path / "people.html"), "one", is_private=True)
        (tmp_path / "people.html").chmod(0o644)
        (tmp_path / "report.html").chmod(0o600)
        assert _modes(tmp_path) == {"people.html": 0o644, "report.html": 0o600}
        write_file(str(tmp_path / "new.html"), "one")
        write_file(str(tmp_path / "new people.html"), "one", is_private=True)
        for each in ("report.html", "people.html"):
            write_file(str(tmp_path / each), "two", is_private=True)
    finally:
        os.umask(before)
    assert _modes(tmp_path) == {
        "people.html": 0o644,
        "report.html": 0o600,
        "new.html": 0o640,
        "new people.html": 0o600,
    }


def _modes(directory: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in directory.iterdir()}


def test_the_draft_of_another_process_stays(tmp_path: Path) -> None:
    """In a container, each process may have the same number."""
    drafts = [tmp_path / f".report.html.{os.getpid()}", tmp_path / ".clientcert-x"]
    for each in drafts:
        each.write_text("another's")
    write_file(str(tmp_path / "report.html"), "one")
    assert {each.read_text() for each in drafts} == {"another's"}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_device_is_written_to() -> None:
    """A device is not replaced by a file."""
    write_file(os.devnull, "one")
    assert not Path(os.devnull).is_file()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """By its name, and by the number that a shell gives it: `--output-file >(gzip > report.gz)`."""
    reads, writes = os.pipe()
    write_file(f"/dev/fd/{writes}", "one")
    (tmp_path / "link").symlink_to(f"/dev/fd/{writes}")
    write_file(str(tmp_path / "link"), "two")
    os.close(writes)
    with os.fdopen(reads) as stream:
        assert stream.read() == "onetwo"
    assert (tmp_path / "link").is_symlink()


def test_a_file_that_is_open_already_is_written_to(tmp_path: Path) -> None:
    """As with `--output-file /dev/stdout >> log`: what is there stays."""
    with (tmp_path / "log").open("a") as log:
        log.write("before ")
        log.flush()
        write_file(f"/dev/fd/{log.fileno()}", "one")
        (tmp_path / "log").unlink()
        write_file(f"/proc/self/fd/{log.fileno()}", " two")
        assert Path(f"/dev/fd/{log.fileno()}").read_text() == "before one two"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/report.html", "file/report.html", ".", "loop", "loop/report.html"])
def test_a_file_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("one")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(AnswerIsNo, match=r"cannot be written .*: name another file"):
        write_file(str(tmp_path / name), "two")
    assert {each.name for each in tmp_path.iterdir()} == {"file", "loop"}
