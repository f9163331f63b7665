"""Mode Reissue: the way back after an expiry, a revocation or a refusal, and to a consumer's first certificate."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import accepted_certificate
from clientcert.lifecycle.renewal.approval import needs_approval
from clientcert.lifecycle.renewal.checks import Facts, Problem, run_checks
from clientcert.lifecycle.renewal.policy import (
    CertManagerIssuer,
    KeyChange,
    KeySettings,
)
from clientcert.lifecycle.renewal.spec import Mode, RevocationReason
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.pki.identity import Field, Identity
from tests.builders import DAY, SECOND, declaration
from tests.unit.renewal.asking import (
    CURRENT,
    DEFAULTS,
    ENDS,
    ISSUED,
    NOW,
    OSG,
    STRANGE_CA,
    asked,
    csr_pem,
    current,
    facts,
    issue,
    outcome,
    proof,
    refused_by,
    verdict,
    waits_for,
)

CERT_MANAGER = CertManagerIssuer("cert-manager.io", "Issuer", "clients", SecretKeyRef("ca", "ca.crt"))
REISSUE = Mode.REISSUE


def reissue(**changes: object) -> Facts:
    """A request to reissue a certificate that has expired, after a vetting."""
    found = facts(mode=REISSUE, now=ENDS + 2 * DAY, vetting_date=(ENDS + DAY).date())
    return replace(found, **changes)


def first(**changes: object) -> Facts:
    """A request for a consumer's first certificate."""
    missing = Problem(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it")
    return replace(facts(mode=REISSUE, issued=None, source_problem=missing), **changes)


class TestReissue:
    def test_open_for_expired_revoked_and_refused_ones(self) -> None:
        """A certificate that can be renewed is renewed."""
        valid = facts(mode=REISSUE, vetting_date=NOW.date())
        assert (refused_by(valid), outcome(valid)) == ("WindowOpen", Reason.TOO_EARLY)
        assert outcome(replace(valid, revoked=RevocationReason.SUPERSEDED, revocation_time=NOW - DAY)) is None
        assert outcome(replace(valid, refused_time=NOW - DAY)) is None
        assert outcome(reissue()) is None

    @pytest.mark.parametrize(
        "fact",
        [
            {"refused_time": NOW - 3 * DAY},
            {"revoked": RevocationReason.SUPERSEDED, "revocation_time": NOW - 3 * DAY},
        ],
    )
    def test_the_vetting_is_not_before_that(self, fact: dict[str, object]) -> None:
        """On the same day it counts: it has no time of day."""
        day = (NOW - 3 * DAY).date()
        on_the_day = replace(facts(mode=REISSUE, vetting_date=day), **fact)
        before = replace(on_the_day, vetting_date=day - timedelta(days=1))
        assert outcome(on_the_day) is None
        assert (refused_by(before), outcome(before)) == ("Vetted", Reason.VETTING_REQUIRED)
        assert outcome(replace(before, vetting_date=None)) is Reason.VETTING_REQUIRED

    def test_nor_before_the_end(self) -> None:
        """Of the certificate, if that has expired; the latest of the three counts."""
        assert outcome(reissue(vetting_date=ENDS.date())) is None
        assert outcome(reissue(vetting_date=ENDS.date() - timedelta(days=1))) is Reason.VETTING_REQUIRED
        assert outcome(reissue(vetting_date=ENDS.date(), refused_time=ENDS + DAY)) is Reason.VETTING_REQUIRED

    def test_it_needs_a_vetting_and_an_approval_whatever_the_policy_says(self) -> None:
        """Also if vetting is not asked for, and approval is automatic."""
        automatic = replace(OSG, automatic=True, max_vetting_age_days=None)
        found = reissue(policy=automatic, renewal=replace(reissue().renewal, proof_pem=proof()))
        assert outcome(found) is None
        assert "always approved by a person" in needs_approval(found, ())
        assert outcome(replace(found, vetting_date=None)) is Reason.VETTING_REQUIRED

    def test_by_the_team_without_a_proof(self) -> None:
        """Where the holder alone may ask for a renewal, this is the way back."""
        assert outcome(reissue(policy=OSG)) is None

    def test_with_a_new_key(self) -> None:
        """Whatever the policy says about the key of a renewal."""
        keep = replace(DEFAULTS, key=KeySettings(KeyChange.REUSE))
        assert outcome(reissue(policy=keep)) is None
        same = reissue(request=asked(csr_pem(CURRENT.private_key)))
        assert (refused_by(same), outcome(same)) == ("KeyAllowed", Reason.KEY_NOT_ALLOWED)

    def test_the_subject_of_the_csr_is_not_used(self) -> None:
        """But cert-manager would copy it."""
        another = asked(csr_pem(subject=(("CN", "admin"),)))
        assert outcome(reissue(request=another)) is None
        copied = reissue(request=another, policy=replace(DEFAULTS, issuer=CERT_MANAGER))
        assert outcome(copied) is Reason.SUBJECT_CHANGED

    def test_only_of_a_certificate_that_was_ours(self) -> None:
        """Its names are certified again."""
        found = facts(mode=REISSUE, issued=issue(STRANGE_CA), now=ENDS + 2 * DAY, vetting_date=(ENDS + DAY).date())
        assert refused_by(found) == "IssuedByUs"

    def test_it_may_end_before_a_revoked_one(self) -> None:
        """A compromised key of a certificate for ten years is replaced by one for 13 months."""
        long = issue(not_after=ISSUED + 3650 * DAY)
        found = facts(mode=REISSUE, issued=long, vetting_date=NOW.date(), revocation_time=NOW - SECOND)
        assert outcome(replace(found, revoked=RevocationReason.KEY_COMPROMISE)) is None


class TestAFirstCertificate:
    def test_there_is_nothing_in_the_source_yet(self) -> None:
        """Neither an object nor a key of it; any other problem waits."""
        assert outcome(first()) is None
        for reason in (Reason.KEY_MISSING, Reason.EMPTY):
            assert outcome(first(source_problem=Problem(reason, "put one there"))) is None
        assert waits_for(first(source_problem=Problem(Reason.ACCESS_DENIED, "allow it"))) == "SourceReadable"
        assert outcome(first(source_problem=None)) is None

    def test_there_is_one_already(self) -> None:
        """A request without a serial number is not about it."""
        found = first(source_problem=None, current=current())
        assert (refused_by(found), outcome(found)) == ("SerialCurrent", Reason.NOT_CURRENT)

    def test_it_needs_a_vetting(self) -> None:
        """Of any day, unless the policy has a limit."""
        assert outcome(first(vetting_date=None)) is Reason.VETTING_REQUIRED
        assert outcome(first(vetting_date=date(1999, 1, 1))) is None
        assert outcome(first(policy=OSG, vetting_date=date(1999, 1, 1))) is Reason.VETTING_REQUIRED

    def test_one_that_the_source_has_lost(self) -> None:
        """It may still be in use: what is known of it counts as if it was there."""
        known = accepted_certificate(current().certificate)
        lost = first(last_known=known)
        assert outcome(lost) is None
        expired = replace(lost, now=ENDS + 2 * DAY, vetting_date=(ENDS - DAY).date())
        revoked = {"revoked": RevocationReason.SUPERSEDED, "revocation_time": NOW - DAY}
        early: dict[str, object] = {"vetting_date": (NOW - 2 * DAY).date()}
        for found in (expired, replace(lost, **revoked, **early), replace(lost, refused_time=NOW - DAY, **early)):
            assert (refused_by(found), outcome(found)) == ("Vetted", Reason.VETTING_REQUIRED)
            assert outcome(replace(found, vetting_date=found.now.date())) is None
        message = verdict(lost, "SerialCurrent").result.message
        assert known.serial_number in message
        assert "first" not in " ".join(each.result.message for each in run_checks(lost))

    def test_its_key_is_not_used_again(self) -> None:
        same = asked(csr_pem(CURRENT.private_key))
        lost = first(last_known=accepted_certificate(current().certificate), request=same)
        assert refused_by(replace(lost, last_known_key=same.key_hash)) == "KeyAllowed"
        assert outcome(lost) is None

    def test_one_that_names_it_says_the_way_out(self) -> None:
        missing = Problem(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it.")
        found = facts(mode=REISSUE, source_problem=missing, current=None)
        assert waits_for(found) == "SourceReadable"
        assert "create it; or if it is lost" in verdict(found, "SourceReadable").result.message

    def test_its_names_are_those_that_are_declared(self) -> None:
        """If the policy's subject is not what the identity declares, the new certificate would count for nobody."""
        exact = declaration(identity=Identity("", ((Field.SUBJECT_DN, "CN=nhs,O=NHS Digital"),)))
        assert outcome(first(certificate=exact)) is Reason.WOULD_NOT_REPLACE
        fitting = replace(DEFAULTS, subject=(("organization", "NHS Digital"),))
        assert outcome(first(certificate=exact, policy=fitting)) is None

    def test_names_that_fit_into_no_certificate(self) -> None:
        """Whichever check needs them first refuses the request; whether the CSR is used depends on the issuer."""
        for field, value in ((Field.COMMON_NAME, "n" * 65), (Field.DNS_NAME, "müller.example")):
            wrong = first(certificate=declaration(identity=Identity("", ((field, value),))))
            assert outcome(wrong) is Reason.SPEC_INVALID
            copied = replace(wrong, policy=replace(DEFAULTS, issuer=CERT_MANAGER))
            assert (refused_by(copied), outcome(copied)) == ("SubjectUnchanged", Reason.SPEC_INVALID)
