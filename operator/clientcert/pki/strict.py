"""Reads the leaf with `cryptography`, field by field; a field that it refuses is taken from the outline."""

import hashlib
import re
import sys
import warnings as python_warnings
from collections.abc import Callable
from typing import TypeVar

from cryptography import x509

from clientcert.pki.bundle import Bundle
from clientcert.pki.certificate import Certificate
from clientcert.pki.choice import Choice
from clientcert.pki.names import LONGEST_NAME
from clientcert.pki.public_keys import USUAL_KEY, canonical_key

_Value = TypeVar("_Value")

LONGEST_STRICT = 64 * 1024
"""Octets. The library could hold the interpreter lock for long on a larger certificate."""
_MOST_WARNINGS, _LONGEST_WARNING = 8, 200

PROCESS_EXITS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""Exceptions that are never caught; BaseException is caught otherwise, because panics of the library are one."""

# The library warns about certificates that later versions will refuse; the outline will be used then.
_HASH_OCTETS = 16

python_warnings.filterwarnings("ignore", module=re.escape(__name__))


def read_certificate(bundle: Bundle, choice: Choice) -> Certificate:
    """Read the chosen certificate of the bundle into the neutral model."""
    outline, key = choice.leaf, choice.leaf.public_key_info
    if not USUAL_KEY.fullmatch(key):
        key = canonical_key(key)
    reader = _Reader(outline.der, [*choice.warnings, *bundle.warnings, *outline.warnings])
    reader.read("extensions", lambda each: each.extensions, None)
    subject_dn = reader.read("subject", lambda each: _name(each.subject), outline.subject_dn)
    issuer_dn = reader.read("issuer", lambda each: _name(each.issuer), outline.issuer_dn)
    return Certificate(
        not_before=reader.read("notBefore", lambda each: each.not_valid_before_utc, outline.not_before),
        not_after=reader.read("notAfter", lambda each: each.not_valid_after_utc, outline.not_after),
        fingerprint_sha256=outline.fingerprint_sha256,
        serial_number=outline.serial_number,
        subject_dn=subject_dn,
        issuer_dn=sys.intern(issuer_dn),  # many certificates share an issuer and an algorithm
        subject_common_name=outline.subject_common_names[-1] if outline.subject_common_names else "",
        issuer_common_name=sys.intern(outline.issuer_common_name),
        key_algorithm=sys.intern(outline.key_algorithm),
        container_format=bundle.container_format,
        public_key_hash=hashlib.sha256(key).digest()[:_HASH_OCTETS] if key else b"",
        identity_mismatch=choice.mismatch,
        chosen_until=choice.until,
        ends_first=choice.ends_first,
        warnings=reader.warnings(),
    )


class _Reader:
    def __init__(self, der: bytes, warnings: list[str]) -> None:
        self._warnings = warnings
        self._certificate = self._load(der)

    def read(self, name: str, accessor: Callable[[x509.Certificate], _Value], default: _Value) -> _Value:
        """Return one field as the library reads it; `default` and a warning if it raises an error."""
        if self._certificate is None:
            return default
        try:
            return accessor(self._certificate)
        except PROCESS_EXITS:
            raise
        except BaseException:  # noqa: BLE001 - a broken field must not affect the others
            self._warnings.append(f"its {name} does not conform to RFC 5280")
            return default

    def warnings(self) -> tuple[str, ...]:
        distinct = dict.fromkeys(each[:_LONGEST_WARNING] for each in self._warnings)
        return tuple(distinct)[:_MOST_WARNINGS]

    def _load(self, der: bytes) -> x509.Certificate | None:
        try:
            if len(der) <= LONGEST_STRICT:
                return x509.load_der_x509_certificate(der)
        except PROCESS_EXITS:
            raise
        except BaseException:  # noqa: BLE001 - see `read`
            self._warnings.append("the certificate does not conform to RFC 5280: only its main fields were read")
        else:
            self._warnings.append("the certificate is unusually large: only its main fields were read")
        return None


def _name(name: x509.Name) -> str:
    text = name.rfc4514_string()
    if len(text) > LONGEST_NAME:
        raise ValueError("the name is too long")
    return text
