"""Mail to the consumer's contact, over a real mail server: with STARTTLS and a login by default."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from clientcert.errors import DeliveryError, Reason, SettingsError
from clientcert.lifecycle.assessment import unread
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel, EmailAddress
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.messages.letters import PRIVATE_KEY_COMMAND, PUBLIC_KEY_COMMAND
from clientcert.messages.message import Message
from clientcert.notifiers.consumer_contact import ContactNotifier
from clientcert.notifiers.email.notifier import PACE_SECONDS, EmailNotifier
from clientcert.notifiers.email.smtp import MailServer
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.own_secrets import OwnSecret
from tests.adapters.mail_parts import (
    JO,
    LOGIN,
    SENDER,
    closing_to,
    failure,
    message_to,
    notifier,
    settings,
    to_contact,
)
from tests.builders import DAY, HOUR, NOW, certificate, notified
from tests.unit.messages.composing import knowing
from tools.mail_server import LoopbackMailServer, Received


@pytest.fixture
def server() -> Iterator[LoopbackMailServer]:
    with LoopbackMailServer(tls="starttls", login=LOGIN) as running:
        yield running


async def sent(server: LoopbackMailServer, message: Message | None = None) -> Received:
    await notifier(server).notify(to_contact(), message or message_to())
    return server.mails[-1]


class TestTheMail:
    async def test_travels_encrypted_and_after_a_login(self, server: LoopbackMailServer) -> None:
        """To one address, from the operator's own; the receipt has nothing for the status."""
        receipt = await notifier(server).notify(to_contact(), message_to())
        assert receipt == Receipt()
        assert [(mail.sender, mail.recipient, mail.encrypted, mail.logged_in) for mail in server.mails] == [
            ("certificates@integration.example", "jo@nhs.example", True, True)
        ]

    async def test_has_these_headers_and_no_others(self, server: LoopbackMailServer) -> None:
        """RFC 5322, RFC 3834: no auto-responder answers it."""
        letter = message_to().letters[0]
        assert dict((await sent(server)).message.items()) | {"Content-Type": ""} == {
            "From": SENDER,
            "To": "jo@nhs.example",
            "Reply-To": "team@integration.example",
            "Subject": "Action needed: certificate for nhs in prod expires on 2026-12-06",
            "Date": "Sun, 22 Nov 2026 09:00:00 +0000",
            "Message-ID": f"<{letter.key}@integration.example>",
            "In-Reply-To": f"<{letter.thread}@integration.example>",
            "References": f"<{letter.thread}@integration.example>",
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "MIME-Version": "1.0",
            "Content-Type": "",
        }

    async def test_has_no_reply_to_unless_the_policy_says_so(self, server: LoopbackMailServer) -> None:
        """Then answers go to the From address."""
        assert (await sent(server, message_to(address=EmailAddress()))).message["Reply-To"] is None

    async def test_is_plain_text_first(self, server: LoopbackMailServer) -> None:
        """HTML second, and no other part."""
        message = (await sent(server)).message
        assert message.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]

    async def test_can_be_read_as_plain_text(self, server: LoopbackMailServer) -> None:
        """Short lines; but a command is one line, to be copied."""
        lines = (await sent(server)).text.splitlines()
        commands = [f"    {PRIVATE_KEY_COMMAND}", f"    {PUBLIC_KEY_COMMAND}"]
        assert [line for line in lines if line.startswith(" ")] == commands
        assert max(len(line) for line in lines if line not in commands) <= 78
        assert lines[:3] == [
            "Hello Jo Bloggs", "", "We are the team who are currently maintaining the Integration API.",
        ]  # fmt: skip

    async def test_says_the_same_in_html(self, server: LoopbackMailServer) -> None:
        """Commands are unchanged, and no external resource is loaded."""
        page = (await sent(server)).html
        assert f"<pre>{PRIVATE_KEY_COMMAND}</pre>" in page
        assert f"<pre>{PUBLIC_KEY_COMMAND}</pre>" in page
        assert "<p>Hello Jo Bloggs</p>" in page
        assert not any(word in page for word in ("http", "src", "href", "<style", "<script"))

    async def test_is_plain_ascii_on_the_wire(self, server: LoopbackMailServer) -> None:
        """Every server accepts it, readers see every character, and no line exceeds SMTP's limit."""
        mail = await sent(server, message_to(Recipient(Role.TECHNICAL, JO.address, "Jörg 李"), consumer="Łódź " * 40))
        assert mail.content.isascii()
        assert max(map(len, mail.content.split(b"\r\n"))) <= 78
        assert mail.message["Subject"].startswith("Action needed: certificate for Łódź Łódź")
        assert mail.text.startswith("Hello Jörg 李\n")

    async def test_closes_in_the_same_thread(self, server: LoopbackMailServer) -> None:
        """The closing letter is in the thread of the letters about the old certificate."""
        first = await sent(server, message_to(seen=certificate(NOW + 5 * DAY, serial_number=0xAA)))
        last = await sent(server, closing_to())
        assert last.message["Subject"] == "Done: a renewed certificate for nhs in prod is in place"
        assert last.message["References"] == first.message["References"]


class TestARepeat:
    async def test_is_recognised(self, server: LoopbackMailServer) -> None:
        """A repeat, an hour and a restart later, has the same Message-ID: mail systems drop the second mail."""
        first = await sent(server)
        second = await sent(server, message_to(now=NOW + HOUR, seen=certificate(NOW + 14 * DAY)))
        assert first.message["Message-ID"] == second.message["Message-ID"]

    async def test_a_reminder_is_another_mail(self, server: LoopbackMailServer) -> None:
        """Two stages are two mails in the same thread."""
        stages = [await sent(server, message_to(now=NOW + n * DAY, seen=certificate(NOW + 14 * DAY))) for n in (0, 7)]
        assert len({mail.message["Message-ID"] for mail in stages}) == 2
        assert len({mail.message["References"] for mail in stages}) == 1


class TestTLS:
    async def test_from_the_first_byte(self) -> None:
        """`implicit`, as on port 465."""
        with LoopbackMailServer(tls="implicit", login=LOGIN) as server:
            await notifier(server, tls="implicit").notify(to_contact(), message_to())
        assert [(mail.encrypted, mail.logged_in) for mail in server.mails] == [(True, True)]

    async def test_none_must_be_configured(self) -> None:
        """On loopback even with a login; by default no mail goes to a server without STARTTLS."""
        with LoopbackMailServer(tls="none", login=LOGIN) as server:
            error = await failure(notifier(server))
            assert server.mails == []
            assert "AUTH" not in server.commands
            await notifier(server, tls="none").notify(to_contact(), message_to())
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert error.message.startswith("the mail server offers no STARTTLS: check ")
        assert [(mail.encrypted, mail.logged_in) for mail in server.mails] == [(False, True)]

    @pytest.mark.parametrize("tls", ["starttls", "implicit"])
    async def test_an_untrusted_server(self, tls: str) -> None:
        """It gets neither password nor mail."""
        with LoopbackMailServer(tls=tls, login=LOGIN) as server:  # type: ignore[arg-type]
            error = await failure(EmailNotifier(settings(server, tls=tls)))
        assert error.message.startswith("the mail server's certificate is not trusted, or not valid for its name")
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert server.mails == []
        assert "AUTH" not in server.commands

    async def test_a_certificate_of_another_name(self, server: LoopbackMailServer) -> None:
        """The certificate is for localhost, and 127.0.0.1 is another name."""
        error = await failure(notifier(server, host="127.0.0.1"))
        assert error.message.startswith("the mail server's certificate is not trusted, or not valid for its name")

    async def test_without_a_login(self) -> None:
        """No user name: no login is tried."""
        with LoopbackMailServer(tls="starttls") as server:
            await notifier(server, username="", password="").notify(to_contact(), message_to())
        assert [mail.logged_in for mail in server.mails] == [False]


class TestSettings:
    def test_without_a_server(self) -> None:
        """There is no connection, and no rate limit."""
        for none in (None, MailServer("", 587)):
            sending = EmailNotifier(none)
            error = asyncio.run(failure(sending))
            assert (error.reason, error.retryable) == (Reason.MAIL_NOT_CONFIGURED, False)
            assert error.message == "the operator has no mail server: set CLIENTCERT_SMTP_HOST and CLIENTCERT_SMTP_FROM"
            assert sending.pace("integration", to_contact(), MessageKind.ALERT) is None

    @pytest.mark.parametrize(
        "sender",
        ["", "team", "team@", "@example.com", "a@example.com, b@example.com", "Team <a@example.com> x",
         "T <<a@b.example>>", "Team\r\nBcc: x <a@example.com>", "a b@example.com", "a@example.com\0"],
    )  # fmt: skip
    def test_a_sender_that_is_no_address(self, sender: str) -> None:
        """The process ends at its start; the error does not repeat the sender."""
        with pytest.raises(SettingsError) as raised:
            EmailNotifier(MailServer("mail.example.com", 587, sender=sender))
        assert raised.value.message.startswith("CLIENTCERT_SMTP_FROM is not an address such as ")

    def test_a_password_that_anybody_could_read(self) -> None:
        """A login without TLS is allowed on this machine only."""
        with pytest.raises(SettingsError, match=r"^CLIENTCERT_SMTP_TLS is none, so the password would be readable"):
            EmailNotifier(MailServer("mail.example.com", 25, *map(OwnSecret, LOGIN), sender=SENDER, tls="none"))
        for host in ("localhost", "127.0.0.1", "::1"):
            EmailNotifier(MailServer(host, 25, *map(OwnSecret, LOGIN), sender=SENDER, tls="none"))

    def test_an_unknown_value_for_tls(self) -> None:
        with pytest.raises(SettingsError, match=r"^CLIENTCERT_SMTP_TLS is not one of"):
            EmailNotifier(MailServer("mail.example.com", 25, sender=SENDER, tls="yes"))  # type: ignore[arg-type]

    def test_the_password_is_in_no_repr(self) -> None:
        assert LOGIN[1] not in repr(MailServer("mail.example.com", 25, *map(OwnSecret, LOGIN)))

    def test_all_mail_has_one_pace(self) -> None:
        """All recipients share the limit of the server."""
        sending = EmailNotifier(MailServer("mail.example.com", 587, sender=SENDER))
        expected = Pace(("Email", "mail.example.com", 587), PACE_SECONDS)
        assert sending.pace("a", to_contact(), MessageKind.ALERT) == expected
        assert sending.pace("b", to_contact(EmailAddress()), MessageKind.CLOSING) == expected


class TestWithoutALetter:
    async def test_a_problem_of_the_source(self, server: LoopbackMailServer) -> None:
        """There is no letter for the consumer, which counts as success."""
        gone = unread(Reason.SOURCE_NOT_FOUND, "there is no such Secret: create it")
        message = message_to(seen=gone, recorded=knowing(certificate(NOW + 90 * DAY)))
        assert message.reason == "SourceNotFound"
        assert await notifier(server).notify(to_contact(), message) == Receipt()
        assert server.commands == []

    async def test_a_source_with_another_expired_certificate(self, server: LoopbackMailServer) -> None:
        """Its reason is Expired as well, but only the team can fix it."""
        other = certificate(NOW - DAY, serial_number=0xCC)
        message = message_to(seen=other, recorded=knowing(certificate(NOW + 90 * DAY)))
        assert message.reason == "Expired"
        assert await notifier(server).notify(to_contact(), message) == Receipt()

    async def test_a_source_that_was_fixed(self, server: LoopbackMailServer) -> None:
        recorded = knowing(certificate(NOW + 90 * DAY), notified(40, "", name="consumer"))
        message = message_to(seen=certificate(NOW + 90 * DAY), recorded=recorded)
        assert message.reason == "SourceReadable"
        assert await notifier(server).notify(to_contact(), message) == Receipt()

    @pytest.mark.parametrize("left", [14 * DAY, timedelta(0), -DAY])
    async def test_no_recipient(self, server: LoopbackMailServer, left: timedelta) -> None:
        """The date is near and no contact is known: that is an error until a contact is added."""
        message = without_letters(message_to(seen=certificate(NOW + left)))
        error = await failure(notifier(server), message)
        assert (error.reason, error.retryable) == (Reason.CONTACT_NOT_FOUND, False)
        assert error.message == "there is no recipient: add a contact to spec.contact, or to the client list"


class Recording:
    """A notifier that only records."""

    def __init__(self) -> None:
        self.notified: list[Message] = []

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace:
        return Pace(("Recording", namespace), 1.0)

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        self.notified.append(message)
        return Receipt("sent")


class Refusing(Recording):
    """A notifier that fails after some seconds."""

    def __init__(self, *, passing: bool = False, seconds: float = 0.0) -> None:
        super().__init__()
        self.tries = 0
        self._passing = passing
        self._seconds = seconds

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        self.tries += 1
        await asyncio.sleep(self._seconds)
        raise DeliveryError(Reason.CHANNEL_NOT_FOUND, "not a member", retryable=self._passing)


class TestSlackUsersAndMail:
    async def test_a_slack_user_gets_a_direct_message(self, server: LoopbackMailServer) -> None:
        """And everybody else by mail."""
        direct = Recording()
        sending = ContactNotifier(notifier(server), direct)
        colleague = message_to(Recipient(Role.SLACK, "U012AB3CD"))
        assert await sending.notify(to_contact(), colleague) == Receipt("sent")
        assert await sending.notify(to_contact(), message_to()) == Receipt()
        assert direct.notified == [colleague]
        assert [mail.recipient for mail in server.mails] == ["jo@nhs.example"]

    async def test_a_permanently_refused_slack_user_gets_a_mail(self, server: LoopbackMailServer) -> None:
        """The receipt says so, by role."""
        both = message_to(Recipient(Role.SLACK, "U012AB3CD"), JO)
        receipt = await ContactNotifier(notifier(server), Refusing()).notify(to_contact(), both)
        assert (
            str(receipt.fallback_recipient)
            == "the Slack user could not be written to, so the technical contact was written to"
        )
        assert [mail.recipient for mail in server.mails] == ["jo@nhs.example"]

    @pytest.mark.parametrize("direct", [Refusing(passing=True), Refusing(seconds=0.2)])
    async def test_a_transient_or_slow_failure_of_slack_is_retried_first(
        self, server: LoopbackMailServer, direct: Refusing
    ) -> None:
        """Direct message and mail together must end before another replica may lead."""
        sending = ContactNotifier(notifier(server), direct, refusal_seconds=0.1)
        with pytest.raises(DeliveryError) as raised:
            await sending.notify(to_contact(), message_to(Recipient(Role.SLACK, "U012AB3CD"), JO))
        assert raised.value.retryable
        assert server.mails == []

    async def test_after_a_late_refusal_the_next_try_sends_the_mail(self, server: LoopbackMailServer) -> None:
        """Without another call of Slack, which would use up the time again."""
        both, direct = message_to(Recipient(Role.SLACK, "U012AB3CD"), JO), Refusing(seconds=0.2)
        sending = ContactNotifier(notifier(server), direct, refusal_seconds=0.1)
        with pytest.raises(DeliveryError):
            await sending.notify(to_contact(), both)
        receipt = await sending.notify(to_contact(), both)
        assert receipt.fallback_recipient == FallbackRecipient(Role.TECHNICAL, "the Slack user could not be written to")
        assert ([mail.recipient for mail in server.mails], direct.tries) == (["jo@nhs.example"], 1)

    async def test_an_outage_of_the_mail_server_does_not_count_for_slack(self, server: LoopbackMailServer) -> None:
        """Otherwise messages to Slack users would wait for it."""
        both = message_to(Recipient(Role.SLACK, "U012AB3CD"), JO)
        server.answer("MAIL", "451 4.3.0 later")
        with pytest.raises(DeliveryError) as raised:
            await ContactNotifier(notifier(server), Refusing()).notify(to_contact(), both)
        assert (raised.value.reason, raised.value.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert raised.value.elsewhere

    async def test_the_mail_notifier_reports_a_missing_recipient(self, server: LoopbackMailServer) -> None:
        """Its error says what is missing."""
        error = await failure(
            ContactNotifier(notifier(server), Recording()),  # type: ignore[arg-type]
            without_letters(message_to()),
        )
        assert error.reason is Reason.CONTACT_NOT_FOUND

    def test_the_pace_is_the_mail_servers(self, server: LoopbackMailServer) -> None:
        mail = notifier(server)
        sending = ContactNotifier(mail, Recording())
        assert sending.pace("a", to_contact(), MessageKind.ALERT) == mail.pace("a", to_contact(), MessageKind.ALERT)


def without_letters(message: Message) -> Message:
    return replace(message, letters=())
