"""An issuer's answer counts only if it is the certificate that was asked for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clientcert.pki.verification import Expectation, verify_issued
from tests.unit.pki.odd_names import ALTERNATIVE_NAMES
from tests.unit.pki.signing_authorities import (
    CLIENT_AUTH,
    NOW,
    SERVER_AUTH,
    make_pair,
    pair,
    private_key,
    public_key_info,
    usage,
)

SECOND = timedelta(seconds=1)
SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nhs")])
KEY = private_key("P-256", 9)
END = NOW + timedelta(days=395)
NAMES = x509.SubjectAlternativeName([x509.DNSName("nhs.example"), x509.RFC822Name("jo@nhs.example")])
EXPECTED = Expectation(
    authority_der=pair().der,
    public_key_info=public_key_info(KEY),
    subject_der=SUBJECT.public_bytes(),
    alternative_names_der=NAMES.public_bytes(),
    now=NOW,
)


def answer(**changes: Any) -> bytes:
    """The certificate that an issuer such as cert-manager makes."""
    asked = {
        "issuer": pair().certificate.subject,
        "subject": SUBJECT,
        "key": KEY,
        "serial": 5,
        "dates": (NOW, END),
        "basic": x509.BasicConstraints(ca=False, path_length=None),
        "usage": usage(digital_signature=True, key_encipherment=True),
        "purposes": x509.ExtendedKeyUsage([CLIENT_AUTH]),
        "names": NAMES,
        "more": None,
        "signer": pair().key,
        "hash": hashes.SHA256(),
        "padding": None,
    } | changes
    builder = x509.CertificateBuilder(
        asked["issuer"], asked["subject"], asked["key"].public_key(), asked["serial"], *asked["dates"]
    )
    for value in (asked["basic"], asked["usage"], asked["purposes"], asked["names"], asked["more"]):
        if value is not None:
            builder = builder.add_extension(value, critical=False)
    made = builder.sign(asked["signer"], asked["hash"], rsa_padding=asked["padding"])
    return made.public_bytes(Encoding.DER)


def test_what_was_asked_for_is_accepted() -> None:
    assert verify_issued(answer(), EXPECTED) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"usage": None},
        {"basic": None},
        {"purposes": x509.ExtendedKeyUsage([SERVER_AUTH, CLIENT_AUTH])},
        {"names": x509.SubjectAlternativeName([*NAMES][::-1])},
        {"dates": (NOW + timedelta(minutes=5), END)},
        {"dates": (NOW, NOW + SECOND)},
        {"hash": hashes.SHA512()},
        {"more": x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])},
        {"more": x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.37476.9000.64.1"), b"\x05\0")},
    ],
    ids=[
        "no keyUsage",
        "no basicConstraints",
        "also for servers",
        "names in another order",
        "a fast clock",
        "short",
        "512",
        "a policy",
        "an extension of its own",
    ],
)
def test_what_other_cas_do_by_default_is_accepted(changes: dict[str, Any]) -> None:
    """Vault and step-ca add serverAuth, EJBCA a policy, and step-ca the name of its provisioner, for example."""
    assert verify_issued(answer(**changes), EXPECTED) == ""


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another CA": ({"issuer": x509.Name([])}, "its issuer is another CA than the one that was expected"),
    "another CA's key": ({"signer": private_key("P-256", 3)}, "it is not signed by the CA with SHA-256 or better"),
    "SHA-224": ({"hash": hashes.SHA224()}, "it is not signed by the CA with SHA-256 or better"),
    "another key": ({"key": private_key("P-256", 3)}, "it certifies another key"),
    "another subject": (
        {"subject": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "NHS")])},
        "its subject is not the one that was asked for",
    ),
    "no names": ({"names": None}, "its subjectAltName is not the one that was asked for"),
    "a name more": (
        {"names": x509.SubjectAlternativeName([*NAMES, x509.DNSName("admin.example")])},
        "its subjectAltName is not the one that was asked for",
    ),
    "a CA": ({"basic": x509.BasicConstraints(ca=True, path_length=None)}, "it is that of a CA, and must not be"),
    "keyCertSign": (
        {"usage": usage(digital_signature=True, key_cert_sign=True)},
        "it is that of a CA, and must not be",
    ),
    "cRLSign": ({"usage": usage(digital_signature=True, crl_sign=True)}, "it is that of a CA, and must not be"),
    "no signatures": ({"usage": usage(key_encipherment=True)}, "its keyUsage lacks digitalSignature, which TLS needs"),
    "no EKU": ({"purposes": None}, "its extendedKeyUsage lacks clientAuth"),
    "servers": ({"purposes": x509.ExtendedKeyUsage([SERVER_AUTH])}, "its extendedKeyUsage lacks clientAuth"),
    "any purpose": (
        {"purposes": x509.ExtendedKeyUsage([CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])},
        "its extendedKeyUsage allows more than TLS",
    ),
    "code signing": (
        {"purposes": x509.ExtendedKeyUsage([CLIENT_AUTH, ExtendedKeyUsageOID.CODE_SIGNING])},
        "its extendedKeyUsage allows more than TLS",
    ),
    "not yet": ({"dates": (NOW + timedelta(minutes=5) + SECOND, END)}, "it is not valid yet"),
    "expired": ({"dates": (NOW - SECOND, NOW)}, "it has expired already"),
}


@pytest.mark.parametrize(("changes", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_was_not_asked_for_is_refused(changes: dict[str, Any], words: str) -> None:
    assert verify_issued(answer(**changes), EXPECTED) == words


def test_serial_number_and_dates_count_if_they_were_asked_for() -> None:
    told = replace(EXPECTED, serial_number=5, not_before=NOW, not_after=END)
    assert verify_issued(answer(), told) == ""
    assert verify_issued(answer(serial=6), told) == "its serial number is not the one that was asked for"
    for dates in ((NOW - SECOND, END), (NOW, END - SECOND)):
        assert verify_issued(answer(dates=dates), told) == "its dates are not those that were asked for"


@pytest.mark.parametrize(("seconds", "is_later"), [(-1, True), (0, False), (1, False)])
def test_it_must_end_later_than_the_one_that_it_renews(seconds: int, is_later: bool) -> None:
    """Where an issuer chooses the end."""
    told = replace(EXPECTED, ends_after=END + seconds * SECOND)
    words = "it does not end later than the certificate that it renews"
    assert verify_issued(answer(), told) == ("" if is_later else words)


def test_names_are_compared_as_the_caller_says() -> None:
    """An issuer that writes the subject anew may use another type of string; the CA's own does not."""
    upper = answer(subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "NHS")]))
    same: Callable[[bytes, bytes], bool] = lambda one, other: one.lower() == other.lower()  # noqa: E731
    assert verify_issued(upper, replace(EXPECTED, same_name=same)) == ""


@pytest.mark.parametrize("name", ["SHA256", "SHA384", "SHA512"])
def test_a_signature_of_rsa_pss_is_verified(name: str) -> None:
    """As AWS and Google offer it; the hash counts here, too."""
    issuer, digest = pair("RSA 2048"), getattr(hashes, name)()
    scheme = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
    told = replace(EXPECTED, authority_der=issuer.der)
    made = answer(signer=issuer.key, hash=digest, padding=scheme)
    assert verify_issued(made, told) == ""
    other = replace(EXPECTED, authority_der=make_pair("RSA 2048", key=private_key("RSA 2048", 1)).der)
    assert verify_issued(made, other) == "it is not signed by the CA with SHA-256 or better"


@pytest.mark.parametrize("der", [b"", b"x", answer()[:-1], ALTERNATIVE_NAMES["DNS"]], ids=range(4))
def test_what_is_no_certificate(der: bytes) -> None:
    assert verify_issued(der, EXPECTED) == "the answer cannot be read as a certificate"


def test_octets_after_the_certificate() -> None:
    assert verify_issued(answer() + b"\0", EXPECTED) == "the answer has other content after the certificate"


@pytest.mark.parametrize("at", range(0, 360, 7))
def test_one_octet_that_differs_is_seen(at: int) -> None:
    """Nothing but the certificate as it was signed is accepted."""
    damaged = bytearray(answer())
    damaged[at] ^= 1
    assert verify_issued(bytes(damaged), EXPECTED) != ""
