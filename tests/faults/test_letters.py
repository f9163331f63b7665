"""Letters that are sent once, for a batch or an escalation, during an outage of the mail server, and a crash."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.control_plane.waiting import until
from tests.faults.arrivals import CONSUMER, refusing_connections, resolve_email
from tests.faults.delivery_audit import Key
from tests.faults.scenario import TEAM, World, row
from tests.faults.test_mail import BOTH, JO, SAM, TO_CONSUMER, sends
from tools.mail_server import LoopbackMailServer, Received

pytestmark = pytest.mark.slow

BATCH, HOSTS = "spring", {"first": 20, "later": 45, "last": 300}
ESCALATED = f"{CONSUMER}/business"
"""The channel of a policy that sends escalations to the business contact by mail."""
DAYS_IN_VAIN = 8
SLOW_SECONDS = 8.0
NEVER_SECONDS = 600.0


@dataclass(frozen=True)
class SingleLetter:
    """A letter that is sent once."""

    recipient: str
    declare: Callable[[World, LoopbackMailServer], None]
    """Sets up the letter, which the next operator sends."""
    besides: Callable[[World], bool]
    """True if everything that is due at the same time is recorded."""
    recorded: Callable[[World], bool]
    """True if each certificate records the letter."""

    def sent(self, mail: LoopbackMailServer) -> list[Received]:
        return [each for each in tuple(mail.mails) if each.recipient == self.recipient]


def of_a_batch(world: World, mail: LoopbackMailServer) -> None:
    """Of three host certificates the first one has entered its last month."""
    letter = Key(BATCH, "", 30, CONSUMER)
    mail.on_mail = lambda _: world.audit.delivered.update([letter])
    world.audit.due.add(letter)
    world.policy(TO_CONSUMER)
    for name, days in HOSTS.items():
        world.hand_out(name, days=days, channels=(), profile="Host", batch=BATCH, contact={"requester": JO})


def of_an_escalation(world: World, mail: LoopbackMailServer) -> None:
    """The technical contact and the team were notified eight days ago, without effect."""

    def note(received: Received) -> None:
        channel = CONSUMER if received.recipient == JO["email"] else ESCALATED
        world.arrivals.append(resolve_email(received)._replace(channel=channel))

    mail.on_mail = note
    world.policy(TEAM, TO_CONSUMER, escalateAfterDays=DAYS_IN_VAIN - 1)
    world.hand_out("nhs", days=14, channels=(TEAM, CONSUMER), contact=BOTH)
    world.operator_starts(elected=False)
    world.all_is_delivered()
    world.operator_stops()
    assert [each.recipient for each in mail.mails] == [JO["email"]]
    for _ in range(DAYS_IN_VAIN):
        world.a_day_passes()


def team_is_recorded(world: World) -> bool:
    """The status records the alert of the last day."""
    stage: object = world.team.channel("nhs", TEAM).get("stage")
    return stage == 14 - DAYS_IN_VAIN


def is_recorded(*names: str, channel: str = CONSUMER) -> Callable[[World], bool]:
    """True if the statuses of all of them record it."""
    return lambda world: all(world.team.channel(name, channel).get("lastSentTime") for name in names)


LETTERS = {
    "batch": SingleLetter(JO["email"], of_a_batch, lambda _: True, is_recorded(*HOSTS)),
    "escalation": SingleLetter(
        SAM["email"], of_an_escalation, team_is_recorded, is_recorded("nhs", channel=f"{CONSUMER}/business")
    ),
}


@row(12, "the mail server is away for two days when a batch's letter or an escalation is due")
@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_the_mail_server_is_unavailable_for_days(world: World, mail: LoopbackMailServer, letter: SingleLetter) -> None:
    """It stays due over the restarts, and is sent once."""
    letter.declare(world, mail)
    with refusing_connections(mail):
        for _ in range(2):
            world.operator_starts()
            until(lambda: sends(world, "retried"))
            world.operator_stops()
            world.a_day_passes()
        world.operator_starts()
        until(lambda: sends(world, "retried"))
    world.is_fixed()
    world.all_is_delivered()
    until(lambda: letter.recorded(world))
    world.operator_stops()
    world.operator_starts().settle()
    assert len(letter.sent(mail)) == 1


@row(7, "killed when the mail server has taken a batch's letter or an escalation, and when the policy says so")
@pytest.mark.parametrize(
    ("name", "moment", "times"),
    [("batch", "taken", 2), ("batch", "in the policy", 1), ("escalation", "taken", 2)],
)
def test_a_kill(world: World, mail: LoopbackMailServer, name: str, moment: str, times: int) -> None:
    """Without a record it is sent again, as the same mail; it is never left out."""
    letter = LETTERS[name]
    letter.declare(world, mail)
    has_come = block_at(world, mail, letter, moment)
    world.operator_starts(elected=False)
    until(lambda: has_come() and letter.besides(world))
    world.operator_is_killed()
    mail.behave()
    world.fault_ends()
    world.operator_starts(elected=False)
    world.all_is_delivered(repeats=2)
    until(lambda: letter.recorded(world))
    world.operator.settle()
    assert len(letter.sent(mail)) == times
    assert len({each.message["Message-ID"] for each in letter.sent(mail)}) == 1


def block_at(world: World, mail: LoopbackMailServer, letter: SingleLetter, moment: str) -> Callable[[], bool]:
    """Block all progress beyond this moment; return a function that tells if it was reached."""
    if moment == "taken":
        mail.delay("DATA", SLOW_SECONDS)
        return lambda: bool(letter.sent(mail))
    held: list[str] = []

    def is_of_a_certificate(request: web.Request) -> bool:
        if request.method == "PATCH" and "/clientcertificates/" in request.path and letter.sent(mail):
            held.append(request.path)
            return True
        return False

    world.api_server.delay(NEVER_SECONDS, when=is_of_a_certificate)
    return lambda: bool(held)
