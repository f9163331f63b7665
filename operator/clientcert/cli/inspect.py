"""`clientcert inspect`: read a file as the operator would, without a cluster."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from clientcert.cli.files import read_file
from clientcert.cli.table import aligned, cut, printable
from clientcert.errors import CertificateError, ClientCertError, SourceError
from clientcert.lifecycle.schedule import days_remaining
from clientcert.lifecycle.source_gap import TEMPORARY, is_temporary
from clientcert.pki.certificate import Certificate, Expiry
from clientcert.pki.distinguished_names import parse_name
from clientcert.pki.identity import ANYONE, Field, Identity
from clientcert.pki.parsing import parse
from clientcert.pki.passwords import decode_password

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
    identity_matches: bool | None = None
    """None if no identity is declared."""

    @property
    def warnings(self) -> list[str]:
        """Warnings about the certificate, a mismatch first."""
        if self.certificate is None:
            return []
        mismatch = TEMPORARY if is_temporary(self.certificate) else self.certificate.identity_mismatch
        return [*([f"the file holds {mismatch}"] if mismatch else []), *self.certificate.warnings]


def _declared(_: click.Context, option: click.Parameter, value: str | None) -> str:
    """The value of a field of the identity; empty if it is not given."""
    if value == "":
        raise click.BadParameter("must not be empty")
    if value and option.name in ("subject_dn", "issuer_dn") and parse_name(value) is None:
        raise click.BadParameter(
            r"must be a DN such as CN=nhs,O=Example\, Inc.,C=GB, with a backslash before , + ; and quotes in a value"
        )
    return value or ""


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
@click.option("--common-name", metavar="CN", callback=_declared, help="Declare a CN; it may be a SAN if there is none.")
@click.option("--dns-name", metavar="NAME", callback=_declared, help="Declare a DNS name.")
@click.option("--uri", metavar="URI", callback=_declared, help="Declare a URI, such as a SPIFFE ID.")
@click.option("--email-address", metavar="ADDRESS", callback=_declared, help="Declare an e-mail address.")
@click.option("--subject-dn", metavar="DN", callback=_declared, help="Declare the subject.")
@click.option("--issuer-dn", metavar="DN", callback=_declared, help="Declare the issuer.")
@click.pass_context
def inspect(
    context: click.Context, /, files: tuple[str, ...], output: str, password_file: Path | None, **declared: str
) -> None:
    """Show the client certificate in each FILE: PEM, DER, PKCS#7, PKCS#12 or JKS; - is standard input.

    With a declared identity, FILE is read as by the operator with the same fields in spec.identity: of several
    certificates, the one that matches is shown, and a warning says what differs if none does.

    Exits with 0 if all files could be read, with 3 if some could not.
    """
    now: datetime = context.obj["now"]()
    password = read_password(password_file) if password_file else None
    identity = Identity.declared("", {field: declared[field.name.lower()] for field in Field})
    inspections = [_inspect(file, password, identity, now) for file in files]
    lines = _json_lines(inspections, now) if output == "json" else _table(inspections, now)
    for line in lines:
        click.echo(line)
    if any(each.error for each in inspections):
        context.exit(NOT_ALL_READABLE)


def read_password(path: Path) -> str:
    """The password in a file; raises click.UsageError."""
    try:
        with path.open("rb") as file:
            return decode_password(file.read(_LONGEST_PASSWORD))
    except OSError:
        raise click.UsageError("the password file cannot be read") from None


def _inspect(file: str, password: str | None, identity: Identity, now: datetime) -> Inspection:
    name = click.format_filename(file)
    try:
        certificate = parse(read_file(file), password=password, identity=identity, now=now)
    except (CertificateError, SourceError) as error:
        return Inspection(name, error=error)
    matches = None if identity == ANYONE else not (certificate.identity_mismatch or is_temporary(certificate))
    return Inspection(name, certificate, identity_matches=matches)


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
            "identityMatches": inspection.identity_matches,
        }
    return document | {"warnings": inspection.warnings}


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
        *(f"{each.file}: {said}" for each in inspections for said in each.warnings),
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
    if certificate.not_before > certificate.not_after or is_temporary(certificate):
        return "Invalid"
    if certificate.expires.time < now:
        return "Expired"
    return "NotYetValid" if certificate.not_before > now else "Valid"
