"""The whole path counts (design section 4, rule 14): the intermediate that ends first, from the alert to the repair."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.control_plane.operators import Operator
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually
from tools.certificates import CertificateAuthority, Issued

SERIES = "clientcert_certificate_not_after_timestamp_seconds"


@pytest.fixture
def issuing(team: Team) -> CertificateAuthority:
    """An intermediate with five days left."""
    return team.authority.intermediate("Issuing CA", not_after=team.began + 5 * DAY)


def with_issuer(leaf: Issued, issuing: CertificateAuthority) -> bytes:
    return leaf.certificate_pem + issuing.identity.certificate.public_bytes(Encoding.PEM)


def leaf_of(team: Team, issuing: CertificateAuthority, *, days: float) -> Issued:
    return issuing.issue(team.consumer("nhs"), team.began - 30 * DAY, team.began + days * DAY)


def renewed(team: Team, issuing: CertificateAuthority) -> CertificateAuthority:
    """The same name and key, for years."""
    key = issuing.identity.private_key
    return team.authority.intermediate("Issuing CA", not_after=team.began + 900 * DAY, private_key=key)


def texts(team: Team) -> list[str]:
    return [posted.text for posted in team.messages("nhs")]


def test_the_intermediate_that_ends_first(team: Team, operator: Operator, issuing: CertificateAuthority) -> None:
    """It is watched, alerted about, repaired and closed; the certificate is the same all the time."""
    leaf = leaf_of(team, issuing, days=300)
    team.put("nhs", with_issuer(leaf, issuing))
    team.declare("nhs")
    eventually(lambda: len(texts(team)), 1)
    eventually(lambda: team.channel("nhs", "events").get("stage"), 5)
    status = team.status("nhs")
    assert (status["phase"], status["daysRemaining"]) == ("ExpiringSoon", 4)
    assert status["certificate"]["notAfter"] == f"{leaf.not_after:%Y-%m-%dT%H:%M:%SZ}"
    assert status["expires"] == {
        "time": f"{issuing.identity.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "subjectDN": "CN=Issuing CA",
        "serialNumber": issuing.identity.serial_number_hex,
        "fingerprintSHA256": issuing.identity.fingerprint_sha256,
    }
    eventually(lambda: team.channel("nhs", "events").get("fingerprintSHA256"), issuing.identity.fingerprint_sha256)
    shown = team.control_plane.kubectl("get", "-n", team.namespace, "clientcertificates", "nhs", "--no-headers")
    assert f"{issuing.identity.not_after:%Y-%m-%dT%H:%M:%SZ}" in shown
    operator.settle()
    assert operator.metric(SERIES, namespace=team.namespace, name="nhs") == issuing.identity.not_after.timestamp()
    [alert] = texts(team)
    assert "will expire within the next 5 days: its issuing certificate Issuing CA" in alert
    versions = team.versions()
    operator.settle()
    assert team.versions() == versions

    team.put("nhs", with_issuer(leaf, renewed(team, issuing)))
    eventually(lambda: len(texts(team)), 2)
    assert "has a new chain, valid until" in texts(team)[1]
    eventually(lambda: team.phase("nhs"), "Valid")
    operator.settle()
    status = team.status("nhs")
    assert status["expires"]["fingerprintSHA256"] == leaf.fingerprint_sha256
    assert status["certificate"]["fingerprintSHA256"] == leaf.fingerprint_sha256
    assert status.get("history") is None
    assert operator.metric(SERIES, namespace=team.namespace, name="nhs") == leaf.not_after.timestamp()
    assert "new chain" in team.events("nhs")["Renewed"]
    assert len(texts(team)) == 2


def test_an_expired_intermediate_that_is_added_later(
    team: Team, operator: Operator, issuing: CertificateAuthority
) -> None:
    """The certificate was read alone, and is in order; then its expired intermediate is put beside it."""
    leaf = leaf_of(team, issuing, days=300)
    team.put("nhs", leaf)
    team.declare("nhs")
    eventually(lambda: team.phase("nhs"), "Valid")
    key = issuing.identity.private_key
    ended = team.authority.intermediate("Issuing CA", not_after=team.began - 2 * DAY, private_key=key)
    team.put("nhs", with_issuer(leaf, ended))
    eventually(lambda: team.phase("nhs"), "Expired")
    operator.settle()
    [alert] = texts(team)
    assert "stopped working on" in alert
    assert "send it to the consumer" in team.words("nhs", "Ready")
    assert team.status("nhs").get("history") is None
