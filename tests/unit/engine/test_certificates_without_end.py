"""A certificate that has no end has the last date of the calendar (RFC 5280 section 4.1.2.5): nothing is later."""

from datetime import timedelta

import pytest

from clientcert.lifecycle.renewal.due_notices import announces_retirement_at, retirement_time
from clientcert.pki.der import EARLIEST, LATEST, shifted
from tests.builders import DAY
from tests.simulation.api_server import NAMESPACE
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import CERTIFICATE, CORE, OURS, RENEWAL, World
from tests.unit.renewal.asking import CSR, issue

ENDLESS = issue(not_after=LATEST)
REVOCATION, CRL = f"{OURS}/certificaterevocations/old", f"{CORE}/configmaps/client-ca-crl"
REISSUE = {
    "certificateRef": {"name": "nhs"},
    "serialNumber": ENDLESS.serial_number_hex,
    "requestedBy": "sam",
    "mode": "Reissue",
    "csr": CSR,
}


@pytest.mark.parametrize("by", [timedelta(seconds=1), 400 * DAY])
def test_a_date_stays_inside_of_the_calendar(by: timedelta) -> None:
    assert (shifted(LATEST, by), shifted(EARLIEST, -by)) == (LATEST, EARLIEST)
    assert shifted(LATEST, -by) == LATEST - by


def test_a_retirement_stays_inside_of_the_calendar() -> None:
    assert retirement_time(LATEST, 30, BEGINS) == LATEST
    assert announces_retirement_at(LATEST, 30) == LATEST


async def test_one_is_revoked_and_issued_again(caplog: pytest.LogCaptureFixture) -> None:
    """The lists of its namespace go on, and so does a request that waits for an approval."""
    world = World(BEGINS)
    SCRIPTS["public key, CASecret, approved, S3, mail"].declare(world, certificate=ENDLESS.certificate_pem)
    world.edit(CERTIFICATE, vetting={"date": f"{BEGINS:%Y-%m-%d}", "by": "ra@integration.example"})
    revocation = {
        "issuerDN": "CN=Integration CA,O=Example",
        "serialNumber": ENDLESS.serial_number_hex,
        "consumer": "nhs",
        "reason": "Superseded",
        "revocationTime": f"{BEGINS:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": f"{LATEST:%Y-%m-%dT%H:%M:%SZ}",
    }
    world.server.put(REVOCATION, spec=revocation)
    await world.let_pass(10.0)
    world.server.put(RENEWAL, spec=REISSUE)
    await world.run_until(lambda: world.state == "AwaitingApproval")
    await world.let_pass(30.0)
    await world.stop()
    assert (world.condition("Listed", REVOCATION), CRL in world.server.objects) == (("True", "Listed"), True)
    assert world.process.engine.cache.revocations.knows_kept(NAMESPACE)
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []
