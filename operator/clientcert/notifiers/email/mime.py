"""A letter as a mail (RFC 5322): plain text, and the same as simple HTML; with attachments, if the letter has any.

No field can add a header: addresses are checked, and a subject is one line without encoded words (RFC 2047).
"""

import html
import re
import textwrap
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from clientcert.messages.letter import Letter, Part, PartKind
from clientcert.messages.mail_address import plain_address

WIDTH = 76
"""The line length of quoted-printable (RFC 2045 section 6.7), so that the source of a mail is readable."""
LONGEST_FILE_NAME = 100
_COMMAND_INDENT = " " * 4
_NAMED = re.compile(r'"?(?P<name>[^<>"\\]*?)"?\s*<(?P<address>[^<>]*)>')
_TYPE = re.compile(r"application/[a-z0-9][a-z0-9.+-]{0,62}")
_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_SEVEN_BIT = SMTP.clone(cte_type="7bit")
"""Accepted by every server."""

_TAGS = {PartKind.PARAGRAPH: "p", PartKind.HEADING: "h3", PartKind.COMMAND: "pre"}


def named_address(text: str) -> Address | None:
    """Parse the same with an optional name before it: `Integration team <team@example.com>`."""
    named = _NAMED.fullmatch(text.strip())
    address = plain_address(named["address"] if named else text.strip())
    if named is None or address is None:
        return address
    if not named["name"].isprintable():
        return None
    return Address(_literal(named["name"].strip()), address.username, address.domain)


def mail(letter: Letter, sender: Address, recipient: Address, reply_to: Address | None, time: datetime) -> EmailMessage:
    """The mail for a letter. A letter that is sent again has the same Message-ID."""
    message = EmailMessage(policy=_SEVEN_BIT)
    message["From"] = sender
    message["To"] = recipient
    if reply_to is not None:
        message["Reply-To"] = reply_to
    message["Subject"] = _literal(letter.subject)
    message["Date"] = time
    message["Message-ID"] = f"<{letter.key}@{sender.domain}>"
    message["In-Reply-To"] = message["References"] = f"<{letter.thread}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(as_text(letter.parts), cte="quoted-printable")
    message.add_alternative(as_html(letter.parts), subtype="html", cte="quoted-printable")
    for attachment in letter.attachments:
        kind, _, subtype = _media_type(attachment.media_type).partition("/")
        message.add_attachment(attachment.content, kind, subtype, filename=_file_name(attachment.name))
    return message


def _media_type(text: str) -> str:
    """The type if it is a plain one without parameters; else that of any file."""
    return text if _TYPE.fullmatch(text) else "application/octet-stream"


def _file_name(text: str) -> str:
    """A name that means no folder and no hidden file on any system, and needs no encoding (RFC 2183 section 2.3)."""
    return _NOT_IN_FILE_NAMES.sub("-", text).lstrip(".-")[-LONGEST_FILE_NAME:] or "attachment"


def as_text(parts: tuple[Part, ...]) -> str:
    """Lines of at most 76 characters; only a command and a long word may be longer."""
    blocks = (
        _COMMAND_INDENT + part.text
        if part.kind is PartKind.COMMAND
        else textwrap.fill(part.text, WIDTH, break_long_words=False, break_on_hyphens=False)
        for part in parts
    )
    return "\n\n".join(blocks) + "\n"


def as_html(parts: tuple[Part, ...]) -> str:
    """Headings, paragraphs and commands; all text is escaped, and no external resource is loaded."""
    body = "\n".join(f"<{_TAGS[part.kind]}>{html.escape(part.text)}</{_TAGS[part.kind]}>" for part in parts)
    return f'<!DOCTYPE html>\n<html lang="en">\n<body>\n{body}\n</body>\n</html>\n'


def _literal(text: str) -> str:
    """Break up encoded words: the standard library would decode them, and the line breaks in them."""
    return text.replace("=?", "= ?")
