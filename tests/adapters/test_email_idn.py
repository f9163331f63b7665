"""A contact whose domain is internationalized: the mail goes to its name in ASCII (RFC 5890)."""

from collections.abc import Iterator

import idna
import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import EmailAddress
from clientcert.messages.mail_address import plain_address
from clientcert.settings import load_settings
from tests.adapters.mail_parts import failure, message_to, notifier, to_contact
from tools.mail_server import LoopbackMailServer

DOMAINS = {
    "münchen.example": "xn--mnchen-3ya.example",
    "MÜNCHEN.example": "xn--mnchen-3ya.example",
    "faß.example": "xn--fa-hia.example",
    "例え.テスト": "xn--r8jz45g.xn--zckzah",
    "пример.испытание": "xn--e1afmkfd.xn--80akhbyknj4f",
    "παράδειγμα.δοκιμή": "xn--hxajbheg2az3al.xn--jxalpdlp",
    "उदाहरण.परीक्षा": "xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g",
    "مثال.إختبار": "xn--mgbh0fb.xn--kgbechtv",
    "sub.東京abc.example": "sub.xn--abc-dm9di64i.example",
    "xn--mnchen-3ya.example": "xn--mnchen-3ya.example",
}
NOT_DOMAINS = [
    "nhs.\u0435xample",  # a Cyrillic letter in a Latin label
    "\u03bfnhs.example",
    "nhs。example",
    "nhs.exam\u200dple",
    "nhs.exam\u00adple",
    "mün chen.example",
    "-münchen.example",
    "münchen-.example",
    "\u0308nhs.example",
    "münchen",
    "münchen..example",
    "👍.example",
    "ü" * 64 + ".example",
    "ü" * 10_000,
    "mün\ud800.example",
    "münchen.example\r\nRCPT TO:<eve@evil.example>",
]


@pytest.fixture
def server() -> Iterator[LoopbackMailServer]:
    with LoopbackMailServer() as running:
        yield running


@pytest.mark.parametrize(("domain", "sent"), DOMAINS.items())
async def test_a_mail_goes_to_the_domain_in_ascii(server: LoopbackMailServer, domain: str, sent: str) -> None:
    """In the envelope and in the header, so that no server needs SMTPUTF8; also if an answer goes there."""
    message = message_to(Recipient(Role.TECHNICAL, f"jo@{domain}"), address=EmailAddress(reply_to=f"sam@{domain}"))
    plain = notifier(server, username="", password="", tls="none")
    await plain.notify(to_contact(), message)
    (mail,) = server.mails
    assert mail.recipient == f"jo@{sent}"
    assert mail.message["To"] == f"jo@{sent}"
    assert mail.message["Reply-To"] == f"sam@{sent}"
    assert mail.content.partition(b"\r\n\r\n")[0].isascii()


@pytest.mark.parametrize("domain", NOT_DOMAINS)
def test_what_is_no_domain_is_refused(domain: str) -> None:
    """Neither mapped to another domain nor sent; look-alikes are refused, too."""
    assert plain_address(f"jo@{domain}") is None


@pytest.mark.parametrize("local", ["jö", "用户", "jo\u200b", "=?utf-8?q?j=C3=B6?= "])
def test_a_local_part_has_no_other_form(local: str) -> None:
    assert plain_address(f"{local}@münchen.example") is None


@pytest.mark.parametrize(("listed", "to"), [("münchen.example", "MÜNCHEN.example"), ("xn--mnchen-3ya.example",) * 2])
async def test_the_allowed_domains_are_compared_in_ascii(server: LoopbackMailServer, listed: str, to: str) -> None:
    """Both forms of the same domain are the same."""
    domains = load_settings({}, {"CLIENTCERT_MAIL_DOMAINS": listed}).mail_domains
    sending = notifier(server, domains, username="", password="", tls="none")
    await sending.notify(to_contact(), message_to(Recipient(Role.TECHNICAL, f"jo@{to}")))
    assert [mail.recipient for mail in server.mails] == ["jo@xn--mnchen-3ya.example"]
    error = await failure(sending, message_to(Recipient(Role.TECHNICAL, "jo@munchen.example")))
    assert error.reason is Reason.RECIPIENT_NOT_ALLOWED


async def test_the_operator_may_have_such_a_domain(server: LoopbackMailServer) -> None:
    """In CLIENTCERT_SMTP_FROM: the envelope and Message-ID have it in ASCII."""
    sending = notifier(server, username="", password="", tls="none", sender="Team <ca@münchen.example>")
    await sending.notify(to_contact(), message_to())
    assert server.mails[0].sender == "ca@xn--mnchen-3ya.example"
    assert server.mails[0].message["Message-ID"].endswith("@xn--mnchen-3ya.example>")


def test_the_conversion_is_that_of_the_standard() -> None:
    """Every label can be read back."""
    for domain, sent in DOMAINS.items():
        assert idna.decode(sent) == idna.uts46_remap(idna.decode(domain) if domain.isascii() else domain)
