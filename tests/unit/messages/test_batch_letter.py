"""A letter about many host certificates makes the same request as a letter about one."""

from datetime import timedelta

import pytest

from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import EmailAddress
from clientcert.messages.digest import batch_letter
from clientcert.messages.letter import Letter
from clientcert.messages.message import Message
from tests.adapters.mail_parts import message_to
from tests.builders import DAY, NOW, certificate

LEE = Recipient(Role.REQUESTER, "lee@hosting.example", "Lee Wong")


def about(name: str, left: timedelta, address: EmailAddress) -> Message:
    seen = certificate(NOW + left, common_name=name, declared=name)
    return message_to(LEE, seen=seen, address=address, profile="Host", consumer=name)


def letter_about(*left: timedelta, address: EmailAddress | None = None, batch: str = "2026-spring") -> Letter:
    address = address or EmailAddress(sender="Integration team", reply_to="team@integration.example")
    return batch_letter(batch, [about(f"host-{number}", each, address) for number, each in enumerate(left, start=1)])


def texts(letter: Letter) -> list[str]:
    return [part.text for part in letter.parts]


def test_the_whole_letter() -> None:
    """The certificates and their ends first, then what to do."""
    letter = letter_about(10 * DAY, 20 * DAY)
    assert letter.subject == "Action needed: 2 host certificates of batch 2026-spring end from 2026-12-02 on"
    assert texts(letter) == [
        "Hello Lee Wong",
        "We are the team who are currently maintaining our system.",
        "These are the 2 host certificates of batch 2026-spring; the first of them ends on 2026-12-02 09:00 UTC:",
        "host-1 in prod: 2026-12-02 09:00 UTC, serial number 1a2b3",
        "host-2 in prod: 2026-12-12 09:00 UTC, serial number 1a2b3",
        (
            "A host certificate is not renewed here. Please request new ones in the way that these were requested, and"
            " put each into its place before the old one ends. There will be no other letter about them."
        ),
        (
            "If any of the hosts is no longer in use, please let us know. To answer, reply to this mail: it goes to"
            " team@integration.example."
        ),
        "Thanks",
        "Integration team",
    ]


@pytest.mark.parametrize("left", [10 * DAY, -DAY])
def test_everything_except_the_hosts_equals_the_letter_about_one(left: timedelta) -> None:
    """The sender, the request, its date, and how to answer are equal."""
    one, many = texts(letter_about(left)), texts(letter_about(left, 20 * DAY))
    assert one[:2] == many[:2]
    assert one[-2:] == many[-2:]
    assert len(one) == len(many) - 2
    for words in ("not renewed here", "no longer in use, please let us know. To answer"):
        assert [words in text for text in one].count(True) == [words in text for text in many].count(True) == 1
    assert ("as soon as possible" in str(one)) == ("as soon as possible" in str(many)) == (left < timedelta(0))


def test_a_batch_of_one_gets_its_usual_letter() -> None:
    """If one host of a batch is left."""
    address = EmailAddress()
    assert letter_about(10 * DAY, address=address) == about("host-1", 10 * DAY, address).letters[0]


def test_the_number_of_lines_is_limited() -> None:
    """The count includes all."""
    message = about("host-1", 10 * DAY, EmailAddress())
    parts = texts(batch_letter("b", [message] * 502))
    assert len([text for text in parts if text.startswith("host-1 in prod")]) == 500
    assert "… and 2 more" in parts


def test_any_field_stays_in_its_line() -> None:
    """The name of the batch is typed text as well."""
    hostile = "a\r\nBcc: eve@evil.example\u202e" * 50
    address = EmailAddress(sender=hostile, system=hostile, reply_to=hostile)
    letter = letter_about(10 * DAY, 20 * DAY, address=address, batch=hostile)
    lines = [letter.subject, *texts(letter)]
    assert all(line.isprintable() for line in lines)
    assert all(line.strip() for line in lines)
    assert len(letter.subject) <= 250
