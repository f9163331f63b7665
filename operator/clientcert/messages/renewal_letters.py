"""Letters about a request: to the contact of record, and to the registration authority.

A contact is told no names of users. Every part is plain text in one line, as in all letters.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from clientcert.delivery.interface import Attachment, Instruction
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Notice, NoticeKind
from clientcert.messages.letter import (
    LONGEST_SUBJECT,
    Letter,
    Part,
    PartKind,
    paragraph,
    sanitize_parts,
    stable_hash,
    thread_of,
)
from clientcert.messages.letters import PUBLIC_KEY_FILE
from clientcert.messages.renewal_authority_letters import TO_AUTHORITY
from clientcert.messages.renewal_facts import RenewalFacts
from clientcert.messages.text import day, minute, sanitize_line, sentence

_FINGERPRINT_OF_PUBLIC_KEY = (
    f"openssl pkey -pubin -in {PUBLIC_KEY_FILE} -outform DER -out public-key.der",
    "openssl dgst -sha256 public-key.der",
)
_FINGERPRINT_OF_CSR = (
    "openssl req -in client.csr -noout -pubkey -out public-key.pem",
    "openssl pkey -pubin -in public-key.pem -outform DER -out public-key.der",
    "openssl dgst -sha256 public-key.der",
)
"""Without pipes: PowerShell's are not for binary content."""


@dataclass(frozen=True, slots=True)
class Enclosed:
    """The content of the mail with the new certificate."""

    attachments: tuple[Attachment, ...] = ()
    instructions: tuple[Instruction, ...] = ()


def renewal_letter(
    evaluation: RenewalEvaluation, notice: Notice, facts: RenewalFacts, enclosed: Enclosed | None = None
) -> Letter | None:
    """The letter of a notice; None if that goes to a team's channel. The one with the certificate is `enclosed`."""
    if notice.recipient is None or evaluation.certificate is None:
        return None
    enclosed = enclosed or Enclosed()
    if notice.recipient.role is Role.AUTHORITY:
        subject, words = TO_AUTHORITY[notice.kind](facts)
    else:
        subject, words = _to_contact(notice.kind, facts, notice.recipient, enclosed)
    # The letters to a contact are in the thread of those about the expiry; the last one closes it.
    about = evaluation.certificate
    thread = thread_of(about.uid, about.assessment.fingerprint, notice.channel.name)
    if notice.recipient.role is Role.AUTHORITY:
        thread = stable_hash(evaluation.uid, notice.destination)
    return Letter(
        recipient=notice.recipient,
        subject=sanitize_line(subject, LONGEST_SUBJECT),
        parts=sanitize_parts(facts.writer.framed(notice.recipient, words)),
        writer=facts.writer,
        thread=thread,
        key=stable_hash(evaluation.uid, notice.name, str(notice.number)),
        attachments=enclosed.attachments,
    )


def _to_contact(
    kind: NoticeKind, facts: RenewalFacts, recipient: Recipient, enclosed: Enclosed
) -> tuple[str, list[Part]]:
    if kind is NoticeKind.DELIVERY:
        subject, words = _delivery(facts, enclosed.instructions)
    else:
        subject, words = _TO_CONTACT[kind](facts)
    if recipient.role is Role.SLACK:
        return subject, [*words, paragraph(f"Nobody reads replies to this message: talk to {facts.writer.whom}.")]
    return subject, [facts.writer.introduction, *words, paragraph(facts.writer.answer)]


def _receipt(facts: RenewalFacts) -> tuple[str, list[Part]]:
    replaces = f" It is to replace the one with serial number {facts.old_serial}." if facts.old_serial else ""
    return f"Please check: a new certificate for {facts.name} in {facts.environment} was requested", [
        paragraph(
            f"We have a request of {minute(facts.created)} for a new client certificate for {facts.name} in the"
            f" {facts.environment} environment of {facts.writer.system}.{replaces}"
        ),
        paragraph("It is for the key with this SHA-256 fingerprint:"),
        Part(PartKind.COMMAND, facts.key_hash),
        *_own_fingerprint(facts),
        paragraph(
            "If it is yours, you do not have to do anything: you will hear from us. We may ask you for the fingerprint"
            " by another way than mail, by phone for example."
        ),
        paragraph(f"If the request or the key is not yours, please report that at once: {facts.whom}."),
    ]


def _own_fingerprint(facts: RenewalFacts) -> list[Part]:
    """The commands that print the fingerprint of what the consumer has sent, as the status has it."""
    if facts.asks_with == "reuse":
        return [paragraph("It is a key that you have sent us before, or that of the certificate in use.")]
    commands = _FINGERPRINT_OF_CSR if facts.asks_with == "csr" else _FINGERPRINT_OF_PUBLIC_KEY
    what = "certificate request (CSR)" if facts.asks_with == "csr" else "public key"
    return [
        paragraph(f"Compare it with that of the {what} that you have sent:"),
        *(Part(PartKind.COMMAND, each) for each in commands),
    ]


def _refused(facts: RenewalFacts) -> tuple[str, list[Part]]:
    still = ""
    if facts.old_serial and facts.old_until and facts.old_until > facts.now:
        still = (
            f" The certificate that you have, serial number {facts.old_serial}, is valid until {day(facts.old_until)}."
        )
    return f"Refused: the request for a new certificate for {facts.name} in {facts.environment}", [
        paragraph(
            f"The request of {minute(facts.created)} for a new client certificate for {facts.name} in the"
            f" {facts.environment} environment of {facts.writer.system} was refused.{still}"
        ),
        paragraph(f"The reason: {sentence(facts.refusal)}"),
        paragraph(
            "Please request it anew, with that corrected: send us a public key or a certificate request (CSR), and no"
            " private key. Where it cannot be renewed at all, we have to verify who you are, and will then issue a new"
            " one: please contact us for that."
        ),
        paragraph(f"If the request was not yours, please report that at once: {facts.whom}."),
    ]


def _delivery(facts: RenewalFacts, instructions: Iterable[Instruction]) -> tuple[str, list[Part]]:
    """The mail with the certificate. It is the closing letter, too: no other one follows."""
    steps: list[Part] = []
    for each in instructions:
        steps.append(paragraph(each.text))
        if each.command:
            steps.append(Part(PartKind.COMMAND, each.command))
    return f"Done: the new certificate for {facts.name} in {facts.environment}", [
        paragraph(
            f"The new client certificate for {facts.name} in the {facts.environment} environment of"
            f" {facts.writer.system} is attached: {facts.new_one}."
        ),
        *steps,
        *_old_one(facts),
        paragraph(
            "Once your client uses the new one, you do not have to do anything more; we send no more reminders about"
            " the old one."
        ),
        paragraph(f"If you did not expect this certificate, please report that at once: {facts.whom}."),
    ]


def _issued(facts: RenewalFacts) -> tuple[str, list[Part]]:
    return f"Issued: a new certificate for {facts.name} in {facts.environment}", [
        paragraph(
            f"A new client certificate for {facts.name} in the {facts.environment} environment of"
            f" {facts.writer.system} was issued: {facts.new_one}. We will hand it over to you, if you do not have it"
            " yet."
        ),
        paragraph("It is for the key with this SHA-256 fingerprint:"),
        Part(PartKind.COMMAND, facts.key_hash),
        *_old_one(facts),
        paragraph(f"If you did not expect it, please report that at once: {facts.whom}."),
    ]


def _retirement(facts: RenewalFacts) -> tuple[str, list[Part]]:
    when = f" from {day(facts.retires)} on" if facts.retires else ""
    return f"Please use the new certificate for {facts.name} in {facts.environment}: the old one is retired{when}", [
        *_old_one(facts),
        paragraph(
            f"The new one for {facts.name} in the {facts.environment} environment of {facts.writer.system},"
            f" {facts.new_one}, has to be in use by then."
        ),
        paragraph(f"If you do not have it, please say so: {facts.whom}."),
    ]


def _old_one(facts: RenewalFacts) -> list[Part]:
    return [paragraph(facts.old_one_ends)] if facts.old_one_ends else []


_TO_CONTACT: Mapping[NoticeKind, Callable[[RenewalFacts], tuple[str, list[Part]]]] = {
    NoticeKind.RECEIPT: _receipt,
    NoticeKind.REFUSED: _refused,
    NoticeKind.ISSUED: _issued,
    NoticeKind.RETIREMENT: _retirement,
    NoticeKind.RETIRING: _retirement,
}
