"""Iteration counts above the limit are refused before any work, and nothing else is taken for one."""

import pytest

from clientcert.errors import Reason
from clientcert.pki.container_entry import NotOpenedError
from clientcert.pki.der import read_element
from clientcert.pki.pkcs12_encryption import check_cost
from tests.unit.pki.certificates import sequence
from tools.der import der_element

PBES2, PBKDF2, AES_256_CBC, TRIPLE_DES = (
    der_element(0x06, bytes.fromhex(oid))
    for oid in ("2a864886f70d01050d", "2a864886f70d01050c", "60864801650304012a", "2a864886f70d0307")
)
FAR_TOO_MANY = b"\x7f\xff\xff\xff"


def number(octets: bytes) -> bytes:
    return der_element(0x02, octets)


def scheme(
    vector: bytes, salt: bytes = b"saltsalt", iterations: bytes = b"\x08\x00", cipher: bytes = AES_256_CBC
) -> bytes:
    derivation = sequence(PBKDF2, sequence(der_element(0x04, salt), number(iterations)))
    return sequence(PBES2, sequence(derivation, sequence(cipher, der_element(0x04, vector))))


LIKE_A_NUMBER = number(b"\x7f" * 14)
LIKE_A_COUNT = number(FAR_TOO_MANY).ljust(16, b"\0")


@pytest.mark.parametrize(
    "identifier",
    [
        scheme(LIKE_A_NUMBER),
        scheme(LIKE_A_COUNT),
        scheme(sequence(LIKE_A_NUMBER)),
        scheme(LIKE_A_COUNT[:8], cipher=TRIPLE_DES),
        scheme(bytes(16), salt=LIKE_A_NUMBER),
        scheme(bytes(16), salt=sequence(number(FAR_TOO_MANY))),
        sequence(AES_256_CBC, der_element(0x04, LIKE_A_NUMBER)),
        sequence(AES_256_CBC, der_element(0x04, sequence(number(FAR_TOO_MANY)))),
    ],
)
def test_a_random_vector_or_salt_is_no_iteration_count(identifier: bytes) -> None:
    """About one genuine file of a thousand has a vector that looks like a large INTEGER."""
    check_cost(read_element(identifier))


@pytest.mark.parametrize(
    "identifier", [scheme(bytes(16), iterations=FAR_TOO_MANY), scheme(bytes(16), iterations=b"\x01" * 9)]
)
def test_a_count_above_the_limit_is_refused(identifier: bytes) -> None:
    with pytest.raises(NotOpenedError) as raised:
        check_cost(read_element(identifier))
    assert raised.value.reason is Reason.TOO_EXPENSIVE
