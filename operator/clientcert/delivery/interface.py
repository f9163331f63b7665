"""The parts of a delivery: a ciphertext for the status, files for a mail, and the commands that open them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Material:
    """Secret values, which are never in clear outside of the operator's memory."""

    private_key_pem: bytes = field(repr=False)
    """PKCS#8."""
    extras: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """By file name."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of a delivery."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Instruction:
    """A step for the consumer: a sentence, and the command, which is one line; empty: none."""

    text: str
    command: str = ""
