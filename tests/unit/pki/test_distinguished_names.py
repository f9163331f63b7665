"""Distinguished names are compared as names, in the forms in which people find them."""

import subprocess
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clientcert.pki.distinguished_names import PATTERN, common_name, parse_name, same_name
from clientcert.pki.lenient import read_outline
from tests.builders import RUNAWAY_SECONDS
from tests.conftest import REPOSITORY
from tests.unit.pki.issuing import CN, COUNTRY, EMAIL, ORGANIZATION, SERIAL_NUMBER, Named

NAME = r"1.2.840.113549.1.9.1=jo@nhs.example,CN=nhs,O=Example\, Inc.,C=GB"
"""As the status shows it."""
FORMS = [
    NAME,
    r"emailAddress=jo@nhs.example,cn=nhs,o=Example\, Inc.,c=GB",
    'EMAILADDRESS=jo@nhs.example, CN=nhs, O="Example, Inc.", C=GB',
    r"E=jo@nhs.example, CN=nhs, O=Example\, Inc., C=GB",
    r"E=jo@nhs.example;CN=nhs;O=Example\2C Inc.;C=GB",
    r"OID.1.2.840.113549.1.9.1=jo@nhs.example,2.5.4.3=nhs,2.5.4.10=#0C0D4578616D706C652C20496E632E,2.5.4.6=GB",
    'C = GB, O = "Example, Inc.", CN = nhs, emailAddress = jo@nhs.example',
    r"C=GB, O=Example\, Inc., CN=nhs, emailAddress=jo@nhs.example",
    "/C=GB/O=Example, Inc./CN=nhs/emailAddress=jo@nhs.example",
    r" CN = nhs ".join(("E = jo@nhs.example ,", r", O = Example\, Inc. , C = GB ")),
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_name(form: str) -> None:
    """RFC 4514 in any case and spacing, and what openssl, Java and Windows print."""
    assert same_name(form, NAME)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "actual",
    [
        NAME.replace("CN=nhs", "CN=NHS"),
        NAME.replace("CN=nhs", r"CN=nhs\ "),
        NAME.replace("Example", "EXAMPLE"),
        NAME.replace("O=", "OU="),
        NAME.replace(",C=GB", ""),
        NAME + ",C=GB",
        NAME.replace(r"CN=nhs,O=Example\, Inc.", r"O=Example\, Inc.,CN=nhs"),
    ],
)
def test_another_name_in_any_form(form: str, actual: str) -> None:
    """Values are compared exactly; no attribute may be missing or more, or in another place."""
    assert not same_name(form, actual)


@pytest.mark.parametrize("form", FORMS)
def test_attributes_of_one_rdn(form: str) -> None:
    """They are another name; only openssl's form with slashes does not show which attributes form an RDN."""
    assert same_name(form, NAME.replace("CN=nhs,", "CN=nhs+")) == form.startswith("/")


def test_the_reverse_order_is_another_name_in_rfc_4514() -> None:
    """With spaces around separators it may come from openssl, which writes the order of the encoding."""
    assert not same_name("C=GB,CN=nhs", "CN=nhs,C=GB")
    assert same_name("C=GB, CN=nhs", "CN=nhs,C=GB")
    assert same_name("C=GB, CN=nhs", "C=GB,CN=nhs")


@pytest.mark.parametrize(
    "form",
    [
        "CN=nhs+serialNumber=12,C=GB",
        "SERIALNUMBER=12+cn=nhs, C=GB",
        "C = GB, CN = nhs + serialNumber = 12",
        "/C=GB/CN=nhs/serialNumber=12",
        "/C=GB/CN=nhs+serialNumber=12",
    ],
)
def test_an_rdn_of_several_attributes(form: str) -> None:
    """Their order does not count."""
    assert same_name(form, "2.5.4.5=12+CN=nhs,C=GB")
    assert not same_name(form, "2.5.4.5=13+CN=nhs,C=GB")


@pytest.mark.parametrize(
    ("form", "actual"),
    [
        ("/CN=host/client.nhs.example", "CN=host/client.nhs.example"),
        ("/O=Caf\\xC3\\xA9", "O=Café"),
        ("O = Caf\\C3\\A9", "O=Café"),
        ("CN=nhs\\20", "CN=nhs\\ "),
        ("CN=\\ nhs", "CN=\\ nhs"),
        ('CN="nhs "', "CN=nhs\\ "),
        ('CN=" \\"nhs\\""', 'CN=\\ \\"nhs\\"'),
        ("CN=nhs\\00", "CN=nhs\\00"),
        ("CN=\\#1", "CN=\\#1"),
        ("CN=a=b", "CN=a=b"),
        ("CN=", "CN="),
        ("CN=a\\\\ ,C=GB", "CN=a\\\\,C=GB"),
        ("CN=a\\\\\\ ,C=GB", "CN=a\\\\\\ ,C=GB"),
    ],
)
def test_special_characters(form: str, actual: str) -> None:
    """Escapes, quotes and octets in hex (RFC 4514 section 2.4)."""
    assert same_name(form, actual)


@pytest.mark.parametrize(
    "text", ["nhs", "FOO=x", "subject=CN = nhs", "CN=a,", ",CN=a", "CN=a,O=Example, Inc.", 'CN="a', "CN=a\\", "/FOO=x"]
)
def test_no_name(text: str) -> None:
    """It equals only the same text."""
    assert parse_name(text) is None
    assert same_name(text, text)
    assert not same_name(text, "CN=a")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("CN=nhs,CN=Users,DC=corp", "nhs"), ("C=GB", ""), ("2.5.4.5=1+CN=nhs", "nhs"), ("not a name", ""), ("", "")],
)
def test_the_common_name_is_the_most_specific_one(name: str, expected: str) -> None:
    """RFC 4514 writes it first."""
    assert common_name(name) == expected


def test_the_schema_has_the_same_expression() -> None:
    """The schema refuses exactly what could not be compared."""
    definition = yaml.safe_load((REPOSITORY / "crds/clientcertificates.yaml").read_text())
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    for field in ("subjectDN", "issuerDN"):
        [rule] = spec["identity"]["properties"][field]["x-kubernetes-validations"]
        assert f"self.matches(r'{PATTERN}')" in rule["rule"]


values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
attributes = st.tuples(st.sampled_from([CN, COUNTRY, EMAIL, ORGANIZATION, SERIAL_NUMBER]), values)


@given(st.lists(attributes, min_size=1, max_size=4))
def test_any_name_of_a_certificate_can_be_declared(subject: list[tuple[str, str]]) -> None:
    """The text that the status shows is a name, the same name, and in no other form another one."""
    shown = read_outline(Named(tuple(subject)).der).subject_dn
    name = parse_name(shown)
    assert name is not None
    assert [value for rdn in name.rdns for _, value in rdn] == [value for _, value in reversed(subject)]
    other = read_outline(Named((*subject, (CN, "another"))).der).subject_dn
    assert not same_name(shown, other)


@pytest.mark.parametrize(
    "style", ["oneline", "RFC2253", "compat", "oneline,dn_rev", "RFC2253,dn_rev,sep_comma_plus_space"]
)
def test_what_openssl_prints(style: str, openssl: str, tmp_path: Path) -> None:
    """The real program, with every style of names; `dn_rev` turns the order."""
    subject = ((COUNTRY, "GB"), (ORGANIZATION, "Example, Inc. + Zoë"), (CN, "nhs #1"), (EMAIL, "jo@nhs.example"))
    names = Named(subject)
    (tmp_path / "client.pem").write_bytes(names.pem)
    command = [openssl, "x509", "-in", str(tmp_path / "client.pem"), "-noout", "-subject", "-nameopt", style]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    printed = printed.strip().removeprefix("subject=").strip()
    assert same_name(printed, read_outline(names.der).subject_dn), printed


@pytest.mark.parametrize(
    "text", ["CN=" + " " * 16_000 + '"', "CN=a," * 3_000 + "x", "/CN=a" * 3_000, "CN=\\" + "\\" * 15_999]
)
def test_no_text_takes_long(text: str) -> None:
    """16 KiB, the longest name of a certificate."""
    began = time.process_time()
    assert not same_name(text, "CN=a")
    assert time.process_time() - began < RUNAWAY_SECONDS / 10
