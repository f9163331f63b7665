"""The answer of an issuer that chooses the dates counts only if it may take the place of the certificate before it."""

from dataclasses import replace

import pytest

from clientcert.errors import IssuerError, Reason
from clientcert.issuers.interface import CreateRequest, PlanRequest
from clientcert.issuers.issued_answer import verified
from clientcert.lifecycle.renewal.policy import CertManagerIssuer
from clientcert.lifecycle.renewal.status import Issuance
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.pki.certificate_fields import read_fields
from tests.builders import DAY, NOW, SECOND
from tools.certificates import CertificateAuthority

CA = CertificateAuthority.create("Integration CA")
SHORT = CA.issue("nhs", NOW, NOW + 30 * DAY)
"""The issuer caps the lifetime."""
PLAN = PlanRequest(
    namespace="team",
    settings=CertManagerIssuer("cert-manager.io", "Issuer", "clients", SecretKeyRef("ca", "ca.crt")),
    renewal="nhs-prod-1",
    renewal_uid="uid",
    request_pem=SHORT.csr_pem().decode(),
    subject_der=SHORT.certificate.subject.public_bytes(),
    alternative_names_der=b"",
    alternative_names_critical=False,
    validity_days=395,
    now=NOW,
)
ISSUANCE = Issuance("", NOW, NOW + 395 * DAY, "", "", "", PLAN.request_pem, "nhs-prod-1")


def answer_to(plan: PlanRequest) -> str:
    authority = (read_fields(CA.identity.certificate_der),)
    return verified(SHORT.certificate_pem, CreateRequest(plan, ISSUANCE), authority, "CertificateRequest team/nhs")


def test_a_shorter_life_is_accepted_while_it_ends_later() -> None:
    """Or where nothing is renewed, as in a reissue."""
    assert answer_to(PLAN) == SHORT.certificate_pem.decode()
    assert answer_to(replace(PLAN, ends_after=SHORT.not_after - SECOND)) == SHORT.certificate_pem.decode()


def test_one_that_ends_before_the_renewed_one_is_refused() -> None:
    """It would be delivered, and overwrite one that is valid for longer."""
    with pytest.raises(IssuerError) as caught:
        answer_to(replace(PLAN, ends_after=SHORT.not_after))
    assert caught.value.reason is Reason.CERTIFICATE_REFUSED
    assert "does not end later than the certificate that it renews" in caught.value.message
    assert "ask anew" in caught.value.message
