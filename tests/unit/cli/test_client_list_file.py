"""A client list as CSV: every form that a spreadsheet saves is read, and an invalid line is named."""

import time as stopwatch

import pytest
import yaml

from clientcert.api.client_list import MOST_KEYS, client_list_key, parse_client_list
from clientcert.cli.client_list_file import Row, read_rows
from clientcert.cli.contact_import import changes
from clientcert.cli.errors import AnswerIsNo
from clientcert.lifecycle.contacts import DirectoryEntry
from clientcert.lifecycle.spec import Person
from tests.builders import RUNAWAY_SECONDS, usable

HEADER = "consumer,technical_name,technical_email,business_name,business_email,note"
NHS = "nhs,Jo Bloggs,jo@nhs.example,Sam Patel,sam@nhs.example,asks first"
JO, SAM = Person("Jo Bloggs", "jo@nhs.example"), Person("Sam Patel", "sam@nhs.example")
ROW = Row(2, "nhs", JO, SAM, "asks first", has_technical=True, has_business=True)


def rows(*lines: str) -> list[Row]:
    """The rows of a valid file."""
    found, problems = read_rows("\n".join(lines).encode())
    assert problems == []
    return found


def problems(*lines: str) -> list[str]:
    """The problems of an invalid file, of which no row is used."""
    found, said = read_rows("\n".join(lines).encode())
    assert found == []
    return said


class TestTolerated:
    @pytest.mark.parametrize(
        "text",
        [
            f"{HEADER}\n{NHS}\n",
            f"\ufeff{HEADER}\r\n{NHS}\r\n",
            f"{HEADER}\n{NHS}\n".replace(",", ";"),
            f"{HEADER}\n{NHS}\n".replace(",", "\t"),
            f"{HEADER.upper()}\n{NHS}",
            f"Consumer, Technical Name, Technical E-Mail, business-name, Business Email ,NOTE\n{NHS}\n",
            f"{HEADER},,\n{NHS},,\n,,,,,,,\n",
            f'{HEADER}\nnhs," Jo\u00a0 Bloggs ","jo@nhs.example",Sam Patel,sam@nhs.example,"asks\nfirst"\n',
        ],
        ids=["plain", "BOM and CRLF", "semicolons", "tabs", "capitals", "spaces", "empty cells", "quotes"],
    )
    def test_the_rows_are_the_same(self, text: str) -> None:
        """In every form in which a spreadsheet may save it."""
        assert read_rows(text.encode()) == ([ROW], [])

    def test_in_any_order_and_with_few_columns(self) -> None:
        """A missing column means nothing."""
        [row] = rows("technical_email,consumer", "jo@nhs.example,nhs")
        assert row == Row(2, "nhs", Person("", "jo@nhs.example"), has_technical=True)


class TestRefused:
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (",Jo,jo@acme.example,,,", "consumer must be one line"),
            ("two <lines>,Jo,jo@acme.example,,,", "consumer must be one line"),
            ("c" * 65 + ",Jo,jo@acme.example,,,", "consumer must be one line"),
            ("acme,Jo,Jo <jo@acme.example>,,,", "technical_email must be one plain e-mail address"),
            ("acme,Jo,jo@acme.example; eve@acme.example,,,", "technical_email must be one plain"),
            ('acme,Jo,"jo@acme.example\nBcc: eve@evil.example",,,', "technical_email must be one plain"),
            ("acme,Jo,,,,", "technical_email must be one plain"),
            ("acme,,,Sam,not an address,", "business_email must be one plain"),
            ("acme,<b>,jo@acme.example,,,", "technical_name must be one line"),
            ("acme,Jo\u202e,jo@acme.example,,,", "technical_name must be one line"),
            ("acme,Jo,jo@acme.example,,,n" + "n" * 1024, "note has more than 1024 characters"),
            ("acme,Jo,jo@acme.example,,,,one too many", "it has more cells than the header has columns"),
            (NHS, "its consumer is already in line 2"),
        ],
    )
    def test_an_invalid_line_is_named_and_no_row_is_used(self, line: str, words: str) -> None:
        """With the reason, and without names and addresses."""
        said = problems(HEADER, NHS, line, "weather,,ops@weather.example,,,")
        assert len(said) == 1
        assert said[0].startswith(f"line 3: {words}")
        assert "acme.example" not in said[0]

    def test_all_invalid_lines_are_named(self) -> None:
        """One attempt shows them all. A cell with a line break counts as two lines."""
        said = problems(HEADER, 'acme,,,,,"two\nlines"', "x,,bad,,,", "y,,worse,,,")
        assert [each.split(":")[0] for each in said] == ["line 4", "line 5"]

    @pytest.mark.parametrize(
        ("header", "words"),
        [
            ("name,technical_email", "line 1: the header must name the columns: consumer, technical_name"),
            ("consumer,note", "line 1: the header must name the columns"),
            ("consumer,technical_email,phone", "line 1: column 3 has an unknown name: use consumer"),
            ("consumer,technical_email,Technical Email", "line 1: a column is named twice"),
            ("", "line 1: the header must name the columns"),
        ],
    )
    def test_an_invalid_header(self, header: str, words: str) -> None:
        """An unknown column is refused, not guessed at."""
        [said] = problems(header, "nhs,jo@nhs.example,")
        assert said.startswith(words)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "line 1: the header must name the columns"),
            (HEADER.encode(), "the file has no rows below its header"),
            ((HEADER + "\n" + NHS).encode("utf-16"), "the file is not UTF-8: save it as CSV UTF-8"),
            (HEADER.encode() + b"\nnhs,J\xf6,j@nhs.example,,,", "the file is not UTF-8"),
            (HEADER.encode() + b'\nnhs,"Jo,jo@nhs.example,,,\n', "the file is not valid CSV"),
            (HEADER.encode() + b"\nnhs," + b"x" * 200_000, "the file is not valid CSV: a cell is too long"),
        ],
    )
    def test_a_file_that_is_no_list(self, content: bytes, words: str) -> None:
        found, said = read_rows(content)
        assert found == []
        assert said[0].startswith(words)

    def test_a_huge_file(self) -> None:
        """A file above the limit of consumers is refused quickly."""
        began = stopwatch.process_time()
        [said] = problems(HEADER, *(f"c{number},,jo@nhs.example,,," for number in range(10_001)))
        assert "more than 10000 consumers" in said
        assert stopwatch.process_time() - began < RUNAWAY_SECONDS


HELD = {
    "nhs": yaml.safe_dump({"technical": {"email": "old@nhs.example"}, "note": "asks first"}),
    "client-7": yaml.safe_dump({"consumer": "acme", "business": {"email": "kim@acme.example"}}),
    "broken": "[",
}


class TestChanges:
    def test_new_and_changed_entries(self) -> None:
        """Each entry keeps its key, and its fields without a column."""
        found = changes(
            rows(
                "consumer,technical_email", "nhs,jo@nhs.example", "acme,ops@acme.example", "NHS England,e@nhs.example"
            ),
            HELD,
        )
        assert len(found) == 3
        entries, wrong = parse_client_list({**HELD, **found})
        assert wrong == ("key broken: it is not a mapping of technical, business and note",)
        assert usable(entries) == {
            "nhs": DirectoryEntry(Person("", "jo@nhs.example")),
            "acme": DirectoryEntry(Person("", "ops@acme.example"), Person("", "kim@acme.example")),
            "NHS England": DirectoryEntry(Person("", "e@nhs.example")),
        }
        assert "asks first" in found["nhs"]

    def test_an_unchanged_entry(self) -> None:
        """It is not written again."""
        wanted = rows(HEADER, NHS, "acme,,,Kim Lee,kim@acme.example,")
        found = changes(wanted, HELD)
        assert set(found) == {"nhs", "client-7"}
        assert changes(wanted, {**HELD, **found}) == {}

    def test_an_empty_cell(self) -> None:
        """It means that there is no such contact."""
        found = changes(rows("consumer,business_email", "acme,"), HELD)
        assert parse_client_list(found)[0] == {"acme": DirectoryEntry()}

    @pytest.mark.parametrize(
        ("consumer", "key"),
        [("acme", "acme"), ("NHS England", client_list_key("NHS England"))],
        ids=["plain", "hashed"],
    )
    def test_an_entry_that_cannot_be_read_is_not_lost(self, consumer: str, key: str) -> None:
        """Its content may exist nowhere else, so nothing is imported, and all such entries are named."""
        held = {key: f"consumer: {consumer}\ntechnical: {{email: ops@acme.example}}\nphone: 020 7946\n", "broken": "["}
        wanted = rows(
            "consumer,technical_email", "nhs,jo@nhs.example", f"{consumer},jo@nhs.example", "broken,j@x.example"
        )
        with pytest.raises(AnswerIsNo) as raised:
            changes(wanted, held)
        first, *said = raised.value.message.splitlines()
        assert first == "nothing was imported:"
        assert [line.rpartition(": it ")[0] for line in said] == [
            f"line 3: {consumer} is in the ConfigMap, key {key}",
            "line 4: broken is in the ConfigMap, key broken",
        ]
        assert said[0].endswith("it has a field other than consumer, technical, business, note: correct or remove it")
        assert not [word for word in ("020", "ops@", "jo@") if word in raised.value.message]

    def test_an_unreadable_entry_of_another_consumer_is_ignored(self) -> None:
        assert set(changes(rows("consumer,technical_email", "new,jo@nhs.example"), HELD)) == {"new"}

    def test_a_key_beyond_the_limit(self) -> None:
        """The operator reads the first 10,000 keys; the others are not overwritten either."""
        held = {f"c{number:05d}": "" for number in range(MOST_KEYS + 1)}
        with pytest.raises(AnswerIsNo, match=r"line 2: c10000 is in .* more than 10000 keys"):
            changes(rows("consumer,technical_email", "c10000,jo@nhs.example"), held)
