"""Symmetric signatures of Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks.

A Secret may hold several keys. Then each call has one signature for each key, and the receiver has to know one of the
keys: so keys can be rotated without a failed call.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.notifiers.secret_value import key_name

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64
"""In bytes, from the specification."""
MOST_KEYS = 5


def signing_keys(value: str, ref: SecretKeyRef) -> tuple[bytes, ...]:
    """Parse the value of a Secret: keys that are separated by white space.

    Raises DeliveryError with Reason.TOKEN_REJECTED; its message names the Secret, and repeats nothing of the value.
    """
    words = value.split()
    where = key_name(ref)
    if not 0 < len(words) <= MOST_KEYS:
        raise DeliveryError(
            Reason.TOKEN_REJECTED,
            f"{where} must hold a signing key, or up to {MOST_KEYS} keys separated by white space",
        )
    return tuple(_key(word, where) for word in words)


def signed_headers(call_id: str, sent: datetime, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers that a receiver verifies a call by; without keys they contain no signature.

    `call_id` contains no full stop, since the receiver splits the signed text there.
    """
    timestamp = str(int(sent.timestamp()))
    headers = {"webhook-id": call_id, "webhook-timestamp": timestamp}
    if keys:
        signed = b".".join((call_id.encode(), timestamp.encode(), body))
        headers["webhook-signature"] = " ".join(f"v1,{_signature(key, signed)}" for key in keys)
    return headers


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _key(word: str, where: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not word.startswith(PREFIX) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise DeliveryError(
            Reason.TOKEN_REJECTED,
            f"{where} holds no signing key of Standard Webhooks: put {PREFIX} there, followed by"
            f" {SHORTEST_KEY} to {LONGEST_KEY} random bytes in base64",
        )
    return key
