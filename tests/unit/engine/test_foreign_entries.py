"""Entries that somebody writes into a ConfigMap of the operator are shown: they look like those of deleted objects."""

import base64
from datetime import timedelta

from clientcert.lifecycle.renewal.revocation_entries import dump_entries
from clientcert.lifecycle.renewal.spec import RevocationReason, RevocationSpec
from clientcert.object_metrics import entries_without_object
from tests.builders import DAY
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import CORE, OURS, POLICY, World

LIST = f"{CORE}/configmaps/client-ca-revocations"
ISSUER = "CN=Integration CA,O=Example"


def entry(serial_number: str) -> RevocationSpec:
    ends, reason = BEGINS + 100 * DAY, RevocationReason.SUPERSEDED
    return RevocationSpec(ISSUER, serial_number, "nhs", reason, BEGINS - timedelta(hours=1), ends)


def words(world: World) -> str:
    conditions = world.server.objects[POLICY]["status"]["conditions"]
    return str(next(each["message"] for each in conditions if each["type"] == "RevocationLists"))


async def test_they_are_counted() -> None:
    world = World(BEGINS)
    SCRIPTS["public key, CASecret, approved, S3, mail"].declare(world)
    spec = {
        "issuerDN": ISSUER,
        "serialNumber": "4af2",
        "consumer": "nhs",
        "reason": "Superseded",
        "revocationTime": f"{BEGINS:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": f"{BEGINS + 100 * DAY:%Y-%m-%dT%H:%M:%SZ}",
    }
    world.server.put(f"{OURS}/certificaterevocations/old", spec=spec)
    await world.let_pass(10.0)
    assert "no CertificateRevocation" not in words(world)
    kept = dump_entries([entry("4af2"), entry("4af3"), entry("4af4")])
    world.server.put(LIST, binaryData={"entries": base64.b64encode(kept).decode()})
    cache = world.process.engine.cache
    cache.policies.enqueue_all()
    await world.let_pass(30.0)
    await world.stop()
    assert "2 entries have no CertificateRevocation" in words(world)
    shown = entries_without_object(cache.revocations.without_object())
    assert 'clientcert_revocation_entries_without_object{namespace="integration",issuer="client-ca"} 2' in shown
