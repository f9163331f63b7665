"""The letters to the consumer's contact; each of their sentences is true."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Observation, unread
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import EmailAddress
from clientcert.messages.letter import LONGEST_PARAGRAPH, LONGEST_SUBJECT, Letter, PartKind
from clientcert.pki.certificate import Certificate
from tests.adapters.mail_parts import ADDRESS, JO, SAM, closing_to, message_to
from tests.builders import DAY, HOUR, NOW, SECOND, certificate, channel, notified, policy
from tests.unit.messages.composing import composed, knowing

ALEX = Recipient(Role.SLACK, "U012AB3CD", "Alex")
OPS = Recipient(Role.REQUESTER, "ops@nhs.example")
MISSING = unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it")
ANOTHER = certificate(NOW - 5 * DAY, serial_number=0x99)
ESCALATION = replace(ADDRESS, role=Role.BUSINESS)

DEFAULT_LETTER = """\
Hello Jo Bloggs
We are the team who are currently maintaining the Integration API.
Your client certificate for the prod environment of the Integration API is due to expire within the next 14 days, on \
2026-12-06 09:00 UTC, at which point you won't be able to access it. It is the certificate for nhs, serial number 1a2b3.
So that we can send you new credentials, please can you complete the following as soon as possible. Please generate \
keys following the steps below, and then send us only the public key (credential-exchange-public-key.pem). To answer, \
reply to this mail: it goes to team@integration.example.
Generate private key
openssl genrsa -out credential-exchange-private-key.pem 3072
Generate public key
openssl rsa -in credential-exchange-private-key.pem -pubout -out credential-exchange-public-key.pem
These keys are used to encrypt the keys that we generate on our side, so that they can be sent to you safely. Please \
keep the public and private keys that you generate in the above steps on your side until we have sent you the new \
keys. Do not send the private key to anybody, nor to us.
If you are unable to generate these keys, please let us know and we can find an alternative way of sending the \
credentials.
Your API key does not change. The current certificate stays valid until 2026-12-06 09:00 UTC, even after a new one was \
made.
Thanks
Integration team"""


def letter(*recipients: Recipient, **facts: Any) -> Letter:
    """The letter to the last of the recipients."""
    return message_to(*recipients, **facts).letters[-1]


def text(of: Letter) -> str:
    return "\n".join(part.text for part in of.parts)


class TestTheDefaultLetter:
    def test_has_every_sentence_of_the_former_manual_mail(self) -> None:
        """Sentence by sentence; it adds that the API key does not change, and the end of the old certificate."""
        assert text(letter()) == DEFAULT_LETTER

    def test_shows_the_commands_as_such(self) -> None:
        """So that they can be copied; each below its heading."""
        kinds = [part.kind for part in letter().parts if part.kind is not PartKind.PARAGRAPH]
        assert kinds == [PartKind.HEADING, PartKind.COMMAND] * 2

    def test_has_a_subject_that_stays_the_same(self) -> None:
        """All reminders before expiry have the same subject, so that a mailbox shows them together."""
        first = letter(seen=certificate(NOW + 14 * DAY), now=NOW - 14 * DAY)
        assert first.subject == letter().subject == "Action needed: certificate for nhs in prod expires on 2026-12-06"

    @pytest.mark.parametrize(
        ("left", "said"),
        [
            (14 * DAY, "14 days"),
            (13 * DAY + SECOND, "14 days"),
            (2 * DAY, "2 days"),
            (DAY, "24 hours"),
            (HOUR, "24 hours"),
        ],
    )
    def test_counts_days_as_the_alert_does(self, left: timedelta, said: str) -> None:
        """Rounded up, so that "within the next" is true."""
        words = text(letter(seen=certificate(NOW + left)))
        assert f"is due to expire within the next {said}, on " in words

    def test_after_expiry(self) -> None:
        """The letter has the date of expiry, and no sentence about a valid certificate."""
        late = letter(seen=certificate(NOW - 3 * DAY))
        assert late.subject == "Action needed: certificate for nhs in prod expired on 2026-11-19"
        assert "expired on 2026-11-19 09:00 UTC, 3 days ago, so you may not be able to access it any more." in text(
            late
        )
        assert "stays valid" not in text(late)
        assert "openssl genrsa" in text(late)

    def test_to_somebody_without_a_name(self) -> None:
        """A plain greeting."""
        assert text(letter(Recipient(Role.TECHNICAL, "jo@nhs.example"))).startswith("Hello\n")


class TestTheSender:
    @pytest.mark.parametrize(
        ("sender", "owner", "signed"),
        [
            ("Kim Roe", "integration-team", "Kim Roe"),
            ("", "integration-team", "integration-team"),
            ("", "", "The team that looks after the Integration API"),
        ],
    )
    def test_is_said_at_the_end(self, sender: str, owner: str, signed: str) -> None:
        """The policy's person or team, else the certificate's owner, else the team behind the system."""
        words = letter(address=EmailAddress(sender=sender, system="Integration API"), owner=owner)
        assert [part.text for part in words.parts][-2:] == ["Thanks", signed]

    @pytest.mark.parametrize(
        ("system", "said"), [("", "our system"), ("Integration API", "the Integration API"), ("the Hub", "the Hub")]
    )
    def test_is_the_team_behind_the_system(self, system: str, said: str) -> None:
        """As the policy names it."""
        assert f"currently maintaining {said}." in text(letter(address=EmailAddress(system=system)))

    def test_tells_how_to_answer(self) -> None:
        """By a reply, with its address if the policy has one."""
        assert "To answer, reply to this mail." in text(letter(address=EmailAddress()))
        assert "To answer, reply to this mail: it goes to team@integration.example." in text(letter())
        assert letter().reply_to == "team@integration.example"


class TestOtherRoles:
    def test_a_business_contact_is_asked_for_a_technical_one(self) -> None:
        """The certificate, its end, the loss of access, and the wanted contact; no commands."""
        words = letter(SAM)
        assert text(words) == (
            "Hello Sam Patel\n"
            "We are the team who are currently maintaining the Integration API.\n"
            "The client certificate for nhs in the prod environment of the Integration API is due to expire within the"
            " next 14 days, on 2026-12-06 09:00 UTC, at which point nhs won't be able to access it. Its serial number"
            " is 1a2b3.\n"
            "We know no technical contact for nhs. Please send us the name and the e-mail address of a technical"
            " contact, somebody who can renew it, as soon as possible: we will write to them with all the steps. To"
            " answer, reply to this mail: it goes to team@integration.example.\n"
            "Thanks\n"
            "Integration team"
        )
        assert {part.kind for part in words.parts} == {PartKind.PARAGRAPH}

    def test_a_business_contact_after_a_technical_one(self) -> None:
        """This letter is sent if the technical contact was refused, and says so."""
        words = text(letter(JO, SAM))
        assert "The technical contact that we have on file for nhs cannot be reached. Please send us" in words
        assert "We know no technical contact" not in words

    def test_a_business_contact_to_whom_it_is_escalated(self) -> None:
        """The earlier letters to the technical contact had no effect."""
        words = text(letter(SAM, address=ESCALATION, written_to=Role.TECHNICAL))
        assert (
            "We have written to the technical contact that we have on file for nhs, and have seen no renewal since."
            " Please make sure that they renew it as soon as possible, or send us the name and the e-mail address of"
            " another technical contact: we will write to them with all the steps. To answer," in words
        )
        assert "We know no technical contact" not in words

    @pytest.mark.parametrize(
        ("written_to", "others"), [(Role.SLACK, "the Slack user behind"), (None, "somebody else behind")]
    )
    def test_a_business_contact_to_whom_it_is_escalated_from_others(self, written_to: Role | None, others: str) -> None:
        """The letter does not mention a technical contact who never had a letter."""
        words = text(letter(SAM, address=ESCALATION, written_to=written_to))
        assert (
            f"We have written to {others} nhs, and have seen no renewal since. Please make sure that they renew it as"
            " soon as possible, or send us the name and the e-mail address of a technical contact: we will" in words
        )

    def test_a_business_contact_after_expiry(self) -> None:
        words = text(letter(SAM, seen=certificate(NOW - DAY)))
        assert "expired on 2026-11-21 09:00 UTC, 1 day ago, so nhs may not be able to access it any more." in words

    def test_a_colleague_in_slack_gets_the_same_steps(self) -> None:
        """Short, and with a person to talk to, since nobody reads replies to a bot."""
        words = letter(ALEX)
        assert text(words) == (
            "Hello Alex\n"
            "The client certificate for nhs in prod of the Integration API is due to expire within the next 14 days,"
            " on 2026-12-06 09:00 UTC: nhs has no access from then on. Its serial number is 1a2b3.\n"
            "Please generate a key pair with these two commands, and send only the public key to Integration team"
            " (team@integration.example):\n"
            "openssl genrsa -out credential-exchange-private-key.pem 3072\n"
            "openssl rsa -in credential-exchange-private-key.pem -pubout -out credential-exchange-public-key.pem\n"
            "It encrypts the keys that we generate on our side, so that they can be sent to you safely. Keep both keys"
            " until the new credentials have come. The API key does not change. The current certificate stays valid"
            " until 2026-12-06 09:00 UTC, even after a new one was made.\n"
            "If you cannot generate keys, or anything is unclear, talk to Integration team (team@integration.example):"
            " there are other ways. Nobody reads replies to this message."
        )

    def test_a_colleague_after_expiry(self) -> None:
        words = text(letter(ALEX, seen=certificate(NOW - DAY)))
        assert "expired on 2026-11-21 09:00 UTC, 1 day ago: nhs may already have lost access." in words
        assert "stays valid" not in words

    @pytest.mark.parametrize("recipient", [OPS, JO, SAM, ALEX])
    def test_a_host_certificate_is_requested_anew(self, recipient: Recipient) -> None:
        """For every role: it is not renewed here, so the letter asks for no keys."""
        words = text(letter(recipient, profile="Host"))
        assert (
            "The host certificate for nhs in prod, serial number 1a2b3, is due to expire within the next 14 days, on"
            " 2026-12-06 09:00 UTC, and is not accepted from then on." in words
        )
        assert "A host certificate is not renewed here. Please request a new one" in words
        assert "openssl" not in words

    def test_an_expired_host_certificate(self) -> None:
        words = text(letter(OPS, profile="Host", seen=certificate(NOW - DAY)))
        assert "1 day ago, so it is not accepted any more." in words
        assert "put it into its place as soon as possible." in words


class TestWhichMessagesHaveLetters:
    def test_one_for_each_recipient(self) -> None:
        """In the order of the recipients: each is the fallback of the one before."""
        assert [each.recipient for each in message_to(JO, SAM).letters] == [JO, SAM]

    @pytest.mark.parametrize("known", [None, certificate(NOW + 100 * DAY)])
    def test_none_about_a_problem_of_the_source(self, known: Certificate | None) -> None:
        """The consumer cannot fix a missing Secret, if no date is near."""
        assert message_to(seen=MISSING, recorded=knowing(known)).letters == ()

    def test_none_about_an_expired_certificate_of_another_kind(self) -> None:
        """It is in the source by mistake; the certificate in use is valid for a long time."""
        assert message_to(seen=ANOTHER, recorded=knowing(certificate(NOW + 100 * DAY))).letters == ()

    @pytest.mark.parametrize("source", [MISSING, ANOTHER])
    def test_one_about_the_date_while_the_source_is_at_fault(self, source: Certificate | Observation) -> None:
        """The last known date is near, which concerns the consumer."""
        words = letter(seen=source, recorded=knowing(certificate(NOW + 14 * DAY)))
        assert text(words) == DEFAULT_LETTER

    def test_none_in_channels_of_the_team(self) -> None:
        """Only a channel of type Email writes to people."""
        assert composed(certificate(NOW + 14 * DAY), plan=policy(channel())).letters == ()


class TestTheClosingLetter:
    def test_says_that_it_is_done(self) -> None:
        """Serial number and date of the new certificate, and that there is nothing to do."""
        words = closing_to().letters[0]
        assert words.subject == "Done: a renewed certificate for nhs in prod is in place"
        assert text(words) == (
            "Hello Jo Bloggs\n"
            "A renewed certificate for nhs in prod is in place: serial number bb, valid until 2027-12-27 09:00 UTC."
            " You do not have to do anything more.\n"
            "If it has not reached you, please let us know. To answer, reply to this mail: it goes to"
            " team@integration.example.\n"
            "Thanks\n"
            "Integration team"
        )

    def test_to_a_colleague(self) -> None:
        words = text(closing_to(ALEX).letters[0])
        assert words.endswith("please let us know. Talk to Integration team (team@integration.example).")

    def test_of_one_that_ends_soon_as_well(self) -> None:
        """Then there is still something to do."""
        words = text(closing_to(days=10).letters[0])
        assert "must be renewed as well, so we will write to you again." in words
        assert "nothing more" not in words

    def test_none_when_only_the_source_was_fixed(self) -> None:
        """The team was alerted about the unreadable source; the consumer was not."""
        recorded = knowing(certificate(NOW + 90 * DAY), notified(40, "", name="consumer"))
        assert message_to(seen=certificate(NOW + 90 * DAY), recorded=recorded).letters == ()


class TestTheThread:
    def test_holds_all_stages_and_the_closing_letter(self) -> None:
        """All letters about one certificate share a thread, and each has a key of its own."""
        old = certificate(NOW + 5 * DAY, serial_number=0xAA)
        first, later = (letter(seen=old, now=moment) for moment in (NOW - 2 * DAY, NOW))
        last = closing_to().letters[0]
        assert len({each.thread for each in (first, later, last)}) == 1
        assert len({each.key for each in (first, later, last)}) == 3

    def test_has_the_same_key_when_sent_again(self) -> None:
        """A retry of a stage sends the same letter."""
        assert letter().key == letter(now=NOW + HOUR, seen=certificate(NOW + 14 * DAY)).key

    def test_is_another_for_another_certificate(self) -> None:
        """Also for another certificate of the same object."""
        assert letter().thread != letter(seen=certificate(NOW + 14 * DAY, serial_number=0xCC)).thread

    def test_differs_between_recipients(self) -> None:
        """By role, and within a role by order."""
        second = Recipient(Role.TECHNICAL, "sandy@nhs.example")
        assert len({each.key for each in message_to(JO, second, SAM).letters}) == 3

    def test_reveals_nothing(self) -> None:
        """Thread and key are hexadecimal hashes, which reveal no address and no name."""
        words = letter()
        assert re.fullmatch(r"[0-9a-f]{32}", words.thread)
        assert re.fullmatch(r"[0-9a-f]{32}", words.key)


class TestAPolicysOwnText:
    OWN = EmailAddress(
        subject="{owner}: {name}/{environment} {serialNumber}",
        body="Dear {name},\nit ends on {date}\nin {duration} days.\n\n    openssl  req -new {name}\n\n\n  Yours\n",
    )

    def test_have_fixed_fields(self) -> None:
        """Paragraphs between empty lines; what is indented by four spaces is a command."""
        words = letter(address=self.OWN)
        assert words.subject == "integration-team: nhs/prod 1a2b3"
        assert [(part.kind, part.text) for part in words.parts] == [
            (PartKind.PARAGRAPH, "Dear nhs, it ends on 2026-12-06 in 14 days."),
            (PartKind.COMMAND, "openssl req -new nhs"),
            (PartKind.PARAGRAPH, "Yours"),
        ]

    def test_run_no_code(self) -> None:
        """Attributes and conversions stay text, and a value that looks like a field is not a field."""
        own = EmailAddress(subject="{name.__class__} {name!r} {name}", body="{name.__init__.__globals__} {name}")
        words = letter(address=own, consumer="{date}")
        assert words.subject == "{name.__class__} {name!r} {date}"
        assert text(words) == "{name.__init__.__globals__} {date}"

    def test_are_not_used_after_expiry(self) -> None:
        """They are written for a certificate that will expire."""
        words = letter(address=self.OWN, seen=certificate(NOW - DAY))
        assert words.subject.startswith("Action needed: ")
        assert "so you may not be able to access it any more" in text(words)

    def test_are_not_for_other_roles(self) -> None:
        """The letters that ask for a contact, and the closing letters, keep the default words."""
        assert "We know no technical contact" in text(letter(SAM, address=self.OWN))
        assert "Dear nhs" not in text(closing_to(address=self.OWN).letters[0])
        assert text(letter(ALEX, address=self.OWN)).startswith("Dear nhs")

    def test_without_content_are_replaced(self) -> None:
        """A template of empty fields would make an empty letter."""
        words = letter(address=EmailAddress(subject=" {owner} ", body="{owner}\n\n \n"), owner="")
        assert words.subject == "Action needed: certificate for nhs in prod expires on 2026-12-06"
        assert text(words).startswith("Hello Jo Bloggs")


HOSTILE = ["a\r\nBcc: eve@evil.example", "\u202egnp.exe", "x" * 10_000, "a\u2028b\u0085c\x0bd", "nul\0", "\ud800", "  "]


class TestHostileFields:
    @pytest.mark.parametrize("field", HOSTILE)
    def test_stay_in_their_line(self, field: str) -> None:
        """No text breaks a line, hides or reorders others, or exceeds its limit."""
        own = EmailAddress(field, field, ADDRESS.reply_to, f"{{name}} {field}", f"{{name}}\n\n{field}")
        for address in (EmailAddress(sender=field, system=field, reply_to=field), own):
            for role in Role:
                words = letter(
                    Recipient(role, "jo@nhs.example", field),
                    address=address,
                    owner=field,
                    consumer=field,
                    environment=field,
                )
                assert_harmless(words)

    @given(st.text(), st.text())
    def test_any_text(self, name: str, body: str) -> None:
        """For any text at all."""
        own = EmailAddress(name, name, name, name, body)
        assert_harmless(letter(Recipient(Role.TECHNICAL, name, name), address=own, owner=name, consumer=name))


def assert_harmless(words: Letter) -> None:
    lines = [words.subject, *(part.text for part in words.parts)]
    assert all(line.isprintable() for line in lines)
    assert all(line.strip() for line in lines)
    assert len(words.subject) <= LONGEST_SUBJECT
    assert max(len(line) for line in lines) <= LONGEST_PARAGRAPH
