"""Show what the checks have found."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from clientcert.cli.check.finding import Finding, NotMade, Outcome, Severity, Subject
from clientcert.cli.table import printable

_INDENTED = " " * 9
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTICE: "blue"}


def document(outcome: Outcome, objects: int, skipped: list[str]) -> str:
    """Everything as one JSON object; `objects` is the number of objects that were checked."""
    content = {
        "objects": objects,
        "findings": [_finding(each) for each in outcome.findings],
        "notChecked": [_not_made(each) for each in outcome.not_made],
        "skipped": skipped,
    }
    return json.dumps(content)


def lines(outcome: Outcome, objects: int, *, with_namespaces: bool) -> Iterator[str]:
    """The same for people: three lines for each finding, and one for each check that could not be made."""
    for each in outcome.findings:
        severity = click.style(each.severity.value, fg=_COLOURS[each.severity])
        padding = " " * (len(_INDENTED) - len(each.severity.value))
        place = f" ({each.subject.file})" if each.subject.file and each.subject.kind != "File" else ""
        named = f"{_named(each.subject, with_namespaces=with_namespaces)}{place}: {each.reason}"
        yield severity + padding + printable(named)
        yield _INDENTED + printable(_sentence(each.message))
        yield _INDENTED + printable(each.action)
        yield ""
    for missing in outcome.not_made:
        yield printable(f"Not checked: {missing.what}: {missing.why}.")
    if not outcome.faults and not outcome.not_made:
        yield f"Nothing to correct: {counted(objects, 'object was', 'objects were')} checked."


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many}"


def _named(subject: Subject, *, with_namespaces: bool) -> str:
    is_elsewhere = with_namespaces and subject.namespace
    return f"{subject.kind} {f'{subject.namespace}/' if is_elsewhere else ''}{subject.name}"


def _sentence(text: str) -> str:
    """With a capital letter, unless it begins with the name of a field."""
    begin = text[:1].upper() if text.partition(" ")[0].isalpha() else text[:1]
    return begin + text[1:].rstrip(".") + "."


def _finding(each: Finding) -> dict[str, Any]:
    return {
        "severity": each.severity.value,
        "check": each.check.value,
        **asdict(each.subject),
        "reason": str(each.reason),
        "message": each.message,
        "action": each.action,
    }


def _not_made(each: NotMade) -> dict[str, Any]:
    return {
        "check": each.check.value,
        "what": each.what,
        "why": each.why,
        "right": asdict(each.right) if each.right else None,
    }
