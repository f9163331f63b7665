"""Rows 10 to 12: the operator's mail server fails or refuses a mail; row 7: a crash during a mail."""

from typing import Any

import pytest

from tests.control_plane.waiting import eventually, until
from tests.faults.arrivals import CONSUMER, refusing_connections
from tests.faults.scenario import TEAM, World, row
from tools.mail_server import LoopbackMailServer

TOLD = (TEAM, CONSUMER)
JO = {"name": "Jo Bloggs", "email": "jo@nhs.example"}
SAM = {"name": "Sam Patel", "email": "sam@nhs.example"}
LEE = {"name": "Lee Moss", "email": "lee@moj.example"}
BOTH = {"technical": JO, "business": SAM}
TO_CONSUMER = {"name": CONSUMER, "type": "Email", "email": {"recipients": "Contact"}}
NOBODY = "550 5.1.1 No such user here"
QUIET_SECONDS = 3.0


@pytest.fixture(autouse=True)
def _policy(world: World) -> None:
    """The team is notified in Slack, the consumer by mail."""
    use_policy(world)


def use_policy(world: World, **alerts: Any) -> None:
    world.policy(TEAM, TO_CONSUMER, **alerts)


def recipients(mail: LoopbackMailServer) -> list[str]:
    return [each.recipient for each in tuple(mail.mails)]


def delivered(world: World, name: str) -> tuple[str, str]:
    return world.team.condition(name, "AlertsDelivered")


def contact(world: World, name: str) -> tuple[str, str]:
    return world.team.condition(name, "ContactResolved")


def sends(world: World, outcome: str) -> float:
    return world.operator.metric("clientcert_notifications_total", channel_type="Email", outcome=outcome)


def is_refused(world: World, reason: str, words: str) -> None:
    """Permanent: condition, Event and metric report it once; the team is notified nevertheless."""
    world.waits_until_notified("nhs", TEAM)
    eventually(lambda: delivered(world, "nhs"), ("False", reason))
    assert words in world.team.words("nhs", "AlertsDelivered")
    eventually(lambda: reason in world.team.events("nhs"), expected=True)
    assert sends(world, "refused") == 1


def is_fixed(world: World, mail: LoopbackMailServer) -> None:
    mail.behave()
    world.is_fixed()


def is_one_mail_twice(mail: LoopbackMailServer) -> None:
    """A mailbox recognises the second one by its Message-ID."""
    first, again = tuple(mail.mails)
    assert first.message["Message-ID"] == again.message["Message-ID"]


@row(10, "the mail server is away, through a restart of the operator; one channel of two")
@row(12, "the mail server is away, through a restart of the operator; one channel of two")
def test_the_mail_server_is_unavailable(world: World, mail: LoopbackMailServer) -> None:
    """It is retried, reported after a few tries, and stays due over the restart; the team is notified throughout."""
    world.operator_starts()
    with refusing_connections(mail):
        world.hand_out("nhs", days=14, channels=TOLD)
        world.waits_until_notified("nhs", TEAM)
        eventually(lambda: delivered(world, "nhs"), ("False", "ChannelUnavailable"))
        assert "CLIENTCERT_SMTP_HOST" in world.team.words("nhs", "AlertsDelivered")
        world.operator_stops()
        world.operator_starts()
        until(lambda: sends(world, "retried"))
    world.is_fixed()
    world.all_is_delivered()
    assert recipients(mail) == ["jo@nhs.example"]
    eventually(lambda: delivered(world, "nhs"), ("True", "Delivered"))


@pytest.mark.slow
@row(12, "451 to a recipient, 421 to the mail; another contact is known")
def test_the_mail_server_refuses_temporarily(world: World, mail: LoopbackMailServer) -> None:
    """4xx is transient: no fallback recipient is used, and the same person gets it later, once.

    Another consumer's contact does not wait for the one whom the server does not accept.
    """
    mail.answer("RCPT", "451 4.7.1 Greylisted, try again later", address=JO["email"])
    world.operator_starts()
    world.hand_out("nhs", days=14, channels=TOLD, contact=BOTH)
    until(lambda: mail.commands.count("RCPT"), lambda count: count >= 2)
    world.hand_out("moj", days=14, channels=TOLD, contact={"technical": LEE})
    world.waits_until_notified("moj", CONSUMER)
    assert world.notified("nhs", CONSUMER) == 0
    taken = mail.commands.count("DATA")
    mail.answer("DATA", "421 4.3.2 Closing")
    mail.answer("RCPT", "", address=JO["email"])
    until(lambda: mail.commands.count("DATA"), lambda count: count > taken)
    is_fixed(world, mail)
    world.all_is_delivered()
    assert recipients(mail) == ["lee@moj.example", "jo@nhs.example"]
    assert contact(world, "nhs") == ("True", "TechnicalContact")


@pytest.mark.slow
@row(12, "550 to the sender, 554 to the mail; then the mail server is mended and the policy changed")
@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MAIL", "550 5.7.1 Not as this sender"),
        ("RCPT", "554 5.7.1 Relay access denied"),
        ("DATA", "554 5.6.0 Spam"),
    ],
)
def test_the_mail_server_refuses_the_mail(world: World, mail: LoopbackMailServer, command: str, answer: str) -> None:
    """5xx is permanent: condition, Event and metric report it, it is rarely retried, and no other recipient
    is tried.
    """
    mail.answer(command, answer)
    world.operator_starts()
    world.hand_out("nhs", days=14, channels=TOLD, contact=BOTH)
    is_refused(world, "MessageRefused", "channel consumer: the mail server ")
    world.waits(QUIET_SECONDS)
    assert mail.commands.count(command) == 1
    is_fixed(world, mail)
    use_policy(world, runbookURL="https://runbooks.example/renew")
    world.all_is_delivered()
    assert recipients(mail) == ["jo@nhs.example"]


@row(12, "one recipient of two is refused for good, and the operator restarted")
def test_one_recipient_is_refused(world: World, mail: LoopbackMailServer) -> None:
    """Partial success: the next contact gets it, once; both the recipient and the refusal are recorded, over the
    restart.
    """
    mail.answer("RCPT", NOBODY, address=JO["email"])
    world.operator_starts()
    issued = world.hand_out("nhs", days=14, channels=TOLD, contact=BOTH)
    world.all_is_delivered()
    eventually(lambda: contact(world, "nhs"), ("False", "RecipientRefused"))
    words = "the technical contact was refused by the mail server, so the business contact was written to"
    assert world.team.words("nhs", "ContactResolved") == words
    assert delivered(world, "nhs") == ("True", "Delivered")
    world.operator_stops()
    world.operator_starts().settle()
    assert recipients(mail) == ["sam@nhs.example"]
    assert contact(world, "nhs") == ("False", "RecipientRefused")
    world.is_fixed()
    corrected = BOTH | {"technical": JO | {"email": "joanna@nhs.example"}}
    world.declare("nhs", issued, channels=TOLD, contact=corrected)
    eventually(lambda: contact(world, "nhs"), ("True", "TechnicalContact"))
    eventually(lambda: recipients(mail), ["sam@nhs.example", "joanna@nhs.example"])  # the intended recipient
    world.all_is_delivered(repeats=1)


@pytest.mark.slow
@row(12, "550 to a recipient without a code, from a server that has accepted no mail; a day later the next contact")
def test_an_unclear_refusal(world: World, mail: LoopbackMailServer) -> None:
    """It may be the operator's fault: the letter waits for a day, over restarts, and then goes to the next contact."""
    mail.answer("RCPT", "550 Rejected", address=JO["email"])
    world.operator_starts()
    world.hand_out("nhs", days=14, channels=TOLD, contact=BOTH)
    is_refused(world, "MessageRefused", "after a day the next contact is written to")
    assert contact(world, "nhs") == ("True", "TechnicalContact")
    world.operator_stops()
    assert recipients(mail) == []
    world.is_fixed()
    world.a_day_passes()
    world.operator_starts()
    eventually(lambda: recipients(mail), ["sam@nhs.example"])
    eventually(lambda: contact(world, "nhs"), ("False", "RecipientRefused"))


@row(12, "the only recipient of one of two certificates is refused for good, until the address is corrected")
def test_the_only_recipient_is_refused(world: World, mail: LoopbackMailServer) -> None:
    """Permanent for that one certificate, and no other waits for it; a corrected address gets the mail at once."""
    mail.answer("RCPT", NOBODY, address=JO["email"])
    world.operator_starts()
    issued = world.hand_out("nhs", days=14, channels=TOLD, contact={"technical": JO})
    world.hand_out("moj", days=14, channels=TOLD, contact={"technical": SAM})
    world.waits_until_notified("moj", CONSUMER)
    is_refused(world, "RecipientRefused", "correct the e-mail address in spec.contact")
    world.is_fixed()
    world.declare("nhs", issued, channels=TOLD, contact={"technical": JO | {"email": "joanna@nhs.example"}})
    world.all_is_delivered()
    assert sorted(recipients(mail)) == ["joanna@nhs.example", "sam@nhs.example"]


@row(11, "the operator's login to the mail server was revoked, until it is started with another")
def test_the_login_was_revoked(world: World, mail: LoopbackMailServer) -> None:
    """Reported, and rarely retried, because several wrong passwords lock an account. The team is notified
    throughout.
    """
    world.operator_starts(settings={"CLIENTCERT_SMTP_PASSWORD": "of last year"})
    world.hand_out("nhs", days=14, channels=TOLD)
    is_refused(world, "MailLoginRejected", "CLIENTCERT_SMTP_PASSWORD")
    world.waits(QUIET_SECONDS)
    assert mail.commands.count("AUTH") == 1
    world.operator_stops()
    world.is_fixed()
    world.operator_starts()
    world.all_is_delivered()


@pytest.mark.slow
@row(10, "the mail server takes a mail, and its answer is lost")
def test_the_answer_to_a_mail_is_lost(world: World, mail: LoopbackMailServer) -> None:
    """It is unknown whether the mail was accepted, so it is sent again; a mailbox recognises it by its Message-ID."""
    mail.drop("DATA")
    world.operator_starts()
    world.hand_out("nhs", days=14, channels=TOLD)
    until(lambda: sends(world, "retried"))
    is_fixed(world, mail)
    world.all_is_delivered(repeats=1)
    is_one_mail_twice(mail)


@pytest.mark.slow
@row(7, "killed when the mail server has taken a mail and has not said so yet")
def test_killed_while_a_mail_is_sent(world: World, mail: LoopbackMailServer) -> None:
    """That one mail is sent again, as the same mail; recorded ones are not."""
    mail.delay("DATA", 8.0)
    world.operator_starts(elected=False)
    world.hand_out("nhs", days=14, channels=TOLD)
    world.waits_until_notified("nhs", CONSUMER)
    until(lambda: world.team.channel("nhs", TEAM))
    world.operator_is_killed()
    is_fixed(world, mail)
    world.operator_starts(elected=False)
    world.all_is_delivered(repeats=1)
    is_one_mail_twice(mail)


@pytest.mark.slow
@row(10, "the mail server does not answer for longer than anybody waits")
def test_the_mail_server_does_not_answer(world: World, mail: LoopbackMailServer) -> None:
    """The mail is given up, and sent again; the team is notified meanwhile."""
    mail.delay("RCPT", 14.0)
    world.operator_starts()
    world.hand_out("nhs", days=14, channels=TOLD)
    world.waits_until_notified("nhs", TEAM)
    until(lambda: mail.commands.count("RCPT"))
    is_fixed(world, mail)
    world.all_is_delivered()
    assert recipients(mail) == ["jo@nhs.example"]
