"""Names are compared as names (RFC 5280 section 7.1), not as octets; and the e-mail addresses of a certificate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.pki.der_writer import element
from clientcert.pki.name_equality import email_addresses, same_name_der
from tests.unit.pki.certificates import LEAF, attribute, odd_certificate, sequence
from tests.unit.pki.issuing import CN, COUNTRY, EMAIL, ORGANIZATION, Named

UTF8, PRINTABLE, TELETEX, IA5, BMP, UNIVERSAL = 0x0C, 0x13, 0x14, 0x16, 0x1E, 0x1C
ENCODINGS = {
    UTF8: "utf-8",
    PRINTABLE: "ascii",
    TELETEX: "latin-1",
    IA5: "ascii",
    BMP: "utf-16-be",
    UNIVERSAL: "utf-32-be",
}


def value(text: str, tag: int = UTF8) -> bytes:
    return element(tag, text.encode(ENCODINGS[tag]))


def name(*rdns: bytes) -> bytes:
    return sequence(*[element(0x31, rdn) for rdn in rdns])


def common_name(text: str, tag: int = UTF8) -> bytes:
    return name(attribute(COUNTRY, value("GB", PRINTABLE)), attribute(CN, value(text, tag)))


@pytest.mark.parametrize("tag", ENCODINGS)
@pytest.mark.parametrize("other", ENCODINGS)
def test_the_encoding_does_not_matter(tag: int, other: int) -> None:
    assert same_name_der(common_name("NHS Digital", tag), common_name("NHS Digital", other))
    assert not same_name_der(common_name("NHS Digital", tag), common_name("NHS Digita1", other))


@pytest.mark.parametrize(
    "text",
    [
        "nhs digital",
        "NHS DIGITAL",
        " NHS  Digital ",
        "NHS\tDigital",
        "NHS\u00a0Digital",
        "N\u00adHS Digital",
        "NHS\u3000Digital",
    ],
)
def test_case_and_white_space_do_not_matter(text: str) -> None:
    """Nor do characters that nobody sees, or another composition of the same letter."""
    assert same_name_der(common_name("NHS Digital"), common_name(text))
    assert same_name_der(common_name("Caf\u00e9"), common_name("Cafe\u0301"))
    assert same_name_der(common_name("STRASSE"), common_name("stra\u00dfe"))


@pytest.mark.parametrize(
    "text", ["NHSDigital", "NHS Digital.", "NHS", "", "\u039dHS Digital", "NHS Digital NHS Digital", "Digital NHS"]
)
def test_another_text_is_another_name(text: str) -> None:
    """A Greek letter that looks alike is another one."""
    assert not same_name_der(common_name("NHS Digital"), common_name(text))


def test_a_name_with_more_or_other_attributes_is_another() -> None:
    country, organization, common = (
        attribute(oid, value(text)) for oid, text in ((COUNTRY, "GB"), (ORGANIZATION, "NHS"), (CN, "nhs"))
    )
    whole = name(country, organization, common)
    for other in (
        name(country, common),
        name(country, organization, common, common),
        name(country, common, organization),
        name(country, organization, attribute(ORGANIZATION, value("nhs"))),
        name(country, organization + common),
        name(),
    ):
        assert not same_name_der(whole, other)
        assert not same_name_der(other, whole)


def test_the_attributes_of_one_rdn_are_a_set() -> None:
    one, two = attribute(CN, value("nhs")), attribute(ORGANIZATION, value("NHS"))
    assert same_name_der(name(one + two), name(two + one))
    assert not same_name_der(name(one + one), name(one))


def test_what_is_no_text_equals_only_the_same_octets() -> None:
    one, other = attribute(CN, element(0x03, b"\0a")), attribute(CN, element(0x03, b"\0A"))
    assert same_name_der(name(one), name(one))
    assert not same_name_der(name(one), name(other))


def test_what_cannot_be_read_equals_only_the_same_octets() -> None:
    """Cut off, followed by something else, no set, a set of something else, or too long."""
    whole = common_name("nhs")
    for broken in (
        b"",
        whole[:-1],
        whole + b"\0",
        sequence(b"\x05\0"),
        name(b"\x05\0"),
        common_name("n" * 20_000),
        sequence(sequence(attribute(CN, value("nhs")))),
    ):
        assert same_name_der(broken, broken)
        assert not same_name_der(whole, broken)
        assert not same_name_der(common_name("NHS"), broken)


@given(st.text(max_size=40), st.sampled_from([UTF8, UNIVERSAL]))
def test_a_name_always_equals_itself(text: str, tag: int) -> None:
    text = text.encode("utf-8", errors="replace").decode()
    assert same_name_der(common_name(text), common_name(text, tag))
    assert same_name_der(common_name(text), common_name(text.upper().lower())) or text.upper().lower() != text.lower()


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_octets_are_compared_without_an_error(one: bytes, other: bytes) -> None:
    same_name_der(one, other)
    assert isinstance(email_addresses(one), tuple)


def test_the_addresses_of_a_certificate_are_those_of_subject_and_alternative_names() -> None:
    """Each once, as they are written; other names are none."""
    certificate = Named(
        subject=((CN, "nhs"), (EMAIL, "jo@nhs.example")),
        alternatives=(("email", "jo@nhs.example"), ("email", "Sam@nhs.example"), ("dns", "nhs.example")),
    )
    assert email_addresses(certificate.der) == ("jo@nhs.example", "Sam@nhs.example")
    assert email_addresses(LEAF.certificate_der) == ()


def test_addresses_of_a_broken_certificate_are_those_that_can_be_read() -> None:
    assert email_addresses(b"") == ()
    assert email_addresses(odd_certificate(subject=b"\x05\0")) == ()
    assert email_addresses(odd_certificate(subject=name(attribute(EMAIL, value("jo@nhs.example", IA5))))) == (
        "jo@nhs.example",
    )
