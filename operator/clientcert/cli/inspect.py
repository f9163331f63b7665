"""`clientcert inspect`: read a file as the operator would, without a cluster."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from clientcert.cli.table import aligned, cut, printable
from clientcert.errors import CertificateError, ClientCertError, Reason, SourceError
from clientcert.lifecycle.schedule import days_remaining
from clientcert.pki import MAX_SIZE, Certificate, Expiry, decode_password, parse

STDIN = "-"
NOT_ALL_READABLE = 3
"""The exit code for "the answer is no" (design section 8)."""
_LONGEST_PASSWORD = 4096
_HEADINGS = ("FILE", "STATUS", "DAYS", "EXPIRES", "SUBJECT", "ISSUER", "SERIAL NUMBER", "KEY", "FORMAT")


@dataclass(frozen=True, slots=True)
class Inspection:
    """One file, with either its certificate or the reason why it cannot be read."""

    file: str
    certificate: Certificate | None = None
    error: ClientCertError | None = None


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option(
    "-o",
    "--output",
    type=click.Choice(("table", "json")),
    default="table",
    help="json: one object per line, for each file.",
)
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    help="A file with the password of PKCS#12 files and Java keystores.",
)
@click.pass_context
def inspect(context: click.Context, files: tuple[str, ...], output: str, password_file: Path | None) -> None:
    """Show the client certificate in each FILE: PEM, DER, PKCS#7, PKCS#12 or JKS; - is standard input.

    Exits with 0 if all files could be read, with 3 if some could not.
    """
    now: datetime = context.obj["now"]()
    password = _read_password(password_file) if password_file else None
    inspections = [_inspect(file, password) for file in files]
    lines = _json_lines(inspections, now) if output == "json" else _table(inspections, now)
    for line in lines:
        click.echo(line)
    if any(each.error for each in inspections):
        context.exit(NOT_ALL_READABLE)


def _read_password(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return decode_password(file.read(_LONGEST_PASSWORD))
    except OSError:
        raise click.UsageError("the password file cannot be read") from None


def _inspect(file: str, password: str | None) -> Inspection:
    name = click.format_filename(file)
    try:
        return Inspection(name, parse(_read(file), password=password))
    except (CertificateError, SourceError) as error:
        return Inspection(name, error=error)


def _read(file: str) -> bytes:
    """The content, up to one octet more than `parse` accepts; raises SourceError."""
    try:
        if file == STDIN:
            return sys.stdin.buffer.read(MAX_SIZE + 1)
        with Path(file).open("rb") as stream:
            return stream.read(MAX_SIZE + 1)
    except FileNotFoundError:
        raise SourceError(Reason.SOURCE_NOT_FOUND, "the file does not exist") from None
    except PermissionError:
        raise SourceError(Reason.ACCESS_DENIED, "you have no permission to read this file") from None
    except IsADirectoryError:
        raise SourceError(Reason.SOURCE_UNAVAILABLE, "this is a directory: name a file") from None
    except OSError:
        raise SourceError(Reason.SOURCE_UNAVAILABLE, "the file could not be read") from None


def _json_lines(inspections: Iterable[Inspection], now: datetime) -> Iterable[str]:
    for each in inspections:
        yield json.dumps(_document(each, now))


def _document(inspection: Inspection, now: datetime) -> dict[str, Any]:
    certificate, error = inspection.certificate, inspection.error
    document: dict[str, Any] = {"file": inspection.file, "readable": certificate is not None}
    if error is not None:
        document |= {"reason": error.reason.value, "message": error.message}
    if certificate is not None:
        document |= {
            "format": certificate.container_format,
            "subject": certificate.subject_dn,
            "issuer": certificate.issuer_dn,
            "serialNumber": f"{certificate.serial_number:x}",
            "fingerprintSHA256": certificate.fingerprint_sha256,
            "notBefore": _rfc3339(certificate.not_before),
            "notAfter": _rfc3339(certificate.not_after),
            "expires": _rfc3339(certificate.expires.time),
            "endsFirst": _ends_first(certificate.ends_first),
            "daysRemaining": days_remaining(certificate.expires.time, now),
        }
    return document | {"warnings": list(certificate.warnings) if certificate else []}


def _ends_first(first: Expiry | None) -> dict[str, str] | None:
    if first is None:
        return None
    names = {"subject": first.subject_dn, "serialNumber": first.serial_number}
    return {**names, "fingerprintSHA256": first.fingerprint_sha256, "notAfter": _rfc3339(first.time)}


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _table(inspections: list[Inspection], now: datetime) -> Iterable[str]:
    """A line for each certificate; below them a line for each unreadable file and each warning."""
    rows = [_row(each.file, each.certificate, now) for each in inspections if each.certificate]
    if rows:
        yield from aligned(_HEADINGS, rows, right=("DAYS",))
    remarks = [
        *(f"{each.file}: {each.error.reason}: {each.error.message}" for each in inspections if each.error),
        *(f"{each.file}: {said}" for each in inspections if each.certificate for said in each.certificate.warnings),
    ]
    if rows and remarks:
        yield ""
    yield from map(printable, remarks)


def _row(file: str, certificate: Certificate, now: datetime) -> tuple[str, ...]:
    cells = (
        _status(certificate, now),
        str(days_remaining(certificate.expires.time, now)),
        f"{certificate.expires.time.isoformat(sep=' ', timespec='minutes').removesuffix('+00:00')} UTC",
        certificate.subject_dn,
        certificate.issuer_dn,
        f"{certificate.serial_number:x}",
        certificate.key_algorithm,
        certificate.container_format,
    )
    return (printable(file), *(cut(printable(cell)) or "-" for cell in cells))


def _status(certificate: Certificate, now: datetime) -> str:
    if certificate.not_before > certificate.not_after:
        return "Invalid"
    if certificate.expires.time < now:
        return "Expired"
    return "NotYetValid" if certificate.not_before > now else "Valid"
