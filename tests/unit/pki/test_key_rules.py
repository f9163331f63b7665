"""Keys that are certified or encrypted to: RSA 2048 to 4096 with e = 65537, P-256, P-384, Ed25519, and no weak one."""

import math
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clientcert.pki.curves import P256, NotOnCurveError, check_ed25519, read_point, write_point
from clientcert.pki.der_writer import algorithm, bit_string, element, integer, object_identifier, sequence
from clientcert.pki.key_rules import CANNOT_ENCRYPT_TO, can_encrypt_to, key_problem
from clientcert.pki.public_keys import UnsupportedKeyError, key_hash, read_public_key, write_public_key
from tests.unit.pki.key_material import KEYS, ec_spki, rsa_spki, spki

P256_OID = object_identifier("1.2.840.10045.3.1.7")


def modulus(key: rsa.RSAPrivateKey) -> int:
    return key.public_key().public_numbers().n


def small_primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % each for each in found):
            found.append(number)
        number += 1
    return found


def roca_prime(factor: int, exponent: int) -> int:
    """A prime of 1024 bits as RSALib makes it: k·M + (65537^a mod M), where M is a product of small primes."""
    primorial = math.prod(small_primes(126))
    return factor * primorial + pow(65537, exponent, primorial)


CLOSE = (3 << 1022) + 1037, (3 << 1022) + (1 << 517) + 89
"""Two primes whose upper 506 bits are equal; Fermat's method needs more than a hundred steps for their product."""
ROCA = roca_prime(8908267958324622, 2423129403) * roca_prime(8546195670105874, 133059991)
SOUND = modulus(rsa.generate_private_key(65537, 2048))


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_rsa_keys_of_usual_lengths_are_allowed(bits: int) -> None:
    """The boundaries, 2048 and 4096 bits exactly, are among them."""
    usual = modulus(rsa.generate_private_key(65537, bits))
    assert usual.bit_length() == bits
    assert key_problem(rsa_spki(usual)) == ""


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_the_other_kinds_are_allowed(name: str) -> None:
    assert key_problem(spki(KEYS[name])) == ""


@pytest.mark.parametrize(("name", "can"), [("RSA 2048", True), ("ECDSA P-256", True), ("ECDSA P-384", True)])
def test_what_can_be_encrypted_to(name: str, can: bool) -> None:
    assert can_encrypt_to(spki(KEYS[name])) is can


def test_nothing_is_encrypted_to_keys_that_only_sign_or_are_not_allowed() -> None:
    """There is a sentence about Ed25519, because such a key is fine in a CSR."""
    assert not can_encrypt_to(spki(KEYS["Ed25519"]))
    assert not can_encrypt_to(rsa_spki(SOUND, exponent=3))
    assert not can_encrypt_to(b"")
    assert "CSR" in CANNOT_ENCRYPT_TO


WEAK = {
    "512 bits": (rsa_spki(SOUND >> 1536 | 1), "512 bits"),
    "1024 bits": (rsa_spki(SOUND >> 1024 | 1), "1024 bits"),
    "2047 bits": (rsa_spki(SOUND >> 1 | 1), "2047 bits"),
    "4097 bits": (rsa_spki(1 << 4096 | 1), "4097 bits"),
    "8192 bits": (rsa_spki(1 << 8191 | 1), "8192 bits"),
    "100,000 bits": (rsa_spki(1 << 99_999 | 1), "too long"),
    "exponent 3": (rsa_spki(SOUND, 3), "exponent"),
    "exponent 1": (rsa_spki(SOUND, 1), "exponent"),
    "exponent 65539": (rsa_spki(SOUND, 65539), "exponent"),
    "an exponent as long as the modulus": (rsa_spki(SOUND, SOUND - 2), "exponent"),
    "an exponent of 100,000 bits": (rsa_spki(SOUND, 1 << 99_999 | 1), "too long"),
    "even": (rsa_spki(SOUND - 1), "small factor"),
    "a small factor": (rsa_spki(65521 * (SOUND >> 16)), "small factor"),
    "one prime": (rsa_spki(CLOSE[0] ** 2), "one prime"),
    "a cube": (rsa_spki(((3 << 699) + 143) ** 3), "one prime"),
    "a fifth power": (rsa_spki((2**521 - 1) ** 5), "one prime"),
    "close primes": (rsa_spki(CLOSE[0] * CLOSE[1]), "CVE-2022-26320"),
    "ROCA": (rsa_spki(ROCA), "CVE-2017-15361"),
    "RSA-PSS": (rsa_spki(SOUND, oid="1.2.840.113549.1.1.10"), "RSA-PSS"),
    "RSA-OAEP": (rsa_spki(SOUND, oid="1.2.840.113549.1.1.7"), "1.2.840.113549.1.1.7"),
    "explicit parameters": (ec_spki(sequence(integer(1)), b"\x04" + bytes(64)), "parameters instead of its name"),
    "no parameters": (sequence(algorithm("1.2.840.10045.2.1"), bit_string(b"\x04" + bytes(64))), "instead of its name"),
    "P-521": (
        ec.generate_private_key(ec.SECP521R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "P-521",
    ),
    "a curve without a name": (ec_spki(object_identifier("1.2.3.4"), b"\x04" + bytes(64)), "1.2.3.4"),
    "not on the curve": (ec_spki(P256_OID, b"\x04" + bytes(63) + b"\x01"), "no point of its curve"),
    "the point at infinity": (ec_spki(P256_OID, b"\0"), "no point of its curve"),
    "a point that is cut off": (ec_spki(P256_OID, b"\x04" + bytes(40)), "no point of its curve"),
    "a hybrid point": (ec_spki(P256_OID, b"\x06" + bytes(64)), "no point of its curve"),
    "a coordinate that is too large": (ec_spki(P256_OID, b"\x04" + b"\xff" * 64), "no point of its curve"),
    "compressed and not on the curve": (ec_spki(P256_OID, b"\x02" + b"\0" * 31 + b"\x01"), "no point of its curve"),
    "Ed25519 of small order": (sequence(algorithm("1.3.101.112"), bit_string(b"\x01" + bytes(31))), "no point"),
    "Ed25519 that is not a point": (sequence(algorithm("1.3.101.112"), bit_string(b"\x02" + bytes(31))), "no point"),
    "Ed25519 of 31 octets": (sequence(algorithm("1.3.101.112"), bit_string(bytes(31))), "no point"),
    "X25519": (sequence(algorithm("1.3.101.110"), bit_string(bytes(32))), "X25519"),
    "nothing": (b"", "damaged"),
    "cut off": (spki(KEYS["RSA 2048"])[:-1], "damaged"),
    "a negative modulus": (
        sequence(algorithm("1.2.840.113549.1.1.1"), bit_string(sequence(element(2, b"\xff" * 256), integer(65537)))),
        "damaged",
    ),
    "no number": (
        sequence(algorithm("1.2.840.113549.1.1.1"), bit_string(sequence(integer(0), integer(65537)))),
        "damaged",
    ),
}


@pytest.mark.parametrize("name", WEAK)
def test_a_key_that_is_not_allowed_has_its_own_sentence(name: str) -> None:
    """It tells what is wrong, and what to do."""
    public_key_info, words = WEAK[name]
    problem = key_problem(public_key_info)
    assert words in problem
    assert "make" in problem or "send it again" in problem


def test_no_two_weaknesses_have_the_same_sentence() -> None:
    names = ("2047 bits", "4097 bits", "exponent 3", "even", "one prime", "close primes", "ROCA", "RSA-PSS")
    names += ("explicit parameters", "P-521", "not on the curve", "nothing")
    assert len({key_problem(WEAK[name][0]) for name in names}) == len(names)


def test_sound_keys_are_not_taken_for_weak_ones() -> None:
    """Numbers that are no product of two primes, and have no small factor, either."""
    primes = [modulus(rsa.generate_private_key(65537, 1024)) for _ in range(100)]
    for one, other in pairwise(primes):
        if (one * other).bit_length() == 2048:
            assert key_problem(rsa_spki(one * other)) == ""


def test_the_same_key_has_one_hash() -> None:
    """Its algorithm may have NULL, and its numbers may have zeros in front."""
    key = KEYS["RSA 2048"]
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = sequence(element(2, b"\0\0" + modulus(key).to_bytes(256, "big")), element(2, b"\0\x01\0\x01"))
    odd = sequence(algorithm("1.2.840.113549.1.1.1"), bit_string(numbers))
    assert odd != spki(key)
    assert key_hash(odd) == key_hash(spki(key))
    assert key_hash(b"\x30\0") != key_hash(b"")


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_written_as_libraries_write_them(name: str) -> None:
    assert write_public_key(read_public_key(spki(KEYS[name]))) == spki(KEYS[name])


def test_numbers_are_not_in_a_repr() -> None:
    for key in KEYS.values():
        assert not any(character.isdigit() for character in repr(read_public_key(spki(key))).partition("curve")[0][8:])


def test_points_of_a_library_are_on_their_curve() -> None:
    """And compressed ones are expanded to the same point."""
    for _ in range(20):
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        whole = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        short = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        assert read_point(P256, whole) == read_point(P256, short)
        assert write_point(P256, *read_point(P256, short)) == whole


def test_a_coordinate_beyond_the_prime_is_no_other_way_to_write_a_point() -> None:
    """Else the same key would have several hashes."""
    for x in range(5, 100):
        try:
            point = read_point(P256, b"\x02" + x.to_bytes(32, "big"))
        except NotOnCurveError:
            continue
        with pytest.raises(NotOnCurveError):
            read_point(P256, b"\x04" + (x + P256.prime).to_bytes(32, "big") + point[1].to_bytes(32, "big"))
        with pytest.raises(NotOnCurveError):
            read_point(P256, b"\x02" + (x + P256.prime).to_bytes(32, "big"))


SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
)


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_the_eight_points_of_small_order_are_no_keys(point: str) -> None:
    """Every signature of some form is valid under such a key."""
    with pytest.raises(NotOnCurveError):
        check_ed25519(bytes.fromhex(point))


def test_what_is_not_a_key_raises_one_error() -> None:
    for at in range(1, 40):
        with pytest.raises(UnsupportedKeyError):
            read_public_key(spki(KEYS["Ed25519"])[:at])
