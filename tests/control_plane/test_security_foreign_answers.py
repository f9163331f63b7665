"""The text of a foreign server is repeated nowhere: not in status, Events, metrics or the log."""

import json
from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.control_plane.buckets import running_proxy
from tests.control_plane.operators import Operators
from tests.control_plane.team import OUR_KINDS, Team
from tests.control_plane.waiting import until
from tests.scenarios import (
    Manifest,
    certificate_policy,
    certificate_store,
    in_store,
    secret,
    slack_channel,
    slack_webhook,
    store_credentials,
)
from tools.control_plane import S3Server
from tools.slack_server import Fault

CANARY = "Canary 7f3a of a foreign server"
ERROR = f"<Error><Code>{{code}}</Code><Message>{CANARY}</Message><Resource>{CANARY}</Resource></Error>"
LISTING = f"<ListBucketResult><Name>{CANARY}</Name><Contents><Key>{CANARY}</Key>"

ANSWERS: dict[str, tuple[int, str]] = {
    "denied": (403, ERROR.format(code="AccessDenied")),
    "a-strange-code": (400, ERROR.format(code=CANARY)),
    "no-bucket": (404, ERROR.format(code="NoSuchBucket")),
    "broken": (500, CANARY),
    "moved": (301, ERROR.format(code="PermanentRedirect")),
    "a-page": (200, f"<html><title>{CANARY}</title>"),
    "a-broken-list": (200, LISTING),
    "teapot": (418, CANARY),
}
"""Status and body of a bucket's server, by bucket."""


async def say(request: web.Request) -> web.Response:
    """The answer from ANSWERS; the canary is also in every header that is read."""
    status, body = ANSWERS[request.path.split("/")[1]]
    headers = dict.fromkeys(("ETag", "Location", "x-amz-bucket-region", "Retry-After", "Server"), CANARY)
    return web.Response(status=status, text=body, headers=headers)


@pytest.fixture
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a server that only claims to be S3."""
    with S3Server.start(tmp_path_factory.mktemp("s3")) as server, running_proxy(server) as proxy:
        proxy.behaviour = say
        yield proxy.endpoint


def stores(endpoint: str) -> list[Manifest]:
    return [
        store_credentials("credentials", "access-key", "secret-key"),
        *(certificate_store(bucket, bucket, endpoint, "credentials") for bucket in ANSWERS),
    ]


def everything_visible(team: Team, metrics: str, log: str) -> dict[str, str]:
    """Every output of the operator, by its kind."""
    return {
        "statuses": json.dumps([item.get("status") for kind in OUR_KINDS for item in team.items(kind)]),
        "Events": json.dumps(team.items("Event")),
        "metrics": metrics,
        "log": log,
    }


def test_no_text_of_a_bucket_is_repeated(team: Team, operators: Operators, endpoint: str) -> None:
    """Errors, pages, lists and headers, of LIST and of GET: only a reason and our own message are visible."""
    team.apply(*stores(endpoint))
    for bucket in ANSWERS:
        team.declare(bucket, source=in_store(bucket, "nhs.pem"))
    with operators.running(team.namespace, settings={"CLIENTCERT_LOG_LEVEL": "debug"}) as operator:
        for bucket in ANSWERS:
            until(lambda bucket=bucket: team.words(bucket, "Ready", of="CertificateStore"))
            until(lambda bucket=bucket: team.words(bucket, "SourceReadable"))
        said = everything_visible(team, operator.get("/metrics")[1], operator.process.log_text())
    assert [where for where, text in said.items() if "Canary" in text or " 7f3a" in text] == []


@pytest.mark.parametrize(
    "fault",
    [Fault.error(CANARY), Fault.http(403, CANARY), Fault.http(500, CANARY), Fault.http(200, f"<html>{CANARY}")],
    ids=["a strange code", "403", "500", "a page"],
)
def test_no_text_of_slack_is_repeated(team: Team, operators: Operators, fault: Fault) -> None:
    """By bot and by webhook; nor of a server that only claims to be Slack."""
    channels = slack_channel("bot", "#team", "slack"), slack_webhook("hook", "slack")
    team.apply(secret("slack", token=team.slack.tokens[1], url=team.slack.webhook_url("#on-call")))
    team.apply(certificate_policy("both", *channels))
    team.hand_out("nhs", days=20, policyRef={"name": "both"})
    team.slack.fail_always(fault, place="#team")
    team.slack.fail_always(fault, place="#on-call")
    with operators.running(team.namespace, settings={"CLIENTCERT_LOG_LEVEL": "debug"}) as operator:
        operator.settle()
        said = everything_visible(team, operator.get("/metrics")[1], operator.process.log_text())
    assert [where for where, text in said.items() if "Canary" in text or " 7f3a" in text] == []
    assert team.notified("nhs", "#team") == []
