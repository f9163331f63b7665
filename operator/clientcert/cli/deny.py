"""`clientcert deny`: decide that a request brings no certificate."""

from collections.abc import Iterator

import click

from clientcert.api.kinds import CERTIFICATE_RENEWAL
from clientcert.cli.cluster import Cluster, Target
from clientcert.cli.completion import requests
from clientcert.cli.decision import LONGEST_MESSAGE, Words, check_undecided, confirm, decide, load_review
from clientcert.cli.one_line import one_line, reason_word
from clientcert.cli.renewal_request import request_id
from clientcert.cli.write_options import WritingCommand, write_options
from clientcert.lifecycle.renewal.spec import Decision


@click.command(cls=WritingCommand)
@click.argument("request", metavar="ID", callback=request_id, shell_complete=requests)
@click.option("--reason", metavar="WORD", help="One word in UpperCamelCase.")
@click.option("--message", metavar="WORDS", help="Why, in words. The contact reads them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@write_options
def deny(target: Target, request: str, yes: bool, **words: str | None) -> Iterator[str]:
    """Deny request ID, for good. Give --reason or --message.

    It needs the verb "approve" on certificaterenewals.
    """
    reason, message = reason_word(words["reason"]), words["message"] or ""
    if message:
        one_line("--message", message, LONGEST_MESSAGE)
    if not reason and not message:
        raise click.UsageError("give --reason or --message: those who asked want to know why")
    cluster = Cluster.connect(target)
    review = load_review(cluster, request)
    user = cluster.user()
    if not check_undecided(review, Decision.DENY, user):
        cluster.leave(CERTIFICATE_RENEWAL, review.request)
        yield f"Request {request} was denied by you before."
        return
    if not yes or target.writes.is_dry:
        yield from (*review.lines(), "")
    confirm("Deny it?", target, yes=yes)
    decide(cluster, review, Decision.DENY, user, Words(reason, message))
    yield "Denied. The same may be asked again, as a new request."
