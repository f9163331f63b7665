"""Writes what `openssl cms -sign -nodetach -binary -outform PEM` writes (RFC 5652 section 5), a thousand a second."""

import hashlib
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from clientcert.pki.certificate_fields import read_fields
from clientcert.pki.der import SET
from clientcert.pki.der_writer import (
    algorithm,
    element,
    integer,
    object_identifier,
    octet_string,
    sequence,
    set_of,
)
from clientcert.pki.pem_writer import pem
from tools.certificates import Issued
from tools.der import der_time

_DATA, _SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_TIME = (f"1.2.840.113549.1.9.{number}" for number in (3, 4, 5))
_SHA256, _ECDSA_WITH_SHA256 = "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2"
_IMPLICIT_0 = 0xA0


def proof(content: bytes, signer: Issued, signed: datetime | None = None) -> str:
    """A SignedData over this content, with the signer's certificate in it; the key must be an EC key. PEM.

    `signed` is the time in it; None: now.
    """
    key, certificate_der = signer.private_key, signer.certificate_der
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("only an EC key makes a thousand proofs a second")
    fields = read_fields(certificate_der)
    attributes = set_of(
        _attribute(_CONTENT_TYPE, object_identifier(_DATA)),
        _attribute(_SIGNING_TIME, der_time(signed or datetime.now(UTC))),
        _attribute(_MESSAGE_DIGEST, octet_string(hashlib.sha256(content).digest())),
    )
    signer_info = sequence(
        integer(1),
        sequence(fields.issuer_der, integer(signer.certificate.serial_number)),
        algorithm(_SHA256),
        bytes((_IMPLICIT_0,)) + attributes[1:],  # under the signature they have the tag of a SET (section 5.4)
        algorithm(_ECDSA_WITH_SHA256),
        octet_string(key.sign(attributes, ec.ECDSA(hashes.SHA256()))),
    )
    signed_data = sequence(
        integer(1),
        set_of(algorithm(_SHA256)),
        sequence(object_identifier(_DATA), element(_IMPLICIT_0, octet_string(content))),
        element(_IMPLICIT_0, certificate_der),
        set_of(signer_info),
    )
    return pem("CMS", sequence(object_identifier(_SIGNED_DATA), element(_IMPLICIT_0, signed_data)))


def _attribute(oid: str, value: bytes) -> bytes:
    return sequence(object_identifier(oid), element(SET, value))
