"""Typed text cannot add a header, a recipient, markup, or an SMTP command to a mail."""

from collections.abc import Iterator

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import EmailAddress
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.messages.mail_address import plain_address
from clientcert.notifiers.email.mime import named_address
from clientcert.notifiers.interface import Receipt
from tests.adapters.mail_parts import JO, LOGIN, SAM, failure, message_to, notifier, to_contact
from tools.mail_server import LoopbackMailServer, Received

NO_ADDRESSES = [
    "",
    "jo",
    "jo@",
    "@nhs.example",
    "jo@nhs",
    "jo@nhs.example\n",
    "jo@nhs.example\r\nBcc: eve@evil.example",
    "jo@nhs.example\nRCPT TO:<eve@evil.example>",
    "jo@nhs.example, eve@evil.example",
    "jo@nhs.example eve@evil.example",
    "Jo <jo@nhs.example>",
    "<jo@nhs.example>",
    "jo@nhs.example>\r\nDATA",
    '"jo\r\nBcc: eve"@nhs.example',
    '"jo"@nhs.example',
    "jo(comment)@nhs.example",
    "jo@nhs.example (Jo)",
    "jo@nhs@evil.example",
    "jo@[127.0.0.1]",
    "jo@-nhs.example",
    "jo@nhs..example",
    "jo..bloggs@nhs.example",
    ".jo@nhs.example",
    "jo@nhs.example\0",
    "jo\t@nhs.example",
    "jo@nhs.example\u2028",
    "jo@nhs.\u0435xample",
    "jö@nhs.example",
    "\u202ejo@nhs.example",
    "=?utf-8?q?jo?=@nhs.example\n",
    "jo%evil.example@nhs.example",
    "j" * 65 + "@nhs.example",
    "jo@" + "nhs." * 100 + "example",
    "jo@nhs.example" + "x" * 10_000,
]

HOSTILE = [
    "nhs\r\nBcc: eve@evil.example",
    "nhs\nBcc: eve@evil.example\n\n<p>free money</p>",
    "nhs\r\n.\r\nMAIL FROM:<eve@evil.example>",
    "=?utf-8?q?nhs=0D=0ABcc:_eve@evil.example?=",
    "=?utf-8?b?bmhzDQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=",
    "nhs =?utf-8?q?=0ABcc:?= =?utf-8?q?_eve@evil.example?=",
    "<b>nhs</b><script>alert(1)</script><img src=https://evil.example/x>",
    '"><a href="https://evil.example">nhs</a>',
    "<!channel> <https://evil.example|nhs>",
    "\u202egnp.shn\u2066",
    "nhs\u0085Bcc: eve@evil.example\u2028x\x0by\x0cz",
    "n" * 10_000,
    "ñ" * 10_000,
    "nhs " * 2_500,
    "eve@evil.example, ",
    "nhs\0\x1b[2J",
    "\ud800",
]

HEADERS = [
    "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
]  # fmt: skip


@pytest.fixture
def server() -> Iterator[LoopbackMailServer]:
    with LoopbackMailServer(tls="starttls", login=LOGIN) as running:
        yield running


class TestAddresses:
    @pytest.mark.parametrize("address", NO_ADDRESSES)
    async def test_that_are_not_one_plain_address(self, server: LoopbackMailServer, address: str) -> None:
        """Refused before any connection; the error never repeats it."""
        error = await failure(notifier(server), message_to(Recipient(Role.TECHNICAL, address)))
        assert (error.reason, error.retryable) == (Reason.CONTACT_INVALID, False)
        assert error.message == (
            "the technical contact has no plain e-mail address such as jo@example.com: correct the e-mail address in"
            " spec.contact or in the client list"
        )
        assert server.commands == []

    async def test_the_next_contact_has_one(self, server: LoopbackMailServer) -> None:
        """Then that contact gets the letter, and the receipt says why."""
        broken = Recipient(Role.TECHNICAL, "jo@nhs.example\r\nBcc: eve@evil.example")
        receipt = await notifier(server).notify(to_contact(), message_to(broken, SAM))
        why = "the technical contact has no valid e-mail address"
        assert receipt == Receipt(fallback_recipient=FallbackRecipient(Role.BUSINESS, why))
        assert [mail.recipient for mail in server.mails] == ["sam@nhs.example"]

    @pytest.mark.parametrize("address", [address for address in NO_ADDRESSES if address])
    async def test_of_a_policys_reply_to(self, server: LoopbackMailServer, address: str) -> None:
        """Refused in the same way: the policy must be corrected."""
        error = await failure(notifier(server), message_to(address=EmailAddress(reply_to=address)))
        assert (error.reason, error.retryable) == (Reason.MESSAGE_REFUSED, False)
        assert error.message == "email.replyTo of the channel is not a plain e-mail address: correct the policy"
        assert server.commands == []

    @pytest.mark.parametrize(
        "address",
        ["jo@nhs.example", "Jo.O'Neil+certs@mail-1.nhs.example", "j/o=x?y{z}~_^*!#$&-@x.y", "j" * 64 + "@x.yz"],
    )
    def test_that_are_plain(self, address: str) -> None:
        """Everything that the schema of spec.contact accepts, except for misplaced dots."""
        found = plain_address(address)
        assert found is not None
        assert found.addr_spec == address

    def test_with_a_name(self) -> None:
        """Only in the settings; the name may contain any visible character."""
        for text in ("Team, One <a@b.example>", '"Team, One" <a@b.example>', "  Team, One  <a@b.example> "):
            assert str(named_address(text)) == '"Team, One" <a@b.example>'


class TestFields:
    @pytest.mark.parametrize("field", HOSTILE)
    async def test_add_nothing_to_the_default_letter(self, server: LoopbackMailServer, field: str) -> None:
        """Consumer, environment, owner, sender, system, name: each is one piece of text in one line."""
        message = message_to(
            Recipient(Role.TECHNICAL, JO.address, field),
            address=EmailAddress(sender=field, system=field),
            consumer=field,
            environment=field,
            owner=field,
        )
        await notifier(server).notify(to_contact(), message)
        assert_inert(server.mails)
        assert "\n    openssl genrsa -out credential-exchange-private-key.pem 3072\n" in server.mails[0].text

    @pytest.mark.parametrize("field", HOSTILE)
    async def test_add_nothing_to_a_policys_own_letter(self, server: LoopbackMailServer, field: str) -> None:
        """Nor do its templates."""
        own = EmailAddress(subject=f"{{name}} {field}", body=f"{{name}}\n\n{field}\n\n    {field}")
        await notifier(server).notify(to_contact(), message_to(address=own, consumer=field))
        assert_inert(server.mails)


def assert_inert(mails: list[Received]) -> None:
    """One mail to one address; only our headers, once each; each text in one line; no markup."""
    [mail] = mails
    assert (mail.sender, mail.recipient) == ("certificates@integration.example", "jo@nhs.example")
    message = mail.message
    expected = [name for name in HEADERS if name != "Reply-To"]
    assert message.keys() == expected
    assert str(message["To"]) == "jo@nhs.example"
    assert [address.addr_spec for address in message["From"].addresses] == [mail.sender]
    assert str(message["Subject"]).isprintable()
    assert len(str(message["Subject"])) <= 260
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998
    assert len(mail.content) < 150_000
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert all(line.isprintable() for line in mail.text.splitlines())
    assert_only_our_tags(mail.html)


def assert_only_our_tags(page: str) -> None:
    for tag in ("<!DOCTYPE html>", '<html lang="en">', "</html>", "<body>", "</body>"):
        assert page.count(tag) == 1
        page = page.replace(tag, "")
    for tag in ("p", "h3", "pre"):
        assert page.count(f"<{tag}>") == page.count(f"</{tag}>")
        page = page.replace(f"<{tag}>", "").replace(f"</{tag}>", "")
    assert "<" not in page
    assert ">" not in page
