"""Rows 5 and 6: a watch that is silently dead, and one that has lost an event."""

import pytest

from tests.control_plane.waiting import eventually, until
from tests.faults.proxy import watches
from tests.faults.scenario import POLICY, World, row

CERTIFICATES, SECRETS = "/clientcertificates", "/secrets"
NOTICED_SECONDS = 75


@pytest.mark.slow
@row(5, "the watches of ClientCertificates and Secrets stay open and say nothing any more")
def test_a_watch_that_is_silently_dead(world: World) -> None:
    """Detected within 75 s: a new object and a renewed Secret are found by new watches."""
    world.operator_starts()
    world.hand_out("nhs", days=14)
    world.all_is_delivered()
    for path in (CERTIFICATES, SECRETS):
        world.api_server.silence(path)
    world.hand_out("moj", days=7)
    world.renew("nhs")
    world.waits(1)
    world.fault_ends()
    world.all_is_delivered(within=NOTICED_SECONDS)


@row(6, "events of watches are dropped: ADDED, MODIFIED, DELETED of objects and of Secrets, MODIFIED of a policy")
def test_lost_events(world: World) -> None:
    """The next comparison with the API server repairs each of them."""
    team = world.team
    for name in ("changed", "deleted", "renewed", "emptied"):
        world.hand_out(name, days=100)
    added = world.issue("added", days=7)
    team.put("added", added)
    world.operator_starts("--resync", "3s")
    for name in ("changed", "deleted", "renewed", "emptied"):
        eventually(lambda name=name: team.phase(name), "Valid")
    for path, count in {CERTIFICATES: 3, SECRETS: 2, "/certificatepolicies": 1}.items():
        for _ in range(count):
            world.api_server.drop_next_event(path)
    world.declare("added", added)
    team.declare("changed", policyRef={"name": POLICY}, owner="somebody-else")
    team.delete("ClientCertificate", "deleted")
    world.renew("renewed", days=10)
    team.delete("Secret", "emptied-cert")
    world.policy(runbookURL="https://runbooks.example/renew")
    world.is_fixed()
    eventually(lambda: team.status("changed").get("observedGeneration"), 2)
    eventually(lambda: team.status(POLICY, "CertificatePolicy")["conditions"][0]["observedGeneration"], 2)
    eventually(lambda: team.condition("emptied", "Ready"), ("False", "SourceNotFound"))
    world.forget("deleted")
    world.forget("emptied")
    world.all_is_delivered(within=10)
    until(lambda: not world.operator.series("clientcert_certificate_info", name="deleted"))


@pytest.mark.slow
@row(9, "Secrets may be listed, and not watched")
def test_a_watch_that_is_refused_after_each_list(world: World) -> None:
    """Its backoff grows, alerts continue, and a watch that is allowed again reports changes."""
    world.hand_out("nhs", days=14)
    world.api_server.answer(403, when=lambda request: watches(request) and SECRETS in request.path)
    world.operator_starts(ready=False)
    world.all_is_delivered()
    began = len(world.api_server.passages)
    world.waits(10)
    asked = [each.path for each in world.api_server.passages[began:]]
    assert sum(SECRETS in path for path in asked) <= 20
    assert len(asked) <= 60
    world.fault_ends()
    world.renew("nhs")
    world.all_is_delivered(within=40)
