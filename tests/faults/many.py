"""Many certificates that are due at once in one channel, and the digests that tell of them."""

import re

from clientcert.alerting.grouping import MOST_SINGLE_MESSAGES
from tests.faults.scenario import POLICY, TEAM, World
from tests.scenarios import in_secret
from tools.slack_server import Posted

MANY = 30
"""More than go as messages of their own, and few enough for each to have a line."""
_MANY_IN_WORDS = re.compile(r"(\d+) certificates need attention")


def many_are_due(world: World) -> None:
    """They enter their last month on one morning."""
    world.policy(TEAM)
    issued = world.issue("everybody", days=14)
    world.team.put("everybody", issued)
    spec = {"identity": {"commonName": world.team.consumer("everybody")}, "source": in_secret("everybody-cert")}
    for number in range(MANY):
        world.declare(f"c{number}", issued, channels=(TEAM,), **spec)


def digests(world: World) -> list[Posted]:
    """What was said to the team; each of them tells of many."""
    team = world.team.namespace
    return [each for each in tuple(world.workspace.messages) if any(team in text for text in each.texts())]


def recorded(world: World) -> list[int]:
    """Of how many the policy says that they were told, digest by digest."""
    return [each["certificates"] for each in world.team.status(POLICY, "CertificatePolicy").get("digests") or ()]


def sizes(world: World) -> list[int]:
    """Of how many each message tells. On a busy machine a few may be seen too late for the digest."""
    found = [_MANY_IN_WORDS.match(each.text) for each in digests(world)]
    return [int(match[1]) if match else 1 for match in found]


def all_are_told_at_once(world: World, *, again: bool = False, within: float = 40.0) -> None:
    """In one message, which has come twice if `again`; the certificates say so."""
    world.all_is_told(within, repeats=MANY * again)
    assert max(sizes(world)) > MOST_SINGLE_MESSAGES
    assert world.audit.duplicates in (sizes(world) if again else [0])
