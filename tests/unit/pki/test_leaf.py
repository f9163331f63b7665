"""The choice of the client's certificate among several (row 19 of the faults, design section 6)."""

import itertools
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clientcert.errors import Reason
from clientcert.pki.leaf import DAMAGED, NOT_EXPIRED, UNRELATED
from tests.unit.pki.certificates import (
    AUTHORITY,
    LEAF,
    NOT_AFTER,
    NOT_BEFORE,
    NOW,
    ROOT,
    authorities_pem,
    common_name,
    is_leaf,
    odd_certificate,
    parse,
    pem,
    reason_for,
)
from tools.certificates import CertificateAuthority, Issued, self_signed
from tools.der import der_element

DAY, YEAR = timedelta(days=1), timedelta(days=365)
OTHER_AUTHORITY = CertificateAuthority.create("Other CA")
OTHER_LEAF = OTHER_AUTHORITY.issue("gp2gp", NOT_BEFORE, NOT_AFTER + 2 * YEAR)


def bundle(*issued: Issued) -> bytes:
    return b"".join(each.certificate_pem for each in issued)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_order_does_not_matter(order: tuple[int, ...]) -> None:
    """The leaf is the certificate that has issued no other, in any order."""
    chain = [LEAF.certificate_pem, *authorities_pem()]
    certificate = parse(b"".join(chain[at] for at in order))
    assert is_leaf(certificate)
    assert certificate.warnings == ()


def test_doubled_certificates_count_once() -> None:
    """A repeated certificate causes no warning."""
    certificate = parse(LEAF.chain_pem * 3)
    assert is_leaf(certificate)
    assert certificate.warnings == ()


def test_an_unrelated_authority_is_not_taken_for_the_leaf() -> None:
    """A client's certificate is preferred to a CA that issued nothing in the bundle."""
    certificate = parse(bundle(OTHER_AUTHORITY.identity, ROOT.identity, LEAF))
    assert is_leaf(certificate)
    assert certificate.warnings == ()


def test_of_unrelated_certificates_one_is_taken_in_any_order() -> None:
    """Of two clients in one file, without a declared identity, the later date decides; a warning says what to do."""
    for first, second in ((LEAF, OTHER_LEAF), (OTHER_LEAF, LEAF)):
        certificate = parse(bundle(first, second, *(OTHER_AUTHORITY.identity, AUTHORITY.identity)))
        assert is_leaf(certificate, OTHER_LEAF)
        assert certificate.warnings == (UNRELATED,)


def test_of_equal_certificates_the_first_is_taken() -> None:
    """If nothing else decides, the place in the file does."""
    other = AUTHORITY.issue("gp2gp", NOT_BEFORE, NOT_AFTER)
    for first, second in ((LEAF, other), (other, LEAF)):
        assert is_leaf(parse(bundle(first, second)), first)


def test_of_one_subject_the_one_that_was_issued_last_is_taken() -> None:
    """A renewed certificate is preferred to the old one in the same file, in any order."""
    renewed = AUTHORITY.issue("nhs", NOW - DAY, NOT_AFTER - DAY, organization="NHS Digital")
    for pair in ((LEAF, renewed), (renewed, LEAF)):
        certificate = parse(bundle(*pair, AUTHORITY.identity))
        assert is_leaf(certificate, renewed)
        assert certificate.warnings == (NOT_EXPIRED,)


def test_a_self_signed_certificate_is_its_own_leaf() -> None:
    """A self-signed client certificate is read like any other."""
    issued = self_signed("nhs", NOT_BEFORE, NOT_AFTER)
    certificate = parse(issued.certificate_pem)
    assert is_leaf(certificate, issued)
    assert certificate.warnings == ()


def test_a_renewed_self_signed_certificate_is_not_its_predecessors_issuer() -> None:
    """Two self-signed certificates of one name do not count as each other's issuer."""
    old, new = (self_signed("nhs", NOT_BEFORE, end) for end in (NOT_AFTER, NOT_AFTER + YEAR))
    assert is_leaf(parse(bundle(new, old)), new)


def test_the_issuers_name_may_be_encoded_in_another_way() -> None:
    """The string type, letter case and double spaces make no difference (RFC 5280 section 7.1)."""
    leaf = odd_certificate(issuer=common_name(der_element(0x13, b"ISSUING  ca")))
    assert parse(AUTHORITY.identity.certificate_pem + pem(leaf)).subject_common_name == "nhs"


def key_forms(issued: Issued) -> list[bytes]:
    traditional = issued.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return [issued.private_key_pem, traditional]


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("form", [0, 1], ids=["PKCS#8", "traditional"])
def test_the_private_key_in_the_file_decides(kind: str, form: int) -> None:
    """Of unrelated certificates, the leaf is the one whose private key is in the same file, in any key format."""
    mine = OTHER_AUTHORITY.issue("mine", NOT_BEFORE, NOT_AFTER, key=kind)  # type: ignore[arg-type]
    certificate = parse(bundle(LEAF, mine) + key_forms(mine)[form])
    assert is_leaf(certificate, mine)
    assert certificate.warnings == ()


def test_an_ed25519_key_in_the_file_decides() -> None:
    """Also if the private key does not contain its public key."""
    mine = OTHER_AUTHORITY.issue("mine", NOT_BEFORE, NOT_AFTER, key="ed25519")
    assert is_leaf(parse(mine.private_key_pem + bundle(LEAF, mine)), mine)


def test_an_encrypted_key_is_skipped() -> None:
    """An encrypted key needs no password, because a PEM file can be read without it; so it decides nothing."""
    certificate = parse(bundle(LEAF, OTHER_LEAF) + LEAF.encrypted_private_key_pem("secret"))
    assert is_leaf(certificate, OTHER_LEAF)


def test_a_damaged_key_is_skipped() -> None:
    """A private key that cannot be loaded does not affect the certificates."""
    damaged = pem(b"\x30\x03\x02\x01\x00" + b"x" * 40, "PRIVATE KEY")
    assert is_leaf(parse(damaged + LEAF.chain_pem))


def test_a_broken_member_hides_no_good_leaf() -> None:
    """Each block is read on its own: a damaged CA in the chain causes only a warning."""
    damaged = pem(ROOT.identity.certificate_der[:-50])
    certificate = parse(damaged + LEAF.certificate_pem)
    assert is_leaf(certificate)
    assert certificate.warnings == (DAMAGED,)


def test_a_chain_whose_leaf_is_damaged_has_no_date_of_a_ca() -> None:
    """The date of a CA is never shown as the date of the client."""
    damaged = pem(LEAF.certificate_der[:-50])
    assert reason_for(damaged + b"".join(authorities_pem())) is Reason.INVALID_CERTIFICATE
    old_root = self_signed("Root CA of version 1", NOT_BEFORE, NOT_AFTER)
    assert reason_for(damaged + old_root.certificate_pem) is Reason.INVALID_CERTIFICATE


def test_a_member_that_the_library_refuses_takes_part_in_the_choice() -> None:
    """A leaf with an empty RDN and an unknown version is found after its CA."""
    odd = odd_certificate(version=der_element(0xA0, der_element(0x02, b"\x07")))
    assert parse(b"".join(authorities_pem()) + pem(odd)).serial_number == 0x123456


def test_authorities_alone_have_no_leaf() -> None:
    """A bundle of several CAs gives the reason NoLeafCertificate."""
    assert reason_for(bundle(ROOT.identity, OTHER_AUTHORITY.identity)) is Reason.NO_LEAF_CERTIFICATE


def test_one_authority_is_read_with_a_warning() -> None:
    """The expiry of a CA may be of interest: alone, or only with its issuers, it is the leaf."""
    for data in (ROOT.identity.certificate_pem, AUTHORITY.identity.chain_pem):
        certificate = parse(data)
        assert "certificate of a CA" in certificate.warnings[0]
    assert is_leaf(certificate, AUTHORITY.identity)


def test_two_hundred_certificates_are_read() -> None:
    """The leaf is found at the end of a large bundle."""
    strangers = [CertificateAuthority.create(f"CA {number}").identity for number in range(199)]
    assert is_leaf(parse(bundle(*strangers, LEAF)))


def test_many_repetitions_are_refused() -> None:
    """1 MiB of the same certificate in DER, repeated, is refused."""
    assert reason_for(LEAF.certificate_der * 201) is Reason.TOO_LARGE


@pytest.mark.parametrize("block", [LEAF.certificate_pem, LEAF.private_key_pem, pem(b"x"), b"-----BEGIN X-----\n"])
def test_more_than_two_hundred_blocks_are_refused(block: bytes) -> None:
    """More than 200 blocks of any kind give the reason TooLarge."""
    assert reason_for(block * 201) is Reason.TOO_LARGE
