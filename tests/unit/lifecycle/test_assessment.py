"""The state of one certificate: the rules of design section 2 ("replaced") and section 4 (3, 5, 7)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Assessment, Observation, Problem, accepted_certificate, assess, unread
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.lifecycle.spec import UNUSABLE_SPEC
from clientcert.pki.certificate import Certificate
from tests.builders import CREATED, DAY, NOW, SECOND, Known, another_name, assessment, certificate, declaration

MISSING = unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it")
UNREADABLE = unread(Reason.NOT_A_CERTIFICATE, "it holds no certificate: put one there")


def remembering(seen: Certificate) -> CertificateStatus:
    return CertificateStatus(accepted=accepted_certificate(seen))


class TestAcknowledged:
    """An acknowledgement is for one certificate only."""

    @pytest.mark.parametrize(
        ("said", "serial_number", "acknowledged"),
        [
            ("1a2b3", 0x1A2B3, True),
            ("01a2b3", 0x1A2B3, True),
            ("1a2b4", 0x1A2B3, False),
            ("", 0x1A2B3, False),
            ("0", 0, True),
            ("", 0, False),
        ],
    )
    def test_by_its_serial_number(self, said: str, serial_number: int, acknowledged: bool) -> None:
        """With or without leading zeros; an empty one acknowledges nothing, not even serial number 0."""
        seen = certificate(NOW + 20 * DAY, serial_number=serial_number)
        assert assessment(seen, declared=declaration(acknowledged=said)).acknowledged is acknowledged


class TestPhase:
    """The phase is the most severe one that applies."""

    @pytest.mark.parametrize(
        ("left", "phase"),
        [
            (31 * DAY, Phase.VALID),
            (30 * DAY + SECOND, Phase.VALID),
            (30 * DAY, Phase.EXPIRING_SOON),
            (30 * DAY - SECOND, Phase.EXPIRING_SOON),
            (SECOND, Phase.EXPIRING_SOON),
            (0 * DAY, Phase.EXPIRING_SOON),
            (-SECOND, Phase.EXPIRED),
            (-400 * DAY, Phase.EXPIRED),
        ],
    )
    def test_of_a_valid_certificate(self, left: timedelta, phase: Phase) -> None:
        """Expiring from startDaysBefore on; by RFC 5280 the second of notAfter is still valid."""
        found = assessment(certificate(NOW + left))
        assert found.phase is phase
        assert found.problem is None
        assert found.expires_soon == (phase is not Phase.VALID)
        assert found.expired == (phase is Phase.EXPIRED)

    def test_pending_until_the_first_reading(self) -> None:
        """Nothing is read and there is no error, so nothing is reported yet."""
        found = assessment(None)
        assert (found.phase, found.problem, found.days_remaining, found.fingerprint) == (Phase.PENDING, None, None, "")

    @pytest.mark.parametrize("reason", list(Reason))
    def test_missing_and_unreadable_reasons(self, reason: Reason) -> None:
        """Four reasons mean that the content is missing; with any other it exists and cannot be read."""
        absent = {Reason.SOURCE_NOT_FOUND, Reason.STORE_NOT_FOUND, Reason.BUCKET_NOT_FOUND, Reason.KEY_MISSING}
        found = assessment(unread(reason, "fix it"))
        assert found.phase is (Phase.MISSING if reason in absent else Phase.UNREADABLE)
        assert found.problem == Problem(found.phase, reason, "fix it")
        assert found.source_problem

    @pytest.mark.parametrize("source", [MISSING, UNREADABLE])
    @pytest.mark.parametrize(("left", "phase"), [(100 * DAY, None), (5 * DAY, None), (-SECOND, Phase.EXPIRED)])
    def test_expired_is_worse_than_any_problem(self, source: Observation, left: timedelta, phase: Phase | None) -> None:
        """A Secret that is deleted does not hide that its certificate has expired."""
        before = certificate(NOW + left)
        found = assessment(source, recorded=remembering(before))
        assert source.problem is not None
        assert found.phase is (phase or source.problem.phase)
        assert found.problem == source.problem

    def test_a_problem_is_worse_than_expiring_soon(self) -> None:
        """Missing with five days left shows as Missing, and still as expiring soon."""
        found = assessment(MISSING, recorded=remembering(certificate(NOW + 5 * DAY)))
        assert found.phase is Phase.MISSING
        assert found.expires_soon
        assert found.days_remaining == 5

    def test_never_valid(self) -> None:
        """notBefore after notAfter is Invalid, before and after both dates."""
        for now in (NOW - 500 * DAY, NOW, NOW + 500 * DAY):
            found = assessment(certificate(NOW - DAY, not_before=NOW + DAY), now)
            assert found.phase is Phase.INVALID
            assert found.problem is not None
            assert found.problem.reason is Reason.INVALID_VALIDITY

    @pytest.mark.parametrize(
        ("starts_in", "phase"),
        [(SECOND, Phase.NOT_YET_VALID), (0 * DAY, Phase.VALID), (-SECOND, Phase.VALID)],
    )
    def test_not_yet_valid(self, starts_in: timedelta, phase: Phase) -> None:
        """Up to the second of notBefore, which belongs to the validity period."""
        assert assessment(certificate(not_before=NOW + starts_in)).phase is phase

    def test_no_end_is_no_overflow(self) -> None:
        """notAfter 9999-12-31 is valid like any other."""
        found = assessment(certificate(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)))
        assert found.phase is Phase.VALID
        assert found.days_remaining == 2_912_117

    def test_year_1_is_no_overflow(self) -> None:
        """Nor is a notAfter in year 1."""
        start = datetime(1, 1, 1, tzinfo=UTC)
        found = assessment(certificate(start, not_before=start))
        assert found.phase is Phase.EXPIRED


class TestTheFirstReading:
    """Alerts are about the first certificate that is read, even if it has a problem: its date counts."""

    def test_of_the_right_certificate(self) -> None:
        """It is accepted, and replaces nothing."""
        seen = certificate()
        found = assessment(seen)
        assert found.accepted == accepted_certificate(seen)
        assert found.replaced is None
        assert found.expires.time == seen.not_after

    @pytest.mark.parametrize(
        "seen",
        [
            certificate(common_name="acme"),
            certificate(not_before=NOW + DAY),
            certificate(NOW - 2 * DAY, not_before=NOW - DAY),
        ],
    )
    def test_of_one_with_a_problem(self, seen: Certificate) -> None:
        """It is accepted nevertheless, and the problem is reported."""
        found = assessment(seen)
        assert found.fingerprint == seen.fingerprint_sha256
        assert found.problem is not None
        assert not found.source_problem

    def test_of_one_that_has_expired(self) -> None:
        """The source has no problem: the phase says that the certificate has expired."""
        found = assessment(certificate(NOW - DAY))
        assert (found.phase, found.problem) == (Phase.EXPIRED, None)

    def test_of_nothing(self) -> None:
        """Without a date, stages are counted from the creation of the object."""
        found = assessment(MISSING)
        assert found.accepted is None
        assert found.expires.time == CREATED
        assert found.alarm == MISSING.problem


class TestReplacement:
    """Replaced: the source contains another certificate that is readable, matches the identity and is valid now."""

    OLD = certificate(NOW + 5 * DAY, serial_number=1)

    def test_by_a_renewed_one(self) -> None:
        """The new one counts from now on, and the old one is recorded."""
        new = certificate(NOW + 400 * DAY, serial_number=2, not_before=NOW - SECOND)
        found = assessment(new, recorded=remembering(self.OLD))
        assert found.accepted == accepted_certificate(new)
        assert found.replaced == accepted_certificate(self.OLD)
        assert (found.phase, found.problem) == (Phase.VALID, None)

    def test_of_an_expired_one(self) -> None:
        """Even if it is renewed late."""
        old = certificate(NOW - 30 * DAY, serial_number=1)
        found = assessment(certificate(serial_number=2), recorded=remembering(old))
        assert found.replaced == accepted_certificate(old)

    def test_by_one_in_its_last_second(self) -> None:
        """The second of notAfter belongs to the validity period."""
        assert assessment(certificate(NOW, serial_number=2), recorded=remembering(self.OLD)).replaced is not None

    def test_by_the_same_certificate_is_none(self) -> None:
        """The same certificate in another encoding, or only a new ETag, starts no new cycle."""
        found = assessment(self.OLD, recorded=remembering(self.OLD))
        assert found.replaced is None
        assert found.fingerprint == self.OLD.fingerprint_sha256

    def test_the_same_certificate_is_taken_as_it_is_read_now(self) -> None:
        """The status has shortened values; the reading has the complete ones."""
        cut = replace(accepted_certificate(self.OLD), subject_dn="CN=n…")
        found = assessment(self.OLD, recorded=CertificateStatus(accepted=cut))
        assert found.accepted == accepted_certificate(self.OLD)

    def test_by_one_that_expires_sooner(self) -> None:
        """It is the one in use now, so its date is the one to alert about."""
        sooner = certificate(NOW + 3 * DAY, serial_number=2)
        found = assessment(sooner, recorded=remembering(self.OLD))
        assert found.fingerprint == sooner.fingerprint_sha256
        assert found.phase is Phase.EXPIRING_SOON

    def test_a_rollback_is_a_replacement(self) -> None:
        """The old certificate counts again if it is put back."""
        new = certificate(NOW + 400 * DAY, serial_number=2)
        found = assessment(self.OLD, recorded=remembering(new))
        assert found.fingerprint == self.OLD.fingerprint_sha256
        assert found.replaced == accepted_certificate(new)

    @pytest.mark.parametrize(
        ("seen", "reason", "words"),
        [
            (certificate(common_name="acme", serial_number=2), Reason.IDENTITY_MISMATCH, 'of "acme", not of "nhs"'),
            (certificate(not_before=NOW + SECOND, serial_number=0x2B), Reason.NOT_YET_VALID, "serial number 2b"),
            (certificate(NOW - SECOND, serial_number=0x2B), Reason.EXPIRED, "serial number 2b"),
            (certificate(NOW - 2 * DAY, not_before=NOW - DAY), Reason.INVALID_VALIDITY, "issue it again"),
        ],
    )
    def test_by_an_unsuitable_certificate(self, seen: Certificate, reason: Reason, words: str) -> None:
        """Alerts about the old one continue, and the problem has a reason and says what to fix."""
        found = assessment(seen, recorded=remembering(self.OLD))
        assert found.accepted == accepted_certificate(self.OLD)
        assert found.replaced is None
        assert found.expires.time == self.OLD.not_after
        assert found.problem is not None
        assert found.problem.reason is reason
        assert words in found.problem.message
        assert not found.source_problem

    @pytest.mark.parametrize("source", [MISSING, UNREADABLE])
    def test_by_unreadable_content(self, source: Observation) -> None:
        """The certificate stays known without its source."""
        found = assessment(source, recorded=remembering(self.OLD))
        assert found.accepted == accepted_certificate(self.OLD)
        assert found.days_remaining == 5
        assert found.source_problem

    def test_by_one_that_becomes_valid_later(self) -> None:
        """A certificate that is not yet valid counts from the second of its notBefore."""
        new = certificate(NOW + 400 * DAY, serial_number=2, not_before=NOW + DAY)
        before = assessment(new, NOW + DAY - SECOND, recorded=remembering(self.OLD))
        assert (before.replaced, before.phase) == (None, Phase.NOT_YET_VALID)
        after = assessment(new, NOW + DAY, recorded=remembering(self.OLD))
        assert after.replaced == accepted_certificate(self.OLD)

    def test_a_wrong_first_one_by_the_right_one(self) -> None:
        """The first certificate belonged to another consumer, so the right one replaces it."""
        wrong = certificate(common_name="acme")
        found = assessment(certificate(), recorded=remembering(wrong))
        assert found.replaced == accepted_certificate(wrong)


class TestIdentity:
    """The parser compares the certificate with the declared identity."""

    def test_a_mismatch_is_said_in_the_words_of_the_parser(self) -> None:
        """They name the field and the value of spec.identity that would accept the certificate."""
        assert assessment(certificate(common_name="acme")).problem == Problem(
            Phase.INVALID, Reason.IDENTITY_MISMATCH, f"the source holds {another_name('acme', 'nhs')}"
        )

    def test_a_mismatch_comes_before_the_dates(self) -> None:
        """Of somebody else's certificate it does not matter whether it was ever valid."""
        never_valid = certificate(NOW - DAY, not_before=NOW, common_name="acme")
        found = assessment(never_valid)
        assert found.problem is not None
        assert found.problem.reason is Reason.IDENTITY_MISMATCH

    def test_expiry_counts_for_a_wrong_certificate_too(self) -> None:
        """It may be in use: it is Invalid until it expires, and Expired then."""
        wrong = certificate(common_name="acme")
        assert assessment(wrong).phase is Phase.INVALID
        assert assessment(wrong, wrong.not_after + SECOND).phase is Phase.EXPIRED


class TestAnUnusableSpec:
    def test_keeps_the_known_certificate(self) -> None:
        """The last certificate still counts; the observation has the problem of the spec."""
        old = certificate(NOW + 5 * DAY)
        observation = Observation(problem=Problem(Phase.INVALID, Reason.SPEC_INVALID, "correct spec.source"))
        found = assess(Known(UNUSABLE_SPEC, remembering(old), CREATED), observation, 30, NOW)
        assert found.accepted == accepted_certificate(old)
        assert found.problem == observation.problem


class TestAnyFacts:
    """Properties of every assessment."""

    certificates = st.builds(
        certificate,
        st.integers(-800, 800).map(lambda days: NOW + days * DAY),
        serial_number=st.integers(1, 3),
        not_before=st.integers(-800, 800).map(lambda days: NOW + days * DAY),
        common_name=st.sampled_from(["nhs", "acme"]),
    )
    observations = st.one_of(
        certificates.map(lambda seen: Observation(certificate=seen)),
        st.sampled_from([MISSING, UNREADABLE, Observation()]),
    )

    @given(observations, st.one_of(st.none(), certificates), st.integers(0, 3650), st.integers(-400, 400))
    def test_the_last_known_certificate_is_never_forgotten(
        self, observation: Observation, before: Certificate | None, start: int, days: int
    ) -> None:
        """Only a certificate without a problem replaces it, and the same facts always have the same assessment."""
        recorded = remembering(before) if before else CertificateStatus()
        now = NOW + days * DAY
        found = assess(Known(declaration(), recorded, CREATED), observation, start, now)
        assert found == assess(Known(declaration(), recorded, CREATED), observation, start, now)
        if before is not None:
            assert found.accepted is not None
            changed = found.fingerprint != before.fingerprint_sha256
            assert changed == (found.replaced is not None)
            assert not (changed and found.problem)
        self._check_phase(found)

    @staticmethod
    def _check_phase(found: Assessment) -> None:
        if found.problem is not None:
            assert found.phase in {found.problem.phase, Phase.EXPIRED}
        else:
            assert found.phase in {Phase.PENDING, Phase.VALID, Phase.EXPIRING_SOON, Phase.EXPIRED}
        assert (found.phase is Phase.PENDING) == (found.accepted is None and found.problem is None)

    @given(certificates, st.integers(-400, 400))
    def test_a_repeated_assessment_changes_nothing(self, seen: Certificate, days: int) -> None:
        """An accepted certificate is the same the next time: it does not replace itself."""
        now = NOW + days * DAY
        first = assessment(seen, now)
        again = assessment(seen, now, recorded=CertificateStatus(accepted=first.accepted))
        assert again == first
