"""One message for many counts everybody, and has a line for as many as anybody reads."""

import re

from clientcert.notifiers.digest import MOST_LINES, compose_digest
from clientcert.notifiers.slack_digest import digest_payload
from tests.builders import DAY, NOW, certificate
from tests.unit.notifiers.composing import composed

MANY = MOST_LINES + 70
MESSAGES = [
    composed(certificate(NOW + (1 + number % 20) * DAY, serial_number=number + 1), consumer=f"c{number:03d}")
    for number in range(MANY)
]


def test_no_more_lines_are_made_than_any_channel_has_room_for() -> None:
    """The most urgent have one; the sentence counts all."""
    digest = compose_digest(MESSAGES)
    assert (len(digest.lines), digest.more) == (MOST_LINES, 70)
    assert digest.text.startswith(f"{MANY} certificates need attention")
    assert digest.lines[0].text.startswith("c000 in prod")


def test_slack_says_how_many_have_no_line() -> None:
    """Those that it has no room for, and those that have no line at all."""
    text = str(digest_payload(compose_digest(MESSAGES))["blocks"])
    shown = len(re.findall(r"c\d{3} in prod", text))
    assert f"… and {MANY - shown} more" in text
