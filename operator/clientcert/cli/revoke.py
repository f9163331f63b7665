"""`clientcert revoke`: let a certificate no longer be accepted, at once and for a reason."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cli import revocation
from clientcert.cli.cluster import Cluster, Object, Target
from clientcert.cli.completion import certificates
from clientcert.cli.decision import confirm
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.revocation import Revocable, choose, current, in_file, on_record, replaced, summary, with_key
from clientcert.cli.table import printable, to_the_minute
from clientcert.cli.write_options import WritingCommand, write_options
from clientcert.lifecycle.renewal.spec import RevocationReason

_IN_USE = (
    "It is the certificate in use: the consumer is cut off at once. It cannot be renewed. Verify who they are, and"
    " record it with `clientcert vet {name}`; then `clientcert renew {name} --reissue` asks for one with a new key."
)
_NOT_BARRED = "Its key is not on record, so nothing stops it from being certified again: give --certificate FILE"


@click.command(cls=WritingCommand)
@click.argument("name", shell_complete=certificates)
@click.option(
    "--reason",
    required=True,
    type=click.Choice([each.value for each in RevocationReason], case_sensitive=False),
    metavar="REASON",
    help=f"One of {', '.join(RevocationReason)}.",
)
@click.option("--serial", metavar="HEX", callback=revocation.serial_number, help="[default: the one in use]")
@click.option("--certificate", "file", metavar="FILE", type=click.Path(allow_dash=True), help="If it is not on record.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@write_options
@click.pass_context
def revoke(context: click.Context, /, target: Target, name: str, yes: bool, **options: Any) -> Iterator[str]:
    """Let a certificate of ClientCertificate NAME no longer be accepted: the one in use, or another by --serial.

    It makes a CertificateRevocation, from which CRL and gateway list are made, and which cannot be undone. A key
    revoked for KeyCompromise is never certified again.
    """
    reason = RevocationReason(options["reason"])
    now: datetime = context.obj["now"]()
    cluster = Cluster.connect(target)
    certificate = cluster.get(CLIENT_CERTIFICATE, name)
    found = _find(cluster, certificate, now, **options)
    in_use = found.serial_number in {each.serial_number for each in current(certificate)}
    unbarred = reason is RevocationReason.KEY_COMPROMISE and not found.key_hash
    if not yes or target.writes.is_dry:
        yield from summary(found, reason)
        if in_use:
            yield f"\n{_IN_USE.format(name=name)}"
    if unbarred:
        click.echo(f"Warning: {_NOT_BARRED}.", err=True)
    confirm("Revoke it? This cannot be undone", target, yes=yes)
    since = revocation.revoke(cluster, found, reason, now)
    yield printable(f"Serial number {found.serial_number} of {found.consumer} is revoked since {to_the_minute(since)}.")
    if in_use and yes:
        yield _IN_USE.format(name=name)


def _find(cluster: Cluster, certificate: Object, now: datetime, **options: Any) -> Revocable:
    name, serial = certificate["metadata"]["name"], options["serial"]
    if options["file"]:
        found = choose([in_file(certificate, options["file"], now)], serial)
        if found is None:
            raise AnswerIsNo(f"the certificate in {printable(options['file'])} has another serial number")
        return found
    records = on_record(cluster, certificate, now)
    if serial is None:
        found = choose(current(certificate))
    else:
        found = choose([*current(certificate), *replaced(certificate), *records], serial)
    if found is None:
        what = "a certificate" if serial is None else f"serial number {serial}"
        raise AnswerIsNo(f"{name}: {what} is not on record, with its issuer and end: give --certificate FILE")
    return with_key(found, records)
