"""`clientcert inspect` (design section 8)."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from clientcert.cli import cli
from tests.unit.pki.issuing import CN, ORGANIZATION, Named
from tools.certificates import CertificateAuthority

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
AUTHORITY = CertificateAuthority.create("Issuing CA")
LEAF = AUTHORITY.issue("nhs", NOW - DAY, NOW + 23 * DAY + timedelta(hours=5), organization="NHS Digital")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files are named as people do it: relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("nhs.pem").write_bytes(LEAF.chain_pem)
    Path("nhs.p12").write_bytes(LEAF.pkcs12("secret"))
    Path("page.html").write_bytes(b"<html>")
    return tmp_path


def inspect(*arguments: str, stdin: bytes = b"", now: datetime = NOW) -> Result:
    return CliRunner().invoke(cli, ["inspect", *arguments], input=stdin, obj={"now": lambda: now})


def documents(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def days_remaining(not_after: datetime) -> int:
    Path("one.pem").write_bytes(AUTHORITY.issue("nhs", not_after - 30 * DAY, not_after).certificate_pem)
    [document] = documents(inspect("-o", "json", "one.pem"))
    days = document["daysRemaining"]
    assert isinstance(days, int)
    return days


def test_json_has_every_field_of_a_readable_certificate() -> None:
    """One object a line, with the field names that scripts rely on."""
    result = inspect("-o", "json", "nhs.pem")
    assert result.exit_code == 0
    assert documents(result) == [
        {
            "file": "nhs.pem",
            "readable": True,
            "format": "PEM",
            "subject": "CN=nhs,O=NHS Digital",
            "issuer": "CN=Issuing CA",
            "serialNumber": LEAF.serial_number_hex,
            "fingerprintSHA256": LEAF.fingerprint_sha256,
            "notBefore": "2026-05-31T12:00:00Z",
            "notAfter": "2026-06-24T17:00:00Z",
            "expires": "2026-06-24T17:00:00Z",
            "endsFirst": None,
            "daysRemaining": 23,
            "identityMatches": None,
            "warnings": [],
        }
    ]


def test_an_issuer_that_ends_first_is_named() -> None:
    """Days and EXPIRES are its; notAfter is the leaf's own."""
    issuing = CertificateAuthority.create("Root").intermediate("Issuing CA 2", not_after=NOW + 5 * DAY)
    leaf = issuing.issue("nhs", NOW - DAY, NOW + 300 * DAY)
    Path("chain.pem").write_bytes(leaf.chain_pem)
    [document] = documents(inspect("-o", "json", "chain.pem"))
    assert document["notAfter"] == "2027-03-28T12:00:00Z"
    assert (document["expires"], document["daysRemaining"]) == ("2026-06-06T12:00:00Z", 5)
    assert document["endsFirst"] == {
        "subject": "CN=Issuing CA 2",
        "serialNumber": issuing.identity.serial_number_hex,
        "fingerprintSHA256": issuing.identity.fingerprint_sha256,
        "notAfter": "2026-06-06T12:00:00Z",
    }
    table = inspect("chain.pem").stdout
    assert "Valid      5  2026-06-06 12:00 UTC" in table
    assert "its chain ends before it does, on 2026-06-06 12:00 UTC, with the issuing certificate Issuing CA 2" in table
    assert "Expired" in inspect("chain.pem", now=NOW + 6 * DAY).stdout


def test_json_names_the_reason_of_an_unreadable_file() -> None:
    """The reason is from the closed list, and the message says what to do."""
    result = inspect("-o", "json", "page.html")
    assert result.exit_code == 3
    [document] = documents(result)
    assert document["file"] == "page.html"
    assert document["readable"] is False
    assert document["reason"] == "NotACertificate"
    assert "put the certificate itself there" in document["message"]
    assert "notAfter" not in document


def test_one_unreadable_file_hides_no_other_and_order_is_kept() -> None:
    """Each file has its line, in the order of the arguments; the exit code is 3."""
    result = inspect("-o", "json", "page.html", "nhs.pem", "missing.pem", "nhs.pem")
    assert result.exit_code == 3
    assert [each["file"] for each in documents(result)] == ["page.html", "nhs.pem", "missing.pem", "nhs.pem"]
    assert [each["readable"] for each in documents(result)] == [False, True, False, True]


def test_files_that_cannot_be_opened_have_a_reason() -> None:
    """A path that does not exist or is a directory is not a wrong call: other files are still read."""
    Path("directory").mkdir()
    result = inspect("-o", "json", "missing.pem", "directory")
    assert result.exit_code == 3
    assert [each["reason"] for each in documents(result)] == ["SourceNotFound", "SourceUnavailable"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_has_a_reason() -> None:
    """AccessDenied."""
    Path("nhs.pem").chmod(0)
    assert [each["reason"] for each in documents(inspect("-o", "json", "nhs.pem"))] == ["AccessDenied"]


def test_a_dash_is_standard_input() -> None:
    """So that `kubectl get secret … | base64 -d | clientcert inspect -` works."""
    result = inspect("-o", "json", "-", stdin=LEAF.certificate_der)
    assert result.exit_code == 0
    assert [(each["file"], each["format"]) for each in documents(result)] == [("-", "DER")]


def test_at_most_a_mebibyte_is_read() -> None:
    """Even of an endless file."""
    assert [each["reason"] for each in documents(inspect("-o", "json", "/dev/zero"))] == ["TooLarge"]


def test_the_password_comes_from_a_file() -> None:
    """With or without a line end; without the option the reason is PasswordRequired."""
    assert [each["reason"] for each in documents(inspect("-o", "json", "nhs.p12"))] == ["PasswordRequired"]
    for content, exit_code in (("secret", 0), ("secret\n", 0), ("wrong", 3)):
        Path("password").write_text(content)
        assert inspect("nhs.p12", "--password-file", "password").exit_code == exit_code


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nhs.pem", "-o", "yaml"],
        ["nhs.pem", "--password-file", "missing"],
        ["nhs.pem", "--unknown"],
    ],
    ids=["no file", "unknown output", "no password file", "unknown option"],
)
def test_a_wrong_call_ends_with_2(arguments: list[str]) -> None:
    """A mistake of the caller has another exit code than a file that cannot be read."""
    assert inspect(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (timedelta(days=1), 1),
        (timedelta(days=1, seconds=-1), 0),
        (timedelta(0), 0),
        (timedelta(seconds=-1), -1),
        (timedelta(days=-1), -1),
        (timedelta(days=-1, seconds=-1), -2),
    ],
)
def test_days_remaining_are_rounded_down(left: timedelta, expected: int) -> None:
    """0 within the last 24 hours, negative after expiry."""
    assert days_remaining(NOW + left) == expected


def test_the_last_possible_time_does_not_overflow() -> None:
    """notAfter 9999-12-31 (row 22 of the faults)."""
    last_moment = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    Path("one.pem").write_bytes(AUTHORITY.issue("nhs", NOW, last_moment).certificate_pem)
    [document] = documents(inspect("-o", "json", "one.pem"))
    assert document["notAfter"] == "9999-12-31T23:59:59Z"
    assert document["daysRemaining"] > 2_900_000


def test_the_table_has_a_line_for_each_certificate_and_problems_below() -> None:
    """Reasons and warnings stand below the table, each with its file."""
    Path("twice.pem").write_bytes(LEAF.certificate_pem.decode().encode("utf-16"))
    Path("old.pem").write_bytes(AUTHORITY.issue("old", NOW - 9 * DAY, NOW - DAY).certificate_pem)
    result = inspect("nhs.pem", "page.html", "old.pem", "twice.pem")
    assert result.exit_code == 3
    heading, first, second, third, empty, *remarks = result.stdout.splitlines()
    assert heading.split()[:4] == ["FILE", "STATUS", "DAYS", "EXPIRES"]
    assert first.split()[:6] == ["nhs.pem", "Valid", "23", "2026-06-24", "17:00", "UTC"]
    assert second.split()[:3] == ["old.pem", "Expired", "-1"]
    assert third.split()[0] == "twice.pem"
    assert heading.index("SUBJECT") == first.index("CN=nhs") == second.index("CN=old")
    assert empty == ""
    assert remarks[0].startswith("page.html: NotACertificate: this is an HTML page")
    assert remarks[1:] == ["twice.pem: the text is UTF-16 or UTF-32: save it as ASCII or UTF-8"]


@pytest.mark.parametrize(
    ("not_before", "not_after", "status"),
    [
        (NOW - DAY, NOW + DAY, "Valid"),
        (NOW - DAY, NOW - timedelta(seconds=1), "Expired"),
        (NOW + DAY, NOW + 2 * DAY, "NotYetValid"),
        (NOW + 2 * DAY, NOW + DAY, "Invalid"),
    ],
)
def test_the_status_has_the_names_of_the_phases(not_before: datetime, not_after: datetime, status: str) -> None:
    """As `kubectl get` shows them, if they depend on the certificate alone."""
    Path("one.pem").write_bytes(AUTHORITY.issue("nhs", not_before, not_after).certificate_pem)
    assert inspect("one.pem").stdout.splitlines()[1].split()[1] == status


def test_names_in_a_certificate_cannot_control_the_terminal() -> None:
    """Control characters in a subject are escaped, and start no line."""
    issued = AUTHORITY.issue("evil\x1b[2J\r\nnhs.pem  Valid\u202e", NOW, NOW + DAY)
    Path("evil.pem").write_bytes(issued.certificate_pem)
    result = inspect("evil.pem")
    assert len(result.stdout.splitlines()) == 2
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "evil\\x1b[2J\\x0d\\x0a" in result.stdout


def test_long_names_are_cut_in_the_table_alone() -> None:
    """The table stays readable; JSON has the complete name."""
    organization = "An organisation whose name is as long as sixty-four letters allow"[:64]
    issued = AUTHORITY.issue("nhs", NOW, NOW + DAY, organization=organization)
    Path("long.pem").write_bytes(issued.certificate_pem)
    assert "…" in inspect("long.pem").stdout
    assert documents(inspect("-o", "json", "long.pem"))[0]["subject"] == issued.subject_dn


MATCHING = {
    "--common-name": "nhs",
    "--dns-name": "client.nhs.example",
    "--uri": "spiffe://example/nhs",
    "--email-address": "client@nhs.example",
    "--subject-dn": "o = NHS, cn = nhs",
    "--issuer-dn": "/CN=CA one",
}


@pytest.fixture
def named() -> str:
    """A file with a certificate that has names of every kind."""
    alternatives = (("dns", "client.nhs.example"), ("uri", "spiffe://example/nhs"), ("email", "client@nhs.example"))
    certificate = Named(((ORGANIZATION, "NHS"), (CN, "nhs")), alternatives)
    Path("named.pem").write_bytes(certificate.pem)
    return "named.pem"


@pytest.mark.parametrize("chosen", [*((each,) for each in MATCHING), tuple(MATCHING)], ids=" ".join)
def test_a_declared_identity_that_matches(named: str, chosen: tuple[str, ...]) -> None:
    """Each field alone, and all of them together."""
    result = inspect("-o", "json", named, *(word for option in chosen for word in (option, MATCHING[option])))
    assert result.exit_code == 0
    [document] = documents(result)
    assert (document["identityMatches"], document["warnings"]) == (True, [])


@pytest.mark.parametrize("wrong", MATCHING)
def test_a_declared_identity_that_does_not_match(named: str, wrong: str) -> None:
    """All that is declared must match. The file can be read, so the exit code is 0; the first warning says why."""
    values = {**MATCHING, wrong: "CN=acme" if wrong.endswith("-dn") else "acme"}
    result = inspect("-o", "json", named, *(word for pair in values.items() for word in pair))
    assert result.exit_code == 0
    [document] = documents(result)
    assert document["identityMatches"] is False
    assert document["warnings"][0].startswith("the file holds a certificate ")
    assert "acme" in document["warnings"][0]


def test_a_mismatch_is_visible_in_the_table() -> None:
    """Also where the eye could not see it."""
    Path("nhs.pem").write_bytes(Named(((CN, "nhs\u00a0 "),)).pem)
    *_, remark = inspect("nhs.pem", "--common-name", "nhs").stdout.splitlines()
    assert remark == (
        'nhs.pem: the file holds a certificate of "nhs[U+00A0]\u2420", not of "nhs": put the right certificate there,'
        ' or set spec.identity.commonName: "nhs\\u00a0\\u0020"'
    )


def test_the_declared_one_of_several_certificates_is_shown() -> None:
    """As the operator reads the file."""
    content = b"".join(Named(((CN, name),)).pem for name in ("acme", "nhs", "gp2gp"))
    for name in ("acme", "nhs", "gp2gp"):
        [document] = documents(inspect("-o", "json", "-", "--common-name", name, stdin=content))
        assert (document["subject"], document["identityMatches"], document["warnings"]) == (f"CN={name}", True, [])


@pytest.mark.parametrize("option", MATCHING)
def test_an_empty_identity_is_a_wrong_call(option: str) -> None:
    """It may come from a variable that is not set."""
    assert inspect("nhs.pem", option, "").exit_code == 2


@pytest.mark.parametrize("option", ["--subject-dn", "--issuer-dn"])
def test_a_name_that_is_no_dn_is_a_wrong_call(option: str) -> None:
    """With the right form in words, as in the schema."""
    result = inspect("nhs.pem", option, "CN=nhs,O=Example, Inc.")
    assert result.exit_code == 2
    assert r"must be a DN such as CN=nhs,O=Example\, Inc.,C=GB" in " ".join(result.stderr.replace("│", "").split())


def test_help_names_every_format_and_exit_code() -> None:
    """The help suffices to use the command."""
    result = inspect("--help")
    assert result.exit_code == 0
    for word in ("PEM", "DER", "PKCS#7", "PKCS#12", "JKS", "--password-file", "3 if some could not"):
        assert word in result.stdout


def test_further_verbs_can_be_added_to_the_group() -> None:
    """The composition root adds `run`."""
    assert isinstance(cli, click.Group)
    assert "inspect" in cli.commands


@pytest.mark.parametrize("declared", [(), ("--common-name", "nhs")])
def test_a_temporary_certificate_of_cert_manager(declared: tuple[str, ...]) -> None:
    """It is nobody's, as in the operator, whatever name is in it."""
    authority = CertificateAuthority.create("cert-manager.local")
    issued = authority.issue("nhs", NOW - timedelta(days=1), NOW + timedelta(days=90), serial_number=0x1234567890)
    Path("nhs.pem").write_bytes(issued.certificate_pem)
    [document] = documents(inspect("-o", "json", "nhs.pem", *declared))
    assert document["identityMatches"] is (False if declared else None)
    assert document["warnings"][0].startswith("the file holds the temporary certificate that cert-manager puts there")
    assert "Invalid" in inspect("nhs.pem", *declared).stdout
