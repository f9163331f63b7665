"""What the consumer's contact reads: what expires, what to do about it, and when it is done.

The default letter takes the place of the mail that somebody wrote by hand, and says all that it said, sentence by
sentence. Everything in a letter is plain text that cannot break a line.
"""

import hashlib
from functools import partial

from clientcert.api.kinds import timestamp
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import EmailAddress
from clientcert.messages.alert_text import Situation, Topic
from clientcert.messages.host_request import request_anew
from clientcert.messages.letter import (
    LONGEST_SUBJECT,
    Letter,
    Part,
    PartKind,
    Writer,
    harmless,
    paragraph,
    typed_parts,
)
from clientcert.messages.letter_case import Case
from clientcert.messages.text import clean, day, fill, minute

PRIVATE_KEY_FILE = "credential-exchange-private-key.pem"
PUBLIC_KEY_FILE = "credential-exchange-public-key.pem"
PRIVATE_KEY_COMMAND = f"openssl genrsa -out {PRIVATE_KEY_FILE} 3072"
PUBLIC_KEY_COMMAND = f"openssl rsa -in {PRIVATE_KEY_FILE} -pubout -out {PUBLIC_KEY_FILE}"

_KEY_CHARACTERS = 32
_RENEWERS = frozenset({Role.TECHNICAL, Role.SLACK})
"""They have the steps explained to them; the others are asked for something else."""


def letters(
    situation: Situation, topic: Topic, uid: str, recipients: tuple[Recipient, ...], written_to: Role | None
) -> tuple[Letter, ...]:
    """One letter for each recipient, in order; none where the consumer can do nothing about what is the matter.

    Nor is there any in a channel of another type than Email. An escalation names `written_to`, who has had the letters
    so far, by role.
    """
    channel, accepted = situation.notification.channel, situation.assessment.accepted
    if not isinstance(channel.address, EmailAddress) or accepted is None or not topic.concerns_consumer:
        return ()
    case = Case(situation, topic, Writer(channel.address, situation.owner), accepted, written_to)
    # A closing letter belongs to the thread of what it closes; after a roll-back the same letter is another one.
    thread = _hash(uid, situation.replaced_fingerprint or situation.assessment.fingerprint, channel.name)
    told = timestamp(situation.previous) if situation.previous else ""
    return tuple(
        _letter(case, recipient, thread, told, roles_before=[before.role for before in recipients[:position]])
        for position, recipient in enumerate(recipients)
    )


def _letter(case: Case, recipient: Recipient, thread: str, told: str, roles_before: list[Role]) -> Letter:
    subject, parts = _words(case, recipient, falls_back=Role.TECHNICAL in roles_before)
    stage = "closing" if case.closes else str(case.situation.notification.stage)
    return Letter(
        recipient=recipient,
        subject=clean(subject, LONGEST_SUBJECT),
        parts=harmless(parts),
        writer=case.writer,
        thread=thread,
        key=_hash(thread, stage, recipient.role, str(roles_before.count(recipient.role)), told),
    )


def _words(case: Case, recipient: Recipient, *, falls_back: bool) -> tuple[str, list[Part]]:
    """Subject and parts. A policy's own words are for whoever renews it, as long as it has not expired."""
    framed = partial(case.writer.framed, recipient)
    if case.closes:
        return _closing_subject(case), framed(_closing(case, recipient.role))
    subject = _subject(case)
    if case.situation.assessment.host or recipient.role is Role.REQUESTER:
        return subject, framed(_request_anew(case))
    if recipient.role not in _RENEWERS:
        return subject, framed(_ask_for_technical_contact(case, falls_back=falls_back))
    parts = framed(_steps_for_colleague(case) if recipient.role is Role.SLACK else _steps(case))
    if case.has_expired:
        return subject, parts
    address, values = case.writer.address, _values(case)
    own_subject = fill(address.subject, values)
    return own_subject if own_subject.strip() else subject, _own_parts(address.body, values) or parts


def _subject(case: Case) -> str:
    """It holds a date and no number of days: reminders with one subject stay together in every mailbox."""
    which = f"certificate for {case.situation.name} in {case.situation.environment}"
    return f"Action needed: {which} {'expired' if case.has_expired else 'expires'} on {day(case.accepted.not_after)}"


def _steps(case: Case) -> list[Part]:
    situation = case.situation
    consequence = "at which point you won't be able to access it"
    if case.has_expired:
        consequence = "so you may not be able to access it any more"
    return [
        case.writer.introduction,
        paragraph(
            f"Your client certificate for the {situation.environment} environment of {case.writer.system} {case.ends},"
            f" {consequence}. It is the certificate for {situation.name}, serial number {case.serial_number}."
        ),
        paragraph(
            "So that we can send you new credentials, please can you complete the following as soon as possible."
            " Please generate keys following the steps below, and then send us only the public key"
            f" ({PUBLIC_KEY_FILE}). {case.writer.answer}"
        ),
        Part(PartKind.HEADING, "Generate private key"),
        Part(PartKind.COMMAND, PRIVATE_KEY_COMMAND),
        Part(PartKind.HEADING, "Generate public key"),
        Part(PartKind.COMMAND, PUBLIC_KEY_COMMAND),
        paragraph(
            "These keys are used to encrypt the keys that we generate on our side, so that they can be sent to you"
            " safely. Please keep the public and private keys that you generate in the above steps on your side"
            " until we have sent you the new keys. Do not send the private key to anybody, nor to us."
        ),
        paragraph(
            "If you are unable to generate these keys, please let us know and we can find an alternative way of"
            " sending the credentials."
        ),
        paragraph(f"Your API key does not change.{_still_valid(case)}"),
    ]


def _steps_for_colleague(case: Case) -> list[Part]:
    situation = case.situation
    cut_off = "may be cut off already" if case.has_expired else "has no access from then on"
    return [
        paragraph(
            f"The client certificate for {situation.name} in {situation.environment} of {case.writer.system}"
            f" {case.ends}: {situation.name} {cut_off}. Its serial number is {case.serial_number}."
        ),
        paragraph(
            f"Please generate a key pair with these two commands, and send only the public key to {case.writer.whom}:"
        ),
        Part(PartKind.COMMAND, PRIVATE_KEY_COMMAND),
        Part(PartKind.COMMAND, PUBLIC_KEY_COMMAND),
        paragraph(
            "It encrypts the keys that we generate on our side, so that they can be sent to you safely. Keep both keys"
            f" until the new credentials have come. The API key does not change.{_still_valid(case)}"
        ),
        paragraph(
            f"If you cannot generate keys, or anything is unclear, talk to {case.writer.whom}: there are other ways."
            " Nobody reads answers to this message."
        ),
    ]


def _ask_for_technical_contact(case: Case, *, falls_back: bool) -> list[Part]:
    situation = case.situation
    consequence = f"at which point {situation.name} won't be able to access it"
    if case.has_expired:
        consequence = f"so {situation.name} may not be able to access it any more"
    why = f"We know no technical contact for {situation.name}."
    ask = (
        "send us the name and the e-mail address of a technical contact, somebody who can renew it, as soon as possible"
    )
    if falls_back:
        why = f"The technical contact that we have on file for {situation.name} cannot be reached."
    elif case.writer.address.role is Role.BUSINESS:
        why = f"We have written to {_others(case)} {situation.name}, and have seen no renewal since."
        ask = (
            "see to it that they renew it as soon as possible, or send us the name and the e-mail address of"
            f" {'another' if case.written_to is Role.TECHNICAL else 'a'} technical contact"
        )
    return [
        case.writer.introduction,
        paragraph(
            f"The client certificate for {situation.name} in the {situation.environment} environment of"
            f" {case.writer.system} {case.ends}, {consequence}. Its serial number is {case.serial_number}."
        ),
        paragraph(f"{why} Please {ask}: we will write to them with all the steps. {case.writer.answer}"),
    ]


def _others(case: Case) -> str:
    """Who was written to before it was escalated, as a sentence goes on with the consumer's name."""
    if case.written_to is None:
        return "somebody else behind"
    return f"the {case.written_to} {'behind' if case.written_to is Role.SLACK else 'that we have on file for'}"


def _request_anew(case: Case) -> list[Part]:
    situation = case.situation
    consequence = "so it is not accepted any more" if case.has_expired else "and is not accepted from then on"
    which = paragraph(
        f"The host certificate for {situation.name} in {situation.environment}, serial number"
        f" {case.serial_number}, {case.ends}, {consequence}."
    )
    return request_anew(case.writer, [which], many=False, expired=case.has_expired)


def _closing_subject(case: Case) -> str:
    return f"Done: a renewed certificate for {case.situation.name} in {case.situation.environment} is in place"


def _closing(case: Case, role: Role) -> list[Part]:
    when = minute(case.accepted.not_after)
    expired = case.situation.assessment.now > case.accepted.not_after
    more = "There is nothing more that you have to do."
    if case.situation.date_is_near:
        more = "This one has to be renewed as well, so we will write to you again."
    answer = f"Talk to {case.writer.whom}." if role is Role.SLACK else case.writer.answer
    return [
        paragraph(
            f"A renewed certificate for {case.situation.name} in {case.situation.environment} is in place: serial"
            f" number {case.serial_number}, {'which expired on' if expired else 'valid until'} {when}. {more}"
        ),
        paragraph(f"If it has not reached you, please let us know. {answer}"),
    ]


def _still_valid(case: Case) -> str:
    if case.has_expired:
        return ""
    return (
        f" The current certificate stays valid until {minute(case.accepted.not_after)}, also when a new one was made."
    )


def _values(case: Case) -> dict[str, str]:
    return {
        "name": case.situation.name,
        "environment": case.situation.environment,
        "duration": str(case.duration),
        "date": day(case.accepted.not_after),
        "serialNumber": case.serial_number,
        "owner": case.situation.owner,
    }


def _own_parts(body: str, values: dict[str, str]) -> list[Part]:
    """A policy's own letter; empty when it says nothing."""
    filled = (Part(part.kind, fill(part.text, values)) for part in typed_parts(body))
    return [part for part in filled if part.text.strip()]


def _hash(*parts: str) -> str:
    """Hexadecimal; parts cannot run into each other."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_KEY_CHARACTERS]
