"""Hashes of the fields that an editor may change: a change since the last delivery is told to the approver.

RBAC cannot tell a harmless change from one that makes the next certificate go to somebody else.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from clientcert.lifecycle.spec import CertificateSpec

UID = "uid"
CONTACT = "contact"
_DIGITS = 32
"""Of a hash, in hex: so many that nobody finds two contents with the same one. Six of them fit into 512 characters."""


def declared_hash(uid: str, spec: CertificateSpec, recipients: tuple[str, ...]) -> str:
    """Hashes of what an editor may change about a certificate, each field apart, so that a change can be named.

    `recipients` are the addresses of the contact as found, also in a client list, in the order in which they are
    written to. The uid is that of the object, and is hashed into every field, so that a hash tells nothing by itself.
    """
    parts: Mapping[str, Any] = {
        UID: "",
        "policyRef": spec.policy,
        "identity": [spec.identity.name, sorted(spec.identity.fields)],
        CONTACT: recipients,
        "profile": spec.profile,
        "source": [type(spec.source).__name__, _set_fields(asdict(spec.source))],
    }
    return ";".join(f"{name}={_hash(uid, name, value)}" for name, value in parts.items())


def changed_fields(before: str, after: str) -> tuple[str, ...]:
    """The fields that differ between two results of `declared_hash`; none if nothing is known of before.

    If the uid differs it is another object, and `uid` is all that is named.
    """
    old, new = _fields(before), _fields(after)
    changed = tuple(name for name in new if name in old and old[name] != new[name])
    return (UID,) if UID in changed else changed


def _set_fields(value: Any) -> Any:
    """The value without fields that are empty: a field that a later version adds changes no hash."""
    if isinstance(value, dict):
        return {name: _set_fields(each) for name, each in value.items() if each}
    return value


def _hash(uid: str, name: str, value: Any) -> str:
    text = json.dumps([uid, name, value], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _fields(declared: str) -> Mapping[str, str]:
    return dict(each.partition("=")[::2] for each in declared.split(";") if each)
