"""The CRLs of several CAs in one file, as nginx reads it: it wants that of each CA in the chain of a certificate."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.pki import pem_writer
from clientcert.pki.crl_bundle import LABEL, with_others
from clientcert.pki.pem import MAX_BLOCKS, TooManyBlocksError, read_blocks
from tests.unit.pki.certificates import pem
from tests.unit.pki.signing_authorities import NOW, make_pair, pair
from tests.unit.pki.test_crl import NEXT, crl, revocation
from tests.unit.pki.test_issuance import CONTENT, OpenSSL, issue

FORMER = make_pair(name="Former CA")
FORMER_CRL = crl(revocation("1"), by=FORMER.load())
TWIN_CRL = crl(by=make_pair("P-384").load())
"""Of a CA with the same name as that of `pair()`, and another key."""
OWN = crl()


def ders(content: bytes) -> list[bytes]:
    return [each.der or b"" for each in read_blocks(content)]


def file(*crls: bytes) -> bytes:
    return "".join(pem_writer.pem(LABEL, each) for each in crls).encode()


def test_the_crl_of_another_ca_is_kept_until_it_ends() -> None:
    before = file(crl(number=6), FORMER_CRL)
    kept, ended = with_others(OWN, before, NEXT - timedelta(seconds=1)), with_others(OWN, before, NEXT)
    assert (ders(kept.content), ders(ended.content)) == ([OWN, FORMER_CRL], [OWN])
    assert [(each.issuer_dn, each.next_update) for each in kept.others] == [("CN=Former CA", NEXT)]
    assert ended.others == ()


@pytest.mark.parametrize("before", [b"", b"\0", OWN, b"-----BEGIN X509 CRL-----\n", pem(pair().der)])
def test_what_is_no_crl_is_left_out(before: bytes) -> None:
    assert with_others(OWN, before, NOW).content == file(OWN)
    assert ders(with_others(OWN, file(b"\x30\0", FORMER_CRL) + before, NOW).content) == [OWN, FORMER_CRL]


def test_two_cas_that_take_turns_keep_their_places() -> None:
    """Else the Secret would be written at each pass."""
    first = with_others(FORMER_CRL, file(OWN), NOW).content
    assert with_others(OWN, first, NOW).content == first == file(FORMER_CRL, OWN)


def test_a_ca_of_the_same_name_with_another_key_is_another_ca() -> None:
    assert ders(with_others(OWN, file(TWIN_CRL, crl(number=6)), NOW).content) == [TWIN_CRL, OWN]


def test_each_is_there_once() -> None:
    assert ders(with_others(OWN, file(FORMER_CRL, OWN, FORMER_CRL, crl(number=6)), NOW).content) == [
        FORMER_CRL,
        OWN,
    ]


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="no CRL"):
        with_others(b"\x30\0", b"", NOW)
    with pytest.raises(TooManyBlocksError):
        with_others(OWN, file(FORMER_CRL) * (MAX_BLOCKS + 1), NOW)


def test_openssl_accepts_the_certificates_of_both_cas(openssl: str, tmp_path: Path) -> None:
    run = OpenSSL(openssl, tmp_path)
    command = f"verify -attime {int(NOW.timestamp())} -crl_check_all -CAfile ca -CRLfile crl leaf"
    leaf, bundle = pem(issue(CONTENT, FORMER.load())), with_others(OWN, file(FORMER_CRL), NOW).content
    run.run(command, ca=pair().pem + FORMER.pem, crl=bundle, leaf=leaf)
    run.run(command, leaf=pem(issue()))
    with pytest.raises(AssertionError, match="unable to get certificate CRL"):
        run.run(command, crl=file(OWN), leaf=leaf)


def test_a_crl_without_key_identifier_is_that_of_its_name() -> None:
    """As `openssl ca -gencrl` makes it by default: ours takes its place."""
    by = pair()
    builder = x509.CertificateRevocationListBuilder(by.certificate.subject, NOW, NEXT)
    plain = builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert with_others(OWN, file(plain), NOW).content == file(OWN)
