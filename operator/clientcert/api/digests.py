"""Parses and renders the digests in the status of a CertificatePolicy: what was sent to whom in one message."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from clientcert.api.kinds import moment, timestamp
from clientcert.lifecycle.recorded_status import DigestRecord

DIGESTS = 32
DIGEST_KEYS = 1500
"""The number of keys, of eight bytes each, that fit into the field."""
_KEY_BYTES = 8


def parse_digests(status: Mapping[str, Any]) -> tuple[DigestRecord, ...]:
    """Parse the digests in a policy's status; none if they are invalid."""
    try:
        return tuple(_digest(entry) for entry in status.get("digests") or ())
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return ()


def render_digests(digests: Iterable[DigestRecord]) -> dict[str, Any]:
    """Render the digests as a part of a policy's status."""
    return {
        "digests": [
            {
                "channel": digest.channel,
                "sentTime": timestamp(digest.sent_time),
                "certificates": len(digest.keys),
                "keys": base64.b64encode(b"".join(sorted(digest.keys))).decode(),
            }
            for digest in digests
        ]
    }


def _digest(entry: Mapping[str, Any]) -> DigestRecord:
    keys, sent = base64.b64decode(entry["keys"], validate=True), moment(entry["sentTime"])
    if sent is None or len(keys) % _KEY_BYTES:
        raise ValueError("a digest needs a time, and keys of eight bytes")
    starts = range(0, len(keys), _KEY_BYTES)
    return DigestRecord(entry["channel"], sent, frozenset(keys[at : at + _KEY_BYTES] for at in starts))
