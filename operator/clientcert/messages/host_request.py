"""Asks whoever requested host certificates for new ones: they are not renewed here."""

from collections.abc import Iterable

from clientcert.messages.letter import Part, Writer, paragraph


def request_anew(writer: Writer, which: Iterable[Part], *, many: bool, expired: bool) -> list[Part]:
    """`which` says of what host certificates it speaks, and when they end; `many`, that they are those of a batch."""
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
