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
    """The container cannot be opened. The error has no text of the container, so nothing of it can leak."""

    def __init__(self, reason: Reason, algorithm: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.algorithm = algorithm
        """The unsupported algorithm, of a closed list (`pkcs12_ciphers.UNSUPPORTED`); empty if it has no name."""
