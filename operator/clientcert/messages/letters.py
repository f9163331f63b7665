"""Letters to the consumer's contact: about the expiry, the next steps, and the completed renewal.

The default letter replaces the mail that a person wrote by hand, and contains each of its sentences. Every part of a
letter is plain text in one line.
"""

from collections.abc import Iterable
from functools import partial

from clientcert.api.kinds import timestamp
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.ends_first import is_issuer
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import EmailAddress
from clientcert.messages.alert_text import Situation, template_values
from clientcert.messages.chain_letter import chain_in_place, new_chain
from clientcert.messages.letter import (
    LONGEST_SUBJECT,
    Letter,
    LetterContext,
    Part,
    PartKind,
    Writer,
    paragraph,
    sanitize_parts,
    stable_hash,
    thread_of,
    typed_parts,
)
from clientcert.messages.renewal_notes import in_progress, in_progress_subject, vetting_first
from clientcert.messages.text import day, minute, sanitize_line, substitute
from clientcert.messages.topic import Topic

PRIVATE_KEY_FILE = "credential-exchange-private-key.pem"
PUBLIC_KEY_FILE = "credential-exchange-public-key.pem"
PRIVATE_KEY_COMMAND = f"openssl genrsa -out {PRIVATE_KEY_FILE} 3072"
PUBLIC_KEY_COMMAND = f"openssl rsa -in {PRIVATE_KEY_FILE} -pubout -out {PUBLIC_KEY_FILE}"

_RENEWERS = frozenset({Role.TECHNICAL, Role.SLACK})
"""The letter to these roles explains the steps; the letters to other roles ask for something else."""


def letters(
    situation: Situation, topic: Topic, evaluation: Evaluation, recipients: tuple[Recipient, ...]
) -> tuple[Letter, ...]:
    """One letter for each recipient, in order; none if the consumer cannot solve the problem.

    A channel of another type than Email has none. An escalation names the role that has had the letters so far.
    """
    channel, accepted = situation.notification.channel, situation.assessment.accepted
    if not isinstance(channel.address, EmailAddress) or accepted is None or not topic.concerns_consumer:
        return ()
    writer = Writer(channel.address, situation.owner)
    context = LetterContext(situation, topic, writer, accepted, _written_to(evaluation.contact))
    # A closing letter belongs to the thread of what it closes; after a roll-back the same letter is another one.
    about = situation.replaced_fingerprint or situation.assessment.fingerprint
    thread = thread_of(evaluation.uid, about, channel.name)
    told = timestamp(situation.previous) if situation.previous else ""
    return tuple(
        _letter(context, recipient, thread, told, roles_before=[before.role for before in recipients[:position]])
        for position, recipient in enumerate(recipients)
    )


def _written_to(contact: Resolution | None) -> Role | None:
    """The role that gets the letters that are no escalation, if it is known."""
    if contact is None or not contact.recipients:
        return None
    return contact.fallback_recipient.role if contact.fallback_recipient else contact.recipients[0].role


def request_anew(writer: Writer, which: Iterable[Part], *, many: bool, expired: bool) -> list[Part]:
    """The parts of a letter that asks for new host certificates: they are not renewed here.

    `which` names the host certificates and the ends of their validity; `many` is for those of a batch.
    """
    ask = "Please request a new one in the way that this one was requested, and put it into its place"
    until, last, unused = "before that", "", "the host is"
    if many:
        ask = "Please request new ones in the way that these were requested, and put each into its place"
        until, last = "before the old one ends", " There will be no other letter about them."
        unused = "any of the hosts is"
    if expired:
        until = "as soon as possible"
    return [
        writer.introduction,
        *which,
        paragraph(f"A host certificate is not renewed here. {ask} {until}.{last}"),
        paragraph(f"If {unused} no longer in use, please let us know. {writer.answer}"),
    ]


def _letter(context: LetterContext, recipient: Recipient, thread: str, told: str, roles_before: list[Role]) -> Letter:
    subject, parts = _words(context, recipient, falls_back=Role.TECHNICAL in roles_before)
    stage = "closing" if context.closes else str(context.situation.notification.stage)
    return Letter(
        recipient=recipient,
        subject=sanitize_line(subject, LONGEST_SUBJECT),
        parts=sanitize_parts(parts),
        writer=context.writer,
        thread=thread,
        key=stable_hash(thread, stage, recipient.role, str(roles_before.count(recipient.role)), told),
    )


def _words(context: LetterContext, recipient: Recipient, *, falls_back: bool) -> tuple[str, list[Part]]:
    """Return subject and parts. A policy's own letter is for the roles that renew, before expiry."""
    framed = partial(context.writer.framed, recipient)
    if context.closes and context.situation.chain_alone:
        return _closing_subject(context), framed(chain_in_place(context, recipient.role))
    if context.closes:
        return _closing_subject(context), framed(_closing(context, recipient.role))
    subject = _subject(context)
    if context.situation.assessment.host or recipient.role is Role.REQUESTER:
        return subject, framed(_request_anew(context))
    first = context.accepted.ends_first
    if first is not None and is_issuer(first, context.accepted.subject_dn):
        return subject, framed(new_chain(context, recipient.role))
    progress = context.situation.progress
    if progress is not None and progress.is_open:
        return in_progress_subject(context), framed(in_progress(context, progress, recipient.role))
    if recipient.role not in _RENEWERS:
        return subject, framed(_ask_for_technical_contact(context, falls_back=falls_back))
    parts = framed(_steps_for_colleague(context) if recipient.role is Role.SLACK else _steps(context))
    if context.has_expired or vetting_first(context):
        return subject, parts
    address, values = context.writer.address, template_values(context.situation, context.accepted)
    own_subject = substitute(address.subject, values)
    return own_subject if own_subject.strip() else subject, _own_parts(address.body, values) or parts


def _subject(context: LetterContext) -> str:
    """The subject has a date and no number of days, so that every mailbox keeps all reminders together."""
    which = f"certificate for {context.situation.name} in {context.situation.environment}"
    when = day(context.situation.assessment.expires.time)
    return f"Action needed: {which} {'expired' if context.has_expired else 'expires'} on {when}"


def _steps(context: LetterContext) -> list[Part]:
    situation = context.situation
    consequence = "at which point you won't be able to access it"
    if context.has_expired:
        consequence = "so you may not be able to access it any more"
    return [
        context.writer.introduction,
        paragraph(
            f"Your client certificate for the {situation.environment} environment of {context.writer.system}"
            f" {context.ends}, {consequence}. It is the certificate for {situation.name}, serial number"
            f" {context.serial_number}.{_whose(context)}"
        ),
        *vetting_first(context),
        paragraph(
            "So that we can send you new credentials, please can you complete the following as soon as possible."
            " Please generate keys following the steps below, and then send us only the public key"
            f" ({PUBLIC_KEY_FILE}). {context.writer.answer}"
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
        paragraph(f"Your API key does not change.{_still_valid(context)}"),
    ]


def _steps_for_colleague(context: LetterContext) -> list[Part]:
    situation = context.situation
    access = "may already have lost access" if context.has_expired else "has no access from then on"
    return [
        paragraph(
            f"The client certificate for {situation.name} in {situation.environment} of {context.writer.system}"
            f" {context.ends}: {situation.name} {access}. Its serial number is {context.serial_number}."
            f"{_whose(context)}"
        ),
        *vetting_first(context),
        paragraph(
            "Please generate a key pair with these two commands, and send only the public key to"
            f" {context.writer.whom}:"
        ),
        Part(PartKind.COMMAND, PRIVATE_KEY_COMMAND),
        Part(PartKind.COMMAND, PUBLIC_KEY_COMMAND),
        paragraph(
            "It encrypts the keys that we generate on our side, so that they can be sent to you safely. Keep both keys"
            f" until the new credentials have come. The API key does not change.{_still_valid(context)}"
        ),
        paragraph(
            f"If you cannot generate keys, or anything is unclear, talk to {context.writer.whom}: there are other ways."
            " Nobody reads replies to this message."
        ),
    ]


def _ask_for_technical_contact(context: LetterContext, *, falls_back: bool) -> list[Part]:
    situation = context.situation
    consequence = f"at which point {situation.name} won't be able to access it"
    if context.has_expired:
        consequence = f"so {situation.name} may not be able to access it any more"
    why = f"We know no technical contact for {situation.name}."
    ask = (
        "send us the name and the e-mail address of a technical contact, somebody who can renew it, as soon as possible"
    )
    if falls_back:
        why = f"The technical contact that we have on file for {situation.name} cannot be reached."
    elif context.writer.address.role is Role.BUSINESS:
        why = f"We have written to {_others(context)} {situation.name}, and have seen no renewal since."
        ask = (
            "make sure that they renew it as soon as possible, or send us the name and the e-mail address of"
            f" {'another' if context.written_to is Role.TECHNICAL else 'a'} technical contact"
        )
    return [
        context.writer.introduction,
        paragraph(
            f"The client certificate for {situation.name} in the {situation.environment} environment of"
            f" {context.writer.system} {context.ends}, {consequence}. Its serial number is {context.serial_number}."
            f"{_whose(context)}"
        ),
        *vetting_first(context),
        paragraph(f"{why} Please {ask}: we will write to them with all the steps. {context.writer.answer}"),
    ]


def _others(context: LetterContext) -> str:
    """The earlier recipient of an escalated letter, in words that the consumer's name follows."""
    if context.written_to is None:
        return "somebody else behind"
    return f"the {context.written_to} {'behind' if context.written_to is Role.SLACK else 'that we have on file for'}"


def _request_anew(context: LetterContext) -> list[Part]:
    situation = context.situation
    consequence = "so it is not accepted any more" if context.has_expired else "and is not accepted from then on"
    which = paragraph(
        f"The host certificate for {situation.name} in {situation.environment}, serial number"
        f" {context.serial_number}, {context.ends}, {consequence}.{_whose(context)}"
    )
    return request_anew(context.writer, [which], many=False, expired=context.has_expired)


def _closing_subject(context: LetterContext) -> str:
    situation = context.situation
    if situation.chain_alone and situation.other_ended:
        return f"Done: the certificate for {situation.name} in {situation.environment} is the one to use"
    if situation.chain_alone:
        return f"Done: the certificate for {situation.name} in {situation.environment} has a new chain"
    return f"Done: a renewed certificate for {situation.name} in {situation.environment} is in place"


def _closing(context: LetterContext, role: Role) -> list[Part]:
    when = minute(context.situation.assessment.expires.time)
    expired = context.situation.assessment.now > context.situation.assessment.expires.time
    more = "You do not have to do anything more."
    if context.situation.date_is_near:
        more = "This one must be renewed as well, so we will write to you again."
    answer = f"Talk to {context.writer.whom}." if role is Role.SLACK else context.writer.answer
    return [
        paragraph(
            f"A renewed certificate for {context.situation.name} in {context.situation.environment} is in place: serial"
            f" number {context.serial_number}, {'which expired on' if expired else 'valid until'} {when}. {more}"
        ),
        paragraph(f"If it has not reached you, please let us know. {answer}"),
    ]


def _still_valid(context: LetterContext) -> str:
    progress = context.situation.progress
    if context.has_expired or (progress is not None and progress.is_revoked):
        return ""
    until = minute(context.situation.assessment.expires.time)
    if progress is not None and progress.retires_after_days is not None:
        days = f"{progress.retires_after_days} days" if progress.retires_after_days > 1 else "one day"
        return f" The current certificate stays valid for {days} after you got a new one, until {until} at the latest."
    return f" The current certificate stays valid until {until}, even after a new one was made."


def _whose(context: LetterContext) -> str:
    """The sentence that names the certificate whose date it is, if that is another one."""
    first = context.situation.ends_first
    return f" The date is that of {first}, in the same file, which ends first." if first else ""


def _own_parts(body: str, values: dict[str, str]) -> list[Part]:
    """The parts of a policy's own letter; empty if the letter is blank."""
    filled = (Part(part.kind, substitute(part.text, values)) for part in typed_parts(body))
    return [part for part in filled if part.text.strip()]
