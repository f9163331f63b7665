"""`clientcert retire`: end the overlap of a certificate that was replaced."""

from collections.abc import Iterator
from datetime import datetime

import click

from clientcert.cli.cluster import Cluster, Object, Target
from clientcert.cli.completion import certificates
from clientcert.cli.decision import confirm
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.revocation import (
    Revocable,
    choose,
    current,
    find_certificates,
    is_revoked,
    on_record,
    replaced,
    revoke,
    serial_number,
    summary,
    with_key,
)
from clientcert.cli.table import to_the_minute
from clientcert.cli.write_options import WritingCommand, write_options
from clientcert.lifecycle.renewal.spec import RevocationReason


@click.command(cls=WritingCommand)
@click.argument("name", required=False, shell_complete=certificates)
@click.option("--serial", metavar="HEX", callback=serial_number, help="Which one, if several were replaced.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@write_options
@click.pass_context
def retire(context: click.Context, /, target: Target, name: str | None, serial: str | None, yes: bool) -> Iterator[str]:
    """Let the certificate that was replaced no longer be accepted, for ClientCertificate NAME or by --serial.

    It makes a CertificateRevocation with the reason Superseded, which cannot be undone. The certificate in use is
    revoked by `clientcert revoke` instead.
    """
    if name is None and serial is None:
        raise click.UsageError("give NAME, or --serial")
    cluster = Cluster.connect(target)
    now = context.obj["now"]()
    certificates = find_certificates(cluster, name, serial)
    if serial in {each.serial_number for found in certificates for each in current(found)}:
        raise AnswerIsNo(f"serial number {serial} is in use, and was not replaced: see `clientcert revoke`")
    records = [each for found in certificates for each in on_record(cluster, found, now)]
    if serial is None:
        found = choose(_overlapping(cluster, certificates, now))
    else:
        found = choose([*(each for one in certificates for each in replaced(one)), *records], serial)
    if found is None:
        what = "no certificate that was replaced and is still accepted" if serial is None else f"no record of {serial}"
        raise AnswerIsNo(f"{name or serial}: there is {what}")
    found = with_key(found, records)
    if not yes or target.writes.is_dry:
        yield from summary(found, RevocationReason.SUPERSEDED)
    confirm("Retire it? This cannot be undone", target, yes=yes)
    since = revoke(cluster, found, RevocationReason.SUPERSEDED, now)
    yield f"Serial number {found.serial_number} of {found.consumer} is retired since {to_the_minute(since)}."


def _overlapping(cluster: Cluster, certificates: list[Object], now: datetime) -> Iterator[Revocable]:
    """Those that were replaced, have not ended and are not revoked."""
    for certificate in certificates:
        for each in replaced(certificate):
            if each.not_after > now and not is_revoked(cluster, each):
                yield each
