"""`clientcert handed-over`: say that the consumer has the certificate, where it was not mailed."""

from collections.abc import Iterator

import click

from clientcert.api.kinds import CERTIFICATE_RENEWAL
from clientcert.cli.cluster import Cluster, Target
from clientcert.cli.completion import requests
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.renewal_request import request_id, state_of
from clientcert.cli.retrieve import certificate_of
from clientcert.cli.write_options import WritingCommand, write_options
from clientcert.lifecycle.renewal.status import State


@click.command(name="handed-over", cls=WritingCommand)
@click.argument("request", metavar="ID", callback=request_id, shell_complete=requests)
@write_options
def handed_over(target: Target, request: str) -> Iterator[str]:
    """Say that the consumer has the certificate of request ID.

    It needs the verb "approve" on certificaterenewals. Then the operator writes the certificate to its source, and the
    alerts about the old one cease.
    """
    cluster = Cluster.connect(target)
    found = cluster.get(CERTIFICATE_RENEWAL, request)
    if found["spec"].get("handedOver"):
        cluster.leave(CERTIFICATE_RENEWAL, found)
    else:
        certificate_of(found)
        if state_of(found) is not State.ISSUED:
            cluster.leave(CERTIFICATE_RENEWAL, found)
            yield f"Request {request} was delivered before: there is nothing left to say."
            return
        patch = {"spec": {"handedOver": {"by": cluster.user()}}}
        try:
            cluster.patch(CERTIFICATE_RENEWAL, request, patch)
        except AnswerIsNo:  # the schema refuses a second one
            again = cluster.get(CERTIFICATE_RENEWAL, request)
            if not again["spec"].get("handedOver"):
                raise
            cluster.leave(CERTIFICATE_RENEWAL, again)
    yield f"Request {request}: the consumer has the certificate. The operator writes it to its source."
