"""The status is the operator's memory: a rendered status is parsed to the same values."""

from dataclasses import replace

import msgspec
import pytest

from clientcert.api.status import ESSENTIAL, digest, parse_status, render_status
from clientcert.lifecycle.assessment import accepted_certificate
from clientcert.lifecycle.conditions import conditions
from clientcert.lifecycle.recorded_status import (
    CertificateStatus,
    ChannelStatus,
    PreviousCertificate,
)
from clientcert.pki.certificate import Expiry
from tests.builders import DAY, NOW, assessment, certificate, evaluation, policy

SEEN = certificate(NOW + 20 * DAY)
ASSESSED = assessment(SEEN)
RECORDED = CertificateStatus(
    phase="ExpiringSoon",
    accepted=accepted_certificate(replace(SEEN, warnings=("the serial number is negative",))),
    source_version="sha256:abc",
    source_observed=NOW,
    channels=(
        ChannelStatus("team", "ab" * 32, 20, NOW, NOW + DAY, "C1:1.2", None),
        ChannelStatus("events", "", None, None, None, "", NOW),
    ),
    history=(PreviousCertificate("1a", NOW - DAY, NOW),),
    conditions=conditions(evaluation(ASSESSED, policy(), CertificateStatus()), None),
)


def test_a_rendered_status_is_parsed_to_the_same():
    """Rendering and parsing gives the same values: no value that a decision needs is lost at a restart."""
    assert parse_status(render_status(ASSESSED, RECORDED, 3)) == RECORDED


ISSUER = Expiry(NOW + 5 * DAY, "CN=Issuing CA", "2b", "cd" * 32)
"""The date of an issuing certificate that ends first."""


def test_the_certificate_that_ends_first_is_parsed_to_the_same():
    """Its date and fingerprint, and the channels that were alerted about it."""
    told = ChannelStatus("team", ISSUER.fingerprint_sha256, 5, NOW, leaf_fingerprint_sha256=SEEN.fingerprint_sha256)
    recorded = replace(RECORDED, accepted=replace(RECORDED.accepted, ends_first=ISSUER), channels=(told,))
    rendered = render_status(ASSESSED, recorded, 3)
    assert parse_status(msgspec.json.decode(msgspec.json.encode(rendered))) == recorded
    assert rendered["certificate"]["notAfter"] == f"{SEEN.not_after:%Y-%m-%dT%H:%M:%SZ}"
    assert rendered["expires"]["time"] == f"{ISSUER.time:%Y-%m-%dT%H:%M:%SZ}"


def test_usually_the_date_is_the_certificates_own():
    """`expires` repeats it, and costs no memory."""
    rendered = render_status(ASSESSED, RECORDED, 3)
    expected = {name: rendered["certificate"][name] for name in ("subjectDN", "serialNumber", "fingerprintSHA256")}
    assert rendered["expires"] == {"time": rendered["certificate"]["notAfter"], **expected}
    assert parse_status(rendered).accepted.ends_first is None


def test_a_status_without_expires_has_the_digest_of_one_with_it():
    """Version 0.1 wrote none: an upgrade of thousands must not write thousands of statuses."""
    status = render_status(ASSESSED, RECORDED, 3)
    before = {name: value for name, value in status.items() if name != "expires"}
    assert digest(before) == digest(status)
    assert parse_status(before) == parse_status(status)
    recorded = replace(RECORDED, accepted=replace(RECORDED.accepted, ends_first=ISSUER))
    assert digest(before) != digest(render_status(ASSESSED, recorded, 3))


def test_equal_values_of_two_statuses_are_one_object():
    """A hundred thousand statuses repeat their timestamps, conditions and short texts: each is in memory once."""
    stored = render_status(ASSESSED, RECORDED, 3)
    one, other = (parse_status(msgspec.json.decode(msgspec.json.encode(stored))) for _ in range(2))
    assert one == other
    assert one.source_observed is other.source_observed
    assert [id(each) for each in one.conditions] == [id(each) for each in other.conditions]
    assert one.channels[0].name is other.channels[0].name
    assert one.channels[0].last_sent is other.channels[0].last_sent
    assert one.accepted is not None
    assert other.accepted is not None
    assert one.accepted.not_after is other.accepted.not_after
    assert one.accepted.issuer_dn is other.accepted.issuer_dn
    assert one.accepted.warnings[0] is other.accepted.warnings[0]


def test_the_fingerprint_of_a_channel_shares_the_memory_of_the_certificate():
    fingerprint = SEEN.fingerprint_sha256
    recorded = replace(RECORDED, channels=(ChannelStatus("team", fingerprint, 20, NOW),))
    parsed = parse_status(msgspec.json.decode(msgspec.json.encode(render_status(ASSESSED, recorded, 3))))
    assert parsed.accepted is not None
    assert parsed.channels[0].fingerprint_sha256 is parsed.accepted.fingerprint_sha256
    assert parsed.channels[0].fingerprint_sha256 == fingerprint


def test_every_absent_field_is_named():
    """Absent fields are null, so a status as a merge patch replaces the previous one completely."""
    full = render_status(ASSESSED, RECORDED, 3)
    empty = render_status(assessment(None), CertificateStatus(), 4)
    assert empty.keys() == full.keys()
    assert empty["certificate"] is None
    assert empty["history"] is None
    assert full["certificate"].keys() >= {"subjectDN", "issuerDN", "keyAlgorithm", "warnings"}


def test_null_and_absent_have_one_digest():
    """The API server removes nulls; this alone causes no write."""
    status = render_status(ASSESSED, RECORDED, 3)
    as_stored = {name: value for name, value in status.items() if value is not None}
    as_stored["certificate"] = {k: v for k, v in status["certificate"].items() if v is not None}
    assert digest(as_stored) == digest(status)


@pytest.mark.parametrize("change", [{"phase": "Expired"}, {"daysRemaining": 1}, {"observedGeneration": 9}])
def test_a_change_changes_the_digest(change):
    status = render_status(ASSESSED, RECORDED, 3)
    assert digest({**status, **change}) != digest(status)


@pytest.mark.parametrize(
    "status",
    [
        {"certificate": {"notBefore": "yesterday"}},
        {"source": {"observedTime": "9999-12-31T23:59:59-14:00"}},  # in UTC it is in the year 10000
        {"alerts": {"channels": "none"}},
        {"history": [{}]},
        {"conditions": [{"type": "Ready"}]},
    ],
)
def test_an_invalid_status_counts_as_empty(status):
    """An invalid status counts as empty, and never causes a traceback."""
    assert parse_status(status) == CertificateStatus()


def test_too_long_texts_are_cut():
    """Texts are shortened, because the API server refuses a whole status for one text that is too long."""
    long = replace(
        RECORDED,
        accepted=replace(
            RECORDED.accepted,
            subject_dn="x" * 9999,
            serial_number="f" * 999,
            key_algorithm="k" * 999,
            warnings=("w" * 999,) * 20,
        ),
        source_version="v" * 999,
        channels=tuple(ChannelStatus(f"{n}" * 200, "", 1, NOW, thread_ref="t" * 999) for n in range(50)),
        conditions=tuple(replace(c, message="m" * 9999) for c in RECORDED.conditions),
    )
    status = render_status(ASSESSED, long, 1)
    assert len(status["certificate"]["subjectDN"]) == 2048
    assert len(status["certificate"]["serialNumber"]) == 256
    assert [len(w) for w in status["certificate"]["warnings"]] == [256] * 8
    assert len(status["alerts"]["channels"]) == 32
    assert {len(c["threadRef"]) for c in status["alerts"]["channels"]} == {256}
    assert {len(c["message"]) for c in status["conditions"]} == {1024}


def test_the_minimum_keeps_dates_and_deliveries():
    """The minimum keeps dates and deliveries, if the API server refuses the rest."""
    status = render_status(ASSESSED, RECORDED, 3)
    minimum = {name: status[name] for name in ESSENTIAL}
    assert parse_status(minimum).channels == RECORDED.channels
    assert parse_status(minimum).accepted == RECORDED.accepted


def test_a_certificate_without_end():
    """notAfter 9999-12-31 (RFC 5280 section 4.1.2.5) causes no overflow."""
    endless = certificate(NOW.replace(year=9999, month=12, day=31))
    status = render_status(assessment(endless), CertificateStatus(accepted=accepted_certificate(endless)), 1)
    assert status["certificate"]["notAfter"] == "9999-12-31T09:00:00Z"
    assert status["daysRemaining"] > 2_900_000


def test_conditions_contain_nothing_that_changes_with_time():
    """Two reconciles a few days apart, with nothing changed, give the same conditions, so no write is needed."""
    first = conditions(evaluation(assessment(SEEN, NOW), policy(), CertificateStatus()), None)
    remembered = CertificateStatus(conditions=first)
    assert conditions(evaluation(assessment(SEEN, NOW + 5 * DAY), policy(), remembered), None) == first
