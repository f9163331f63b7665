"""The keys that are certified, or encrypted to: RSA of 2048 to 4096 bits, P-256, P-384, Ed25519, and no weak one."""

from functools import lru_cache

from clientcert.pki.public_keys import MAKE_ANOTHER, Ed25519Key, RsaKey, UnsupportedKeyError, read_public_key
from clientcert.pki.rsa_weaknesses import has_close_primes, has_small_factor, is_perfect_power, is_roca

_RSA_BITS = range(2048, 4097)
_EXPONENT = 65537

CANNOT_ENCRYPT_TO = (
    "nothing can be encrypted to an Ed25519 key: send a certification request (CSR) by this key instead, or the public"
    " key of an RSA, P-256 or P-384 key"
)


@lru_cache(maxsize=256)
def key_problem(public_key_info: bytes) -> str:
    """The reason why this key (SubjectPublicKeyInfo, DER) is not certified, and what to do; empty if it is.

    Blocking for some hundredths of a second with a long RSA key.
    """
    try:
        key = read_public_key(public_key_info)
    except UnsupportedKeyError as error:
        return error.sentence
    return _rsa_problem(key) if isinstance(key, RsaKey) else ""


def can_encrypt_to(public_key_info: bytes) -> bool:
    """True if a key is allowed, and something can be encrypted to it; Ed25519 keys only sign."""
    return not key_problem(public_key_info) and not isinstance(read_public_key(public_key_info), Ed25519Key)


def _rsa_problem(key: RsaKey) -> str:
    bits = key.modulus.bit_length()
    if bits < _RSA_BITS.start:
        return f"the RSA key has {bits} bits, and fewer than 2048 are not safe: {MAKE_ANOTHER}"
    if bits >= _RSA_BITS.stop:
        return f"the RSA key has {bits} bits, and more than 4096 are not accepted: {MAKE_ANOTHER}"
    if key.exponent != _EXPONENT:
        return f"the public exponent of the RSA key is not 65537, as usual programs choose it: {MAKE_ANOTHER}"
    if has_small_factor(key.modulus):
        return (
            "the RSA key has a small factor, so anyone can compute its private key; its file is damaged, or the program"
            f" that made it is broken: with another program, {MAKE_ANOTHER}"
        )
    if is_perfect_power(key.modulus):
        return (
            "the RSA key is made of one prime instead of two, so anyone can compute its private key: with another"
            f" program, {MAKE_ANOTHER}"
        )
    if has_close_primes(key.modulus):
        return (
            "the two primes of the RSA key are too close to each other (CVE-2022-26320), so anyone can compute its"
            f" private key: with another program or device, {MAKE_ANOTHER}"
        )
    if is_roca(key.modulus):
        return (
            "the RSA key has the weakness ROCA (CVE-2017-15361) of some smart cards and TPMs, so its private key can be"
            f" computed: outside of that device, {MAKE_ANOTHER}"
        )
    return ""
