"""The revocation list of a CA, as openssl and TLS servers read it."""

import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from clientcert.errors import IssuerError, Reason
from clientcert.lifecycle.renewal.spec import RevocationReason, RevocationSpec
from clientcert.pki.authority import CertificateAuthority, load_authority
from clientcert.pki.crl import REASON_CODES, build_crl
from clientcert.pki.der import CONTEXT_0, INTEGER, SEQUENCE, UTC_TIME, read_element
from tests.machine_speed import here
from tests.unit.pki.certificates import pem
from tests.unit.pki.signing_authorities import (
    KINDS,
    NOW,
    authority,
    first_version,
    make_pair,
    pair,
    usage,
)
from tests.unit.pki.test_issuance import CONTENT, OpenSSL, issue

NEXT = NOW + timedelta(days=30)
SINCE = NOW - timedelta(days=2)
CA_TRUE = (x509.BasicConstraints(ca=True, path_length=None), True)


@pytest.fixture
def run_openssl(openssl: str, tmp_path: Path) -> OpenSSL:
    return OpenSSL(openssl, tmp_path)


def revocation(
    serial_number: str = "4af2",
    reason: RevocationReason = RevocationReason.SUPERSEDED,
    since: datetime = SINCE,
) -> RevocationSpec:
    return RevocationSpec("CN=Integration CA", serial_number, "nhs", reason, since, NOW + timedelta(days=100))


def crl(*entries: RevocationSpec, by: CertificateAuthority | None = None, number: int = 7) -> bytes:
    return build_crl(by or authority(), entries, number, NOW, NEXT)


def read(der: bytes) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(der)


@dataclass(frozen=True)
class Entry:
    serial_number: int
    since: datetime
    reason: x509.ReasonFlags | None


def entries(der: bytes) -> list[Entry]:
    found = []
    for each in read(der):
        reasons = [extension.value.reason for extension in each.extensions]  # type: ignore[attr-defined]
        found.append(Entry(each.serial_number, each.revocation_date_utc, reasons[0] if reasons else None))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_refuses_a_revoked_certificate_and_accepts_others(kind: str, run_openssl: OpenSSL) -> None:
    """With the CRL of each kind of CA."""
    by = authority(kind)
    files = {"ca": pair(kind).pem, "leaf": pem(issue(by=by))}
    command = f"verify -attime {int(NOW.timestamp())} -purpose sslclient -x509_strict -crl_check -CAfile ca"
    run_openssl.run(f"{command} -CRLfile crl leaf", crl=pem(crl(revocation("4af3"), by=by), "X509 CRL"), **files)
    run_openssl.run(f"{command} -CRLfile crl leaf", crl=pem(crl(by=by), "X509 CRL"))
    with pytest.raises(AssertionError, match="certificate revoked"):
        run_openssl.run(f"{command} -CRLfile crl leaf", crl=pem(crl(revocation(), by=by), "X509 CRL"))


def test_openssl_refuses_everybody_with_an_expired_list(run_openssl: OpenSSL) -> None:
    """That is why it is renewed daily, for thirty days."""
    for moment, is_accepted in ((NEXT - timedelta(seconds=1), True), (NEXT + timedelta(seconds=1), False)):
        command = f"verify -attime {int(moment.timestamp())} -crl_check -CAfile ca -CRLfile crl leaf"
        files = {"ca": pair().pem, "leaf": pem(issue()), "crl": pem(crl(), "X509 CRL")}
        if is_accepted:
            run_openssl.run(command, **files)
        else:
            with pytest.raises(AssertionError, match="CRL has expired"):
                run_openssl.run(command, **files)


def test_the_list_as_openssl_prints_it(run_openssl: OpenSSL) -> None:
    """Version 2, sorted, with a number; an unspecified reason is left out (RFC 5280 section 5.3.1)."""
    made = crl(revocation("ff", RevocationReason.UNSPECIFIED), revocation("a", RevocationReason.KEY_COMPROMISE))
    text = run_openssl.run("crl -inform DER -in crl -noout -text", crl=made)
    identifier = authority().key_identifier.hex(":").upper()
    lines = [
        line.strip() for line in text.partition("    Signature Algorithm: ecdsa-with-SHA256\n    Sig")[0].splitlines()
    ]
    assert lines == [
        "Certificate Revocation List (CRL):",
        "Version 2 (0x1)",
        "Signature Algorithm: ecdsa-with-SHA256",
        "Issuer: CN = Integration CA",
        "Last Update: Nov 22 09:00:00 2026 GMT",
        "Next Update: Dec 22 09:00:00 2026 GMT",
        "CRL extensions:",
        "X509v3 Authority Key Identifier:",
        identifier,
        "X509v3 CRL Number:",
        "7",
        "Revoked Certificates:",
        "Serial Number: 0A",
        "Revocation Date: Nov 20 09:00:00 2026 GMT",
        "CRL entry extensions:",
        "X509v3 CRL Reason Code:",
        "Key Compromise",
        "Serial Number: FF",
        "Revocation Date: Nov 20 09:00:00 2026 GMT",
    ]


def test_an_empty_list_has_no_entries_at_all() -> None:
    """RFC 5280 section 5.1.2.6: the field is absent."""
    assert list(read(crl())) == []
    fields = read_element(crl()).fields(1)[0].children()
    assert [each.tag for each in fields] == [INTEGER, SEQUENCE, SEQUENCE, UTC_TIME, UTC_TIME, CONTEXT_0]
    assert read(crl()).is_signature_valid(pair().key.public_key())


def test_every_reason_of_a_revocation_has_its_code() -> None:
    assert set(REASON_CODES) == {reason.value for reason in RevocationReason}
    made = crl(*(revocation(f"{number:x}", reason) for number, reason in enumerate(RevocationReason, start=1)))
    assert [each.reason for each in entries(made)] == [
        None,
        x509.ReasonFlags.key_compromise,
        x509.ReasonFlags.affiliation_changed,
        x509.ReasonFlags.superseded,
        x509.ReasonFlags.cessation_of_operation,
        x509.ReasonFlags.privilege_withdrawn,
    ]


@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_serial_number_stands_once(is_reversed: bool) -> None:
    """With the earlier time; KeyCompromise is never hidden by another reason."""
    earlier, later = revocation("0a"), revocation("a", RevocationReason.KEY_COMPROMISE, SINCE + timedelta(days=1))
    both = [earlier, later, earlier][:: -1 if is_reversed else 1]
    assert entries(crl(*both)) == [Entry(10, SINCE, x509.ReasonFlags.key_compromise)]
    other = revocation("a", RevocationReason.AFFILIATION_CHANGED, SINCE + timedelta(days=1))
    assert entries(crl(other, earlier)) == [Entry(10, SINCE, x509.ReasonFlags.superseded)]


def test_any_serial_number_can_be_listed(run_openssl: OpenSSL) -> None:
    """Old CAs wrote negative ones and zero; 20 octets have one bit for the sign."""
    numbers = ["-12", "0", "80", "ff" * 19, "7f" + "ff" * 19]
    text = run_openssl.run("crl -inform DER -in crl -noout -text", crl=crl(*map(revocation, numbers)))
    assert re.findall(r"Serial Number: (\S+)", text) == ["-12", "00", "80", "FF" * 19, "7F" + "FF" * 19]


def test_the_order_of_the_revocations_does_not_matter() -> None:
    """The same revocations, number and times give the same list."""
    several = [revocation(f"{number:x}") for number in range(1, 50)]
    shuffled = several.copy()
    random.Random(1).shuffle(shuffled)
    assert crl(*several) == crl(*shuffled)


def test_a_list_of_ten_thousand_is_made_in_a_moment(run_openssl: OpenSSL) -> None:
    """About 500 KB as DER, which a ConfigMap holds."""
    source = random.Random(1)
    many = [revocation(f"{source.getrandbits(159):x}") for _ in range(10_000)]
    began = time.process_time()
    made = crl(*many)
    assert time.process_time() - began < here(2.0)  # a tenth of a second on a machine that does nothing else
    assert 400_000 < len(made) < 600_000
    assert len(list(read(made))) == 10_000
    command = f"verify -attime {int(NOW.timestamp())} -crl_check -CAfile ca -CRLfile crl leaf"
    run_openssl.run(command, ca=pair().pem, crl=pem(made, "X509 CRL"), leaf=pem(issue()))
    with pytest.raises(AssertionError, match="certificate revoked"):
        run_openssl.run(command, crl=pem(crl(*many, revocation()), "X509 CRL"))


def test_a_large_number_and_dates_after_2049(run_openssl: OpenSSL) -> None:
    """A CRL number has up to 20 octets (RFC 5280 section 5.2.3)."""
    by = make_pair(dates=(NOW, datetime(2070, 1, 1, tzinfo=UTC))).load()
    late = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
    made = build_crl(by, [revocation(since=late)], (1 << 159) - 1, late, late + timedelta(days=30))
    assert read(made).next_update_utc == late + timedelta(days=30)
    number = read(made).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert number == (1 << 159) - 1


def test_a_ca_that_may_not_sign_a_list() -> None:
    """TLS servers would refuse the list, and then everybody."""
    by = make_pair(extensions=(CA_TRUE, (usage(key_cert_sign=True), True))).load()
    with pytest.raises(IssuerError) as caught:
        crl(by=by)
    assert (caught.value.reason, "its keyUsage lacks cRLSign" in caught.value.message) == (Reason.ISSUER_INVALID, True)


def test_a_ca_without_key_usage_or_of_version_1_signs_lists(run_openssl: OpenSSL) -> None:
    without = make_pair(extensions=(CA_TRUE,))
    first = first_version(pair())
    for root, by in ((without.pem, without.load()), (pem(first), load_authority(first, pair().key_pem))):
        command = f"verify -attime {int(NOW.timestamp())} -crl_check -CAfile ca -CRLfile crl leaf"
        listed = pem(crl(revocation("1"), by=by), "X509 CRL")
        run_openssl.run(command, ca=root, leaf=pem(issue(CONTENT, by)), crl=listed)
