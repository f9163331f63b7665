"""`clientcert silence`: stop alerts about one certificate, until a time and for a reason."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from clientcert.api.client_list import ONE_LINE, is_one_line
from clientcert.api.kinds import CLIENT_CERTIFICATE, moment, timestamp
from clientcert.cli.cluster import Cluster, Target
from clientcert.cli.completion import certificates
from clientcert.cli.durations import parse_end
from clientcert.cli.table import printable, to_the_minute
from clientcert.cli.write_options import WritingCommand, write_options

LONGEST_REASON = 256


@click.command(cls=WritingCommand)
@click.argument("name", shell_complete=certificates)
@click.option("--until", metavar="TIME", help="When alerts resume: 2026-12-24T00:00:00Z, or 30d, 12h, 2w from now.")
@click.option("--reason", metavar="WORDS", help="Why no alert is needed, e.g. 'being decommissioned'.")
@click.option("--end", is_flag=True, help="End the silence: alerts resume now.")
@write_options
@click.pass_context
def silence(context: click.Context, /, target: Target, name: str, **wanted: Any) -> Iterator[str]:
    """Stop alerts about ClientCertificate NAME, and no other, until a time and for a reason.

    The silence ends by itself. Meanwhile `kubectl get` and the metrics still show the certificate.
    """
    patch = {"spec": {"silence": _silence(context.obj["now"](), **wanted)}}
    yield _result(Cluster.connect(target).patch(CLIENT_CERTIFICATE, name, patch))


def _silence(now: datetime, *, until: str | None, reason: str | None, end: bool) -> dict[str, str] | None:
    """The value of spec.silence, None to end it; raises click.UsageError."""
    if end:
        if until is not None or reason is not None:
            raise click.UsageError("--end takes neither --until nor --reason")
        return None
    if until is None or reason is None:
        raise click.UsageError("a silence needs an end and a reason: give --until and --reason, or --end")
    ends = parse_end("--until", until, now)
    if not is_one_line(reason, LONGEST_REASON):
        raise click.UsageError(f"--reason must be {ONE_LINE}, of at most {LONGEST_REASON} characters")
    return {"until": timestamp(ends), "reason": reason}


def _result(found: dict[str, Any]) -> str:
    metadata, spec = found["metadata"], found["spec"]
    name = printable(f"{metadata['name']} ({spec['consumer']} in {spec['environment']})")
    silenced = spec.get("silence")
    if not silenced:
        return f"{name} is not silenced."
    ends = to_the_minute(moment(silenced["until"]) or datetime.max.replace(tzinfo=UTC))
    return f"{name} is silenced until {ends}: {printable(silenced['reason'])}"
