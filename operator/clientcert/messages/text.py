"""Text in messages: values are sanitized, templates are filled, and dates and time spans are written out."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from clientcert.lifecycle.spec import Contact, Person, SecretSource, SourceRef

LONGEST_VALUE = 253
"""The longest name of a Kubernetes object."""
LONGEST_NAME = 600
"""For distinguished names and the like."""
DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_FIELD = re.compile(r"\{(name|environment|duration|date|serialNumber|owner)\}")
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_BLANKS = re.compile(
    # Letters, marks and symbols that draw nothing, although their Unicode category is not "format".
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def sanitize_line(value: str, limit: int) -> str:
    """Return one line of at most `limit` characters that cannot hide, reorder or break the text around it.

    White space of any kind becomes one space. An invisible character (a control, a bidirectional override, zero
    width) becomes U+FFFD, and is not removed: a name that contains one must not look like another name.
    """
    line = " ".join(value[: 4 * limit].split())
    if line.isascii() and line.isprintable():  # as nearly all of the eighty values of a mail are
        return truncate(line + "…" if len(value) > 4 * limit and len(line) <= limit else line, limit)
    seen = "".join("\ufffd" if unicodedata.category(each) in _UNSEEN else each for each in _BLANKS.sub("\ufffd", line))
    shortened = len(value) > 4 * limit and len(seen) <= limit
    return truncate(seen + "…" if shortened else seen, limit)


def truncate(text: str, limit: int) -> str:
    """Return at most `limit` characters; the last one is an ellipsis if any were left out."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def substitute(template: str, values: Mapping[str, str]) -> str:
    """Replace the fixed fields of a message template, in one pass: the text of a value is never a field."""
    return _FIELD.sub(lambda field: values[field[1]], template)


def day(moment: datetime) -> str:
    """The date in UTC, in the form of ISO 8601."""
    return moment.astimezone(UTC).date().isoformat()


def minute(moment: datetime) -> str:
    """Date and time in UTC, with the zone."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "minutes") + " UTC"


def time_left(until: datetime, now: datetime) -> str:
    """The value of the fact "Time left": `remaining`; after the end, with the word none before it."""
    return ("none: " if now >= until else "") + remaining(until, now)


def remaining(until: datetime, now: datetime) -> str:
    """Days and hours until a moment, rounded down; after that moment, the days and hours since."""
    return f"expired {_span(now - until)} ago" if now >= until else _span(until - now)


def days_ago(since: datetime, now: datetime) -> str:
    """Whole days since a moment."""
    days = (now - since) // DAY
    return f"{count(days, 'day')} ago" if days > 0 else "less than a day ago"


def count(number: int, noun: str) -> str:
    """A number and its noun: `1 day`, `2 days`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _span(span: timedelta) -> str:
    days, rest = divmod(span, DAY)
    hours = rest // _HOUR
    parts = [count(days, "day")] * (days > 0) + [count(hours, "hour")] * (hours > 0)
    return ", ".join(parts) or "less than an hour"


def name_source(source: SourceRef) -> str:
    """The source of a certificate as people look for it."""
    if isinstance(source, SecretSource):
        return f"Secret {source.name}, key {source.key}"
    return f"CertificateStore {source.store}, key {source.key}"


def request_to(contact: Contact, name: str) -> str:
    """Ask for a renewal. It names the role only: the next step is also shown where people's names must not be."""
    if _is_known(contact.technical):
        return "Ask the technical contact to renew it"
    if _is_known(contact.business):
        return "Ask the business contact for a technical contact who can renew it"
    if contact.slack_email or contact.slack_member_id:
        return "Ask the contact in Slack to renew it"
    if contact.pending:
        return f"Ask the contact behind {name} to renew it (kubectl describe shows who it is as soon as that is known)"
    return f"Find out who is behind {name}, add them to spec.contact and ask them to renew it"


def _is_known(person: Person | None) -> bool:
    return person is not None and bool(person.name.strip() or person.email.strip())


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def lower_first(text: str) -> str:
    """The text with its first letter in lower case, to go on with a sentence."""
    return text[:1].lower() + text[1:]
