"""Writes PEM (RFC 7468), strictly: the counterpart of `pem.py`."""

import base64

_LINE = 64


def pem(label: str, der: bytes) -> str:
    """One block with lines of 64 characters, each ended by a line feed."""
    text = base64.b64encode(der).decode()
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))
