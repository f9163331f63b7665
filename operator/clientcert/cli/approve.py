"""`clientcert approve`: let the certificate of a request be made."""

import re
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

_MAIL = re.compile(r"\W*(?:by |an? |via )*(?:e-?)?mails?\W*", re.IGNORECASE)
_MAIL_PROVES_NOTHING = "a mail proves nothing: confirm the fingerprint by another way, such as a phone call"
_HOW = "By which way other than mail was the key's fingerprint confirmed?"


@click.command(cls=WritingCommand)
@click.argument("request", metavar="ID", callback=request_id, shell_complete=requests)
@click.option("--confirmed-by", metavar="WORDS", help="The way, e.g. 'phone call to the number in our contract'.")
@click.option("--reason", metavar="WORD", help="One word in UpperCamelCase.")
@click.option("--message", metavar="WORDS", help="Why, in words.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@write_options
def approve(target: Target, request: str, confirmed_by: str | None, yes: bool, **words: str | None) -> Iterator[str]:
    """Approve request ID, after a look at what it is about.

    Without a proof of the current key, confirm the fingerprint of the new one with the contact, by another way than
    mail: whoever reads their mail may have sent the request.

    It needs the verb "approve" on certificaterenewals, and for a request of your own the verb "approve-own".
    """
    reason, message = reason_word(words["reason"]), words["message"]
    if message is not None:
        one_line("--message", message, LONGEST_MESSAGE)
    if confirmed_by is not None:
        _way(confirmed_by)
    cluster = Cluster.connect(target)
    review = load_review(cluster, request)
    user = cluster.user()
    if not check_undecided(review, Decision.APPROVE, user):
        cluster.leave(CERTIFICATE_RENEWAL, review.request)
        yield f"Request {request} was approved by you before."
        return
    review.check()
    if (yes or target.writes.is_dry) and confirmed_by is None and not review.is_proved:
        raise click.UsageError("the request has no proof of the current key: give --confirmed-by, too")
    yield from (*review.lines(), "")
    if confirmed_by is None and not review.is_proved:
        confirmed_by = click.prompt(_HOW, value_proc=_way)
    confirm("Approve it, for this key and this recipient?", target, yes=yes)
    said = "; ".join(filter(None, (f"fingerprint confirmed by {confirmed_by}" if confirmed_by else "", message)))
    if len(said) > LONGEST_MESSAGE:
        raise click.UsageError(f"--confirmed-by and --message have more than {LONGEST_MESSAGE} characters together")
    decide(cluster, review, Decision.APPROVE, user, Words(reason, said))
    yield f"Approved. `clientcert retrieve {request} --wait` waits for the certificate."


def _way(text: str) -> str:
    """The way in which the fingerprint was confirmed; raises click.UsageError."""
    if _MAIL.fullmatch(text):
        raise click.UsageError(_MAIL_PROVES_NOTHING)
    return one_line("--confirmed-by", text, LONGEST_MESSAGE)
