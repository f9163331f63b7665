"""Reads the leaf with `cryptography`, field by field; a field that it refuses is taken from the outline."""

import re
import sys
import warnings as python_warnings
from collections.abc import Callable
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from clientcert.pki.certificate import Certificate
from clientcert.pki.lenient import Outline
from clientcert.pki.names import LONGEST_NAME

_Value = TypeVar("_Value")

LONGEST_STRICT = 64 * 1024
"""Octets. The library could hold the interpreter lock for long on a larger certificate."""
_MOST_WARNINGS, _LONGEST_WARNING = 8, 200

PROCESS_EXITS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""Exceptions that are never caught; BaseException is caught otherwise, because panics of the library are one."""

# The library warns about certificates that later versions will refuse; the outline will be used then.
python_warnings.filterwarnings("ignore", module=re.escape(__name__))


def read_certificate(outline: Outline, container_format: str, warnings: list[str]) -> Certificate:
    """Read a leaf into the neutral model; `warnings` are those of the bundle."""
    reader = _Reader(outline.der, [*warnings, *outline.warnings])
    reader.read("extensions", lambda each: each.extensions, None)
    subject = reader.read(
        "subject", lambda each: _name(each.subject), (outline.subject_dn, outline.subject_common_name)
    )
    issuer = reader.read("issuer", lambda each: _name(each.issuer), (outline.issuer_dn, outline.issuer_common_name))
    return Certificate(
        not_before=reader.read("notBefore", lambda each: each.not_valid_before_utc, outline.not_before),
        not_after=reader.read("notAfter", lambda each: each.not_valid_after_utc, outline.not_after),
        fingerprint_sha256=outline.fingerprint_sha256,
        serial_number=outline.serial_number,
        subject_dn=subject[0],
        issuer_dn=sys.intern(issuer[0]),  # many certificates share an issuer and an algorithm
        subject_common_name=subject[1],
        issuer_common_name=sys.intern(issuer[1]),
        key_algorithm=sys.intern(outline.key_algorithm),
        container_format=container_format,
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


def _name(name: x509.Name) -> tuple[str, str]:
    text = name.rfc4514_string()
    if len(text) > LONGEST_NAME:
        raise ValueError("the name is too long")
    common_names = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return text, str(common_names[0].value) if common_names else ""
