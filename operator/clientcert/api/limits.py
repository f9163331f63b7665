"""Limits that the schemas of several statuses share, in characters and items."""

LONGEST_TEXT = 1024
LONGEST_WORD = 128
CHANNELS = 32


def cut(text: str, longest: int) -> str:
    """At most so many characters; the last one is an ellipsis if any were left out."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
