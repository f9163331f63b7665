"""Encrypts to a public key as CMS (RFC 5652), which one `openssl cms -decrypt -inkey` opens without a certificate.

No library makes this: `cryptography` encrypts to certificates, and to RSA with PKCS#1 v1.5 only. The recipient is named
by the SubjectKeyIdentifier; without `-recip`, openssl tries the key on each recipient, whatever it is named.
"""

import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clientcert.delivery.recipient import Recipient
from clientcert.lifecycle.renewal.policy import ContentEncryption
from clientcert.pki.der import CONTEXT_0
from clientcert.pki.der_writer import (
    CONTEXT_PRIMITIVE_0,
    algorithm,
    bit_string,
    element,
    integer,
    object_identifier,
    octet_string,
    sequence,
    set_of,
)
from clientcert.pki.pem import read_blocks
from clientcert.pki.pem_writer import pem

_DATA = "1.2.840.113549.1.7.1"
_ENVELOPED_DATA = "1.2.840.113549.1.7.3"
_AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23"
_RSAES_OAEP = "1.2.840.113549.1.1.7"
_MGF1 = "1.2.840.113549.1.1.8"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_AES256_WRAP = "2.16.840.1.101.3.4.1.45"
_AES256_CBC = "2.16.840.1.101.3.4.1.42"
_AES256_GCM = "2.16.840.1.101.3.4.1.46"
_KEY_AGREEMENTS: dict[int, tuple[str, hashes.HashAlgorithm]] = {
    256: ("1.3.132.1.11.1", hashes.SHA256()),
    384: ("1.3.132.1.11.2", hashes.SHA384()),
}
"""By the bits of the curve: dhSinglePass-stdDH-sha256kdf-scheme, or with SHA-384 (RFC 5753 section 7.1.4)."""
_KEY_OCTETS = 32
_TAG_OCTETS = 16


def encrypt(content: bytes, recipient: Recipient, encryption: ContentEncryption) -> str:
    """Encrypt; returns a PEM block `CMS`."""
    content_key = os.urandom(_KEY_OCTETS)
    recipients = set_of(_recipient_info(content_key, recipient))
    if encryption is ContentEncryption.AES256_GCM:
        nonce = os.urandom(12)
        sealed = AESGCM(content_key).encrypt(nonce, content, None)
        cipher = algorithm(_AES256_GCM, sequence(octet_string(nonce), integer(_TAG_OCTETS)))
        encrypted = _encrypted_content(cipher, sealed[:-_TAG_OCTETS])
        return _content_info(
            _AUTH_ENVELOPED_DATA, integer(0), recipients, encrypted, octet_string(sealed[-_TAG_OCTETS:])
        )
    vector = os.urandom(16)
    encrypted = _encrypted_content(algorithm(_AES256_CBC, octet_string(vector)), cbc(content_key, vector, content))
    return _content_info(_ENVELOPED_DATA, integer(2), recipients, encrypted)


def needs_openssl_3(sealed: bytes) -> bool:
    """True if this PEM is AuthEnvelopedData (RFC 5083), which OpenSSL 3.0 is the first to open."""
    marker = object_identifier(_AUTH_ENVELOPED_DATA)
    return any(marker in (block.der or b"")[:32] for block in read_blocks(sealed))


def cbc(key: bytes, vector: bytes, content: bytes) -> bytes:
    """Encrypt with AES in CBC mode, with the padding of RFC 5652 section 6.3."""
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()


def _content_info(content_type: str, *fields: bytes) -> str:
    return pem("CMS", sequence(object_identifier(content_type), element(CONTEXT_0, sequence(*fields))))


def _encrypted_content(cipher: bytes, encrypted: bytes) -> bytes:
    return sequence(object_identifier(_DATA), cipher, element(CONTEXT_PRIMITIVE_0, encrypted))


def _recipient_info(content_key: bytes, recipient: Recipient) -> bytes:
    if isinstance(recipient.key, RSAPublicKey):
        return _key_transport(content_key, recipient.key, recipient.key_identifier)
    return _key_agreement(content_key, recipient.key, recipient.key_identifier)


def _key_transport(content_key: bytes, public: RSAPublicKey, key_identifier: bytes) -> bytes:
    """KeyTransRecipientInfo (RFC 5652 section 6.2.1) with RSAES-OAEP and SHA-256 (RFC 4055 section 4.1)."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    sha256 = algorithm(_SHA256)
    parameters = sequence(element(CONTEXT_0, sha256), element(CONTEXT_0 + 1, algorithm(_MGF1, sha256)))
    return sequence(
        integer(2),
        element(CONTEXT_PRIMITIVE_0, key_identifier),
        algorithm(_RSAES_OAEP, parameters),
        octet_string(public.encrypt(content_key, oaep)),
    )


def _key_agreement(content_key: bytes, public: ec.EllipticCurvePublicKey, key_identifier: bytes) -> bytes:
    """KeyAgreeRecipientInfo (RFC 5652 section 6.2.2) with an ephemeral key of the same curve (RFC 5753 section 3.1)."""
    scheme, digest = _KEY_AGREEMENTS[public.key_size]
    ephemeral = ec.generate_private_key(public.curve)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    wrap = algorithm(_AES256_WRAP)
    bits = (8 * _KEY_OCTETS).to_bytes(4, "big")
    shared_info = sequence(wrap, element(CONTEXT_0 + 2, octet_string(bits)))
    secret = ephemeral.exchange(ec.ECDH(), public)
    wrapped = aes_key_wrap(X963KDF(digest, _KEY_OCTETS, shared_info).derive(secret), content_key)
    originator = element(CONTEXT_0 + 1, algorithm(_EC_PUBLIC_KEY), bit_string(point))
    recipient_key = sequence(element(CONTEXT_0, octet_string(key_identifier)), octet_string(wrapped))
    return element(
        CONTEXT_0 + 1,
        integer(3),
        element(CONTEXT_0, originator),
        algorithm(scheme, wrap),
        sequence(recipient_key),
    )
