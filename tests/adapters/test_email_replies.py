"""Every enhanced status code, at every command: whose fault it is, and that nobody else is written to for it."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import replace

import pytest

from clientcert.errors import DeliveryError, Reason
from clientcert.notifiers.email.notifier import EmailNotifier
from clientcert.notifiers.email.replies import Cause, Command, Reply, cause_of
from clientcert.notifiers.email.smtp import MailServer
from clientcert.notifiers.interface import Receipt
from clientcert.own_secrets import OwnSecret
from tests.adapters.mail_parts import JO, LOGIN, SAM, SENDER, message_to, to_contact
from tests.adapters.scripted_mail_server import ScriptedMailServer

LAST_DETAILS = {0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}
"""The last detail of each subject in IANA's registry of enhanced status codes (RFC 3463, 4865, 4954, 5248, 7372, 7505,
8689, 8616)."""
REGISTERED = [f"{subject}.{detail}" for subject, last in LAST_DETAILS.items() for detail in range(last + 1)]
OF_MICROSOFT = ["2.252", "4.316", "7.50", "7.54", "7.57", "7.60", "7.64", "7.139", "7.367", "7.501", "7.606", "7.708"]
OF_THE_MAILBOX = {"1.1", "1.2", "1.3", "1.6", "1.10", "2.1"}
"""The codes that the page about contacts lists."""
COMMANDS = ["connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "content"]
OF_THE_MAIL = ["RCPT", "DATA", "content"]
PERMANENT = [500, 501, 502, 503, 504, 521, 523, 530, 534, 535, 538, 550, 551, 552, 553, 554, 555, 556]
TRANSIENT = [421, 432, 450, 451, 452, 454, 455]
LOGIN_CODES = {530, 534, 535, 538}
UNCLEAR = {550, 551, 553}
THE_NEXT = "sam@nhs.example"
TLS = ssl.create_default_context()


def sending(server: ScriptedMailServer, *, login: tuple[str, str] = ("", ""), tls: str = "none") -> EmailNotifier:
    settings = MailServer("127.0.0.1", server.port, *map(OwnSecret, login), sender=SENDER, tls=tls)  # type: ignore[arg-type]
    return EmailNotifier(settings, TLS)


async def outcome(server: ScriptedMailServer, command: str = "") -> DeliveryError | Receipt:
    """The result of a letter to Jo, or else to Sam; with the settings that make the operator use the command."""
    login = LOGIN if command == "AUTH" else ("", "")
    notifier = sending(server, login=login, tls="starttls" if command == "STARTTLS" else "none")
    try:
        return await notifier.notify(to_contact(), message_to(JO, SAM))
    except DeliveryError as error:
        return error


_REFUSED: dict[tuple[str, str], tuple[DeliveryError, list[str]]] = {}


async def refused(command: str, reply: str) -> tuple[DeliveryError, list[str]]:
    """The error for a reply to every recipient, and the recipients that were named to the server.

    Several tests look at the same exchange, which takes place once.
    """
    if (command, reply) not in _REFUSED:
        async with ScriptedMailServer(command, reply, login="PLAIN LOGIN") as server:
            found = await outcome(server, command)
            assert isinstance(found, DeliveryError), f"{command}: {reply}"
            _REFUSED[command, reply] = found, server.recipients
    return _REFUSED[command, reply]


def replies(command: str) -> Iterator[tuple[str, str]]:
    """The enhanced code, and a reply of one or of several lines with it, for each registered code."""
    for position, code in enumerate([*REGISTERED, *OF_MICROSOFT]):
        number = PERMANENT[position % len(PERMANENT)] if code not in OF_THE_MAILBOX else 550
        lines = f"{number}-5.{code} First line\r\n{number} 5.{code} last" if position % 2 else f"{number} 5.{code} no"
        yield code, lines
        if position % 3 == 0 and command != "connect":
            yield code, f"{number}-5.{code} only in the first line\r\n{number} of two"


@pytest.mark.parametrize("command", COMMANDS)
async def test_only_codes_of_the_mailbox_count_against_the_recipient(command: str) -> None:
    """At RCPT and later; with any other the letter stays due, and no next contact is written to."""
    for code, reply in replies(command):
        error, named = await refused(command, reply)
        if command in OF_THE_MAIL and code in OF_THE_MAILBOX:
            assert (error.reason, named) == (Reason.RECIPIENT_REFUSED, ["jo@nhs.example", THE_NEXT]), reply
        else:
            assert error.reason is not Reason.RECIPIENT_REFUSED, reply
            assert THE_NEXT not in named, reply


@pytest.mark.parametrize("command", COMMANDS)
async def test_the_reason_says_where_to_look(command: str) -> None:
    """The connection, the login, the operator's own settings, or a mailbox that is full."""
    for code, reply in replies(command):
        error, _ = await refused(command, reply)
        number = int(reply[:3])
        if command in {"connect", "EHLO", "STARTTLS"}:
            expected, says = Reason.CHANNEL_UNAVAILABLE, "CLIENTCERT_SMTP_HOST"
        elif command in OF_THE_MAIL and code in OF_THE_MAILBOX:
            continue
        elif command == "AUTH":
            expected, says = Reason.MAIL_LOGIN_REJECTED, "CLIENTCERT_SMTP_PASSWORD"
        elif number in LOGIN_CODES:
            expected, says = Reason.MAIL_LOGIN_REJECTED, "requires encryption or a login: set CLIENTCERT_SMTP_TLS"
        elif code == "2.2" and number != 523:
            expected, says = Reason.RECIPIENT_UNAVAILABLE, "mailbox of the technical contact is full"
        else:
            expected, says = Reason.MESSAGE_REFUSED, f"({number} 5.{code})"
            assert re.search(r"set |allow |see ", error.message)
        assert error.reason is expected, reply
        assert says in error.message or error.reason is Reason.MESSAGE_REFUSED, (reply, error.message)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("number", TRANSIENT)
async def test_a_transient_reply_is_retried_whatever_its_enhanced_code(command: str, number: int) -> None:
    """With 4xx nobody else is written to, also if a code says that the mailbox does not exist."""
    for code in ["", "4.1.1 ", "4.2.2 ", "4.7.1 ", "5.1.1 ", "4.4.3 "]:
        error, named = await refused(command, f"{number} {code}later")
        expected = Reason.RECIPIENT_UNAVAILABLE if command in OF_THE_MAIL else Reason.CHANNEL_UNAVAILABLE
        assert (error.reason, error.retryable) == (expected, True), code
        assert THE_NEXT not in named


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("number", PERMANENT)
async def test_without_an_enhanced_code_nothing_counts_at_once(command: str, number: int) -> None:
    """No server says so clearly which side it means; a second recipient would get what the first did."""
    error, named = await refused(command, f"{number} no")
    assert error.reason is not Reason.RECIPIENT_REFUSED
    assert THE_NEXT not in named
    if command == "RCPT" and number in UNCLEAR:
        assert "after a day the next contact is written to" in error.message


@pytest.mark.parametrize("number", PERMANENT)
async def test_without_an_enhanced_code_a_server_that_took_a_letter_to_another_refuses_the_recipient(
    number: int,
) -> None:
    """550, 551 and 553 at RCPT, from a server that has accepted a mail of the same sender since the start."""
    async with ScriptedMailServer("RCPT", f"{number} no", recipient="jo@nhs.example") as server:
        notifier = sending(server)
        await notifier.notify(to_contact(), message_to(SAM))
        server.recipients.clear()
        if number in UNCLEAR:
            receipt = await notifier.notify(to_contact(), message_to(JO, SAM))
            assert receipt.fallback_recipient is not None
            assert server.recipients == ["jo@nhs.example", THE_NEXT]
        else:
            with pytest.raises(DeliveryError):
                await notifier.notify(to_contact(), message_to(JO, SAM))
            assert server.recipients == ["jo@nhs.example"]


@pytest.mark.parametrize("other", ["5.7.1", "5.2.2", "5.1.8", "5.0.0", "4.1.1", "2.1.5"])
async def test_lines_that_disagree_count_against_nobody(other: str) -> None:
    """A reply of several lines is about the mailbox only if each of its codes is."""
    for first, last in (("5.1.1", other), (other, "5.1.1")):
        error, named = await refused("RCPT", f"550-{first} one\r\n550 {last} another")
        assert error.reason is not Reason.RECIPIENT_REFUSED
        assert THE_NEXT not in named


async def test_a_letter_to_the_same_recipient_shows_nothing() -> None:
    """Only a letter to somebody else shows that the operator may send: the reason may have changed for all."""
    async with ScriptedMailServer("RCPT", "250 OK") as server:
        notifier = sending(server)
        await notifier.notify(to_contact(), message_to(JO, SAM))
        server.reply = "550 no"
        server.recipients.clear()
        with pytest.raises(DeliveryError, match="does not say whether"):
            await notifier.notify(to_contact(), message_to(JO, SAM))
    assert server.recipients == ["jo@nhs.example"]


async def test_after_a_day_an_unclear_refusal_counts_against_the_recipient() -> None:
    """Otherwise an operator with one certificate would never write to the next contact."""
    async with ScriptedMailServer("RCPT", "550 no", recipient="jo@nhs.example") as server:
        receipt = await sending(server).notify(to_contact(), replace(message_to(JO, SAM), overdue=True))
    assert receipt.fallback_recipient is not None
    assert server.recipients == ["jo@nhs.example", THE_NEXT]


@pytest.mark.parametrize("form", ["{}", "#{}", "({})", "[{}]", "(#{})"])
@pytest.mark.parametrize("where", ["{} no", "no {}"])
async def test_the_forms_of_an_enhanced_code(form: str, where: str) -> None:
    """In brackets a code counts at the end, too; without any, only at the beginning: it may be a part of the text."""
    bare_at_the_end = where == "no {}" and form in {"{}", "#{}"}
    for code, cause in (("5.7.1", Cause.CLIENT), ("5.1.1", Cause.RECIPIENT)):
        reply = Reply(Command.RCPT, 550, where.format(form.format(code)))
        assert cause_of(reply) is (Cause.UNCLEAR if bare_at_the_end else cause)
    assert cause_of(Reply(Command.RCPT, 550, where.format(form.format("5.7.1.9")))) is Cause.UNCLEAR
