"""A moment is no alarm (design section 4, rule 15): when a source that is gone becomes one."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from clientcert.lifecycle.recorded_status import SourceGap
from clientcert.lifecycle.source_gap import alarm_time, gap_after, is_temporary
from clientcert.pki.parsing import parse
from tests.builders import DAY, HOUR, MINUTE, NOW, SECOND, certificate
from tools.certificates import make_private_key

GRACE = 2 * MINUTE
seconds = st.floats(0, 400 * 86_400, allow_nan=False).map(lambda count: timedelta(seconds=count))
graces = st.sampled_from([SECOND, MINUTE, GRACE, HOUR, DAY])


def alarmed(gone: timedelta, there: timedelta, lasting: timedelta, grace: timedelta = GRACE) -> datetime | None:
    """The first alarm of a source that is gone and there in turns."""
    now, gap = NOW, None
    while now < NOW + lasting:
        gap = gap_after(gap, now, grace, gone=True)
        assert gap is not None
        if alarm_time(gap, grace) < now + gone:
            return max(alarm_time(gap, grace), now)
        now += gone
        gap = gap_after(gap, now, grace, gone=False)
        now += there
    return None


@given(seconds, graces, st.floats(0, 0.999_999))
def test_one_gap(begin: timedelta, grace: timedelta, share: float) -> None:
    """A gap that is shorter than the grace is no alarm; a longer one is, within a second of the end of the grace."""
    gap = gap_after(None, NOW + begin, grace, gone=True)
    assert gap is not None
    assert NOW + begin + grace * share < alarm_time(gap, grace)
    assert NOW + begin + grace <= alarm_time(gap, grace) < NOW + begin + grace + SECOND


@given(st.lists(st.tuples(seconds, st.booleans()), min_size=1, max_size=20))
def test_any_number_of_reads_and_restarts(reads: list[tuple[timedelta, bool]]) -> None:
    """A gap begins at the first read that finds nothing, and lasts until the source is there, whatever is read
    meanwhile, by this process or by the next one.
    """
    gap, begin = None, None
    for after, gone in sorted(reads):
        gap = gap_after(gap, NOW + after, GRACE, gone=gone)
        begin = None if not gone else begin or NOW + after
        assert (gap is not None and gap.end is None) == gone
        if gone:
            assert gap is not None
            assert begin is not None
            assert begin <= gap.begin < begin + SECOND


@given(seconds)
def test_a_clock_that_was_ahead(ahead: timedelta) -> None:
    """A begin in the future counts from now on: the alarm is late by at most the grace, and never lost."""
    before = SourceGap(NOW + ahead)
    gap = gap_after(before, NOW, GRACE, gone=True)
    assert gap is not None
    assert gap.begin == NOW
    assert alarm_time(gap, GRACE) <= NOW + GRACE


@given(seconds, seconds, st.integers(0, 10**9))
def test_any_record_leads_to_an_alarm(begin: timedelta, end: timedelta, earlier: int) -> None:
    """Whatever a status says of earlier gaps: at the latest after the grace."""
    for before in (SourceGap(NOW + begin, NOW + end, earlier), SourceGap(NOW - begin, NOW - end, earlier)):
        gap = gap_after(before, NOW, GRACE, gone=True)
        assert gap is not None
        assert NOW <= alarm_time(gap, GRACE) <= NOW + GRACE


@pytest.mark.parametrize("every", [20 * SECOND, MINUTE, 3 * MINUTE])
def test_a_moment_again_and_again(every: timedelta) -> None:
    """A source that is gone for a second every few minutes, for a week, is no alarm."""
    assert alarmed(SECOND, every - SECOND, 7 * DAY) is None


def test_gone_most_of_the_time() -> None:
    """Gone for 1m59 of every two minutes: ten minutes later it is an alarm."""
    found = alarmed(119 * SECOND, SECOND, DAY)
    assert found is not None
    assert found - NOW <= 11 * MINUTE


@given(st.integers(1, 119), st.integers(0, 3000))
def test_a_tenth_of_the_time(gone: int, there: int) -> None:
    """Gaps that are shorter than the grace are an alarm if they take more than a tenth of the time, and none else."""
    if there < gone * 9:
        assert alarmed(gone * SECOND, there * SECOND, 5 * DAY) is not None
    if there >= gone * 10:
        assert alarmed(gone * SECOND, there * SECOND, 200 * (gone + there) * SECOND) is None


@given(st.integers(2, 1000), st.integers(1, 60))
def test_after_a_long_gap(days: int, minutes: int) -> None:
    """It counts as one of the grace alone, so a moment soon after it is no alarm."""
    ended = SourceGap(NOW - days * DAY, NOW - minutes * MINUTE)
    gap = gap_after(ended, NOW, GRACE, gone=True)
    assert gap is not None
    assert alarm_time(gap, GRACE) == NOW + GRACE


def test_without_a_grace() -> None:
    """With `sourceGrace: 0s` it is an alarm at once."""
    gap = gap_after(None, NOW, timedelta(0), gone=True)
    assert gap is not None
    assert alarm_time(gap, timedelta(0)) == NOW


@pytest.mark.parametrize(
    ("subject_dn", "serial_number", "issuer", "expected"),
    [
        ("2.5.4.5=1234567890,CN=nhs", 7, "cert-manager.local", True),
        ("CN=nhs,2.5.4.5=1234567890,O=Example", 7, "cert-manager.local", True),
        ("CN=nhs+2.5.4.5=1234567890", 7, "cert-manager.local", True),
        ("serialNumber=1234567890,CN=nhs", 7, "cert-manager.local", True),
        ("CN=nhs", 0x1234567890, "cert-manager.local", True),
        ("CN=nhs", 7, "cert-manager.local", False),
        ("2.5.4.5=12345678901,CN=nhs", 7, "cert-manager.local", False),
        ("2.5.4.5=1234567890,CN=nhs", 7, "Integration CA", False),
        ("CN=nhs", 0x1234567890, "Integration CA", False),
    ],
)
def test_a_temporary_certificate(subject_dn: str, serial_number: int, issuer: str, expected: bool) -> None:
    """By the serialNumber in the subject, or formerly its own, together with the CA that is thrown away."""
    seen = certificate(serial_number=serial_number)
    assert is_temporary(replace(seen, subject_dn=subject_dn, issuer_common_name=issuer)) is expected


def test_a_temporary_certificate_as_it_is_parsed() -> None:
    """The serialNumber is found in the subject of a real certificate, wherever it stands there."""
    key = make_private_key("ec")
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cert-manager.local")])
    for position in range(3):
        attributes = [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "NHS, Trust+Co"),
            x509.NameAttribute(NameOID.COMMON_NAME, "nhs"),
        ]
        attributes.insert(position, x509.NameAttribute(NameOID.SERIAL_NUMBER, "1234567890"))
        builder = x509.CertificateBuilder().subject_name(x509.Name(attributes)).issuer_name(issuer)
        builder = builder.public_key(key.public_key()).serial_number(77)
        builder = builder.not_valid_before(NOW).not_valid_after(NOW + 90 * DAY)
        found = parse(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM), now=NOW)
        assert is_temporary(found)
