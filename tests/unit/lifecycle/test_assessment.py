"""What is the matter with one certificate: the rules of design section 2 ("replaced") and section 4 (3, 5, 7)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import (
    Assessment,
    Observation,
    Phase,
    Problem,
    accepted_certificate,
    assess,
    unread,
)
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.lifecycle.spec import UNUSABLE_SPEC
from clientcert.pki import Certificate
from tests.builders import CREATED, DAY, NOW, SECOND, Known, assessment, certificate, declaration

MISSING = unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it")
UNREADABLE = unread(Reason.NOT_A_CERTIFICATE, "it holds no certificate: put one there")


def remembering(seen: Certificate) -> CertificateStatus:
    return CertificateStatus(accepted=accepted_certificate(seen))


class TestAcknowledged:
    """Somebody sees to this very certificate, and to no other."""

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
        """With or without zeros before it; nothing is said by an empty one, also of a certificate numbered 0."""
        seen = certificate(NOW + 20 * DAY, serial_number=serial_number)
        assert assessment(seen, declared=declaration(acknowledged=said)).acknowledged is acknowledged


class TestPhase:
    """The phase is the worst that holds."""

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
    def test_of_a_certificate_that_is_what_it_should_be(self, left: timedelta, phase: Phase) -> None:
        """Expiring from startDaysBefore on; RFC 5280 counts the second of notAfter as valid still."""
        found = assessment(certificate(NOW + left))
        assert found.phase is phase
        assert found.problem is None
        assert found.expires_soon == (phase is not Phase.VALID)
        assert found.expired == (phase is Phase.EXPIRED)

    def test_pending_until_the_first_look(self) -> None:
        """Nothing read and nothing wrong: nothing is said about it yet."""
        found = assessment(None)
        assert (found.phase, found.problem, found.days_remaining, found.fingerprint) == (Phase.PENDING, None, None, "")

    @pytest.mark.parametrize("reason", list(Reason))
    def test_what_is_not_there_is_missing_and_all_else_unreadable(self, reason: Reason) -> None:
        """Four reasons say that nothing is there; with any other, something is and cannot be read."""
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
        """notAfter 9999-12-31 is as valid as any."""
        found = assessment(certificate(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)))
        assert found.phase is Phase.VALID
        assert found.days_remaining == 2_912_117

    def test_the_dawn_of_time_is_no_overflow(self) -> None:
        """Nor is a notAfter of year 1."""
        start = datetime(1, 1, 1, tzinfo=UTC)
        found = assessment(certificate(start, not_before=start))
        assert found.phase is Phase.EXPIRED


class TestTheFirstReading:
    """What is read first is what alerts are about, whatever is wrong with it: its date counts."""

    def test_of_the_right_certificate(self) -> None:
        """It is accepted, and has replaced nothing."""
        seen = certificate()
        found = assessment(seen)
        assert found.accepted == accepted_certificate(seen)
        assert found.replaced is None
        assert found.alert_from == seen.not_after

    @pytest.mark.parametrize(
        "seen",
        [
            certificate(common_name="acme"),
            certificate(not_before=NOW + DAY),
            certificate(NOW - 2 * DAY, not_before=NOW - DAY),
        ],
    )
    def test_of_one_with_a_problem(self, seen: Certificate) -> None:
        """It is accepted all the same, and the problem is said."""
        found = assessment(seen)
        assert found.fingerprint == seen.fingerprint_sha256
        assert found.problem is not None
        assert not found.source_problem

    def test_of_one_that_has_expired(self) -> None:
        """That is no problem of the source: it is the certificate, and the phase says so."""
        found = assessment(certificate(NOW - DAY))
        assert (found.phase, found.problem) == (Phase.EXPIRED, None)

    def test_of_nothing(self) -> None:
        """Stages are counted from the object's creation as long as there is no date."""
        found = assessment(MISSING)
        assert found.accepted is None
        assert found.alert_from == CREATED
        assert found.alerts_daily


class TestReplacement:
    """Replaced: the source holds another certificate that can be read, matches the identity and is valid now."""

    OLD = certificate(NOW + 5 * DAY, serial_number=1)

    def test_by_a_renewed_one(self) -> None:
        """The new one counts from now on, and the old one is named."""
        new = certificate(NOW + 400 * DAY, serial_number=2, not_before=NOW - SECOND)
        found = assessment(new, recorded=remembering(self.OLD))
        assert found.accepted == accepted_certificate(new)
        assert found.replaced == accepted_certificate(self.OLD)
        assert (found.phase, found.problem) == (Phase.VALID, None)

    def test_of_an_expired_one(self) -> None:
        """However late it is renewed."""
        old = certificate(NOW - 30 * DAY, serial_number=1)
        found = assessment(certificate(serial_number=2), recorded=remembering(old))
        assert found.replaced == accepted_certificate(old)

    def test_by_one_in_its_last_second(self) -> None:
        """The second of notAfter belongs to the validity period."""
        assert assessment(certificate(NOW, serial_number=2), recorded=remembering(self.OLD)).replaced is not None

    def test_by_the_same_certificate_is_none(self) -> None:
        """The same certificate in a new wrapping, or an ETag that changed alone, starts no new cycle."""
        found = assessment(self.OLD, recorded=remembering(self.OLD))
        assert found.replaced is None
        assert found.fingerprint == self.OLD.fingerprint_sha256

    def test_the_same_certificate_is_taken_as_it_is_read_now(self) -> None:
        """What status remembers of it was cut when it was rendered; the reading is whole."""
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
        """Putting the old one back makes the old one count again."""
        new = certificate(NOW + 400 * DAY, serial_number=2)
        found = assessment(self.OLD, recorded=remembering(new))
        assert found.fingerprint == self.OLD.fingerprint_sha256
        assert found.replaced == accepted_certificate(new)

    @pytest.mark.parametrize(
        ("seen", "reason", "words"),
        [
            (certificate(common_name="acme", serial_number=2), Reason.IDENTITY_MISMATCH, "of acme, not of nhs"),
            (certificate(common_name="", serial_number=2), Reason.IDENTITY_MISMATCH, "of no common name, not of nhs"),
            (certificate(common_name="NHS", serial_number=2), Reason.IDENTITY_MISMATCH, "of NHS, not of nhs"),
            (certificate(not_before=NOW + SECOND, serial_number=0x2B), Reason.NOT_YET_VALID, "serial number 2b"),
            (certificate(NOW - SECOND, serial_number=0x2B), Reason.EXPIRED, "serial number 2b"),
            (certificate(NOW - 2 * DAY, not_before=NOW - DAY), Reason.INVALID_VALIDITY, "issue it again"),
        ],
    )
    def test_by_one_that_cannot_be_it(self, seen: Certificate, reason: Reason, words: str) -> None:
        """Alerts for the old one go on, and the problem says why, in words that tell what to fix."""
        found = assessment(seen, recorded=remembering(self.OLD))
        assert found.accepted == accepted_certificate(self.OLD)
        assert found.replaced is None
        assert found.alert_from == self.OLD.not_after
        assert found.problem is not None
        assert found.problem.reason is reason
        assert words in found.problem.message
        assert not found.source_problem

    @pytest.mark.parametrize("source", [MISSING, UNREADABLE])
    def test_by_what_cannot_be_read(self, source: Observation) -> None:
        """It outlives its source."""
        found = assessment(source, recorded=remembering(self.OLD))
        assert found.accepted == accepted_certificate(self.OLD)
        assert found.days_remaining == 5
        assert found.source_problem

    def test_waiting_in_the_source_until_it_is_valid(self) -> None:
        """What is not yet valid takes over in the second of its notBefore."""
        new = certificate(NOW + 400 * DAY, serial_number=2, not_before=NOW + DAY)
        before = assessment(new, NOW + DAY - SECOND, recorded=remembering(self.OLD))
        assert (before.replaced, before.phase) == (None, Phase.NOT_YET_VALID)
        after = assessment(new, NOW + DAY, recorded=remembering(self.OLD))
        assert after.replaced == accepted_certificate(self.OLD)

    def test_a_wrong_first_one_by_the_right_one(self) -> None:
        """Whoever put acme's certificate there first, and then nhs', has replaced it."""
        wrong = certificate(common_name="acme")
        found = assessment(certificate(), recorded=remembering(wrong))
        assert found.replaced == accepted_certificate(wrong)


class TestIdentity:
    """What the certificate must say: the common name always, the issuer if the spec names one."""

    def test_another_common_name_than_the_consumers(self) -> None:
        """spec.identity.commonName stands for the consumer's name."""
        declared = declaration(common_name="nhs-digital")
        assert assessment(certificate(common_name="nhs-digital"), declared=declared).problem is None
        assert assessment(certificate(common_name="nhs"), declared=declared).phase is Phase.INVALID

    @pytest.mark.parametrize(
        ("wanted", "matches"),
        [
            ("CN=Integration CA,O=Example", True),
            ("CN=Other CA,O=Example", False),
            ("no name at all", False),
        ],
    )
    def test_the_issuer(self, wanted: str, matches: bool) -> None:
        """Names are compared as names; what is no name matches nothing."""
        found = assessment(certificate(), declared=declaration(issuer_dn=wanted))
        if matches:
            assert found.problem is None
        else:
            assert found.problem is not None
            assert found.problem.reason is Reason.IDENTITY_MISMATCH
            assert "spec.identity.issuerDN" in found.problem.message

    def test_expiry_counts_for_a_wrong_certificate_too(self) -> None:
        """Somebody uses it: it is Invalid until it expires, and Expired then."""
        wrong = certificate(common_name="acme")
        assert assessment(wrong).phase is Phase.INVALID
        assert assessment(wrong, wrong.not_after + SECOND).phase is Phase.EXPIRED


class TestASpecThatCannotBeUsed:
    def test_keeps_what_was_known(self) -> None:
        """The last certificate still counts; the observation says what is wrong with the spec."""
        old = certificate(NOW + 5 * DAY)
        observation = Observation(problem=Problem(Phase.INVALID, Reason.SPEC_INVALID, "correct spec.source"))
        found = assess(Known(UNUSABLE_SPEC, remembering(old), CREATED), observation, 30, NOW)
        assert found.accepted == accepted_certificate(old)
        assert found.problem == observation.problem


class TestAnyFacts:
    """What holds for all of it."""

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
        """Only a certificate without a problem takes its place, and a judgement of the same facts is the same."""
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
    def test_looking_again_changes_nothing(self, seen: Certificate, days: int) -> None:
        """What was accepted is the same certificate the next time: no replacement of itself."""
        now = NOW + days * DAY
        first = assessment(seen, now)
        again = assessment(seen, now, recorded=CertificateStatus(accepted=first.accepted))
        assert again == first
