"""`clientcert contact import`: import a client list from a CSV file, completely or not at all."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from clientcert.api.client_list import ClientList, Listing, render_listing
from clientcert.cli.client_list_file import Row, read_rows
from clientcert.cli.cluster import Cluster, Target
from clientcert.cli.errors import AnswerIsNo, refuse
from clientcert.cli.loading import TAKES_EFFECT
from clientcert.cli.table import aligned, cut, printable
from clientcert.cli.write_options import PlanLine, WritingCommand, write_options
from clientcert.lifecycle.contacts import DirectoryEntry

_LARGEST_FILE = 8 * 1024 * 1024
_NOTHING = "nothing was imported:"


@click.command(name="import", cls=WritingCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--configmap", required=True, metavar="NAME", help="The client list; created if it does not exist.")
@write_options
def import_list(target: Target, file: Path, configmap: str) -> Iterator[str]:
    """Import a client list from the CSV FILE.

    The first line names the columns, in any order: consumer, technical_name, technical_email, business_name,
    business_email, note. Fields without a column and consumers that are not in the file stay unchanged. Nothing is
    imported if a line is invalid, or if the client list has an unreadable entry for its consumer.
    """
    rows = read_client_list(file)
    cluster = Cluster.connect(target)
    before: Mapping[str, str] = {}

    def change(held: Mapping[str, str]) -> Mapping[str, str]:
        nonlocal before
        before = held
        return changes(rows, held)

    cluster.change_config_map(configmap, change)
    done = "Would import" if target.writes.is_dry else "Imported"
    yield from map(PlanLine, _report(rows, before, f"{done} into ConfigMap {configmap}"))
    if changes(rows, before):
        yield TAKES_EFFECT


def changes(rows: list[Row], held: Mapping[str, str]) -> dict[str, str]:
    """The keys to write, with their new values.

    Raises AnswerIsNo if the list has an unreadable entry for one of the consumers: its content may exist nowhere else.
    """
    known = ClientList.of(held)
    refuse(
        _NOTHING,
        [
            f"line {row.line}: {printable(row.consumer)} is in the ConfigMap, key {known.key(row.consumer)}: {problem}"
            for row in rows
            if (problem := known.problem(row.consumer))
        ],
    )
    found = {}
    for row in rows:
        before = known.listing(row.consumer)
        after = _merged(row, before)
        if after != before:
            key = known.key(row.consumer)
            found[key] = render_listing(after, key)
    return found


def _merged(row: Row, before: Listing | None) -> Listing:
    """The entry with the values of the file; fields without a column keep their values."""
    people, note = (before.entry, before.note) if before else (DirectoryEntry(), "")
    return Listing(
        row.consumer,
        DirectoryEntry(
            row.technical if row.has_technical else people.technical,
            row.business if row.has_business else people.business,
        ),
        row.note if row.note is not None else note,
    )


def read_client_list(file: Path) -> list[Row]:
    """The rows of a CSV file; raises AnswerIsNo, which quotes no name and no address."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_FILE + 1)
    except OSError:
        raise click.UsageError("the file cannot be read: check its permissions") from None
    if len(content) > _LARGEST_FILE:
        raise AnswerIsNo("the file is larger than 8 MiB, the limit of a client list")
    rows, problems = read_rows(content)
    refuse(_NOTHING, problems)
    return rows


def _report(rows: list[Row], held: Mapping[str, str], done: str) -> Iterator[str]:
    """The changes by consumer, without names and addresses."""
    known = ClientList.of(held)
    lines = []
    for row in rows:
        before = known.listing(row.consumer)
        after = _merged(row, before)
        if after != before:
            lines.append((cut(printable(row.consumer)), "changed" if before else "new", _changed_fields(before, after)))
    if lines:
        yield from aligned(("CONSUMER", "CHANGE", "WHAT"), lines)
        yield ""
    kept = len(known.consumers - {row.consumer for row in rows})
    new = sum(change == "new" for _, change, _ in lines)
    counts = f"{new} new, {len(lines) - new} changed, {len(rows) - len(lines)} unchanged"
    yield f"{done}: {counts}. Kept, as they are not in the file: {kept}."


def _changed_fields(before: Listing | None, after: Listing) -> str:
    old = before or Listing(after.consumer, DirectoryEntry())
    fields = {
        "technical": (old.entry.technical, after.entry.technical),
        "business": (old.entry.business, after.entry.business),
        "note": (old.note, after.note),
    }
    return ", ".join(name if is_now else f"{name} removed" for name, (was, is_now) in fields.items() if is_now != was)
