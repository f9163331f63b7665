"""Discovery: the operator finds the certificates of a bucket, and makes a ClientCertificate for each."""

import pytest

from tests.control_plane.buckets import STORE, Backup
from tests.control_plane.discovering import CREATE, Discovering
from tests.control_plane.operators import Operator
from tests.control_plane.waiting import eventually, until
from tests.scenarios import in_store


@pytest.fixture
def found(backup: Backup) -> Discovering:
    return Discovering(backup)


def test_a_report_makes_nothing_and_then_create_makes_what_it_said(found: Discovering, operator: Operator) -> None:
    """Mode Report is the default. Nobody else has to name the objects or their identities."""
    found.prepare(CREATE)
    found.upload("nhs", "weather")
    found.backup.upload("renamed", found.backup.team.issue("other", days=100))
    found.backup.upload("broken", b"no certificate")
    found.discover()
    eventually(found.would_create, (3, ["nhs-prod", "renamed-prod", "weather-prod"]))
    assert found.skipped() == {"NotACertificate": 1}
    assert found.says() == ("True", "Reported")
    assert found.names() == set()
    found.discover(mode="Create", template={"policyRef": {"name": "weekdays"}, "contact": {"lookup": ["Slack"]}})
    eventually(found.names, {"nhs-prod", "renamed-prod", "weather-prod"})
    eventually(found.says, ("True", "Discovered"))
    assert found.would_create() == (0, [])
    made = found.objects()["renamed-prod"]
    assert made["metadata"]["annotations"] == {"clientcert.dev/discovered-by": STORE}
    assert made["metadata"]["labels"] == {"clientcert.dev/discovered": "true"}
    assert made["spec"] == {
        "consumer": "renamed",
        "environment": "prod",
        "contact": {"lookup": ["Slack"]},
        "identity": {"commonName": f"other-{found.backup.team.namespace}"},
        "policyRef": {"name": "weekdays"},
        "profile": "Client",
        "source": {"type": "S3", "s3": {"storeRef": {"name": STORE}, "key": "renamed/client.pem"}},
    }
    eventually(lambda: found.backup.team.phase("renamed-prod"), "Valid")
    eventually(lambda: found.status["certificates"], 3)


def test_without_the_role_a_condition_says_what_to_bind(found: Discovering, operator: Operator) -> None:
    """What would be made is shown as in mode Report, after one request that was refused."""
    found.prepare()
    found.upload("nhs", "weather", "left")
    found.discover(mode="Create")
    eventually(found.says, ("False", "Forbidden"))
    assert f"bind the ClusterRole {CREATE} to its ServiceAccount" in found.words()
    assert found.would_create()[0] == 3
    assert found.names() == set()
    found.grant(CREATE)
    found.backup.trigger_poll()
    eventually(found.names, {"nhs-prod", "weather-prod", "left-prod"})
    eventually(found.says, ("True", "Discovered"))


def test_a_source_that_is_watched_gets_no_second_object(found: Discovering, operator: Operator) -> None:
    """Whatever the name of its object, and by whatever store of the bucket. Those objects stay as they are."""
    found.prepare(CREATE)
    team = found.backup.team
    found.upload("nhs", "weather", "left")
    found.backup.declare_store()
    found.discover("another", keyPattern="nothing/{consumer}")
    team.declare("by-hand", source=in_store(STORE, "nhs/client.pem"))
    team.declare("elsewhere", source=in_store("another", "weather/client.pem"))
    until(lambda: team.phase("by-hand") and team.phase("elsewhere"))
    by_hand = found.objects()["by-hand"]["metadata"]["generation"]
    found.discover(mode="Create")
    eventually(found.names, {"by-hand", "elsewhere", "left-prod"})
    eventually(found.says, ("True", "Discovered"))
    assert found.objects()["by-hand"]["metadata"]["generation"] == by_hand
    assert found.skipped() == {}
