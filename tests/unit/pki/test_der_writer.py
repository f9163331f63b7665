"""The reader of DER reads everything that the writer encodes; the lengths and numbers are as short as X.690 asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.pki.der import INTEGER, SEQUENCE, read_element
from clientcert.pki.der_writer import (
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


@given(st.integers(0, 2**500))
def test_an_integer_is_read_again_and_has_no_octet_too_many(value: int) -> None:
    encoded = integer(value)
    assert read_element(encoded).integer() == value
    assert len(encoded) == 2 + value.bit_length() // 8 + 1


@pytest.mark.parametrize(
    "dotted", ["2.5.29.17", "1.2.840.113549.1.9.16.1.23", "1.3.132.1.11.1", "2.999.1", "0.0", "2.16.840"]
)
def test_an_object_identifier_is_read_again(dotted: str) -> None:
    assert read_element(object_identifier(dotted)).object_identifier() == dotted


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_a_length_has_as_few_octets_as_possible(size: int) -> None:
    encoded = octet_string(b"x" * size)
    assert read_element(encoded).octets() == b"x" * size
    octets_of_length = 1 if size < 128 else 1 + (size.bit_length() + 7) // 8
    assert len(encoded) == 1 + octets_of_length + size


def test_elements_keep_their_order_in_a_sequence_and_are_sorted_in_a_set() -> None:
    """X.690 section 11.6."""
    parts = integer(3), integer(1), integer(2)
    assert [each.integer() for each in read_element(sequence(*parts)).children()] == [3, 1, 2]
    assert [each.integer() for each in read_element(set_of(*parts)).children()] == [1, 2, 3]


def test_known_encodings() -> None:
    assert bit_string(b"\xa5") == bytes.fromhex("030200a5")
    assert element(INTEGER, b"\x01", b"\x02") == bytes.fromhex("02020102")
    assert algorithm("2.5.4.3")[0] == SEQUENCE
    assert algorithm("2.5.4.3") == bytes.fromhex("30050603550403")


@given(st.binary(min_size=1, max_size=300))
def test_a_pem_block_is_read_again_and_has_exact_lines(content: bytes) -> None:
    """RFC 7468: 64 characters a line, and nothing that a strict reader would refuse."""
    text = pem("CMS", content)
    (block,) = read_blocks(text.encode())
    assert (block.label, block.der, block.has_exact_lines) == ("CMS", content, True)
    assert all(len(line) <= 64 for line in text.splitlines())
