"""`clientcert vet`: record that a person verified the consumer's identity."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import click

from clientcert.api.client_list import address_problem
from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cli.cluster import Cluster, Target
from clientcert.cli.completion import certificates
from clientcert.cli.table import printable
from clientcert.cli.write_options import WritingCommand, write_options


@click.command(cls=WritingCommand)
@click.argument("name", shell_complete=certificates)
@click.option("--date", "day", metavar="DATE", help="The day, such as 2026-03-01.  [default: today]")
@click.option("--by", metavar="ADDRESS", help="The mail address of who verified it.  [default: your user name]")
@write_options
@click.pass_context
def vet(context: click.Context, /, target: Target, name: str, day: str | None, by: str | None) -> Iterator[str]:
    """Record that a person has verified the identity of the consumer of ClientCertificate NAME.

    It needs the verb "vet" on clientcertificates. `clientcert renew NAME --reissue` can follow, where a renewal was
    refused.
    """
    vetted = _day(day, context.obj["now"]())
    if by is not None and (problem := address_problem(by)):
        raise click.UsageError(f"--by must be {problem}")
    cluster = Cluster.connect(target)
    if by is None and address_problem(by := cluster.user()):
        raise click.UsageError("your user name is no mail address: give --by")
    patch = {"spec": {"vetting": {"date": vetted.isoformat(), "by": by}}}
    spec = cluster.patch(CLIENT_CERTIFICATE, name, patch)["spec"]
    about = printable(f"{name} ({spec['consumer']} in {spec['environment']})")
    yield f"{about}: the consumer's identity was verified on {printable(spec['vetting']['date'])}."


def _day(text: str | None, now: datetime) -> date:
    today = now.astimezone(UTC).date()
    if text is None:
        return today
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise click.UsageError("--date must be a day such as 2026-03-01") from None
    if found > today:
        raise click.UsageError("--date is in the future: give the day on which the identity was verified")
    return found
