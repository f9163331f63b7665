"""A digest counts all certificates, and has lines for as many as a channel can show."""

import re

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import unread
from clientcert.messages.digest import MOST_LINES, compose_digest
from clientcert.notifiers.slack.block_kit import digest_payload
from tests.builders import DAY, NOW, certificate
from tests.unit.messages.composing import composed, knowing

MANY = MOST_LINES + 70
MESSAGES = [
    composed(certificate(NOW + (1 + number % 20) * DAY, serial_number=number + 1), consumer=f"c{number:03d}")
    for number in range(MANY)
]


def test_the_number_of_lines_is_limited() -> None:
    """The most urgent certificates have a line; the sentence counts all of them."""
    digest = compose_digest(MESSAGES)
    assert (len(digest.lines), digest.more) == (MOST_LINES, 70)
    assert digest.text.startswith(f"{MANY} certificates need attention")
    assert digest.lines[0].text.startswith("c000 in prod")


def test_a_line_has_the_date_and_the_problem() -> None:
    """The contact is separate, because not every channel may show names of people."""
    gone = unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert")
    expired = composed(certificate(NOW - 2 * DAY))
    near = composed(gone, recorded=knowing(certificate(NOW + 5 * DAY)), owner="")
    unknown = composed(gone, consumer="never", environment="dev")
    lines = compose_digest([expired, near, unknown]).lines
    assert [line.text for line in lines] == [
        "nhs in prod: expired 2 days ago (2026-11-20 09:00 UTC); serial number 1a2b3; owner integration-team",
        "nhs in prod: 5 days (2026-11-27 09:00 UTC); serial number 1a2b3; there is no Secret nhs-client-cert",
        f"never in dev: {unknown.text}; owner integration-team; there is no Secret nhs-client-cert",
    ]
    assert {line.contact for line in lines} == {"Jo Bloggs, jo@nhs.example (technical contact)"}


def test_slack_shows_the_number_of_certificates_without_a_line() -> None:
    """Lines without room in the message, and certificates without a line."""
    text = str(digest_payload(compose_digest(MESSAGES))["blocks"])
    shown = len(re.findall(r"c\d{3} in prod", text))
    assert f"… and {MANY - shown} more" in text
