"""A certificate is compared with the declared identity: by all of its names, and exactly."""

import itertools
import re
import unicodedata

import pytest
import yaml

from clientcert.pki.identity import Field, Identity
from tests.unit.pki.certificates import extension, odd_certificate, parse
from tests.unit.pki.issuing import CN, COUNTRY, EMAIL, ORGANIZATION, SERIAL_NUMBER, Named

CAFE = "Café"
NEAR = {
    "a space at the end": "nhs ",
    "a space at the beginning": " nhs",
    "another letter case": "NHS",
    "a no-break space": "nhs\u00a0",
    "a zero-width space": "n\u200bhs",
    "a zero-width joiner": "nhs\u200d",
    "a byte order mark": "\ufeffnhs",
    "a soft hyphen": "nh\u00ads",
    "a mark that turns the text": "\u202enhs",
    "a NUL and more": "nhs\0.evil.example",
    "a NUL at the end": "nhs\0",
    "a line break": "nhs\n",
    "a tab": "nhs\t",
    "DEL": "nhs\x7f",
    "a Cyrillic letter": "nh\u0455",
    "a full-width letter": "n\uff48s",
    "a combining mark": "nhs\u0301",
    "a variation selector": "nhs\ufe0f",
    "a filler without a shape": "nhs\u3164",
    "an ideographic space": "nhs\u3000",
    "a line separator": "nhs\u2028",
    "a quotation mark": 'nhs"',
    "a backslash": "nhs\\",
    "a comma": "nhs,",
    "a tag": "nhs\U000e0041",
    "more": "nhs.",
    "less": "nh",
}
PAIRS = {
    "two spaces": ("NHS England", "NHS  England"),
    "a no-break space between": ("NHS England", "NHS\u00a0England"),
    "NFD for NFC": (CAFE, unicodedata.normalize("NFD", CAFE)),
    "NFC for NFD": (unicodedata.normalize("NFD", CAFE), CAFE),
    "a no-break space that is declared": ("NHS\u00a0England", "NHS England"),
    **{what: ("nhs", value) for what, value in NEAR.items()},
}
ALTERNATIVES = {Field.DNS_NAME: "dns", Field.URI: "uri", Field.EMAIL_ADDRESS: "email"}


def mismatch(names: Named, identity: Identity) -> str:
    return parse(names.pem, identity=identity).identity_mismatch


def declared(consumer: str = "", **fields: str) -> Identity:
    return Identity.declared(consumer, {Field[name]: value for name, value in fields.items()})


def offered(words: str) -> Identity:
    """The identity that the message tells to declare."""
    advice = words.partition(", or ")[2].split(" instead of ")[0]
    fields = [each.partition("spec.identity.")[2] for each in advice.split(" and set ")]
    return Identity.declared(
        "nhs", {Field(name): value for each in fields for name, value in yaml.safe_load(each).items()}
    )


class TestEveryCombination:
    """Of CNs, alternative names, issuer and declared fields, against a reading of the rules that shares no code."""

    SUBJECTS = (
        (),
        ((CN, "nhs"),),
        ((CN, "acme"),),
        ((CN, "acme"), (CN, "nhs")),
        ((CN, "nhs"), (CN, "acme")),
        ((ORGANIZATION, "nhs"),),
        ((COUNTRY, "GB"), (CN, "")),
        ((SERIAL_NUMBER, "nhs"), (EMAIL, "nhs")),
    )
    ALTERNATIVE_NAMES = (
        (),
        *(((kind, value),) for kind in ("dns", "uri", "email", "upn") for value in ("nhs", "acme")),
        (("dns", "acme"), ("dns", "nhs")),
        (("uri", "acme"), ("email", "nhs")),
        (("ip", "10.0.0.7"), ("dns", "nhs")),
        (("dns", ""),),
    )
    ISSUERS = ("CA one", "CA two")
    IDENTITIES = (
        declared("nhs"),
        *(declared("nhs", **{field.name: "nhs"}) for field in (Field.COMMON_NAME, *ALTERNATIVES)),
        declared("another", COMMON_NAME="nhs"),
        declared("another", DNS_NAME="nhs", URI="acme"),
        declared("another", COMMON_NAME="nhs", EMAIL_ADDRESS="nhs"),
        declared("nhs", SUBJECT_DN="CN=nhs"),
        declared("another", SUBJECT_DN="CN=acme"),
    )

    @pytest.mark.parametrize("subject", SUBJECTS, ids=str)
    def test_matches_as_the_rules_say(self, subject: tuple[tuple[str, str], ...]) -> None:
        """Any CN, or where there is none a SAN; a field is compared with its own kind of names; all must match."""
        for alternatives, issuer, identity, with_issuer in itertools.product(
            self.ALTERNATIVE_NAMES, self.ISSUERS, self.IDENTITIES, (False, True)
        ):
            names = Named(subject, alternatives, issuer=((CN, issuer),))
            wanted = (
                Identity(identity.name, (*identity.fields, (Field.ISSUER_DN, "CN=CA one"))) if with_issuer else identity
            )
            matches = self._is_expected(names, identity) and not (with_issuer and issuer == "CA two")
            words = mismatch(names, wanted)
            assert (words == "") == matches, (names, wanted, words)

    @staticmethod
    def _is_expected(names: Named, identity: Identity) -> bool:
        common_names = {value for kind, value in names.subject if kind == CN and value}
        every = {value for _, value in names.alternatives if value}
        matches = {
            Field.COMMON_NAME: common_names or every,
            **{field: {v for k, v in names.alternatives if k == kind} for field, kind in ALTERNATIVES.items()},
        }
        matches[Field.EMAIL_ADDRESS] |= {value for kind, value in names.subject if kind == EMAIL}
        for field, value in identity.fields:
            if field is Field.SUBJECT_DN:
                if names.subject != ((CN, value.removeprefix("CN=")),):
                    return False
            elif value not in matches[field]:
                return False
        return not identity.name or identity.name in matches[Field.COMMON_NAME]


class TestNearMisses:
    @pytest.mark.parametrize("what", PAIRS)
    def test_of_a_common_name(self, what: str) -> None:
        """Every difference counts, is visible, and the message has the field and the value that accept it."""
        wanted, actual = PAIRS[what]
        names = Named(((ORGANIZATION, "Example"), (CN, actual)))
        words = mismatch(names, declared(wanted))
        check_words(words)
        assert mismatch(names, offered(words)) == ""
        assert mismatch(Named(((CN, wanted),)), offered(words)) != ""

    @pytest.mark.parametrize("what", PAIRS)
    @pytest.mark.parametrize("field", ALTERNATIVES)
    def test_of_an_alternative_name(self, field: Field, what: str) -> None:
        """The same for each kind of name. A value that cannot be declared is accepted by the subject."""
        wanted, actual = PAIRS[what]
        names = Named(((ORGANIZATION, "Example"),), ((ALTERNATIVES[field], actual),))
        words = mismatch(names, declared("nhs", **{field.name: wanted}))
        check_words(words)
        assert mismatch(names, offered(words)) == ""

    @pytest.mark.parametrize("what", PAIRS)
    @pytest.mark.parametrize("field", [Field.SUBJECT_DN, Field.ISSUER_DN])
    def test_of_a_distinguished_name(self, field: Field, what: str) -> None:
        """The same inside of a DN: types may differ in case, values may not."""
        wanted, actual = PAIRS[what]
        name = ((ORGANIZATION, actual), (CN, "nhs"))
        names = Named(name, issuer=name)
        words = mismatch(names, declared("nhs", **{field.name: f"cn=nhs,o={escaped(wanted)}"}))
        check_words(words)
        assert mismatch(names, offered(words)) == ""

    @pytest.mark.parametrize(
        ("actual", "shown", "value"),
        [
            ("nhs ", '"nhs␠"', r'"nhs\u0020"'),
            ("NHS  England", '"NHS␠␠England"', r'"NHS\u0020\u0020England"'),
            ("nhs\u00a0", '"nhs[U+00A0]"', r'"nhs\u00a0"'),
            ("Cafe\u0301", '"Cafe[U+0301]"', r'"Cafe\u0301"'),
            ("nh\u0455", '"nh\u0455[U+0455]"', '"nh\u0455"'),
            ("acme", '"acme"', '"acme"'),
        ],
    )
    def test_the_words(self, actual: str, shown: str, value: str) -> None:
        assert mismatch(Named(((CN, actual),)), declared("nhs")) == (
            f'a certificate of {shown}, not of "nhs": put the right certificate there,'
            f" or set spec.identity.commonName: {value}"
        )

    def test_a_ligature_is_shown(self) -> None:
        """Few characters are equal, and the eye sees no difference."""
        words = mismatch(Named(((CN, "\ufb01n"),)), declared("fin"))
        assert 'of "\ufb01[U+FB01]n", not of "fin"' in words

    @pytest.mark.parametrize(
        ("actual", "shown", "value"),
        [
            ("n\u200bhs", '"n[U+200B]hs"', r'"CN=n\\E2\\80\\8Bhs"'),
            ("nhs\0", '"nhs␀"', r'"CN=nhs\\00"'),
            ("nhs\x7f", '"nhs␡"', r'"CN=nhs\\7F"'),
        ],
    )
    def test_a_value_that_the_schema_refuses(self, actual: str, shown: str, value: str) -> None:
        """It can be declared as a part of the subject, in hex."""
        assert mismatch(Named(((CN, actual),)), declared("nhs")) == (
            f'a certificate of {shown}, not of "nhs": put the right certificate there,'
            f" or set spec.identity.subjectDN: {value}"
        )


class TestTheWords:
    def test_a_certificate_without_a_cn_offers_its_alternative_name(self) -> None:
        """By the field of its kind."""
        names = Named((), (("dns", "client.nhs.example"), ("uri", "spiffe://nhs")))
        assert mismatch(names, declared("nhs")) == (
            'a certificate of "client.nhs.example", "spiffe://nhs", not of "nhs": put the right certificate there,'
            ' or set spec.identity.dnsName: "client.nhs.example"'
        )

    def test_a_name_of_a_kind_without_a_field(self) -> None:
        """A certificate without a CN matches by any alternative name that equals the common name."""
        names = Named((), (("ip", "10.0.0.7"),))
        assert mismatch(names, declared("nhs")).endswith('or set spec.identity.commonName: "10.0.0.7"')
        assert mismatch(names, declared("nhs", COMMON_NAME="10.0.0.7")) == ""

    def test_a_certificate_without_any_name(self) -> None:
        assert mismatch(Named(), declared("nhs")) == (
            'a certificate without a name, not of "nhs": put the right certificate there, or have it issued with a name'
        )

    def test_a_kind_of_name_that_it_does_not_have(self) -> None:
        """Another field is offered instead of the declared one."""
        assert mismatch(Named(((CN, "nhs"),)), declared("nhs", URI="spiffe://nhs")) == (
            'a certificate without the URI "spiffe://nhs": put the right certificate there,'
            ' or set spec.identity.commonName: "nhs" instead of spec.identity.uri'
        )

    def test_every_field_that_differs_is_named(self) -> None:
        names = Named(((CN, "acme"),), (("dns", "acme.example"),))
        assert mismatch(names, declared("nhs", COMMON_NAME="nhs", DNS_NAME="nhs.example", ISSUER_DN="CN=CA two")) == (
            'a certificate of "acme", not of "nhs" and with the DNS name "acme.example", not "nhs.example"'
            ' and with the issuer DN "CN=CA one", not "CN=CA two": put the right certificate there,'
            ' or set spec.identity.commonName: "acme" and set spec.identity.dnsName: "acme.example"'
            ' and set spec.identity.issuerDN: "CN=CA one"'
        )

    def test_a_name_that_is_no_dn(self) -> None:
        """Such a value was allowed before the schema refused it."""
        words = mismatch(Named(((CN, "nhs"),)), declared("nhs", ISSUER_DN="Client CA"))
        assert words == (
            "a certificate that cannot be compared with spec.identity.issuerDN, which is not of the form"
            ' CN=nhs,O=Example,C=GB: put the right certificate there, or set spec.identity.issuerDN: "CN=CA one"'
        )

    def test_many_and_long_names_are_cut(self) -> None:
        """The words fit a condition; a value that does not fit is not offered."""
        long = "n" * 300
        words = mismatch(Named((), tuple(("dns", f"{number}{long}") for number in range(9))), declared("nhs"))
        assert len(words) < 600
        assert words.endswith(
            '" and others, not of "nhs": put the right certificate there, or declare one of its names in spec.identity'
        )
        assert "…" in words

    def test_the_first_difference_of_long_values_is_shown(self) -> None:
        """It may be at their end."""
        wanted, actual = (f"spiffe://example/{'long/' * 40}{name}" for name in ("nhs", "nhs\u200b"))
        words = mismatch(Named((), (("uri", actual),)), declared("nhs", URI=wanted))
        assert 'long/nhs[U+200B]", not "…' in words
        assert 'long/nhs": put the right' in words

    def test_a_letter_that_looks_like_another_one_beside_other_differences(self) -> None:
        assert 'of "n\u04bb[U+04BB]s-client␠"' in mismatch(Named(((CN, "n\u04bbs-client "),)), declared("nhs-client"))
        assert 'of "\u65e5\u672c", not of "nhs"' in mismatch(Named(((CN, "\u65e5\u672c"),)), declared("nhs"))

    def test_a_hundred_alternative_names(self) -> None:
        """The last one counts as the first."""
        names = Named((), tuple(("dns", f"{number}.nhs.example") for number in range(100)))
        assert mismatch(names, declared("nhs", DNS_NAME="99.nhs.example")) == ""
        assert mismatch(names, declared("nhs", DNS_NAME="100.nhs.example")) != ""


class TestBrokenNames:
    def test_alternative_names_that_cannot_be_read(self) -> None:
        """They count as absent, and the CN still matches."""
        der = odd_certificate(extensions=(extension("551d11", b"\x30\x05\x82"),))
        assert parse(der, identity=declared("nhs")).identity_mismatch == ""
        assert "without the DNS name" in parse(der, identity=declared("nhs", DNS_NAME="nhs")).identity_mismatch


def check_words(words: str) -> None:
    """The two values look different, and nothing in the words is invisible."""
    assert words
    assert words.isprintable()
    assert not set(words) & {"\u00a0", "\u3000", "\u3164", "\ufe0f"}
    [(actual, wanted)] = re.findall(r'"(.*)", not (?:of )?"(.*)": put the right', words)
    assert actual != wanted


def escaped(value: str) -> str:
    """A value of RFC 4514 in which every octet that is not a letter is in hex."""
    return "".join(f"\\{octet:02x}" if not chr(octet).isalnum() else chr(octet) for octet in value.encode())
