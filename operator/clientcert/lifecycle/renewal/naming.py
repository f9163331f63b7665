"""Names and hashes of requests. They are deterministic, so that asking twice asks once."""

import hashlib
import re

from clientcert.lifecycle.renewal.declaration import changed_fields as changed_fields
from clientcert.lifecycle.renewal.declaration import declared_hash as declared_hash
from clientcert.lifecycle.renewal.spec import Mode

REUSE = "reuse"
"""In place of a key's hash, for a request that names no key."""
_LONGEST_STEM = 200
_NOT_IN_NAMES = re.compile(r"[^a-z0-9-]+")
_HASH_DIGITS = 10


def sha256(content: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def request_name(certificate: str, serial_number: str, key_hash: str, mode: Mode, number: int = 1) -> str:
    """The name of a request, which is its id: of certificate, serial number, key and mode.

    `number` is 2 and more for a request that is made after its predecessors were refused.
    """
    digits = sha256("\0".join((certificate, serial_number, key_hash, mode)).encode())[:_HASH_DIGITS]
    name = f"{certificate[:_LONGEST_STEM].rstrip('-.')}-{digits}"
    return name if number == 1 else f"{name}-{number}"


def revocation_name(consumer: str, issuer_dn: str, serial_number: str) -> str:
    """The name of the CertificateRevocation of one certificate: of its issuer and serial number."""
    digits = sha256("\0".join((issuer_dn, serial_number)).encode())[:_HASH_DIGITS]
    stem = _NOT_IN_NAMES.sub("-", consumer.lower())[:_LONGEST_STEM].strip("-")
    return f"{stem}-{digits}" if stem else digits


def recipient_hash(certificate_uid: str, address: str) -> str:
    """The hash of a recipient: of the object's uid and the address, so that it tells nobody who it is."""
    return sha256(f"{certificate_uid}\0{address}".encode())
