"""Notes about a renewal in letters about the expiry: one is in progress, or a vetting has to come first."""

from clientcert.lifecycle.contacts import Role
from clientcert.messages.letter import LetterContext, Part, paragraph
from clientcert.messages.renewal_progress import Progress
from clientcert.messages.text import day


def in_progress_subject(context: LetterContext) -> str:
    """It asks for nothing; like the other one it has a date and no number of days."""
    situation = context.situation
    ends = "expired" if context.has_expired else "expires"
    when = day(situation.assessment.expires.time)
    return f"Being renewed: certificate for {situation.name} in {situation.environment} {ends} on {when}"


def in_progress(context: LetterContext, progress: Progress, role: Role) -> list[Part]:
    """The parts of a letter while a request is open: it asks for no key."""
    situation, in_slack = context.situation, role is Role.SLACK
    parts = [
        paragraph(
            f"The client certificate for {situation.name} in the {situation.environment} environment of"
            f" {context.writer.system}, serial number {context.serial_number}, {context.ends}."
        ),
        paragraph(
            f"We have a request to renew it. {progress.for_consumer} You do not have to do anything now; please send us"
            " no other key."
        ),
    ]
    if in_slack:
        return [*parts, paragraph(f"If anything is unclear, talk to {context.writer.whom}.")]
    return [context.writer.introduction, *parts, paragraph(context.writer.answer)]


def vetting_first(context: LetterContext) -> list[Part]:
    """The paragraph that asks for a vetting, where the certificate cannot be renewed any more; else none."""
    progress = context.situation.progress
    if progress is None or not progress.needs_vetting(expired=context.has_expired):
        return []
    why = "has expired" if context.has_expired else "cannot be renewed any more"
    if progress.is_revoked:
        why = "has been revoked, and is not accepted any more"
    return [
        paragraph(
            f"Because the certificate {why}, we have to verify who you are before we can issue a new one. Please"
            f" contact {context.writer.whom} for that first."
        )
    ]
