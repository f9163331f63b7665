"""The spec of a CertificateRenewal, as people write it."""

import pytest

from clientcert.api.renewal import parse_renewal_spec


@pytest.mark.parametrize(
    ("written", "parsed"), [("4af2", "4af2"), ("004af2", "4af2"), ("0", "0"), ("00", "0"), ("-0a", "-a"), ("", "")]
)
def test_zeros_before_a_serial_number_mean_nothing(written: str, parsed: str) -> None:
    """Else the certificate in use would be taken for another one than the request's, and retired."""
    spec = {"certificateRef": {"name": "nhs"}, "requestedBy": "sam", "reuse": True, "serialNumber": written}
    assert parse_renewal_spec(spec).serial_number == parsed
