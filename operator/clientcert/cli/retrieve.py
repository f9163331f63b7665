"""`clientcert retrieve`: show a request, and collect the certificate that it brought."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from clientcert.api.kinds import CERTIFICATE_RENEWAL, moment
from clientcert.cli import waiting
from clientcert.cli.bundle import files, write
from clientcert.cli.cluster import Cluster, Object, Target, cluster_options
from clientcert.cli.completion import requests
from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.next_step import next_step, refusal, waits_for
from clientcert.cli.output import TABLE, output_option, print_objects
from clientcert.cli.renewal_request import HANDED_OUT, NEGATIVE, request_id, state_of
from clientcert.cli.table import aligned, cut, printable, to_the_minute
from clientcert.delivery.pkcs7 import certificates_only

PEM, PKCS7, BUNDLE = "pem", "pkcs7", "bundle"
_POLL_SECONDS = 2.0


@click.command()
@click.argument("request", metavar="ID", callback=request_id, shell_complete=requests)
@click.option("--wait", is_flag=True, help="Wait until the certificate is there, or the request is refused.")
@click.option(
    "--timeout", default="10m", callback=waiting.seconds, metavar="DURATION", help="Of --wait.  [default: 10m]"
)
@output_option(PEM, PKCS7, BUNDLE)
@click.option("--to", type=click.Path(path_type=Path), metavar="PATH", help="Of -o bundle: a new directory or .zip.")
@cluster_options
@click.pass_context
def retrieve(context: click.Context, /, target: Target, request: str, output: str, **options: Any) -> None:
    """Show request ID, or collect its certificate with -o pem, pkcs7 or bundle.

    pem: the certificate and its chain. pkcs7: the same as PKCS#7. bundle: with the private key that the operator made,
    encrypted to the consumer, and the commands that open it.

    Exits with 3 if it was refused, denied or has ended, with 1 if there is no certificate yet.
    """
    if options["to"] and output != BUNDLE:
        raise click.UsageError("--to goes with -o bundle")
    cluster = Cluster.connect(target)
    found = cluster.get(CERTIFICATE_RENEWAL, request)
    if options["wait"] and not _is_decided(found):
        pauses = waiting.Pauses(context.obj["now"], context.obj["sleep"], _POLL_SECONDS)
        found = _wait(cluster, request, pauses.within(options["timeout"]))
    if output in (PEM, PKCS7, BUNDLE):
        _collect(found, output, options["to"])
        return
    if output == TABLE:
        _show(found)
    else:
        print_objects([found], output)
    if state_of(found) in NEGATIVE:
        raise AnswerIsNo(refusal(found))


def certificate_of(found: Object) -> str:
    """The certificate and its chain, as PEM; raises AnswerIsNo or Failed if there is none."""
    if state_of(found) in NEGATIVE:
        raise AnswerIsNo(refusal(found))
    pem = (found.get("status") or {}).get("certificate")
    if not pem or state_of(found) not in HANDED_OUT:
        name = found["metadata"]["name"]
        raise Failed(f"request {name} has no certificate yet, it waits: {waits_for(found)}. --wait waits for it")
    return str(pem)


def _collect(found: Object, output: str, to: Path | None) -> None:
    pem = certificate_of(found)
    if output == BUNDLE:
        place = to or Path(found["metadata"]["name"])
        for name in write(place, files(found, pem)):
            click.echo(name)
        return
    click.echo(pem if output == PEM else certificates_only(pem), nl=False)


def _is_decided(found: Object) -> bool:
    return state_of(found) in NEGATIVE | HANDED_OUT


def _wait(cluster: Cluster, request: str, pauses: Iterable[None]) -> Object:
    """Ask after each pause; a moment without an answer does not end it. Raises Failed at the end of the time."""
    found, problem = None, None
    for _ in pauses:
        try:
            found, problem = cluster.get(CERTIFICATE_RENEWAL, request), None
        except Failed as error:
            problem = error
            continue
        if _is_decided(found):
            return found
    if problem is not None:
        raise problem
    what = waits_for(found) if found else "nothing was asked"
    raise Failed(f"request {request} has no certificate yet, it still waits: {what}")


def _show(found: Object) -> None:
    status = found.get("status") or {}
    issuance = status.get("issuance") or {}
    ends = moment(issuance.get("notAfter"))
    row = (
        found["metadata"]["name"],
        found["spec"]["certificateRef"]["name"],
        state_of(found).value,
        cut(printable(status.get("waitsFor") or "")) or "-",
        printable(issuance.get("serialNumber") or "") or "-",
        to_the_minute(ends) if ends else "-",
    )
    for line in aligned(("REQUEST", "CERTIFICATE", "STATE", "WAITS FOR", "SERIAL", "EXPIRES"), [row]):
        click.echo(line)
    if state_of(found) not in NEGATIVE:
        click.echo(f"\n{next_step(found)}")
