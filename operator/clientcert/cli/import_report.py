"""Prints what `clientcert import` has done: a line for each place, and no name or address of a person."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable
from typing import Any

import click

from clientcert.api.discovery import is_address
from clientcert.api.kinds import timestamp
from clientcert.cli.import_lists import about_the_lists
from clientcert.cli.import_options import JSON, ImportOptions
from clientcert.cli.import_plan import Planned, Result
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.cli.table import aligned, cut, printable, to_the_day
from clientcert.pki.visible import quoted

_HEADINGS = ("SOURCE", "RESULT", "OBJECT", "EXPIRES", "WHAT")


def report(
    planned: list[Planned],
    remarks: Iterable[str],
    request: ImportRequest,
    options: ImportOptions,
    directory: ManifestDirectory,
) -> None:
    """Print it; of json, only the objects go to standard output. The directory is as it was before."""
    as_json = options.output == JSON
    lines = map(_document, planned) if as_json else aligned(_HEADINGS, [_row(each) for each in planned])
    for line in (*lines, *([] if as_json else [""])):
        click.echo(line)
    for sentence in (*remarks, *about_the_lists(planned, request), *_summary(planned, options, directory)):
        click.echo(printable(sentence), err=as_json)


def _row(each: Planned) -> tuple[str, ...]:
    found = each.candidate.found
    expires = to_the_day(found.certificate.expires.time) if found else "-"
    place, name, what = each.candidate.place, each.name or "-", each.words or "; ".join(_notes(each))
    return (cut(printable(place)), each.result, cut(printable(name)), expires, printable(what))


def _notes(each: Planned) -> list[str]:
    """The notes for the reader of a manifest that was written."""
    found = each.candidate.found
    if found is None or each.words:
        return []
    notes = [f"changed: {', '.join(each.changes)}"] if each.changes else []
    notes += [f"consumer: {quoted(found.consumer)}"] if found.consumer != found.name else []
    notes += [f"identity.{field}: {_shown(quoted(value))}" for field, value in found.identity]
    if each.silence is not None:
        notes.append(f"silenced until {to_the_day(each.silence.until)}")
    if found.is_authority:
        notes.append("it is the certificate of a CA")
    if found.leaf.has_private_key and each.candidate.source is None:
        notes.append("its private key is left out")
    return notes


def _shown(value: str) -> str:
    """The value of a field of spec.identity, unless it is the address of a person."""
    return "an address, see the file" if is_address(value) else value


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
        "identity": {field.value: _shown(value) for field, value in found.identity} if found else {},
        "changed": each.changes,
        "silencedUntil": timestamp(each.silence.until) if each.silence else None,
        "reason": problem.reason if problem else None,
        "message": problem.message if problem else each.words or None,
    }
    return json.dumps(document)


def _summary(planned: list[Planned], options: ImportOptions, directory: ManifestDirectory) -> list[str]:
    counts = Counter(each.result for each in planned)
    written = sum(counts[each] for each in (Result.NEW, Result.CHANGED, Result.UNCHANGED, Result.KEPT))
    here = {each.file for each in planned if each.result is not Result.UNREADABLE}
    earlier = sum(each.bucket is None and name not in here for name, each in directory.own.items())
    parts = [f"{counts[each]} {each}" for each in Result if counts[each]]
    counted = f"{', '.join(parts)}."
    if not written:
        return [f"{counted} Nothing was written."]
    where = shlex.quote(str(options.out))
    counted += f" Manifests in {where}: {written}."
    counted += f" Others there, of earlier imports: {earlier}." if earlier else ""
    return [counted, f"Read them, then: kubectl apply -k {where}"]
