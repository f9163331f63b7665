"""For a renewal, the leaf is read with its octets, its chain, and whether a private key is beside it."""

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.errors import CertificateError, Reason
from clientcert.pki.identity import Field, Identity
from clientcert.pki.leaf_content import LeafContent, read_leaf
from tests.unit.pki.certificates import AUTHORITY, LEAF, NOT_AFTER, NOT_BEFORE, NOW, ROOT, authorities_pem, parse, pem
from tests.unit.pki.key_material import private_key_forms

OTHER = AUTHORITY.issue("other", NOT_BEFORE, NOT_AFTER)
INTERMEDIATE, ROOT_DER = (each.public_bytes(Encoding.DER) for each in LEAF.authorities)


def leaf(data: bytes, password: str | None = None) -> LeafContent:
    return read_leaf(data, password=password, now=NOW)


@pytest.mark.parametrize(
    "data",
    [LEAF.certificate_pem, LEAF.certificate_der, LEAF.chain_pem, b"".join(authorities_pem()) + LEAF.certificate_pem],
    ids=["PEM", "DER", "chain", "chain in another order"],
)
def test_it_is_the_same_leaf_that_alerts_are_about(data: bytes) -> None:
    found = leaf(data)
    assert found.certificate == parse(data)
    assert found.der == LEAF.certificate_der
    assert not found.has_private_key


def test_the_declared_identity_decides_here_too() -> None:
    data = LEAF.certificate_pem + OTHER.certificate_pem
    for name, expected in (("nhs", LEAF), ("other", OTHER)):
        identity = Identity.declared("", {Field.COMMON_NAME: name})
        assert read_leaf(data, identity=identity, now=NOW).der == expected.certificate_der


def test_the_chain_is_that_of_the_leaf_without_the_root() -> None:
    """In its order, whatever the order of the file, and without what belongs to others."""
    elsewhere = ROOT.intermediate("Another CA").identity.certificate_pem
    data = pem(ROOT_DER) + elsewhere + pem(INTERMEDIATE) + LEAF.certificate_pem
    assert leaf(data).chain_ders == (INTERMEDIATE,)
    assert leaf(LEAF.certificate_pem).chain_ders == ()


@pytest.mark.parametrize("form", private_key_forms("RSA 2048"))
def test_any_private_key_counts(form: str) -> None:
    """Also one that belongs to no certificate in the file, encrypted, damaged or in base64."""
    text, der = private_key_forms("RSA 2048")[form]
    assert leaf(LEAF.certificate_pem + text).has_private_key
    assert leaf(text + LEAF.certificate_pem).has_private_key
    assert leaf(LEAF.certificate_pem + text.replace(b"-----", "\u2014".encode())).has_private_key
    if "1, encrypted" not in form:
        assert leaf(LEAF.certificate_pem + base64.encodebytes(der)).has_private_key
        assert leaf(LEAF.certificate_der + der).has_private_key


def test_a_container_with_a_key_counts() -> None:
    for data, password in (
        (LEAF.pkcs12("secret"), "secret"),
        (LEAF.jks("secret"), "secret"),
        (LEAF.pkcs12(None), None),
    ):
        found = leaf(data, password)
        assert found.has_private_key
        assert found.der == LEAF.certificate_der


def test_errors_are_those_of_the_parser() -> None:
    for data in (b"", b"\x30\x82", LEAF.private_key_pem, bytes(2 << 20)):
        with pytest.raises(CertificateError) as caught:
            leaf(data)
        with pytest.raises(CertificateError) as expected:
            parse(data)
        assert (caught.value.reason, caught.value.message) == (expected.value.reason, expected.value.message)
        assert caught.value.__context__ is None
    with pytest.raises(CertificateError) as caught:
        leaf(LEAF.pkcs12("secret"), "wrong")
    assert caught.value.reason is Reason.PASSWORD_INCORRECT


def test_a_repr_shows_no_octets() -> None:
    assert "x30" not in repr(leaf(LEAF.chain_pem + LEAF.private_key_pem))
