"""Encrypts as teams do by hand with `openssl pkeyutl` and `openssl enc`, with OAEP instead of PKCS#1 v1.5.

Opened by:

    openssl pkeyutl -decrypt -inkey KEY -pkeyopt rsa_padding_mode:oaep -in symmetric.key.enc -out symmetric.key
    openssl enc -d -aes-256-cbc -pbkdf2 -iter 310000 -md sha256 -pass file:symmetric.key -in FILE -out FILE
"""

import hashlib
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from clientcert.delivery.cms import cbc
from clientcert.delivery.recipient import Recipient
from clientcert.errors import CertificateError, Reason

ITERATIONS = 310_000
_MAGIC = b"Salted__"


def encrypt(content: bytes, recipient: Recipient) -> tuple[bytes, bytes]:
    """Return the encrypted symmetric key, and the content encrypted by it. Takes 0.2 seconds: call it in a thread.

    The symmetric key is one line of text: `-pass file:` reads a line, so a key of random octets breaks at a line feed.
    OAEP has SHA-1, the default of `pkeyutl`; it does not need a hash without collisions (RFC 8017 section 7.1).

    Raises CertificateError `UnsupportedKey` if the recipient's key is not RSA.
    """
    if not isinstance(recipient.key, RSAPublicKey):
        raise CertificateError(
            Reason.UNSUPPORTED_KEY,
            "delivery type OpenSSL encrypts to RSA keys only: send a public key of type RSA, or set "
            "spec.renewal.delivery.type of the policy to CMS",
        )
    line, salt = os.urandom(32).hex().encode(), os.urandom(8)
    derived = hashlib.pbkdf2_hmac("sha256", line, salt, ITERATIONS, 48)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
    encrypted = _MAGIC + salt + cbc(derived[:32], derived[32:], content)
    return recipient.key.encrypt(line, oaep), encrypted
