"""The checks of what the consumer sent: CSR, proof, names and key; and of what would come out."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from clientcert.errors import Reason
from clientcert.lifecycle.renewal.approval import needs_approval
from clientcert.lifecycle.renewal.checks import Problem
from clientcert.lifecycle.renewal.policy import (
    CertManagerIssuer,
    DeliverySettings,
    DeliveryType,
    KeyChange,
    KeySettings,
    Requester,
)
from clientcert.lifecycle.renewal.request_rules import requester_of
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.pki.identity import Field, Identity
from tests.builders import DAY, SECOND, declaration
from tests.unit.renewal.asking import (
    CSR,
    CURRENT,
    DEFAULTS,
    EMAIL,
    ENDS,
    ISSUED,
    NEW_KEY,
    NOW,
    OSG,
    asked,
    csr_pem,
    facts,
    holder,
    issue,
    outcome,
    proof,
    public_key_pem,
    refused_by,
    verdict,
)
from tools.certificates import make_private_key

CERT_MANAGER = CertManagerIssuer("cert-manager.io", "Issuer", "clients", SecretKeyRef("ca", "ca.crt"))


def encoded_csr(*attributes: tuple[str, str, _ASN1Type]) -> str:
    """A CSR whose subject has these attributes, each as a string of this type."""
    oids = {"O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME}
    subject = x509.Name([x509.NameAttribute(oids[kind], value, encoding) for kind, value, encoding in attributes])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(NEW_KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


class TestThePossession:
    def test_a_csr_that_is_not_signed_by_its_key(self) -> None:
        """Anybody can put another's key into one."""
        forged = replace(asked(CSR), signature_valid=False)
        assert outcome(facts(request=forged)) is Reason.PROOF_INVALID

    @pytest.mark.parametrize("reason", [Reason.PRIVATE_KEY_SENT, Reason.NOT_A_REQUEST, Reason.REQUEST_NOT_FOUND])
    def test_a_request_that_cannot_be_read_is_refused(self, reason: Reason) -> None:
        """With the reader's reason and sentence."""
        found = facts(request=None, request_problem=Problem(reason, "send another"))
        assert (refused_by(found), outcome(found)) == ("PossessionProved", reason)

    def test_a_proof_over_the_csr_or_the_public_key(self) -> None:
        """Either binds the new key."""
        assert outcome(holder()) is None
        public = public_key_pem(make_private_key("rsa"))
        assert outcome(facts(OSG, public_key=public, proof_pem=proof(public))) is None

    def test_a_proof_by_another_key(self) -> None:
        """Even by one of a certificate of the same name."""
        found = facts(OSG, proof_pem=proof(CSR, issue()))
        assert (refused_by(found), outcome(found)) == ("PossessionProved", Reason.PROOF_INVALID)

    def test_a_proof_over_another_request(self) -> None:
        """A proof is not replayed for another key."""
        assert outcome(facts(OSG, csr=csr_pem(make_private_key()), proof_pem=proof())) is Reason.PROOF_INVALID

    def test_an_invalid_proof_is_refused_where_none_is_required(self) -> None:
        """The key was exchanged on its way, or the proof was."""
        assert outcome(facts(proof_pem=proof(CSR, issue()))) is Reason.PROOF_INVALID

    def test_a_proof_by_a_clock_that_is_ahead(self) -> None:
        """The request was made long before the time in the proof."""
        assert outcome(holder(created=datetime.now(UTC))) is None
        found = holder(created=ISSUED)
        assert (refused_by(found), outcome(found)) == ("PossessionProved", Reason.PROOF_INVALID)
        assert "set the clock" in verdict(found, "PossessionProved").result.message

    def test_required_and_missing(self) -> None:
        """The holder alone may ask, or the team with the holder's proof."""
        required = replace(DEFAULTS, proof_required=True)
        assert outcome(facts(required)) is Reason.PROOF_REQUIRED
        assert outcome(facts(required, proof_pem=proof())) is None
        assert outcome(facts(OSG)) is Reason.REQUESTER_NOT_ALLOWED

    def test_who_asks(self) -> None:
        """The holder with a valid proof; any other is the team."""
        assert requester_of(holder()) is Requester.HOLDER
        assert requester_of(facts(proof_pem=proof())) is Requester.HOLDER
        assert requester_of(facts()) is Requester.TEAM
        assert requester_of(facts(proof_pem=proof(CSR, issue()))) is Requester.TEAM
        assert requester_of(facts(mode=Mode.REISSUE, proof_pem=proof())) is Requester.TEAM


class TestTheNames:
    def test_another_subject(self) -> None:
        """The sentence has both."""
        found = verdict(facts(csr=csr_pem(subject=(("CN", "admin"),))), "SubjectUnchanged")
        assert found.reason is Reason.SUBJECT_CHANGED
        assert '"CN=admin"' in found.result.message
        assert '"CN=nhs,O=NHS Digital"' in found.result.message

    def test_the_same_subject_in_another_encoding(self) -> None:
        """Of its strings, their case and spaces; but not in letters that only look the same."""
        same = (("O", "nhs  DIGITAL", _ASN1Type.PrintableString), ("CN", "NHS", _ASN1Type.BMPString))
        alike = (("O", "NHS Digital", _ASN1Type.UTF8String), ("CN", "n\u04bbs", _ASN1Type.UTF8String))
        assert outcome(facts(csr=encoded_csr(*same))) is None
        assert outcome(facts(csr=encoded_csr(*alike))) is Reason.SUBJECT_CHANGED

    def test_an_empty_subject_is_another(self) -> None:
        """Unless the certificate has none, either."""
        assert outcome(facts(csr=csr_pem(subject=()))) is Reason.SUBJECT_CHANGED
        plain = declaration(identity=Identity("", ((Field.EMAIL_ADDRESS, EMAIL),)))
        nameless = facts(issued=issue(subject=()), csr=csr_pem(subject=()), certificate=plain)
        assert outcome(nameless) is None

    def test_where_the_subject_is_not_asked_for(self) -> None:
        """The certificate keeps the current one; cert-manager copies the CSR's, which must be the same then."""
        loose = replace(DEFAULTS, require_unchanged=frozenset())
        another = csr_pem(subject=(("CN", "admin"),))
        assert outcome(facts(loose, csr=another)) is None
        assert outcome(facts(replace(loose, issuer=CERT_MANAGER), csr=another)) is Reason.SUBJECT_CHANGED

    def test_the_contact_has_another_address(self) -> None:
        """The certificate has addresses, and the technical contact's is not among them, or unknown."""
        assert outcome(facts(contact_email="sam@nhs.example")) is Reason.EMAILS_CHANGED
        assert outcome(facts(contact_email="")) is Reason.EMAILS_CHANGED
        assert outcome(facts(contact_email="Jo@NHS.example")) is None
        assert outcome(facts(issued=issue(emails=()), contact_email="sam@nhs.example")) is None
        loose = replace(DEFAULTS, require_unchanged=frozenset())
        assert outcome(facts(loose, contact_email="sam@nhs.example")) is None

    def test_the_csr_has_another_address(self) -> None:
        """Also where the certificate has none."""
        more = replace(asked(CSR), emails=("eve@elsewhere.example",))
        assert outcome(facts(request=more)) is Reason.EMAILS_CHANGED
        assert outcome(facts(issued=issue(emails=()), request=more)) is Reason.EMAILS_CHANGED


class TestTheKey:
    def test_a_weak_key(self) -> None:
        """As the reader of keys says it."""
        small = asked(public_key_pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)))
        weak = replace(asked(CSR), public_key_info=small.public_key_info)
        assert outcome(facts(request=weak)) is Reason.KEY_NOT_ALLOWED

    def test_rekey_and_reuse(self) -> None:
        """A key that the operator makes is another key."""
        same, public = csr_pem(CURRENT.private_key), public_key_pem(make_private_key("rsa"))
        allowed = {
            change: [outcome(facts(replace(DEFAULTS, key=KeySettings(change)), csr=csr)) is None for csr in (CSR, same)]
            + [outcome(facts(replace(DEFAULTS, key=KeySettings(change)), public_key=public)) is None]
            for change in KeyChange
        }
        assert allowed == {
            KeyChange.REKEY: [True, False, True],
            KeyChange.REUSE: [False, True, False],
            KeyChange.EITHER: [True, True, True],
        }

    def test_the_current_key_without_a_csr(self) -> None:
        """`reuse` certifies it; sent as a public key, it is only encrypted to."""
        same = asked(public_key_pem(CURRENT.private_key))
        kept = replace(DEFAULTS, key=KeySettings(KeyChange.REUSE))
        reused = replace(facts().renewal, csr_pem="", reuse=True)
        assert outcome(facts(kept, request=same, renewal=reused)) is None
        assert outcome(facts(kept, public_key=public_key_pem(CURRENT.private_key))) is Reason.KEY_NOT_ALLOWED

    def test_the_field_says_what_is_certified(self) -> None:
        """Whatever was read from it: what is signed goes by the field, too."""
        same = asked(public_key_pem(CURRENT.private_key))
        rekey, kept = (replace(DEFAULTS, key=KeySettings(each)) for each in (KeyChange.REKEY, KeyChange.REUSE))
        assert refused_by(facts(rekey, request=same)) == "KeyAllowed"
        wrapped = asked(csr_pem(CURRENT.private_key))
        assert refused_by(facts(kept, public_key=public_key_pem(CURRENT.private_key), request=wrapped)) == "KeyAllowed"

    def test_nothing_is_encrypted_to_ed25519(self) -> None:
        """As the key of a CSR it is allowed."""
        key = make_private_key("ed25519")
        assert outcome(facts(public_key=public_key_pem(key))) is Reason.KEY_NOT_ALLOWED
        assert outcome(facts(csr=csr_pem(key))) is None

    def test_the_openssl_form_encrypts_to_rsa_alone(self) -> None:
        """CMS also to EC."""
        archive = replace(DEFAULTS, delivery=DeliverySettings(DeliveryType.OPENSSL))
        assert outcome(facts(archive, public_key=public_key_pem())) is Reason.KEY_NOT_ALLOWED
        assert outcome(facts(archive, public_key=public_key_pem(make_private_key("rsa")))) is None
        assert outcome(facts(public_key=public_key_pem())) is None

    def test_compromised_or_another_consumers(self) -> None:
        """The sentence, which may go to the consumer, does not say whose it is."""
        assert outcome(facts(compromised_key=True)) is Reason.KEY_NOT_ALLOWED
        found = verdict(facts(other_consumer_with_key="dwp"), "KeyAllowed")
        assert (found.reason, "dwp" in found.result.message) == (Reason.KEY_NOT_ALLOWED, False)


class TestTheVetting:
    def test_it_is_not_asked_for_by_default(self) -> None:
        """Not even a date in the future matters."""
        assert outcome(facts(vetting_date=None)) is None
        assert outcome(facts(vetting_date=date(2099, 1, 1))) is None

    def test_where_it_is(self) -> None:
        """None on record, or one in the future, counts as too old."""
        assert outcome(holder(vetting_date=None)) is Reason.VETTING_REQUIRED
        tomorrow = NOW.date() + timedelta(days=1)
        midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC)
        found = holder(vetting_date=tomorrow)
        assert verdict(replace(found, now=midnight - SECOND), "Vetted").reason is Reason.VETTING_REQUIRED
        assert verdict(replace(found, now=midnight), "Vetted").result.passed


class TestWhatWouldComeOut:
    def test_it_has_the_declared_issuer(self) -> None:
        """Else alerts for the old one would go on for ever; the sentence names both."""
        identity = Identity("nhs", ((Field.ISSUER_DN, "CN=Former CA,O=Example"),))
        found = verdict(facts(certificate=declaration(identity=identity)), "WouldReplace")
        assert found.reason is Reason.WOULD_NOT_REPLACE
        assert '"CN=Integration CA,O=Example"' in found.result.message

    def test_a_subject_that_the_issuer_copies_has_the_declared_identity(self) -> None:
        """The identity is exact, so another case is another name; another encoding of the same text is none."""
        copies = replace(DEFAULTS, issuer=CERT_MANAGER)
        same = (("O", "NHS Digital", _ASN1Type.PrintableString), ("CN", "nhs", _ASN1Type.BMPString))
        upper = (("O", "NHS Digital", _ASN1Type.UTF8String), ("CN", "NHS", _ASN1Type.UTF8String))
        assert outcome(facts(copies, csr=encoded_csr(*same))) is None
        found = facts(copies, csr=encoded_csr(*upper))
        assert (refused_by(found), outcome(found)) == ("WouldReplace", Reason.WOULD_NOT_REPLACE)
        message = verdict(found, "WouldReplace").result.message
        assert 'commonName "nhs"' in message
        assert "CN=NHS" in message
        assert "have the CSR made" in message
        assert outcome(facts(csr=encoded_csr(*upper))) is None

    def test_it_ends_later(self) -> None:
        """By a second; and it never outlives the CA."""
        short = replace(DEFAULTS, validity_days=95)
        assert refused_by(facts(short, now=ENDS - 95 * DAY)) == "WouldReplace"
        assert refused_by(facts(short, now=ENDS - 95 * DAY + SECOND)) == ""
        assert outcome(facts(authority_not_after=ENDS)) is Reason.WOULD_NOT_REPLACE
        assert outcome(facts(authority_not_after=ENDS + SECOND)) is None


class TestApproval:
    def test_automatic(self) -> None:
        """Needs the policy's consent, the holder's proof and a CSR, and nothing changed."""
        automatic = replace(OSG, automatic=True)
        public = public_key_pem(make_private_key("rsa"))
        assert needs_approval(holder(automatic), ()) == ""
        assert "Manual" in needs_approval(holder(), ())
        assert "proof" in needs_approval(facts(automatic), ())
        assert "CSR" in needs_approval(facts(automatic, public_key=public, proof_pem=proof(public)), ())
        assert "identity, source" in needs_approval(holder(automatic), ("identity", "source"))
        team = replace(automatic, requesters=frozenset({Requester.TEAM}))
        assert "Holder" in needs_approval(holder(team), ())
        assert "Required" in needs_approval(holder(replace(automatic, proof_required=False)), ())
