"""What comes out of a container, and why one stays shut; shared by the process that opens it and the one that asks."""

from dataclasses import dataclass, field

from clientcert.errors import Reason

MAX_ENTRIES = 200
"""How many certificates of one container are looked at."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate of a container."""

    der: bytes = field(repr=False)
    has_key: bool
    """The container holds the private key that belongs to it."""


class NotOpenedError(Exception):
    """The container stays shut; it carries the reason alone, so that no word of its content can leave with it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def password_candidates(password: str) -> list[str]:
    """The password as it is, and without the line end that an editor or `echo` left behind."""
    trimmed = password.rstrip("\r\n")
    return [password] if trimmed == password else [password, trimmed]
