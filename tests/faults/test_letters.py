"""What is written once, for a whole batch or when nobody has acted, under a mail server that is away, and a crash."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.control_plane.waiting import until
from tests.faults.arrivals import CONSUMER, away, resolve_email
from tests.faults.delivery_audit import Key
from tests.faults.scenario import TEAM, World, row
from tests.faults.test_mail import BOTH, JO, SAM, TO_CONSUMER, sends
from tools.mail_server import LoopbackMailServer, Received

pytestmark = pytest.mark.slow

BATCH, HOSTS = "spring", {"first": 20, "later": 45, "last": 300}
ESCALATED = f"{CONSUMER}/business"
"""The channel of a policy by which the business contact gets mails when nothing has come of the others."""
DAYS_IN_VAIN = 8
SLOW_SECONDS = 8.0
NEVER_SECONDS = 600.0


@dataclass(frozen=True)
class Once:
    """A letter that is due once."""

    recipient: str
    declare: Callable[[World, LoopbackMailServer], None]
    """Whatever leads to it; it is sent by the operator that is started next."""
    besides: Callable[[World], bool]
    """Whether all that is due at the same time was recorded."""
    recorded: Callable[[World], bool]
    """Whether each certificate says that it was sent."""

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
    """The technical contact and the team were told eight days ago, and nothing has come of it."""

    def note(received: Received) -> None:
        channel = CONSUMER if received.recipient == JO["email"] else ESCALATED
        world.arrivals.append(resolve_email(received)._replace(channel=channel))

    mail.on_mail = note
    world.policy(TEAM, TO_CONSUMER, escalateAfterDays=DAYS_IN_VAIN - 1)
    world.hand_out("nhs", days=14, channels=(TEAM, CONSUMER), contact=BOTH)
    world.operator_starts(elected=False)
    world.all_is_told()
    world.operator_stops()
    assert [each.recipient for each in mail.mails] == [JO["email"]]
    for _ in range(DAYS_IN_VAIN):
        world.a_day_passes()


def team_is_recorded(world: World) -> bool:
    """That it was told on the last day."""
    stage: object = world.team.channel("nhs", TEAM).get("stage")
    return stage == 14 - DAYS_IN_VAIN


def says_so(*names: str, channel: str = CONSUMER) -> Callable[[World], bool]:
    """Whether the statuses of all of them do."""
    return lambda world: all(world.team.channel(name, channel).get("lastSentTime") for name in names)


LETTERS = {
    "batch": Once(JO["email"], of_a_batch, lambda _: True, says_so(*HOSTS)),
    "escalation": Once(
        SAM["email"], of_an_escalation, team_is_recorded, says_so("nhs", channel=f"{CONSUMER}/business")
    ),
}


@row(12, "the mail server is away for two days when a batch's letter or an escalation is due")
@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_the_mail_server_is_away_for_days(world: World, mail: LoopbackMailServer, letter: Once) -> None:
    """It stays due over the restarts, and is written once."""
    letter.declare(world, mail)
    with away(mail):
        for _ in range(2):
            world.operator_starts()
            until(lambda: sends(world, "retried"))
            world.operator_stops()
            world.a_day_passes()
        world.operator_starts()
        until(lambda: sends(world, "retried"))
    world.mended()
    world.all_is_told()
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
    """Where nothing says that it was sent it comes again, as the same mail; it is never left out."""
    letter = LETTERS[name]
    letter.declare(world, mail)
    has_come = hold_up(world, mail, letter, moment)
    world.operator_starts(elected=False)
    until(lambda: has_come() and letter.besides(world))
    world.operator_is_killed()
    mail.behave()
    world.fault_ends()
    world.operator_starts(elected=False)
    world.all_is_told(repeats=2)
    until(lambda: letter.recorded(world))
    world.operator.settle()
    assert len(letter.sent(mail)) == times
    assert len({each.message["Message-ID"] for each in letter.sent(mail)}) == 1


def hold_up(world: World, mail: LoopbackMailServer, letter: Once, moment: str) -> Callable[[], bool]:
    """Nothing gets further than to this moment; returns whether it has come."""
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
