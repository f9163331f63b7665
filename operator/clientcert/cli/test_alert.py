"""`clientcert test-alert`: have the operator send a test through every channel, and print what became of it."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import click

from clientcert.api.alert_test import LONGEST_TO, TO, VALUE
from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE, Kind, timestamp
from clientcert.cli import waiting
from clientcert.cli.cluster import Cluster, Object, Target
from clientcert.cli.completion import certificates, policies
from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.table import aligned, printable
from clientcert.cli.write_options import WritingCommand, write_options
from clientcert.lifecycle.alert_test import SENT

_POLL_SECONDS = 1.0


def _address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and (len(value) > LONGEST_TO or not value.isprintable() or "@" not in value.strip("@")):
        raise click.UsageError("--to must be one e-mail address")
    return value


@click.command("test-alert", cls=WritingCommand)
@click.argument("name", required=False, shell_complete=certificates)
@click.option(
    "--policy", metavar="P", help="Test the channels of CertificatePolicy P, with an example.", shell_complete=policies
)
@click.option(
    "--to", callback=_address, metavar="ADDRESS", help="Where letters go, instead of to the replyTo of their channels."
)
@click.option(
    "--wait",
    "seconds",
    default="60s",
    callback=waiting.seconds,
    metavar="DURATION",
    help="How long to wait for the outcome.  [default: 60s]",
)
@write_options
@click.pass_context
def test_alert(
    context: click.Context, /, target: Target, name: str | None, policy: str | None, **options: Any
) -> Iterator[str]:
    """Have the operator send a test through every channel of ClientCertificate NAME, or of a policy.

    The operator sends it once, at most one a minute in a namespace. It is marked as a test, and counts as no alert. A
    letter never goes to the contact: it goes to the channel's replyTo, or to --to, if the operator's setting
    CLIENTCERT_MAIL_DOMAINS names its domain.

    Exits with 3 if a channel could not be told, with 1 if the outcome is not known in time.
    """
    if (name is None) == (policy is None):
        raise click.UsageError("give NAME or --policy")
    kind, called = (CLIENT_CERTIFICATE, name) if name is not None else (CERTIFICATE_POLICY, policy or "")
    cluster = Cluster.connect(target)
    value = f"{timestamp(context.obj['now']())}-{secrets.token_hex(4)}"
    cluster.patch(kind, called, {"metadata": {"annotations": {VALUE: value, TO: options["to"]}}})
    if target.writes.is_dry:
        return
    pauses = waiting.Pauses(context.obj["now"], context.obj["sleep"], _POLL_SECONDS)
    found = _wait(partial(_test, cluster, kind, called, value), pauses.within(options["seconds"]))
    channels = [_row(each) for each in found.get("channels") or ()]
    yield from aligned(("CHANNEL", "TYPE", "OUTCOME", "REASON"), [row[:4] for row in channels])
    failed = [row for row in channels if row[2] != SENT]
    if failed:
        raise AnswerIsNo("\n".join(f"channel {row[0]}: {row[4]}" for row in failed))


def _test(cluster: Cluster, kind: Kind, name: str, value: str) -> Object:
    """The part of the status about this test; empty until there is any. Raises ClickException if it is replaced."""
    found = cluster.get(kind, name)
    test = (found.get("status") or {}).get("test") or {}
    if test.get("value") == value:
        return dict(test)
    if (found["metadata"].get("annotations") or {}).get(VALUE) != value:
        words = "somebody has changed the annotation meanwhile, so the outcome of this test is not known"
        raise click.ClickException(f"{words}: see status.test, or ask again")
    return {}


def _wait(ask: Callable[[], Object], pauses: Iterable[None]) -> Object:
    """Ask until the test is over; a moment without an answer does not end it. Raises Failed at the end of the time."""
    told, problem = "", None
    found: Object = {}
    for _ in pauses:
        try:
            found, problem = ask(), None
        except Failed as error:
            problem = error
            continue
        if found.get("endTime"):
            return found
        due = found.get("dueTime") or told
        if due != told:
            told = due
            click.echo(f"It waits until {printable(due)}: there is one test a minute in a namespace.", err=True)
    if problem is not None:
        raise problem
    raise Failed(_unfinished(found))


def _unfinished(found: Object) -> str:
    if found.get("dueTime"):
        return (
            f"the test still waits for its minute, {printable(found['dueTime'])}: see status.test, or wait for longer"
        )
    if found.get("time"):
        return "the test was begun, and its outcome is not known yet: see status.test"
    return (
        "the operator has not begun the test: `clientcert version` shows whether one runs, and it serves its namespaces"
    )


def _row(found: Object) -> tuple[str, str, str, str, str]:
    name, kind, outcome, reason, message = (
        printable(str(found.get(each) or "")) for each in ("name", "type", "outcome", "reason", "message")
    )
    return name, kind, outcome, reason or "-", message
