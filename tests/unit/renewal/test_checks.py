"""The checks of the certificate and its CA: what passes, what does not, with its reason, and what it says."""

import subprocess
from dataclasses import replace
from datetime import datetime
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.errors import Reason
from clientcert.lifecycle.renewal.certificate_rules import is_issued_by
from clientcert.lifecycle.renewal.check_rules import AllOf, AnyOf, passed, refused, waits
from clientcert.lifecycle.renewal.checks import CHECKS, Current, Facts, Problem, decided_by, run_checks
from clientcert.lifecycle.renewal.spec import Mode, RevocationReason
from clientcert.pki.identity import Field, Identity
from clientcert.pki.parsing import parse
from tests.builders import DAY, SECOND, declaration
from tests.unit.pki.certificates import Tbs, extension, pem, sequence
from tests.unit.renewal.asking import (
    CA,
    CSR,
    CURRENT,
    ENDS,
    FORMER_CA,
    ISSUED,
    NOW,
    OSG,
    STRANGE_CA,
    facts,
    issue,
    outcome,
    refused_by,
    verdict,
    waits_for,
)
from tools.certificates import CertificateAuthority
from tools.der import der_element, der_time

REISSUE = Mode.REISSUE
ORDER = [
    "SourceReadable",
    "IssuerReady",
    "SerialUnshared",
    "SerialCurrent",
    "InDate",
    "NotRevoked",
    "NotHost",
    "IssuedByUs",
    "WindowOpen",
    "PossessionProved",
    "SubjectUnchanged",
    "EmailsUnchanged",
    "KeyAllowed",
    "Vetted",
    "WouldReplace",
]


def names(found: Facts) -> list[str]:
    return [each.result.name for each in run_checks(found)]


def reissue(**changes: object) -> Facts:
    """A request to reissue a certificate that has expired, after a vetting."""
    found = facts(mode=REISSUE, now=ENDS + 2 * DAY, vetting_date=(ENDS + DAY).date())
    return replace(found, **changes)


def first(**changes: object) -> Facts:
    """A request for a consumer's first certificate."""
    missing = Problem(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it")
    return replace(facts(mode=REISSUE, issued=None, source_problem=missing), **changes)


class TestTheChain:
    def test_their_order(self) -> None:
        """Source and issuer first; then the certificate, the request, and what would come out."""
        assert names(facts()) == ORDER
        assert all(each.result.passed and each.reason is None for each in run_checks(facts()))
        assert decided_by(run_checks(facts())) is None

    def test_a_reissue_has_a_list_of_its_own(self) -> None:
        """An expired or revoked certificate, and another address, are no obstacles."""
        assert names(reissue()) == [each for each in ORDER if each not in {"InDate", "NotRevoked", "EmailsUnchanged"}]
        assert outcome(reissue()) is None

    def test_each_gives_a_sentence(self) -> None:
        """Also those that pass say what was seen."""
        assert all(each.result.message for found in (facts(), reissue(), first()) for each in run_checks(found))

    def test_only_three_wait(self) -> None:
        """All others refuse, which is final; a refusal decides before something that waits."""
        assert {each.name for checks in CHECKS.values() for each in checks} == set(ORDER)
        found = facts(sharing_serial=("nhs-preprod",), certificate=declaration(profile="Host"))
        assert (waits_for(facts(sharing_serial=("nhs-preprod",))), refused_by(found)) == ("SerialUnshared", "NotHost")

    def test_without_the_source(self) -> None:
        """Checks that need the certificate are left out, so nothing is refused for what was not seen."""
        found = facts(issued=None, source_problem=Problem(Reason.ACCESS_DENIED, "allow the operator to read it"))
        assert waits_for(found) == "SourceReadable"
        assert not {"SerialCurrent", "InDate", "IssuedByUs", "WindowOpen", "SubjectUnchanged"} & set(names(found))

    def test_without_the_issuer(self) -> None:
        """Its issuer and the new certificate are not judged then."""
        problem = Problem(Reason.ISSUER_NOT_FOUND, "there is no Secret client-ca: create it")
        found = facts(authority_ders=(), authority_not_after=None, issuer_problem=problem)
        assert waits_for(found) == "IssuerReady"
        assert not {"IssuedByUs", "WindowOpen", "WouldReplace"} & set(names(found))

    def test_whatever_is_missing_something_says_so(self) -> None:
        """A check is left out only where another one does not pass; a first certificate has no issuer yet."""
        away = Problem(Reason.ACCESS_DENIED, "allow the operator to read it")
        plain = (facts(), facts(OSG), reissue(), first(), first(source_problem=None))
        lacks: tuple[dict[str, object], ...] = (
            {"current": None},
            {"source_problem": away},
            {"request": None},
            {"request": None, "request_problem": away},
            {"authority_ders": ()},
            {"authority_not_before": None},
            {"authority_not_after": None},
            {"issuer_problem": away},
        )
        for found, one, other in product(plain, ({}, *lacks), ({}, *lacks)):
            changed = replace(found, **one | other)
            expected = [each.name for each in CHECKS[changed.renewal.mode]]
            if changed.is_first and changed.current is None:
                expected.remove("IssuedByUs")
            assert decided_by(run_checks(changed)) is not None or names(changed) == expected

    def test_all_of_and_any_of(self) -> None:
        """AllOf gives the first answer that did not pass, AnyOf the last one if none passes."""
        good, bad = passed("good"), refused(Reason.TOO_EARLY, "bad")
        late = waits(Reason.SERIAL_SHARED, "late")
        assert AllOf(lambda _: good, lambda _: late, lambda _: bad)(facts()) == late
        assert AllOf(lambda _: good, lambda _: passed("better"))(facts()) == passed("good; better")
        assert AnyOf(lambda _: bad, lambda _: good)(facts()) == good
        assert AnyOf(lambda _: good, lambda _: bad)(facts()) == good
        assert AnyOf(lambda _: bad, lambda _: late)(facts()) == late


class TestTheCertificate:
    def test_somebody_elses_certificate_waits(self) -> None:
        """The source is corrected, or the identity: no request ends by it."""
        other = issue(subject=(("CN", "dwp"),))
        assert outcome(facts(issued=other)) is Reason.IDENTITY_MISMATCH
        assert waits_for(facts(issued=other)) == "SourceReadable"

    def test_a_temporary_certificate_waits(self) -> None:
        """cert-manager replaces it in a moment."""
        passing = CertificateAuthority.create("cert-manager.local").issue(
            "nhs", ISSUED, ENDS, serial_number=0x1234567890
        )
        assert outcome(facts(issued=passing)) is Reason.TEMPORARY_CERTIFICATE
        assert waits_for(facts(issued=passing)) == "SourceReadable"

    def test_a_declared_issuer_may_be_the_next_ca(self) -> None:
        """The day the CA is replaced, identity.issuerDN names the new one before a certificate of it is there."""
        identity = Identity("nhs", ((Field.ISSUER_DN, "CN=Next CA"),))
        assert verdict(facts(certificate=declaration(identity=identity)), "SourceReadable").result.passed

    def test_a_csr_beside_the_source_that_cannot_be_read_waits(self) -> None:
        """With `reuse` the CSR comes from there; that it holds no CSR is final."""
        spec = replace(facts().renewal, csr_pem="", reuse=True)
        away = Problem(Reason.SOURCE_UNAVAILABLE, "the store does not answer")
        found = facts(renewal=spec, request=None, request_problem=away)
        assert waits_for(found) == "SourceReadable"
        no_csr = Problem(Reason.NOT_A_REQUEST, "it is no CSR")
        assert refused_by(replace(found, request_problem=no_csr)) == "PossessionProved"

    @pytest.mark.parametrize("ends", [NOW - SECOND, NOW])
    def test_an_expired_ca_waits(self, ends: datetime) -> None:
        """A certificate signed in its last second would end in it; the sentence says what to do."""
        found = facts(authority_not_after=ends)
        assert (outcome(found), waits_for(found)) == (Reason.ISSUER_EXPIRED, "IssuerReady")
        assert "renew the CA, put it into the Secret" in verdict(found, "IssuerReady").result.message
        assert verdict(facts(authority_not_after=NOW + SECOND), "IssuerReady").result.passed

    def test_a_ca_that_is_not_valid_yet_waits(self) -> None:
        """From its first second on it signs."""
        found = facts(authority_not_before=NOW + SECOND)
        assert (outcome(found), waits_for(found)) == (Reason.ISSUER_NOT_YET_VALID, "IssuerReady")
        assert "wait until then" in verdict(found, "IssuerReady").result.message
        assert [outcome(facts(authority_not_before=NOW - each)) for each in (0 * SECOND, SECOND)] == [None, None]

    @pytest.mark.parametrize("serial", ["1", "", "-2", "zz", "0"])
    def test_another_serial_number_is_refused(self, serial: str) -> None:
        """Also one that is no number; nothing but the current certificate is renewed."""
        found = facts(renewal=replace(facts().renewal, serial_number=serial))
        assert (refused_by(found), outcome(found)) == ("SerialCurrent", Reason.NOT_CURRENT)

    def test_leading_zeros_are_the_same_number(self) -> None:
        """As openssl writes it."""
        spec = replace(facts().renewal, serial_number="00" + CURRENT.serial_number_hex)
        assert outcome(facts(renewal=spec)) is None

    def test_in_date_to_the_last_second(self) -> None:
        """Before notBefore, and after notAfter, it is no valid certificate."""
        moments = (ISSUED - SECOND, ISSUED, ENDS, ENDS + SECOND)
        found = [verdict(facts(now=now), "InDate").reason for now in moments]
        assert found == [Reason.NOT_YET_VALID, None, None, Reason.EXPIRED]

    def test_revoked(self) -> None:
        """The sentence says why, and the way back."""
        found = verdict(facts(revoked=RevocationReason.KEY_COMPROMISE), "NotRevoked")
        assert found.reason is Reason.REVOKED
        assert "KeyCompromise" in found.result.message
        assert "Reissue" in found.result.message

    def test_a_host_certificate_is_never_issued_here(self) -> None:
        """Neither renewed nor reissued."""
        host = declaration(profile="Host")
        assert refused_by(facts(certificate=host)) == refused_by(reissue(certificate=host)) == "NotHost"


class TestWhoIssuedIt:
    @pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519"])
    def test_by_any_kind_of_ca(self, kind: str) -> None:
        """The signature is verified with the CA's key."""
        authority = CertificateAuthority.create("Any CA", key=kind)  # type: ignore[arg-type]
        found = facts(issued=issue(authority), authority_ders=(authority.identity.certificate_der,))
        assert verdict(found, "IssuedByUs").result.passed

    def test_the_same_name_with_another_key_is_not_ours(self) -> None:
        """Anybody can make a CA of that name."""
        assert refused_by(facts(issued=issue(STRANGE_CA))) == "IssuedByUs"
        assert outcome(facts(issued=issue(STRANGE_CA))) is Reason.NOT_ISSUED_BY_US

    def test_by_a_former_ca(self) -> None:
        """Only if it is in trust."""
        old = issue(FORMER_CA)
        ours = (CA.identity.certificate_der,)
        assert refused_by(facts(issued=old)) == "IssuedByUs"
        assert outcome(facts(issued=old, authority_ders=(*ours, FORMER_CA.identity.certificate_der))) is None

    def test_directly(self) -> None:
        """A certificate of an intermediate below our CA is that one's, not ours."""
        below = issue(CA.intermediate("Team CA"))
        assert refused_by(facts(issued=below)) == "IssuedByUs"

    def test_a_client_in_trust_is_no_ca(self) -> None:
        """A certificate signed by a client's key is not ours, even if that is taken for a CA's by mistake."""
        client = CertificateAuthority(issue())
        forged = issue(client)
        ders = (CA.identity.certificate_der, client.identity.certificate_der)
        assert refused_by(facts(issued=forged, authority_ders=ders)) == "IssuedByUs"

    def test_x509_version_1(self, tmp_path: Path) -> None:
        """As `openssl x509 -req` makes it without an extension file."""
        files = {"ca.pem": CA.identity.certificate_pem, "ca.key": CA.identity.private_key_pem, "csr": CSR.encode()}
        for file, content in files.items():
            (tmp_path / file).write_bytes(content)
        command = "openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -set_serial 0x4af2 -days 3650 -out old.pem"
        subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=True)
        old = x509.load_pem_x509_certificate((tmp_path / "old.pem").read_bytes())
        assert old.version is x509.Version.v1
        assert is_issued_by(old.public_bytes(Encoding.DER), CA.identity.certificate_der)
        assert not is_issued_by(old.public_bytes(Encoding.DER), STRANGE_CA.identity.certificate_der)

    def test_two_algorithms(self) -> None:
        """The one that is signed must be the one that the signature says (RFC 5280 section 4.1.1.2)."""
        issuer, name = CA.identity.certificate_der, CA.identity.certificate.subject.public_bytes()
        sha384 = sequence(bytes.fromhex("06082a8648ce3d040303"))
        assert is_issued_by(CA.sign(Tbs(issuer=name).der), issuer)
        assert not is_issued_by(CA.sign(Tbs(issuer=name, signature=sha384).der), issuer)


class TestTheWindow:
    def test_too_early_says_from_when(self) -> None:
        """183 days after the issue, to the second."""
        opens = ISSUED + 183 * DAY
        found = verdict(facts(now=opens - SECOND), "WindowOpen")
        assert (found.reason, f"{opens:%Y-%m-%d %H:%M} UTC" in found.result.message) == (Reason.TOO_EARLY, True)
        assert verdict(facts(now=opens), "WindowOpen").result.passed

    def test_always_for_a_former_ca(self) -> None:
        """The day the CA is replaced every certificate may be renewed, even one of yesterday."""
        old, ours = issue(FORMER_CA), CA.identity.certificate_der
        ders = (ours, FORMER_CA.identity.certificate_der)
        assert verdict(facts(issued=old, now=ISSUED + DAY, authority_ders=ders), "WindowOpen").result.passed
        assert refused_by(facts(now=ISSUED + DAY, authority_ders=ders)) == "WindowOpen"

    def test_a_ca_in_trust_that_still_signs_is_no_former_one(self) -> None:
        """Its own certificate may be listed there, too."""
        ours = CA.identity.certificate_der
        assert refused_by(facts(now=ISSUED + DAY, authority_ders=(ours, ours))) == "WindowOpen"


def test_a_certificate_that_is_not_well_formed_is_refused() -> None:
    """It cannot be repeated byte for byte: nobody knows which one of two subjectAltNames counts."""
    san = extension("551d11", sequence(der_element(0x82, b"nhs.example")))
    tbs = Tbs(
        issuer=CA.identity.certificate.subject.public_bytes(),
        subject=CURRENT.certificate.subject.public_bytes(),
        not_before=der_time(ISSUED),
        not_after=der_time(ENDS),
        extensions=(san, san),
    )
    der = CA.sign(tbs.der)
    twice = parse(pem(der), identity=Identity("nhs"), now=NOW)
    found = facts(current=Current(twice, der), renewal=replace(facts().renewal, serial_number="123456"))
    assert (refused_by(found), outcome(found)) == ("WouldReplace", Reason.INVALID_CERTIFICATE)
