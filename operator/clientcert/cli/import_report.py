"""Prints what `clientcert import` has done: a line for each place, and no name or address of a person."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable
from typing import Any

import click

from clientcert.api.kinds import timestamp
from clientcert.cli.import_options import JSON, ImportOptions
from clientcert.cli.import_plan import Planned, Result
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.table import aligned, cut, printable, to_the_day
from clientcert.pki.visible import quoted

_HEADINGS = ("SOURCE", "RESULT", "OBJECT", "EXPIRES", "WHAT")


def report(planned: list[Planned], remarks: Iterable[str], request: ImportRequest, options: ImportOptions) -> None:
    """Print it; of json, only the objects go to standard output."""
    as_json = options.output == JSON
    lines = map(_document, planned) if as_json else aligned(_HEADINGS, [_row(each) for each in planned])
    for line in (*lines, *([] if as_json else [""])):
        click.echo(line)
    for sentence in (*remarks, *_about_the_lists(planned, request), *_summary(planned, options)):
        click.echo(printable(sentence), err=as_json)


def _row(each: Planned) -> tuple[str, ...]:
    found = each.candidate.found
    expires = to_the_day(found.certificate.expires.time) if found else "-"
    place, name, what = each.candidate.place, each.name or "-", each.words or "; ".join(_notes(each))
    return (cut(printable(place)), each.result, cut(printable(name)), expires, printable(what))


def _notes(each: Planned) -> list[str]:
    """What a reader has to know of a manifest that was written."""
    found = each.candidate.found
    if found is None or each.words:
        return []
    notes = [f"consumer: {quoted(found.consumer)}"] if found.consumer != found.name else []
    notes += [f"identity.{field}: {quoted(value)}" for field, value in found.identity]
    if each.silence is not None:
        notes.append(f"silenced until {to_the_day(each.silence.until)}")
    if found.is_authority:
        notes.append("it is the certificate of a CA")
    if found.leaf.has_private_key and each.candidate.source is None:
        notes.append("its private key is left out")
    return notes


def _document(each: Planned) -> str:
    candidate, found, problem = each.candidate, each.candidate.found, each.candidate.problem
    document: dict[str, Any] = {
        "source": candidate.place,
        "namespace": candidate.namespace,
        "result": each.result,
        "consumer": found.consumer if found else candidate.folder or None,
        "object": each.name or None,
        "file": each.file or None,
        "expires": timestamp(found.certificate.expires.time) if found else None,
        "identity": {field.value: value for field, value in found.identity} if found else {},
        "silencedUntil": timestamp(each.silence.until) if each.silence else None,
        "reason": problem.reason if problem else None,
        "message": problem.message if problem else each.words or None,
    }
    return json.dumps(document)


def _about_the_lists(planned: list[Planned], request: ImportRequest) -> list[str]:
    """What of the lists of the call has no certificate here."""
    names = {each.candidate.folder for each in planned}
    for each in planned:
        if (found := each.candidate.found) is not None:
            names |= {found.name, found.consumer}
    here = [word for word in request.words if word.environment == request.environment]
    lost = [str(word) for word in here if word.consumer not in names]
    sentences = [f"No certificate is called as the list of --ignored says: {', '.join(lost)}."] if lost else []
    if others := [str(word) for word in request.words if word not in here]:
        sentences.append(f"Ignored words of other environments: {', '.join(others)}.")
    if unknown := sum(consumer not in names for consumer in request.rows):
        sentences.append(f"Consumers of the client list without a certificate here: {unknown}.")
    return sentences


def _summary(planned: list[Planned], options: ImportOptions) -> list[str]:
    counts = Counter(each.result for each in planned)
    written = sum(counts[each] for each in (Result.NEW, Result.CHANGED, Result.UNCHANGED, Result.KEPT))
    parts = [f"{counts[each]} {each}" for each in Result if counts[each]]
    counted = f"{', '.join(parts)}."
    if not written:
        return [f"{counted} Nothing was written."]
    where = shlex.quote(str(options.out))
    return [f"{counted} Manifests in {where}: {written}.", f"Read them, then: kubectl apply -k {where}"]
