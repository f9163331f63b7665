"""The letters about a request for a renewal; each of their sentences is true."""

import hashlib
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.delivery.interface import Attachment, Instruction
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import Channel, EmailAddress, Schedule
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Notice, NoticeKind, letter_channel
from clientcert.lifecycle.renewal.status import CheckResult, DeliveryRecord, Outcome, RenewalStatus, State
from clientcert.messages.letter import Letter, PartKind
from clientcert.messages.message import Message
from clientcert.messages.renewal_letters import Enclosed
from clientcert.messages.renewal_message import compose_renewal
from tests.builders import DAY, NOW, policy
from tests.unit.messages.renewals import (
    ALEX,
    APPROVED,
    DENIED,
    FULL,
    ISSUER_ALONE,
    JO,
    KEY_HASH,
    RA,
    SENDER,
    TEAM,
    TOO_SHORT,
    of_certificate,
    request,
    status,
)
from tests.unit.messages.test_letters import HOSTILE, assert_harmless, text

AUTHORITY = Recipient(Role.AUTHORITY, RA)
USERS = ("kim.roe", "alex.ra")
STATES = {
    NoticeKind.RECEIPT: status(State.AWAITING_APPROVAL),
    NoticeKind.WAITING: status(State.AWAITING_APPROVAL, changed=("contact", "identity")),
    NoticeKind.REFUSED: status(State.REFUSED, checks=(TOO_SHORT,)),
    NoticeKind.ISSUED: status(State.ISSUED),
    NoticeKind.DELIVERY: status(State.ISSUED),
    NoticeKind.RETIREMENT: status(State.DELIVERED),
    NoticeKind.RETIRING: status(State.DONE),
}
ENCLOSED = Enclosed(
    (Attachment("client.pem", "application/x-pem-file", b"-----BEGIN CERTIFICATE-----"),),
    (Instruction("Open it."), Instruction("Decrypt the key.", "openssl cms -decrypt -inform PEM -in client.key.cms")),
)
TO_CONTACT = [kind for kind in STATES if kind is not NoticeKind.WAITING]
TO_AUTHORITY = [kind for kind in STATES if kind not in {NoticeKind.RECEIPT, NoticeKind.DELIVERY}]


def message(
    kind: NoticeKind,
    recipient: Recipient = JO,
    evaluation: RenewalEvaluation | None = None,
    *,
    number: int = 0,
    sender: str = SENDER,
    **changes: Any,
) -> Message:
    about = evaluation or request(STATES[kind], approval=APPROVED, recipient=recipient, **changes)
    assert about.certificate is not None
    notice = Notice(kind, letter_channel(about.certificate.policy), f"to-{recipient.role}", recipient, number)
    return compose_renewal(about, notice, sender, ENCLOSED if kind is NoticeKind.DELIVERY else None)


def letter(
    kind: NoticeKind, recipient: Recipient = JO, evaluation: RenewalEvaluation | None = None, **how: Any
) -> Letter:
    [found] = message(kind, recipient, evaluation, **how).letters
    return found


class TestTheReceipt:
    def test_names_the_fingerprint_and_whom_to_call(self) -> None:
        """A mail proves nothing: whoever is written to compares the fingerprint, and knows whom to tell."""
        words = letter(NoticeKind.RECEIPT)
        assert text(words) == (
            "Hello Jo Bloggs\n"
            "We are the team who are currently maintaining the Integration API.\n"
            "We have a request of 2026-11-21 09:00 UTC for a new client certificate for nhs in the prod environment of"
            " the Integration API. It is to replace the one with serial number 1a2b3.\n"
            "It is for the key with this SHA-256 fingerprint:\n"
            f"{KEY_HASH}\n"
            "Compare it with that of the public key that you have sent:\n"
            "openssl pkey -pubin -in credential-exchange-public-key.pem -outform DER -out public-key.der\n"
            "openssl dgst -sha256 public-key.der\n"
            "If it is yours, you do not have to do anything: you will hear from us. We may ask you for the fingerprint"
            " by another way than mail, by phone for example.\n"
            "If the request or the key is not yours, please report that at once: security@gov.example.\n"
            "To answer, reply to this mail: it goes to team@integration.example.\n"
            "Thanks\n"
            "Integration team"
        )
        assert words.subject == "Please check: a new certificate for nhs in prod was requested"

    @pytest.mark.parametrize(
        ("renewal", "reply_to", "sender", "whom"),
        [
            (FULL, "team@integration.example", SENDER, "security@gov.example"),
            (ISSUER_ALONE, "team@integration.example", SENDER, "team@integration.example"),
            (ISSUER_ALONE, "", SENDER, SENDER),
            (ISSUER_ALONE, "", "", "integration-team"),
            (replace(FULL, call_if_unauthorised="the duty officer, +44 1234."), "", "", "the duty officer, +44 1234"),
        ],
    )
    def test_says_whom_to_call(self, renewal: Any, reply_to: str, sender: str, whom: str) -> None:
        """As the policy says, else replyTo of its Email channel, else the operator's sender, else the owner."""
        consumer = Channel("consumer", "Email", Schedule(), EmailAddress(reply_to=reply_to))
        about = request(STATES[NoticeKind.RECEIPT], renewal, plan=policy(TEAM, consumer))
        assert f"please report that at once: {whom}." in text(letter(NoticeKind.RECEIPT, JO, about, sender=sender))

    @pytest.mark.parametrize("made_of", ["public key", "csr"])
    def test_has_commands_that_print_the_fingerprint(self, made_of: str, tmp_path: Path) -> None:
        """Typed in a shell, with real files; no pipe, so that PowerShell runs them as well."""
        for command in (
            "openssl genrsa -out credential-exchange-private-key.pem 2048",
            "openssl rsa -in credential-exchange-private-key.pem -pubout -out credential-exchange-public-key.pem",
            "openssl req -new -key credential-exchange-private-key.pem -subj /CN=nhs -out client.csr",
            "openssl pkey -in credential-exchange-private-key.pem -pubout -outform DER -out expected.der",
        ):
            subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
        asked = {"csr_pem": "-----BEGIN CERTIFICATE REQUEST-----\n", "public_key_pem": ""} if made_of == "csr" else {}
        words = letter(NoticeKind.RECEIPT, **asked)
        commands = [part.text for part in words.parts if part.kind is PartKind.COMMAND and part.text != KEY_HASH]
        assert not any("|" in command for command in commands)
        *_, last = [
            subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True, text=True).stdout
            for command in commands
        ]
        assert last.strip().endswith(hashlib.sha256((tmp_path / "expected.der").read_bytes()).hexdigest())

    def test_of_a_reused_key_has_no_commands(self) -> None:
        """Nothing was sent, so there is no file to look at."""
        words = letter(NoticeKind.RECEIPT, public_key_pem="", reuse=True)
        assert [part.text for part in words.parts if part.kind is PartKind.COMMAND] == [KEY_HASH]
        assert "It is a key that you have sent us before" in text(words)

    def test_to_a_slack_user_names_a_person_to_talk_to(self) -> None:
        words = text(letter(NoticeKind.RECEIPT, ALEX))
        assert "Nobody reads replies to this message: talk to Integration team (team@integration.example)." in words
        assert "reply to this mail" not in words


class TestTheRefusal:
    def test_says_why_and_how_to_go_on(self) -> None:
        """The check that failed, the advice to request anew, and the vetting."""
        words = text(letter(NoticeKind.REFUSED))
        assert "was refused. The certificate that you have, serial number 1a2b3, is valid until 2026-12-06." in words
        assert "The reason: The RSA key has 1024 bits: have a longer one made (check KeyAllowed)." in words
        assert "Please request it anew" in words
        assert "we have to verify who you are" in words

    def test_by_an_approver_has_their_words_and_not_their_name(self) -> None:
        denied = request(status(State.DENIED), approval=DENIED)
        words = text(letter(NoticeKind.REFUSED, JO, denied))
        assert "The reason: An approver has denied it (NotTheirs: the key is not theirs)." in words
        assert "alex.ra" not in words

    def test_does_not_call_an_expired_certificate_valid(self) -> None:
        late = request(STATES[NoticeKind.REFUSED], now=NOW + 15 * DAY)
        assert "is valid until" not in text(letter(NoticeKind.REFUSED, JO, late))

    def test_tells_the_registration_authority_the_way_back(self) -> None:
        words = text(letter(NoticeKind.REFUSED, AUTHORITY))
        assert "clientcert vet nhs-prod --namespace integration" in words
        assert "clientcert renew nhs-prod --namespace integration --reissue --public-key FILE" in words


class TestTheMailWithTheCertificate:
    def test_is_the_closing_letter(self) -> None:
        """The new serial number and date, each step, and the end of the old one; nothing more follows."""
        words = letter(NoticeKind.DELIVERY)
        assert text(words) == (
            "Hello Jo Bloggs\n"
            "We are the team who are currently maintaining the Integration API.\n"
            "The new client certificate for nhs in the prod environment of the Integration API is attached: serial"
            " number 2aeb3f, valid until 2027-12-22.\n"
            "Open it.\n"
            "Decrypt the key.\n"
            "openssl cms -decrypt -inform PEM -in client.key.cms\n"
            "The old certificate, serial number 1a2b3, stays valid until 2026-12-06.\n"
            "Once your client uses the new one, you do not have to do anything more; we send no more reminders about"
            " the old one.\n"
            "If you did not expect this certificate, please report that at once: security@gov.example.\n"
            "To answer, reply to this mail: it goes to team@integration.example.\n"
            "Thanks\n"
            "Integration team"
        )
        assert words.attachments == ENCLOSED.attachments

    @pytest.mark.parametrize(
        ("days", "said"),
        [
            (10, "is not accepted any more from 2026-12-02 on."),
            (14, "stays valid until 2026-12-06."),
            (None, "stays valid until 2026-12-06."),
        ],
    )
    def test_announces_the_retirement_of_the_old_one(self, days: int | None, said: str) -> None:
        """Counted from this delivery; not if the old certificate ends first."""
        renewal = replace(FULL, retire_after_days=days)
        words = text(letter(NoticeKind.DELIVERY, JO, request(STATES[NoticeKind.DELIVERY], renewal)))
        assert f"The old certificate, serial number 1a2b3, {said}" in words

    def test_is_in_the_thread_of_the_letters_about_the_expiry(self) -> None:
        """It closes that thread."""
        assert letter(NoticeKind.DELIVERY).thread == letter(NoticeKind.RECEIPT).thread
        assert letter(NoticeKind.DELIVERY).thread != letter(NoticeKind.WAITING, AUTHORITY).thread

    def test_is_the_same_when_it_is_sent_again(self) -> None:
        """Also if the source was replaced meanwhile; the key becomes the Message-ID."""
        again = request(STATES[NoticeKind.DELIVERY], now=NOW + DAY, approval=APPROVED)
        assert letter(NoticeKind.DELIVERY, JO, again).key == letter(NoticeKind.DELIVERY).key

    def test_of_a_first_certificate_mentions_no_old_one(self) -> None:
        words = text(letter(NoticeKind.DELIVERY, serial_number=""))
        assert "old certificate" not in words
        assert "serial number ," not in words


class TestTheIssuance:
    def test_is_told_with_what_when_and_whom_to_call(self) -> None:
        words = text(letter(NoticeKind.ISSUED, ALEX))
        assert "was issued: serial number 2aeb3f, valid until 2027-12-22." in words
        assert KEY_HASH in words
        assert "please report that at once: security@gov.example." in words

    def test_names_the_users_to_the_registration_authority(self) -> None:
        words = text(letter(NoticeKind.ISSUED, AUTHORITY))
        assert "requested by kim.roe@gov.example, decided by alex.ra@gov.example" in words
        assert "report that at once: security@gov.example." in words

    @pytest.mark.parametrize("kind", TO_CONTACT)
    def test_names_no_user_to_a_contact(self, kind: NoticeKind) -> None:
        """Users of the cluster are named to the registration authority alone."""
        for recipient in (JO, ALEX):
            words = letter(kind, recipient)
            assert not any(user in text(words) + words.subject for user in USERS)

    def test_has_the_serial_number_that_the_issuer_chose(self) -> None:
        """It is read from the certificate, not from the write-ahead."""
        assert STATES[NoticeKind.ISSUED].issuance is None
        assert "2aeb3f" in text(letter(NoticeKind.ISSUED))


class TestWhatWaits:
    def test_has_the_commands_and_what_was_changed(self) -> None:
        words = letter(NoticeKind.WAITING, AUTHORITY)
        assert "this was changed in the ClientCertificate: contact, identity." in text(words)
        assert "Undecided, it ends with the certificate, on 2026-12-06." in text(words)
        assert "by another way than mail: a mail proves nothing." in text(words)
        assert [part.text for part in words.parts if part.kind is PartKind.COMMAND] == [
            KEY_HASH,
            "clientcert approve nhs-prod-4f1d0c9a2b --namespace integration",
            "clientcert deny nhs-prod-4f1d0c9a2b --namespace integration --reason REASON --message WORDS",
        ]

    def test_with_a_proof_needs_no_phone_call(self) -> None:
        words = text(letter(NoticeKind.WAITING, AUTHORITY, proof_pem="-----BEGIN CMS-----\n"))
        assert "has a proof by the key of the current certificate" in words
        assert "another way than mail" not in words

    def test_is_another_mail_each_day(self) -> None:
        """In one thread."""
        first, second = (letter(NoticeKind.WAITING, AUTHORITY, number=number) for number in (1, 2))
        assert first.key != second.key
        assert first.thread == second.thread


class TestHostileFields:
    """Consumer, environment, owner, object names, users, approvers' words, checks, and everything in the policy."""

    @pytest.mark.parametrize("kind", STATES)
    @pytest.mark.parametrize("field", HOSTILE)
    def test_stay_in_their_line(self, kind: NoticeKind, field: str) -> None:
        assert_all_harmless(kind, field)

    @given(st.sampled_from(tuple(STATES)), st.text())
    def test_any_text(self, kind: NoticeKind, field: str) -> None:
        assert_all_harmless(kind, field)


def assert_all_harmless(kind: NoticeKind, field: str) -> None:
    """With a registration authority, and without one, where the channels are told the names of users."""
    for notify in ((RA,), ()):
        _assert_harmless(kind, field, notify)


def _assert_harmless(kind: NoticeKind, field: str, notify: tuple[str, ...]) -> None:
    consumer = Channel("consumer", "Email", Schedule(), EmailAddress(field, field, field))
    about = request(
        _hostile(STATES[kind], field),
        replace(FULL, call_if_unauthorised=field, notify=notify),
        certificate_=of_certificate(policy(TEAM, consumer), consumer=field, environment=field, owner=field),
        certificate=field,
        requested_by=field,
        serial_number=field,
        approval=replace(DENIED, by=field, reason=field, message=field),
    )
    about = replace(about, key=about.key._replace(name=field, namespace=field))
    people = [each for each in (Role.TECHNICAL, Role.BUSINESS, Role.SLACK) if kind in TO_CONTACT]
    people += [Role.AUTHORITY] if kind in TO_AUTHORITY else []
    for role in people:
        found = message(kind, Recipient(role, "jo@nhs.example", field), about, sender=field)
        for each in found.letters:
            assert_harmless(each)
        lines = [found.text, found.next_step, *(value for pair in (*found.facts, *found.details) for value in pair)]
        assert all(line.isprintable() for line in lines)
        assert max(map(len, lines)) <= 1500


def _hostile(state: RenewalStatus, field: str) -> RenewalStatus:
    checks = (CheckResult(field, Outcome.PASSED, field), CheckResult(field, Outcome.REFUSED, field))
    delivery = DeliveryRecord(NOW - timedelta(days=1), field, field) if state.delivery else None
    return replace(state, key_hash=field, changed=(field,), checks=checks, delivery=delivery, recipient_role=field)
