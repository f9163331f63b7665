"""The letter about a chain that ends before the certificate: the consumer needs a new intermediate, and no new key."""

from clientcert.lifecycle.contacts import Role
from clientcert.messages.letter import LetterContext, Part, paragraph
from clientcert.messages.text import minute


def new_chain(context: LetterContext, role: Role) -> list[Part]:
    """The parts of a letter to the consumer's contact; a policy's own letter would ask for a new key."""
    situation, in_slack = context.situation, role is Role.SLACK
    consequence = f"so {situation.name} may not be able to access it any more"
    if not context.has_expired:
        consequence = f"at which point {situation.name} won't be able to access it"
    parts = [
        paragraph(
            f"The client certificate for {situation.name} in the {situation.environment} environment of"
            f" {context.writer.system} {context.ends}, {consequence}. Its serial number is {context.serial_number}."
        ),
        paragraph(
            f"The certificate itself is valid until {minute(context.accepted.not_after)}, but it is used together with"
            f" {situation.ends_first}, which ends first."
        ),
        paragraph(
            "We will send you the new issuing certificate. Please put it into the place of the old one, in the file"
            " that your client presents. You need no new key, unless we tell you that the CA has one."
        ),
    ]
    if role is Role.BUSINESS:
        parts.append(paragraph(f"Please pass this on to the people who run the client of {situation.name}."))
    if in_slack:
        return [*parts, paragraph(f"If anything is unclear, talk to {context.writer.whom}.")]
    return [context.writer.introduction, *parts, paragraph(context.writer.answer)]


def chain_in_place(context: LetterContext, role: Role) -> list[Part]:
    """The parts of the closing letter, if the certificate itself has stayed."""
    situation = context.situation
    expires = situation.assessment.expires.time
    ends = "which expired on" if situation.assessment.now > expires else "valid until"
    more = "If it does, you do not have to do anything more."
    if situation.date_is_near:
        more = "This one must be renewed as well, so we will write to you again."
    answer = f"Talk to {context.writer.whom}." if role is Role.SLACK else context.writer.answer
    if situation.other_ended:
        text = (
            f"The certificate for {situation.name} in {situation.environment}, serial number {context.serial_number},"
            f" {ends} {minute(expires)}, is the one to use. The other one, which we wrote to you about, was renewed or"
            f" removed, or has expired. {more.replace('If it does', 'If your client uses this one')}"
        )
        return [paragraph(text), paragraph(answer)]
    return [
        paragraph(
            f"The certificate for {situation.name} in {situation.environment}, serial number {context.serial_number},"
            f" has a new chain, {ends} {minute(expires)}. Your client must present the new issuing certificate. {more}"
        ),
        paragraph(f"If it has not reached you, please let us know. {answer}"),
    ]
