"""The leaf as `cryptography` reads it, one accessor at a time; what it refuses is taken from the outline."""

import re
import warnings as python_warnings
from collections.abc import Callable
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from clientcert.pki.certificate import Certificate
from clientcert.pki.lenient import Outline
from clientcert.pki.names import LONGEST_NAME

_Value = TypeVar("_Value")

_LONGEST_STRICT = 64 * 1024
"""Octets. What is larger could keep the library, and the interpreter's lock with it, busy for long."""
_MOST_WARNINGS, _LONGEST_WARNING = 8, 200

NOT_OURS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""What must pass where everything else is caught: a panic inside the library is a BaseException, too."""

# The library speaks of what it will refuse one day; that day the outline is used, and until then nobody can act on it.
python_warnings.filterwarnings("ignore", module=re.escape(__name__))


def read_certificate(outline: Outline, container_format: str, warnings: list[str]) -> Certificate:
    """The neutral model of a leaf; `warnings` are the bundle's."""
    reader = _Reader(outline.der, [*warnings, *outline.warnings])
    reader.ask("extensions", lambda each: each.extensions, None)
    subject = reader.ask("subject", lambda each: _name(each.subject), (outline.subject_dn, outline.subject_common_name))
    issuer = reader.ask("issuer", lambda each: _name(each.issuer), (outline.issuer_dn, outline.issuer_common_name))
    return Certificate(
        not_before=reader.ask("notBefore", lambda each: each.not_valid_before_utc, outline.not_before),
        not_after=reader.ask("notAfter", lambda each: each.not_valid_after_utc, outline.not_after),
        fingerprint_sha256=outline.fingerprint_sha256,
        serial_number=outline.serial_number,
        subject_dn=subject[0],
        issuer_dn=issuer[0],
        subject_common_name=subject[1],
        issuer_common_name=issuer[1],
        key_algorithm=outline.key_algorithm,
        container_format=container_format,
        warnings=reader.warnings(),
    )


class _Reader:
    def __init__(self, der: bytes, warnings: list[str]) -> None:
        self._warnings = warnings
        self._certificate = self._load(der)

    def ask(self, name: str, accessor: Callable[[x509.Certificate], _Value], otherwise: _Value) -> _Value:
        """What the library says of one field, or `otherwise` and a warning."""
        if self._certificate is None:
            return otherwise
        try:
            return accessor(self._certificate)
        except NOT_OURS:
            raise
        except BaseException:  # noqa: BLE001 - one broken field must hide no other, whatever the library makes of it
            self._warnings.append(f"its {name} is not as RFC 5280 wants it")
            return otherwise

    def warnings(self) -> tuple[str, ...]:
        distinct = dict.fromkeys(each[:_LONGEST_WARNING] for each in self._warnings)
        return tuple(distinct)[:_MOST_WARNINGS]

    def _load(self, der: bytes) -> x509.Certificate | None:
        try:
            if len(der) <= _LONGEST_STRICT:
                return x509.load_der_x509_certificate(der)
        except NOT_OURS:
            raise
        except BaseException:  # noqa: BLE001 - see `ask`
            self._warnings.append("the certificate is not as RFC 5280 wants it: only its outline was read")
        else:
            self._warnings.append("the certificate is unusually large: only its outline was read")
        return None


def _name(name: x509.Name) -> tuple[str, str]:
    text = name.rfc4514_string()
    if len(text) > LONGEST_NAME:
        raise ValueError("longer than anybody should keep")
    common_names = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return text, str(common_names[0].value) if common_names else ""
