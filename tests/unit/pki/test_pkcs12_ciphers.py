"""The ciphers, MACs and key derivations of PKCS#12: all that OpenSSL writes, and the names of those not supported.

Most containers are opened without the subprocess, which `test_pkcs12.py` shows.
"""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from clientcert.errors import Reason
from clientcert.pki.aria import ARIA
from clientcert.pki.der import read_element
from clientcert.pki.pkcs12 import open_pkcs12
from clientcert.pki.rc2 import RC2
from tests.unit.pki.certificates import AUTHORITY, LEAF, NOT_AFTER, NOT_BEFORE, is_leaf, parse, reason_for, refusal
from tests.unit.pki.pkcs12_writer import certificate_bag, encrypted, encrypted_with_cipher, encrypted_with_scrypt, pfx
from tests.unit.pki.test_container_passwords import opens, outcome
from tools.certificates import Issued

PKCS12_SCHEMES = ["RC2-40", "RC2-128", "RC4-40", "RC4-128", "3DES", "2DES"]
PKCS5_SCHEMES = ["PBE-MD5-DES", "PBE-SHA1-DES", "PBE-MD5-RC2-64", "PBE-SHA1-RC2-64"]
BLOCK_CIPHERS = [
    *(f"{name}-{bits}-CBC" for name in ("AES", "CAMELLIA", "ARIA") for bits in (128, 192, 256)),
    *("DES-CBC", "DES-EDE3-CBC", "RC2-CBC", "RC2-40-CBC", "RC2-64-CBC", "BF-CBC", "CAST5-CBC", "SEED-CBC", "SM4-CBC"),
]
SCHEMES = [*(f"PBE-SHA1-{each}" for each in PKCS12_SCHEMES), *PKCS5_SCHEMES, *BLOCK_CIPHERS]
MACS = [
    "MD5",
    "SHA1",
    "SHA224",
    "SHA256",
    "SHA384",
    "SHA512",
    "SHA512-224",
    "SHA512-256",
    "SHA3-256",
    "RIPEMD160",
    "SM3",
]
CERTIFICATE = certificate_bag(LEAF.certificate_der, b"\x01")


def exported(openssl: str, directory: Path, *arguments: str, issued: Issued = LEAF) -> bytes:
    source = directory / "source.pem"
    source.write_bytes(issued.chain_pem + issued.private_key_pem)
    command = [openssl, "pkcs12", "-export", "-legacy", "-in", source, "-passout", "pass:secret", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


def safe_contents(container: bytes) -> list[bytes]:
    """The parts of a PKCS#12, to put those of several into one."""
    _, auth_safe, *_ = read_element(container).children()
    content = list(auth_safe.children())[1]
    return [each.encoded for each in read_element(next(content.children()).octets()).children()]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_cipher_of_openssl_is_decrypted(scheme: str, tmp_path: Path, openssl: str) -> None:
    """Certificates and keys in any cipher; the wrong password is told from a damaged file."""
    container = exported(openssl, tmp_path, "-certpbe", scheme, "-keypbe", scheme)
    assert [each.der for each in open_pkcs12(container, "secret") if each.has_key] == [LEAF.certificate_der]
    assert outcome(container, "wrong") is Reason.PASSWORD_INCORRECT


def test_without_mac_the_content_tells_a_wrong_password() -> None:
    """Nothing else can: what was decrypted must be one whole element."""
    container = pfx(encrypted(CERTIFICATE, password="secret"))
    assert opens(container, "secret")
    assert {outcome(container, f"wrong {number}") for number in range(300)} == {Reason.PASSWORD_INCORRECT}


@pytest.mark.parametrize("scheme", ["PBE-SHA1-RC2-40", "PBE-SHA1-RC4-128", "ARIA-256-CBC"])
def test_of_several_keys_each_is_seen(scheme: str, tmp_path: Path, openssl: str) -> None:
    """A renewed certificate and its key beside the old ones: the renewed one is the leaf, in whatever order."""
    old, new = (AUTHORITY.issue("nhs", NOT_BEFORE, NOT_AFTER + timedelta(days=days)) for days in (0, 300))
    for pair in ((old, new), (new, old)):
        contents = [safe_contents(exported(openssl, tmp_path, "-certpbe", scheme, issued=each)) for each in pair]
        assert parse(pfx(*(part for parts in contents for part in parts)), password="secret").not_after == new.not_after


@pytest.mark.parametrize("mac", MACS)
def test_every_mac_of_openssl_is_checked(mac: str, tmp_path: Path, openssl: str) -> None:
    """With many iterations and with one."""
    for arguments in ((), ("-nomaciter",)):
        container = exported(openssl, tmp_path, "-macalg", mac, *arguments)
        assert opens(container, "secret")
        assert outcome(container, "wrong") is Reason.PASSWORD_INCORRECT


def test_an_unknown_mac_hides_no_dates(tmp_path: Path, openssl: str) -> None:
    """The cipher tells whether the password is right."""
    container = exported(openssl, tmp_path, "-macalg", "BLAKE2b512")
    assert is_leaf(parse(container, password="secret"))
    assert reason_for(container, password="wrong") is Reason.PASSWORD_INCORRECT


def test_scrypt_is_derived_and_its_cost_is_limited() -> None:
    """RFC 7914, as BouncyCastle writes it; more than 32 MiB at once, or 128 MiB in all, is refused."""
    cheap = encrypted_with_scrypt(CERTIFICATE, password="secret", cost=1 << 10, block_size=8, parallel=1)
    assert is_leaf(parse(pfx(cheap), password="secret"))
    assert reason_for(pfx(cheap), password="wrong") is Reason.PASSWORD_INCORRECT
    for cost, parallel in ((1 << 20, 1), (1 << 14, 64)):
        dear = encrypted_with_scrypt(CERTIFICATE, password="secret", cost=cost, block_size=8, parallel=parallel)
        assert reason_for(pfx(dear), password="secret") is Reason.TOO_EXPENSIVE


@pytest.mark.parametrize(
    ("oid", "name"),
    [
        ("2a8503020215", "GOST"),
        ("2a850307010105", "GOST"),
        ("608648016503040106", "mode of AES"),
        ("2a864886f70d0109100312", "ChaCha20"),
        ("2a0304", "not supported"),
    ],
)
def test_what_is_not_supported_is_named(oid: str, name: str) -> None:
    """The message names the algorithm, and says how to export the container again."""
    error = refusal(pfx(encrypted_with_cipher(bytes.fromhex(oid))), password="secret")
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert name in error.message
    assert "AES" in error.message


VECTORS = [
    ("0000000000000000", 63, "0000000000000000", "ebb773f993278eff"),
    ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
    ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
    ("88", 64, "0000000000000000", "61a8a244adacccf0"),
    ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
    ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
    ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
    ("88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"),
]


@pytest.mark.parametrize(("key", "bits", "plain", "cipher"), VECTORS)
def test_rc2_passes_the_vectors_of_its_rfc(key: str, bits: int, plain: str, cipher: str) -> None:
    """RFC 2268 section 5."""
    assert RC2(bytes.fromhex(key), bits).decrypt_block(bytes.fromhex(cipher)).hex() == plain


@pytest.mark.parametrize(
    ("size", "cipher"),
    [
        (16, "d718fbd6ab644c739da95f3be6451778"),
        (24, "26449c1805dbe7aa25a468ce263a9e79"),
        (32, "f92bd7c79fb72e2f2b8f80c1972d24fc"),
    ],
)
def test_aria_passes_the_vectors_of_its_rfc(size: int, cipher: str) -> None:
    """RFC 5794 appendix A."""
    plain = ARIA(bytes(range(size))).decrypt_block(bytes.fromhex(cipher))
    assert plain.hex() == "00112233445566778899aabbccddeeff"
