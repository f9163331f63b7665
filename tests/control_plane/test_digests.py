"""Hundreds of alerts that are due together are one message, and a crash repeats it at most once."""

import re
from collections.abc import Callable

import pytest

from tests.control_plane.operators import Operators
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, client_certificate, in_secret, secret, slack_channel
from tools.slack_server import Posted

MANY = 60
MORE = 500
LONG = 120.0
SLOWLY = 1.0
"""The seconds between two lists of all certificates, which cost the API server more than the operator does."""


def declare(team: Team, count: int, *, days: float = 14, policy: str = "team", **alerts: object) -> None:
    """One certificate for each of many environments of one consumer, and a policy with one channel."""
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy(policy, slack_channel("team", "#team", "slack"), **alerts),
    )
    team.put("nhs", team.issue("nhs", days=days))
    team.apply(*(declared(team, number, policy) for number in range(count)))


def declared(team: Team, number: int, policy: str, **spec: object) -> dict[str, object]:
    return client_certificate(
        f"nhs-{number}",
        consumer=team.consumer("nhs"),
        environment=f"env-{number}",
        source=in_secret("nhs-cert"),
        policyRef={"name": policy},
        **spec,
    )


def posted(team: Team) -> list[Posted]:
    """The messages to the team, about one certificate or many."""
    return [
        message
        for message in tuple(team.slack.messages)
        if not message.thread_ts and any(team.namespace in text for text in [message.text, *message.texts()])
    ]


def recorded(team: Team) -> int:
    """The number of statuses that record the alert of the team."""
    statuses = [item.get("status") or {} for item in team.items("ClientCertificate")]
    channels = [each for status in statuses for each in (status.get("alerts") or {}).get("channels") or ()]
    return sum(channel["name"] == "team" and channel.get("stage") == 14 for channel in channels)


def digests(team: Team) -> list[int]:
    return [digest["certificates"] for digest in team.status("team", "CertificatePolicy").get("digests") or ()]


@pytest.mark.parametrize("count", [MANY, pytest.param(MORE, marks=pytest.mark.soak)])
def test_many_at_once_are_one_message(team: Team, operators: Operators, count: int) -> None:
    """Each is recorded; the message lists as many as fit, and gives the number of the others."""
    declare(team, count)
    with operators.running(team.namespace):
        eventually(lambda: recorded(team), count, LONG, every=SLOWLY)
    [message] = posted(team)
    assert message.text.startswith(f"{count} certificates need attention; the first expires on ")
    shown = "\n".join(message.texts())
    named = shown.count(team.consumer("nhs"))
    assert named >= min(count, 50)
    assert f"… and {count - named} more" in shown or named == count
    assert f"kubectl get clientcertificates --namespace {team.namespace}" in shown
    assert "Jo Bloggs, jo@nhs.example (technical contact)" in shown
    assert digests(team) == [count]
    assert team.condition("nhs-7", "AlertsDelivered") == ("True", "Delivered")


def test_a_few_are_separate_messages(team: Team, operators: Operators) -> None:
    """Up to twenty at once, although the policy has more certificates."""
    declare(team, 3)
    other = team.consumer("later")
    team.put("later", team.issue("later", days=100))
    later = [declared(team, number, "team") for number in range(100, 130)]
    for manifest in later:
        manifest["spec"] |= {"consumer": other, "source": in_secret("later-cert")}  # type: ignore[index]
    team.apply(*later)
    with operators.running(team.namespace):
        eventually(lambda: recorded(team), 3)
    found = [re.findall(r"env-\d+", message.text) for message in posted(team)]
    assert sorted(found) == [["env-0"], ["env-1"], ["env-2"]]


@pytest.mark.parametrize(("group", "messages"), [("Never", 4), ("Batch", 3)])
def test_grouping_follows_the_policy(team: Team, operators: Operators, group: str, messages: int) -> None:
    """Two of the four are in one batch."""
    declare(team, 2, group=group)
    team.apply(*(declared(team, number, "team", batch="2026-spring") for number in (2, 3)))
    with operators.running(team.namespace):
        eventually(lambda: recorded(team), 4)
    assert len(posted(team)) == messages


@pytest.mark.parametrize("count", [MANY, pytest.param(MORE, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("when", "most"),
    [
        pytest.param(lambda team: bool(posted(team)), 2, marks=pytest.mark.soak),
        pytest.param(lambda team: bool(digests(team)), 1, marks=pytest.mark.soak),
        pytest.param(lambda team: recorded(team) > MANY // 3, 1, marks=pytest.mark.soak),
    ],
    ids=("just sent", "recorded in the policy", "recorded by some"),
)
def test_a_crash_repeats_one_message_at_most(
    team: Team, operators: Operators, when: Callable[[Team], bool], most: int, count: int
) -> None:
    """At any moment of the send and its record."""
    declare(team, count)
    process = operators.started(team.namespace)
    until(lambda: when(team), seconds=LONG)
    process.kill()
    with operators.running(team.namespace) as operator:
        until(lambda: operator.metric("clientcert_leader"), seconds=LONG)
        eventually(lambda: recorded(team), count, LONG, every=SLOWLY)
        operator.settle()
    assert 1 <= len(posted(team)) <= most
    assert recorded(team) == count
