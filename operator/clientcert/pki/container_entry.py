"""The certificates of a container, or why it cannot be opened; shared by the subprocess and its caller."""

from dataclasses import dataclass, field

from clientcert.errors import Reason

MAX_ENTRIES = 200
"""The largest number of certificates in one container."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate of a container."""

    der: bytes = field(repr=False)
    has_key: bool
    """True if the container also has the private key of this certificate."""


class NotOpenedError(Exception):
    """The container cannot be opened. The error has only a reason, so no content of the container can leak."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def password_candidates(password: str) -> list[str]:
    """The password unchanged, and without the line break at the end that an editor or `echo` adds."""
    trimmed = password.rstrip("\r\n")
    return [password] if trimmed == password else [password, trimmed]
