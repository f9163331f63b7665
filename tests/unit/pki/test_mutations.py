"""Any input gives a Certificate or a CertificateError (design section 4, rule 7)."""

import base64
import json
from datetime import UTC

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clientcert.errors import CertificateError, Reason
from clientcert.pki.certificate import Certificate
from clientcert.pki.container_formats import answer
from clientcert.pki.identity import Field, Identity
from clientcert.pki.lenient import read_outline
from tests.unit.pki.certificates import AUTHORITY, LEAF, NOT_AFTER, NOT_BEFORE, parse
from tests.unit.pki.damaged_forms import damaged
from tests.unit.pki.issuing import CN, EMAIL, ORGANIZATION, Named
from tests.unit.pki.pkcs12_writer import certificate_bag, encrypted, pfx, plain, shrouded_key_bag

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:clientcert.pki.strict")
BOUNDED = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(BOUNDED, max_examples=20)

PASSWORD = "secret"
IDENTITY = Identity.declared("", dict.fromkeys(Field, "CN=nhs"))
"""All fields, so that every name is compared, and each difference is described."""
FORMS = {
    "PEM": LEAF.chain_pem + LEAF.private_key_pem,
    "DER": LEAF.certificate_der,
    "RSA": AUTHORITY.issue("nhs", NOT_BEFORE, NOT_AFTER, key="rsa", dns_names=["nhs.example"]).certificate_der,
    "names of every kind": Named(
        ((ORGANIZATION, "NHS"), (CN, "nhs"), (EMAIL, "jo@nhs.example")),
        (
            ("dns", "nhs.example"),
            ("uri", "spiffe://nhs"),
            ("email", "jo@a.example"),
            ("ip", "10.0.0.7"),
            ("upn", "jo@b"),
        ),
    ).der,
    "PKCS#7 PEM": LEAF.pkcs7(),
    "PKCS#7 DER": LEAF.pkcs7(Encoding.DER),
    "UTF-16": LEAF.certificate_pem.decode().encode("utf-16"),
    "base64": base64.b64encode(LEAF.certificate_pem),
    "request": LEAF.csr_pem(),
    "key": LEAF.private_key_pem,
}
DAMAGED = {name: data for name, (_, data) in damaged(LEAF.certificate_der).items()}
BAGS = (certificate_bag(LEAF.certificate_der, b"\x01"), shrouded_key_bag(1, b"\x01"))
CONTAINERS = {
    "PKCS#12": pfx(encrypted(*BAGS, password=PASSWORD)),
    "PKCS#12 without encryption": pfx(plain(*BAGS)),
    "PKCS#12 of the library": LEAF.pkcs12(PASSWORD),
    "JKS": LEAF.jks(PASSWORD),
}


@st.composite
def mutated(draw: st.DrawFn, originals: dict[str, bytes]) -> bytes:
    """An original with some octets changed, removed or repeated, and perhaps truncated."""
    data = bytearray(originals[draw(st.sampled_from(sorted(originals)))])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["flip", "set", "drop", "double", "cut"])):
            case "flip":
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set":
                data[at] = draw(st.sampled_from([0, 0x30, 0x7F, 0x80, 0xFF]))
            case "drop":
                del data[at : at + draw(st.integers(1, 8))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case "cut":
                del data[max(at, 1) :]
    return bytes(data)


def check(data: bytes, password: str | None = None) -> None:
    """Check that the input is read or refused, and that a certificate conforms to the documented model."""
    unforeseen = "the certificate cannot be read"
    try:
        certificate = parse(data, password=password, identity=IDENTITY)
    except CertificateError as error:
        unforeseen = error.message if unforeseen in error.message else ""
    else:
        assert isinstance(certificate, Certificate)
        assert certificate.not_before.tzinfo is UTC or certificate.not_before.utcoffset() is not None
        assert certificate.not_after.utcoffset() is not None
        assert len(certificate.fingerprint_sha256) == 64
        assert f"{certificate.serial_number:x}"
        assert len(certificate.warnings) <= 8
        certificate.subject_dn.encode()
        certificate.issuer_dn.encode()
        assert certificate.identity_mismatch.isprintable()
        unforeseen = ""
    assert not unforeseen, "the last guard is for what nobody thought of, and this was thought of"


@BOUNDED
@given(mutated(FORMS))
def test_mutated_texts_and_certificates(data: bytes) -> None:
    """Bit flips, truncations and insertions in every format that is read without a subprocess."""
    check(data)


@BOUNDED
@given(mutated(DAMAGED))
def test_mutated_damaged_texts(data: bytes) -> None:
    """The same in each form that damage on the way gives to a text."""
    check(data)


@BOUNDED
@given(mutated(CONTAINERS))
def test_mutated_containers_where_they_are_opened(data: bytes) -> None:
    """The subprocess for containers always answers, with certificates or with a reason of the list."""
    answered = json.loads(answer(b'{"password": "secret"}\n' + data))
    assert "certificates" in answered or Reason(answered["reason"])


@FEW
@given(mutated(CONTAINERS))
def test_mutated_containers(data: bytes) -> None:
    """The same with a real subprocess."""
    check(data, PASSWORD)


@BOUNDED
@given(st.binary(max_size=400))
def test_any_octets(data: bytes) -> None:
    """Random octets."""
    check(data)


@BOUNDED
@given(
    st.binary(max_size=200), st.sampled_from([b"\x30\x82\x01\x00", b"-----BEGIN CERTIFICATE-----", b"\xff\xfe", b"MII"])
)
def test_any_octets_behind_a_known_beginning(data: bytes, beginning: bytes) -> None:
    """Random octets after the beginning of a known format."""
    check(beginning + data)


ONE_LINE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda text: len(text.encode()) <= 64
)


@BOUNDED
@given(common_name=ONE_LINE, organization=ONE_LINE)
def test_both_readers_agree_on_sound_certificates(common_name: str, organization: str) -> None:
    """The lenient reader and the library read a name equally, so the lenient reader changes no identity."""
    issued = AUTHORITY.issue(common_name, NOT_BEFORE, NOT_AFTER, organization=organization)
    outline = read_outline(issued.certificate_der)
    assert outline.subject_dn == issued.subject_dn
    assert outline.issuer_dn == issued.issuer_dn
    assert outline.subject_common_names == (common_name,)
    assert (outline.not_before, outline.not_after) == (issued.not_before, issued.not_after)
    assert outline.serial_number == issued.serial_number
    assert outline.warnings == ()
