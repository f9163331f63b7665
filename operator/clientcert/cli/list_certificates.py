"""`clientcert list`: what expires, what is silenced, and what a channel could not be told of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import click

from clientcert.api.kinds import CLIENT_CERTIFICATE, moment_or_none
from clientcert.cli.cluster import Cluster, Object, Target, cluster_options
from clientcert.cli.durations import DurationType
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.output import NAME, TABLE, object_name, output_option, print_objects
from clientcert.cli.scope import check_scope
from clientcert.cli.table import printable, to_the_day
from clientcert.lifecycle.phase import Phase

WIDE = "wide"
PENDING = Phase.PENDING.value
"""Also of objects that the operator has not looked at yet."""
GOOD_PHASES = frozenset({Phase.VALID.value, PENDING})
SOON_PHASES = frozenset({Phase.EXPIRING_SOON.value, Phase.NOT_YET_VALID.value})
_BAR, _DAYS_OF_A_CELL = 10, 9
"""A whole bar is 90 days or more; a day or two have one cell."""
_DELIVERED = "Delivered"
_Cell = tuple[str, str]
"""The text, and its colour; empty for none."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One ClientCertificate, as it is filtered and shown; texts are empty where the object has no value."""

    namespace: str
    name: str
    consumer: str
    environment: str
    status: str
    days: int | None
    expires: str
    alerts: str
    """The reason of the condition AlertsDelivered."""
    silenced: str
    owner: str
    source: str
    serial: str
    renewal: str


@dataclass(frozen=True, slots=True)
class Filter:
    """The certificates that are asked for."""

    now: datetime
    expiring_in: timedelta | None
    owner: str | None
    phase: str | None

    def matches(self, found: Listed) -> bool:
        """True if it is shown. What was never read has no date, so it is not among those that expire."""
        if self.owner is not None and found.owner != self.owner:
            return False
        if self.phase is not None and found.status != self.phase:
            return False
        expires = moment_or_none(found.expires)
        return self.expiring_in is None or (expires is not None and expires <= self.now + self.expiring_in)

    @property
    def is_empty(self) -> bool:
        """True if it matches everything."""
        return self.expiring_in is None and self.owner is None and self.phase is None


@click.command("list")
@click.option(
    "--expiring-in",
    type=DurationType(),
    metavar="TIME",
    help="Those that expire within 30d, 12h or 2w, or have expired.",
)
@click.option("--owner", metavar="TEAM", help="Those of this team.")
@click.option(
    "--phase",
    type=click.Choice([phase.value for phase in Phase], case_sensitive=False),
    metavar="STATUS",
    help="Those with this STATUS.",
)
@click.option("-l", "--selector", default="", metavar="LABELS", help="Those with these labels, as in kubectl.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Those of every namespace.")
@output_option(WIDE)
@cluster_options
@click.pass_context
def list_certificates(context: click.Context, /, target: Target, output: str, **options: Any) -> None:
    """List ClientCertificates: the days left, and whether alerts are delivered.

    LEFT is a bar of the days left; a whole one is 90 days or more. ALERTS is the end of a silence, else the reason why
    a channel could not be told. Exits with 3 if no ClientCertificate matches.
    """
    everywhere, selector = options.pop("all_namespaces"), options.pop("selector")
    check_scope(target, everywhere=everywhere)
    wanted, cluster = Filter(now=context.obj["now"](), **options), Cluster.connect(target)
    if output in {TABLE, WIDE, NAME}:
        pages = cluster.tables(CLIENT_CERTIFICATE, everywhere=everywhere, labels=selector)
        shown = _print_rows(map(_of_table, pages), wanted, output, everywhere=everywhere)
    else:
        objects = cluster.list(CLIENT_CERTIFICATE, everywhere=everywhere, labels=selector)
        matching = [each for each in objects if wanted.matches(_of_object(each))]
        print_objects(matching, output)
        shown = len(matching)
    if not shown:
        is_selected = bool(selector) or not wanted.is_empty
        raise no_certificate(cluster, everywhere=everywhere, is_selected=is_selected)


def no_certificate(cluster: Cluster, *, everywhere: bool, is_selected: bool) -> AnswerIsNo:
    """The answer if nothing is found; `is_selected` if not all were asked for."""
    where = "in any namespace" if everywhere else f"in namespace {cluster.namespace}"
    which = "no ClientCertificate matches" if is_selected else "there is no ClientCertificate"
    return AnswerIsNo(f"{which} {where}")


def _print_rows(pages: Iterable[list[Listed]], wanted: Filter, output: str, *, everywhere: bool) -> int:
    """Print each page as it comes; the first one that has rows decides how wide the columns are."""
    shown, widths = 0, list[int]()
    columns = _columns(output, everywhere=everywhere)
    for page in pages:
        found = [each for each in page if wanted.matches(each)]
        shown += len(found)
        if output == NAME:
            lines = [object_name(CLIENT_CERTIFICATE.name, printable(each.name)) for each in found]
        else:
            rows = [[cell(each, wanted.now) for _, cell in columns] for each in found]
            if rows and not widths:
                widths = _widths(columns, rows)
                rows.insert(0, [(heading, "") for heading, _ in columns])
            lines = [_line(row, widths) for row in rows]
        if lines:
            click.echo("\n".join(lines))
    return shown


def _columns(output: str, *, everywhere: bool) -> list[tuple[str, Callable[[Listed, datetime], _Cell]]]:
    def text(name: str) -> Callable[[Listed, datetime], _Cell]:
        return lambda found, _: (printable(str(getattr(found, name))), "")

    return [
        *([("NAMESPACE", text("namespace"))] if everywhere else []),
        *[(name.upper(), text(name)) for name in ("name", "consumer", "environment")],
        ("STATUS", _status),
        ("DAYS", _days),
        ("LEFT", _left),
        ("EXPIRES", text("expires")),
        ("ALERTS", _alerts),
        *([(name.upper(), text(name)) for name in ("owner", "source", "serial", "renewal")] if output == WIDE else []),
    ]


def _status(found: Listed, _: datetime) -> _Cell:
    colour = "" if found.status in GOOD_PHASES else "yellow" if found.status in SOON_PHASES else "red"
    return printable(found.status), colour


def _days(found: Listed, _: datetime) -> _Cell:
    return "" if found.days is None else str(found.days), ""


def _left(found: Listed, _: datetime) -> _Cell:
    if found.days is None or found.days < 0:
        return "", ""
    cells = max(1, min(found.days // _DAYS_OF_A_CELL, _BAR))
    return "#" * cells, "red" if found.days < _DAYS_OF_A_CELL else ""


def _alerts(found: Listed, now: datetime) -> _Cell:
    ends = moment_or_none(found.silenced)
    if ends is not None and ends > now:
        return f"silenced until {to_the_day(ends)}", ""
    return printable(found.alerts), "" if found.alerts in {"", _DELIVERED} else "red"


def _widths(columns: Iterable[tuple[str, Any]], rows: list[list[_Cell]]) -> list[int]:
    return [
        max(len(heading), _BAR if heading == "LEFT" else 0, *(len(row[at][0]) for row in rows))
        for at, (heading, _) in enumerate(columns)
    ]


def _line(cells: Iterable[_Cell], widths: list[int]) -> str:
    padded = [
        click.style(text, fg=colour) + " " * (width - len(text)) if colour else text.ljust(width)
        for (text, colour), width in zip(cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _of_table(page: Object) -> list[Listed]:
    """The rows of a Table: the columns of `kubectl get`, by their names."""
    names = [each["name"].lower().replace(" ", "_") for each in page["columnDefinitions"]]
    return [
        _listed(dict(zip(names, row["cells"], strict=False)), (row.get("object") or {}).get("metadata") or {})
        for row in page.get("rows") or []
    ]


def _listed(cells: dict[str, Any], metadata: Object) -> Listed:
    text = partial(_text, cells)
    days = cells.get("days")
    return Listed(
        namespace=metadata.get("namespace") or "",
        name=text("name"),
        consumer=text("consumer"),
        environment=text("environment"),
        status=text("status") or PENDING,
        days=days if isinstance(days, int) else None,
        expires=text("expires"),
        alerts=text("alerts"),
        silenced=text("silenced_until"),
        owner=text("owner"),
        source=text("source"),
        serial=text("serial"),
        renewal=text("renewal"),
    )


def _of_object(found: Object) -> Listed:
    """The same of a whole object, as far as filters need it."""
    spec, status = found.get("spec") or {}, found.get("status") or {}
    cells = {
        "name": found["metadata"]["name"],
        "status": status.get("phase"),
        "expires": (status.get("expires") or {}).get("time"),
        "owner": spec.get("owner"),
    }
    return _listed(cells, found["metadata"])


def _text(cells: dict[str, Any], name: str) -> str:
    value = cells.get(name)
    return "" if value is None else str(value)
