"""Level-based: the result does not depend on how the operator learns of a change (design section 4, rule 1)."""

from typing import Any

from tests.control_plane.operators import Operators
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually
from tests.scenarios import in_secret, secret

OF_ITS_TIME = frozenset(
    {
        "observedTime",
        "gap",
        "lastTransitionTime",
        "firstSentTime",
        "lastSentTime",
        "lastFailureTime",
        "observedGeneration",
        "threadRef",
    }
)


def test_every_way_leads_to_the_same_status(team: Team, operators: Operators) -> None:
    """By a watch event, a restart, a new or changed Secret, or a corrected spec: the status is the same."""
    issued = team.issue("nhs", days=20)
    good = secret("good", tls_crt=issued.certificate_pem)
    spec = {"consumer": team.consumer("nhs"), "source": in_secret("good")}

    team.declare("object-first", **spec)
    with operators.running(team.namespace):
        eventually(lambda: team.phase("object-first"), "Missing")
        team.apply(good)
        team.declare("secret-first", **spec)
        team.apply(secret("changing", tls_crt=b"not a certificate"))
        team.declare("secret-changed", **spec | {"source": in_secret("changing")})
        team.declare("spec-corrected", **spec | {"source": in_secret("wrong")})
        eventually(lambda: team.phase("secret-changed"), "Unreadable")
        eventually(lambda: team.phase("spec-corrected"), "Missing")
        team.apply(secret("changing", tls_crt=issued.certificate_pem))
        team.declare("spec-corrected", **spec)
        eventually(
            lambda: {team.phase(name) for name in ("object-first", "secret-changed", "spec-corrected")},
            {"ExpiringSoon"},
        )
    team.declare("made-while-away", **spec)
    with operators.running(team.namespace) as operator:
        operator.settle(reconciles=5)

    expected = without_times(team.status("secret-first"))
    assert expected["certificate"]["serialNumber"] == issued.serial_number_hex
    for name in ("object-first", "secret-changed", "spec-corrected", "made-while-away"):
        assert without_times(team.status(name)) == expected


def test_a_touch_changes_nothing(team: Team, operators: Operators) -> None:
    """A new label on the object or annotation on its Secret causes neither a write nor a message."""
    team.hand_out("nhs", days=20)
    with operators.running(team.namespace) as operator:
        operator.settle()
        before = team.status("nhs"), team.notified("nhs"), team.items("Event")
        for kind, name in (("ClientCertificate", "nhs"), ("Secret", "nhs-cert")):
            touch = {"metadata": {"annotations": {"example.com/touched": "yes"}}}
            team.api.request("PATCH", team.path(kind, name), touch, content_type="application/merge-patch+json")
        operator.settle()
        assert (team.status("nhs"), team.notified("nhs"), team.items("Event")) == before


def without_times(value: Any) -> Any:
    """Without the values that may differ: times, and orders."""
    if isinstance(value, dict):
        return {name: without_times(item) for name, item in value.items() if name not in OF_ITS_TIME}
    return sorted(map(without_times, value), key=str) if isinstance(value, list) else value
