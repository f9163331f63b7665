"""Many certificates that are due at once in one channel, and their digests."""

import re

from clientcert.alerting.groups import MOST_SINGLE_MESSAGES
from tests.faults.scenario import POLICY, TEAM, World
from tests.scenarios import in_secret
from tools.slack_server import Posted

MANY = 30
"""More than are sent as separate messages, and few enough for each to have a line."""
_MANY_IN_WORDS = re.compile(r"(\d+) certificates need attention")


def many_are_due(world: World) -> None:
    """They enter their last month on the same morning."""
    world.policy(TEAM)
    issued = world.issue("everybody", days=14)
    world.team.put("everybody", issued)
    spec = {"identity": {"commonName": world.team.consumer("everybody")}, "source": in_secret("everybody-cert")}
    for number in range(MANY):
        world.declare(f"c{number}", issued, channels=(TEAM,), **spec)


def digests(world: World) -> list[Posted]:
    """The messages to the team about many certificates."""
    team = world.team.namespace
    return [each for each in tuple(world.workspace.messages) if any(team in text for text in each.texts())]


def recorded(world: World) -> list[int]:
    """The number of certificates in each digest that the policy records."""
    return [each["certificates"] for each in world.team.status(POLICY, "CertificatePolicy").get("digests") or ()]


def sizes(world: World) -> list[int]:
    """The number of certificates in each message. On a busy machine a few may be too late for the digest."""
    found = [_MANY_IN_WORDS.match(each.text) for each in digests(world)]
    return [int(match[1]) if match else 1 for match in found]


def all_are_in_one_message(world: World, *, again: bool = False, within: float = 40.0) -> None:
    """All are in one message, which arrived twice if `again`; the certificates record it."""
    world.all_is_delivered(within, repeats=MANY * again)
    assert max(sizes(world)) > MOST_SINGLE_MESSAGES
    assert world.audit.duplicates in (sizes(world) if again else [0])
