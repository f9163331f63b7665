"""Read a client list from a CSV file of a spreadsheet: with a header, any usual separator, with or without a BOM."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from clientcert.api.client_list import (
    LONGEST_CONSUMER,
    LONGEST_NAME,
    LONGEST_NOTE,
    MOST_KEYS,
    ONE_LINE,
    address_problem,
    is_one_line,
)
from clientcert.lifecycle.spec import Person

COLUMNS = ("consumer", "technical_name", "technical_email", "business_name", "business_email", "note")
_SEPARATORS = ",;\t"
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class Row:
    """One consumer in the file."""

    line: int
    consumer: str
    technical: Person | None = field(default=None, repr=False)
    business: Person | None = field(default=None, repr=False)
    note: str | None = field(default=None, repr=False)
    """None if the file has no such column."""
    has_technical: bool = False
    has_business: bool = False
    """True if the file has such columns; an empty cell then means that there is no such contact."""

    @property
    def has_people(self) -> bool:
        """True if it names anybody."""
        return self.technical is not None or self.business is not None


def read_rows(content: bytes) -> tuple[list[Row], list[str]]:
    """All rows, or the problems of the file by line; a problem quotes no name and no address."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return [], ["the file is not UTF-8: save it as CSV UTF-8"]
    rows: dict[str, Row] = {}
    problems: list[str] = []
    try:
        cells = _records(text)
        header, wrong = _header(next(cells, (1, []))[1])
        if wrong:
            return [], [f"line 1: {wrong}"]
        for line, record in cells:
            row, wrong = _row(line, header, record)
            if row is not None and row.consumer in rows:
                wrong = f"its consumer is already in line {rows[row.consumer].line}"
            if wrong:
                problems.append(f"line {line}: {wrong}")
            elif row is not None:
                rows[row.consumer] = row
    except csv.Error:
        return [], ["the file is not valid CSV: a cell is too long, or a quotation mark is missing"]
    if len(rows) > MOST_KEYS:
        problems.append(f"the file has more than {MOST_KEYS} consumers, the limit of a client list")
    if not rows and not problems:
        problems.append("the file has no rows below its header")
    return ([], problems) if problems else ([*rows.values()], [])


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The first line of each record, and its cells with white space normalised; empty records are skipped."""
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_SEPARATORS, key=first.count), strict=True)
    line = 1
    for record in reader:
        cells = [" ".join(cell.split()) for cell in record]
        if any(cells):
            yield line, cells
        line = reader.line_num + 1


def _header(cells: list[str]) -> tuple[list[str], str]:
    """The columns, and the problem with them; `Technical E-Mail` is `technical_email`."""
    names = [_BETWEEN_WORDS.sub("_", cell.lower().replace("e-mail", "email")) for cell in cells]
    while names and not names[-1]:
        names.pop()
    if "consumer" not in names or not {"technical_email", "business_email"} & set(names):
        return [], f"the header must name the columns: {', '.join(COLUMNS)}; at least consumer and one e-mail"
    if unknown := [number for number, name in enumerate(names, start=1) if name not in COLUMNS]:
        return [], f"column {unknown[0]} has an unknown name: use {', '.join(COLUMNS)}"
    if len(set(names)) != len(names):
        return [], "a column is named twice"
    return names, ""


def _row(line: int, header: list[str], record: list[str]) -> tuple[Row | None, str]:
    """The row, or the problem with it."""
    if any(record[len(header) :]):
        return None, "it has more cells than the header has columns"
    cells = dict(zip(header, record, strict=False))
    consumer = cells.get("consumer", "")
    if not is_one_line(consumer, LONGEST_CONSUMER):
        return None, f"consumer must be {ONE_LINE}, of at most {LONGEST_CONSUMER} characters"
    people: dict[str, Person | None] = {}
    for role in ("technical", "business"):
        name, email = cells.get(f"{role}_name", ""), cells.get(f"{role}_email", "")
        if (name or email) and (problem := address_problem(email)):
            return None, f"{role}_email must be {problem}"
        if name and not is_one_line(name, LONGEST_NAME):
            return None, f"{role}_name must be {ONE_LINE}, of at most {LONGEST_NAME} characters"
        people[role] = Person(name, email) if email else None
    note = cells.get("note", "") if "note" in header else None
    if note and len(note) > LONGEST_NOTE:
        return None, f"note has more than {LONGEST_NOTE} characters"
    has_technical, has_business = "technical_email" in header, "business_email" in header
    return Row(line, consumer, people["technical"], people["business"], note, has_technical, has_business), ""
