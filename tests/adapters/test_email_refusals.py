"""The mail server refuses, or does not answer: each case has a reason, a message, and is retryable or not."""

import asyncio
import logging
import socket
import traceback
from collections.abc import Iterator

import pytest

from clientcert.alerting.dispatcher import SEND_SECONDS
from clientcert.api.kinds import CERTIFICATE_POLICY
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.messages.alert_test import AskedTest, compose_test, example_of
from clientcert.notifiers.email import smtp
from clientcert.notifiers.email.notifier import EmailNotifier
from clientcert.notifiers.email.smtp import MAIL_SECONDS, MailServer
from clientcert.notifiers.interface import Receipt
from tests.adapters.mail_parts import JO, LOGIN, SAM, SENDER, failure, message_to, notifier, to_contact
from tests.builders import KEY, NOW
from tools.mail_server import LoopbackMailServer

GONE = "550 5.1.1 No such user canary-7f3a here"
BUSY = "451 4.3.0 Try again later canary-7f3a"
REFUSED_JO = (
    "the mail server refused the technical contact: correct the e-mail address in spec.contact or in the client list"
)


@pytest.fixture
def server() -> Iterator[LoopbackMailServer]:
    with LoopbackMailServer(tls="starttls", login=LOGIN) as running:
        yield running


class TestOneRecipientIsRefused:
    async def test_the_next_one_gets_the_letter(self, server: LoopbackMailServer) -> None:
        """The receipt says so, by role; the letter is the next recipient's own."""
        server.answer("RCPT", GONE, address="jo@nhs.example")
        receipt = await notifier(server).notify(to_contact(), message_to(JO, SAM))
        why = "the technical contact was refused by the mail server"
        assert receipt == Receipt(fallback_recipient=FallbackRecipient(Role.BUSINESS, why))
        assert [mail.recipient for mail in server.mails] == ["sam@nhs.example"]
        words = " ".join(server.mails[0].text.split())
        assert "The technical contact that we have on file for nhs cannot be reached." in words

    async def test_the_next_one_gets_no_letter_after_a_transient_refusal(self, server: LoopbackMailServer) -> None:
        """A greylisted contact (RFC 6647) is retried."""
        server.answer("RCPT", BUSY, address="jo@nhs.example")
        error = await failure(notifier(server), message_to(JO, SAM))
        assert (error.reason, error.retryable, error.elsewhere) == (Reason.RECIPIENT_UNAVAILABLE, True, False)
        assert server.mails == []

    async def test_there_is_no_other_recipient(self, server: LoopbackMailServer) -> None:
        """Permanent, until the address is corrected."""
        server.answer("RCPT", GONE)
        error = await failure(notifier(server))
        assert (error.reason, error.retryable, error.message) == (Reason.RECIPIENT_REFUSED, False, REFUSED_JO)

    async def test_all_are_refused(self, server: LoopbackMailServer) -> None:
        """The error names each role, and what to do."""
        server.answer("RCPT", GONE)
        error = await failure(notifier(server), message_to(JO, SAM))
        assert (error.reason, error.retryable) == (Reason.RECIPIENT_REFUSED, False)
        assert error.message == f"{REFUSED_JO}; {REFUSED_JO.replace('technical', 'business')}"

    async def test_the_second_one_is_refused_temporarily(self, server: LoopbackMailServer) -> None:
        """The error is not permanent if one of the recipients may be reached later."""
        server.answer("RCPT", GONE, address="jo@nhs.example")
        server.answer("RCPT", BUSY, address="sam@nhs.example")
        error = await failure(notifier(server), message_to(JO, SAM))
        assert (error.reason, error.retryable) == (Reason.RECIPIENT_UNAVAILABLE, True)
        assert error.elsewhere  # it says nothing about the domain of the first one, whose limit was kept


class TestDomains:
    async def test_allowed(self, server: LoopbackMailServer) -> None:
        """In any case of letters."""
        await notifier(server, ["nhs.Example"]).notify(
            to_contact(), message_to(Recipient(Role.TECHNICAL, "jo@NHS.example"))
        )
        assert [mail.recipient for mail in server.mails] == ["jo@NHS.example"]

    @pytest.mark.parametrize(
        "address", ["jo@evil.example", "jo@nhs.example.evil.example", "jo@sub.nhs.example", "jo@xnhs.example"]
    )
    async def test_not_allowed(self, server: LoopbackMailServer, address: str) -> None:
        """Only the listed domains are allowed; others are refused before any connection."""
        error = await failure(notifier(server, ["nhs.example"]), message_to(Recipient(Role.TECHNICAL, address)))
        assert (error.reason, error.retryable) == (Reason.RECIPIENT_NOT_ALLOWED, False)
        assert error.message == (
            "the technical contact has an address in a domain that the operator may not write to: add it to"
            " CLIENTCERT_MAIL_DOMAINS, or name another contact"
        )
        assert server.commands == []

    async def test_of_a_test(self, server: LoopbackMailServer) -> None:
        """The recipient of a test alert, whom the caller names, is in one of them, or gets nothing."""
        example = example_of(AlertPolicy((to_contact(),)), KEY, "uid", NOW)
        asked, sender = AskedTest(CERTIFICATE_POLICY, "one"), notifier(server, ["nhs.example"])
        await sender.notify(to_contact(), compose_test(example, to_contact(), asked, "ours@nhs.example"))
        error = await failure(sender, compose_test(example, to_contact(), asked, "me@evil.example"))
        assert error.reason is Reason.RECIPIENT_NOT_ALLOWED
        assert error.message.startswith("the recipient of the test has an address in a domain")
        assert [mail.recipient for mail in server.mails] == ["ours@nhs.example"]
        assert server.mails[0].subject.startswith("TEST: ")

    async def test_the_next_contact_is_in_an_allowed_one(self, server: LoopbackMailServer) -> None:
        """Then that contact gets the letter, and the receipt says why."""
        elsewhere = Recipient(Role.TECHNICAL, "jo@agency.example")
        receipt = await notifier(server, ["nhs.example"]).notify(to_contact(), message_to(elsewhere, SAM))
        why = "the technical contact has an e-mail address in a domain that is not allowed"
        assert receipt.fallback_recipient == FallbackRecipient(Role.BUSINESS, why)


class TestNamespaces:
    """The settings decide which namespaces the operator's mail server serves."""

    async def test_that_is_served(self, server: LoopbackMailServer) -> None:
        await notifier(server, namespaces=frozenset({KEY.namespace})).notify(to_contact(), message_to())
        assert len(server.mails) == 1

    async def test_that_is_not(self, server: LoopbackMailServer) -> None:
        """It is refused before any connection, and the error says what to do."""
        error = await failure(notifier(server, namespaces=frozenset({"another"})))
        assert (error.reason, error.retryable) == (Reason.CHANNEL_NOT_ALLOWED, False)
        assert "CLIENTCERT_MAIL_NAMESPACES" in error.message
        assert server.commands == []


class TestTheLogin:
    @pytest.mark.parametrize("changes", [{"password": "wrong"}, {"username": "nobody"}, {"password": ""}])
    async def test_is_wrong(self, server: LoopbackMailServer, changes: dict[str, str]) -> None:
        """Permanent; tried once, since a few wrong passwords lock an account."""
        error = await failure(notifier(server, **changes))
        assert (error.reason, error.retryable) == (Reason.MAIL_LOGIN_REJECTED, False)
        assert error.message == (
            "the mail server rejected the login: correct CLIENTCERT_SMTP_USERNAME and CLIENTCERT_SMTP_PASSWORD"
        )
        assert server.commands.count("AUTH") == 1

    @pytest.mark.parametrize("status", ["535 5.7.8 no", "534 5.7.9 too weak", "530 5.7.0 no", "504 5.5.4 unknown"])
    async def test_is_refused(self, server: LoopbackMailServer, status: str) -> None:
        server.answer("AUTH", status)
        assert (await failure(notifier(server))).reason is Reason.MAIL_LOGIN_REJECTED

    async def test_cannot_be_checked_just_now(self, server: LoopbackMailServer) -> None:
        """RFC 4954: 454 is a temporary failure of the server."""
        server.answer("AUTH", "454 4.7.0 Temporary authentication failure")
        error = await failure(notifier(server))
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)

    @pytest.mark.parametrize("command", ["MAIL", "RCPT"])
    async def test_is_missing(self, server: LoopbackMailServer, command: str) -> None:
        """The server says so at a later command."""
        server.answer(command, "530 5.7.0 Authentication required")
        assert (await failure(notifier(server))).reason is Reason.MAIL_LOGIN_REJECTED

    async def test_is_required_and_not_set(self) -> None:
        """The words name the two settings."""
        with LoopbackMailServer(tls="starttls") as server:
            server.answer("MAIL", "530 5.7.57 Client was not authenticated to send anonymous mail")
            error = await failure(notifier(server, username="", password=""), message_to(JO, SAM))
        assert error.reason is Reason.MAIL_LOGIN_REJECTED
        assert error.message == (
            "the mail server requires a login: set CLIENTCERT_SMTP_USERNAME and CLIENTCERT_SMTP_PASSWORD"
        )

    async def test_is_tried_by_one_at_a_time(self, server: LoopbackMailServer) -> None:
        """Even if the server refuses slowly: the waiting mails fail without a login of their own."""
        server.delay("EHLO", 0.1)
        sending = notifier(server, password="wrong")
        errors = await asyncio.gather(*(failure(sending) for _ in range(5)))
        assert {error.reason for error in errors} == {Reason.MAIL_LOGIN_REJECTED}
        assert server.commands.count("AUTH") == 1
        await failure(sending)
        assert server.commands.count("AUTH") == 2

    async def test_that_is_slow_does_not_use_the_time_of_other_mails(self, server: LoopbackMailServer) -> None:
        """They are retried, without a pause for all mails: the first login has ended by then."""
        server.delay("EHLO", 1.5)  # two of them for each mail
        sending = notifier(server)
        first = asyncio.create_task(sending.notify(to_contact(), message_to(JO)))
        await asyncio.sleep(0.2)
        error = await failure(sending)
        assert (error.reason, error.retryable) == (Reason.RECIPIENT_UNAVAILABLE, True)
        assert await first == Receipt()
        server.delay("EHLO", 0.0)
        await sending.notify(to_contact(), message_to(SAM))
        assert len(server.mails) == 2

    async def test_that_is_accepted_delays_no_mail(self, server: LoopbackMailServer) -> None:
        """After the first accepted login all mails log in concurrently."""
        server.delay("EHLO", 0.3)  # two of them for each mail
        sending = notifier(server)
        await asyncio.gather(*(sending.notify(to_contact(), message_to()) for _ in range(5)))
        assert len(server.mails) == 5
        first, second, *_ = (at for at, command in enumerate(server.commands) if command == "MAIL")
        assert server.commands[first:second].count("EHLO") > 2

    async def test_is_not_offered(self) -> None:
        """The settings require a login that the server does not offer."""
        with LoopbackMailServer(tls="starttls") as server:
            server.answer("EHLO", "250-localhost\r\n250 STARTTLS")
            error = await failure(notifier(server))
        assert error.reason is Reason.MAIL_LOGIN_REJECTED
        assert error.message.startswith("the mail server offers no login: ")


class TestTheMailIsRefused:
    @pytest.mark.parametrize("status", ["550 5.7.1 not yours", "553 5.1.8 no"])
    async def test_for_its_sender(self, server: LoopbackMailServer, status: str) -> None:
        """Permanent; another recipient would not help."""
        server.answer("MAIL", status)
        error = await failure(notifier(server), message_to(JO, SAM))
        assert (error.reason, error.retryable) == (Reason.MESSAGE_REFUSED, False)
        assert "CLIENTCERT_SMTP_FROM" in error.message
        assert server.commands.count("MAIL") == 1

    @pytest.mark.parametrize("status", ["550 5.1.1 no such user", "556 5.1.10 null MX", "550 5.2.1 disabled"])
    async def test_for_its_recipient_after_data(self, server: LoopbackMailServer, status: str) -> None:
        """Some servers check the mailbox only then: the next recipient gets the letter."""
        server.answer("DATA", status)
        error = await failure(notifier(server), message_to(JO, SAM))
        assert (error.reason, error.retryable) == (Reason.RECIPIENT_REFUSED, False)
        assert server.commands.count("DATA") == 2

    @pytest.mark.parametrize("command", ["RCPT", "DATA"])
    async def test_for_a_full_mailbox(self, server: LoopbackMailServer, command: str) -> None:
        """The letter waits for this recipient, who exists: nobody else is written to."""
        server.answer(command, "552 5.2.2 mailbox full")
        error = await failure(notifier(server), message_to(JO, SAM))
        assert (error.reason, error.retryable) == (Reason.RECIPIENT_UNAVAILABLE, False)
        assert server.commands.count("MAIL") == 1

    @pytest.mark.parametrize("status", ["554 5.6.0 spam", "552 5.3.4 too big"])
    async def test_for_its_content(self, server: LoopbackMailServer, status: str) -> None:
        server.answer("DATA", status)
        error = await failure(notifier(server), message_to(JO, SAM))
        assert (error.reason, error.retryable) == (Reason.MESSAGE_REFUSED, False)
        assert server.commands.count("DATA") == 1

    @pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize("status", [BUSY, "421 4.3.2 closing", "452 4.2.2 full"])
    async def test_temporarily(self, server: LoopbackMailServer, command: str, status: str) -> None:
        """4xx is transient, at any command; from RCPT on it says nothing about mails to others."""
        server.answer(command, status)
        error = await failure(notifier(server), message_to(JO, SAM))
        for_one = command in {"RCPT", "DATA"}
        expected = Reason.RECIPIENT_UNAVAILABLE if for_one else Reason.CHANNEL_UNAVAILABLE
        assert (error.reason, error.retryable) == (expected, True)
        assert server.mails == []

    async def test_and_accepted_at_the_next_try(self, server: LoopbackMailServer) -> None:
        """The engine's retry is the same call."""
        sending = notifier(server)
        server.answer("DATA", BUSY)
        await failure(sending)
        server.behave()
        await sending.notify(to_contact(), message_to())
        assert [mail.recipient for mail in server.mails] == ["jo@nhs.example"]


class TestNoAnswer:
    async def test_no_server(self) -> None:
        """A connection that is refused."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        error = await failure(EmailNotifier(MailServer("127.0.0.1", port, sender=SENDER)))
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert error.message == (
            "the mail server cannot be reached: check CLIENTCERT_SMTP_HOST, CLIENTCERT_SMTP_PORT and"
            " CLIENTCERT_SMTP_TLS"
        )

    async def test_a_name_that_does_not_exist(self) -> None:
        error = await failure(EmailNotifier(MailServer("mail.invalid", 587, sender=SENDER)))
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)

    async def test_the_wrong_kind_of_tls(self, server: LoopbackMailServer) -> None:
        """TLS from the first byte, to a server that begins in clear text."""
        error = await failure(notifier(server, tls="implicit"))
        assert error.message.startswith("the mail server cannot be reached: check ")

    @pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT", "DATA"])
    async def test_the_connection_ends(self, server: LoopbackMailServer, command: str) -> None:
        """At any command; after DATA the result is unknown, so it is sent again with the same Message-ID."""
        server.drop(command)
        error = await failure(notifier(server), message_to(JO, SAM))
        for_one = command in {"RCPT", "DATA"}
        expected = Reason.RECIPIENT_UNAVAILABLE if for_one else Reason.CHANNEL_UNAVAILABLE
        assert (error.reason, error.retryable) == (expected, True)
        server.behave()
        await notifier(server).notify(to_contact(), message_to(JO, SAM))
        assert len({mail.message["Message-ID"] for mail in server.mails}) == 1

    async def test_a_send_has_a_time_limit(self) -> None:
        """All recipients of one message together, if the server is slow once, or a little at each command."""
        assert MAIL_SECONDS + smtp.GOODBYE_SECONDS < SEND_SECONDS
        begun = asyncio.get_running_loop().time()
        *errors, receipt = await asyncio.gather(
            slow("EHLO", 30.0), slow("RCPT", 6.0), silent(), accepted_at_the_last_moment()
        )
        assert MAIL_SECONDS <= asyncio.get_running_loop().time() - begun < MAIL_SECONDS + 3
        assert [error.message for error in errors] == [
            "the mail server did not accept the mail within 10 seconds",
            "the mail server did not accept the mail to the business contact within 10 seconds",
            "the mail server did not accept the mail within 10 seconds",
        ]
        assert [(error.reason, error.retryable) for error in errors] == [
            (Reason.CHANNEL_UNAVAILABLE, True),
            (Reason.RECIPIENT_UNAVAILABLE, True),
            (Reason.CHANNEL_UNAVAILABLE, True),
        ]
        assert receipt == Receipt()


class TestErrorMessages:
    @pytest.mark.parametrize("command", ["EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize("code", ["451", "550"])
    async def test_no_text_of_the_server_and_no_address(
        self, server: LoopbackMailServer, caplog: pytest.LogCaptureFixture, command: str, code: str
    ) -> None:
        """Neither an error, nor its traceback, nor the log: other people than the contact read these."""
        caplog.set_level(logging.INFO, "clientcert")
        caplog.set_level(logging.INFO, "aiosmtplib")
        server.answer(command, f"{code} jo@nhs.example canary-7f3a")
        try:
            await notifier(server).notify(to_contact(), message_to(JO, SAM))
        except DeliveryError as error:
            said = "".join(traceback.format_exception(error)) + repr(error)
        ours = [record.getMessage() for record in caplog.records if not record.name.startswith("mail.")]
        for secret in ("canary-7f3a", "nhs.example", "Bloggs", "Patel", LOGIN[1]):
            assert secret not in said
            assert not any(secret in line for line in ours)


async def slow(command: str, seconds: float) -> DeliveryError:
    with LoopbackMailServer(tls="starttls", login=LOGIN) as server:
        server.delay(command, seconds)
        if command == "RCPT":
            server.answer("RCPT", GONE)
        return await failure(notifier(server), message_to(JO, SAM))


async def accepted_at_the_last_moment() -> Receipt:
    """A mail that was accepted stays accepted, even if QUIT is slow: otherwise it would be sent twice."""
    with LoopbackMailServer(tls="starttls", login=LOGIN) as server:
        server.delay("DATA", MAIL_SECONDS - 1.5)
        server.delay("QUIT", 30.0)
        return await notifier(server).notify(to_contact(), message_to())


async def silent() -> DeliveryError:
    """A server that accepts connections and never answers."""

    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(MAIL_SECONDS + 1)
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as mute:
        port = mute.sockets[0].getsockname()[1]
        return await failure(EmailNotifier(MailServer("127.0.0.1", port, sender=SENDER)))
