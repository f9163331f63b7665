"""The mail server of the demo: real SMTP with TLS and a login. It keeps the mails and shows them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.mail_server import LoopbackMailServer, Received

_LOGIN = ("clientcert", "a password for mail that nobody sees")
_SENDER = "Integration team <certificates@gov.example>"
_HEADERS = ("From", "To", "Reply-To", "Subject", "Date")


@dataclass(frozen=True)
class Mailed:
    """The expected content of one mail."""

    recipient: str
    subject: str
    says: tuple[str, ...]
    """Parts of its text, without regard to line breaks."""


class Mailbox:
    """The mail server; it runs in a `with` block."""

    def __init__(self, on_mail: Callable[[Received], None]) -> None:
        """`on_mail` is called in a thread of the server."""
        self.server = LoopbackMailServer(tls="starttls", login=_LOGIN, on_mail=on_mail)

    def settings(self, directory: Path) -> dict[str, str]:
        """Settings of an operator that sends through it; writes the server's certificate into the directory."""
        authority = directory / "mail.pem"
        authority.write_text(self.server.authority_pem)
        return {
            "CLIENTCERT_SMTP_HOST": self.server.host,
            "CLIENTCERT_SMTP_PORT": str(self.server.port),
            "CLIENTCERT_SMTP_USERNAME": _LOGIN[0],
            "CLIENTCERT_SMTP_PASSWORD": _LOGIN[1],
            "CLIENTCERT_SMTP_FROM": _SENDER,
            "SSL_CERT_FILE": str(authority),
        }

    def mails(self, since: int = 0) -> list[Received]:
        """The mails that were received encrypted and after a login, without the first `since` of all mails."""
        return [mail for mail in self.server.mails[since:] if mail.encrypted and mail.logged_in]

    def told(self, expected: Iterable[Mailed], since: int = 0) -> list[Mailed]:
        """Every mail, with the expected parts of its text that were found in it."""
        words = {each.subject: each.says for each in expected}
        return [_seen(mail, words) for mail in self.mails(since)]


def as_read(mail: Received, *, lines: int | None = None) -> str:
    """The mail as its recipient sees it: headers and plain text, with `lines` only so many lines of it."""
    headers = [f"{name}: {str(value).strip()}" for name in _HEADERS if (value := mail.message[name])]
    text = mail.text.rstrip().splitlines()
    lines_shown = [*headers, "", *text[:lines], *(["…"] if text[:lines] != text else [])]
    return "\n".join(f"  │ {line}".rstrip() for line in lines_shown) + "\n"


def _seen(mail: Received, words: dict[str, tuple[str, ...]]) -> Mailed:
    subject, text = mail.subject, " ".join(mail.text.split())
    return Mailed(mail.recipient, subject, tuple(each for each in words.get(subject, ()) if each in text))
