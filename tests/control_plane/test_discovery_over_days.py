"""Discovery over days: what is ignored until a day, and what is deleted a week after its key has vanished."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from tests.control_plane.buckets import STORE, Backup
from tests.control_plane.discovering import CREATE, DELETE, Discovering
from tests.control_plane.operators import Operator, Operators
from tests.control_plane.team import DAY
from tests.control_plane.waiting import eventually, until
from tests.scenarios import in_store

MERGE_PATCH = "application/merge-patch+json"
LEFT = ("gone", "labelled", "edited", "applied", "back")
"""The consumers whose objects vanish from the bucket."""
_LIST = "<ListBucketResult>{}</ListBucketResult>"
UNUSABLE: dict[str, Callable[[], web.Response]] = {
    "failed": lambda: web.Response(status=503, text="<Error><Code>SlowDown</Code></Error>"),
    "refused": lambda: web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>"),
    "cut off": lambda: web.Response(text=_LIST.format("<IsTruncated>true</IsTruncated>")),
    "half a document": lambda: web.Response(text="<ListBucketResult><IsTruncated>false</IsTruncated>"),
    "empty": lambda: web.Response(text=_LIST.format("<IsTruncated>false</IsTruncated>")),
    "without a key that matches": lambda: web.Response(
        text=_LIST.format("<IsTruncated>false</IsTruncated><Contents><Key>README</Key><ETag>1</ETag></Contents>")
    ),
}


@pytest.fixture
def found(backup: Backup) -> Discovering:
    return Discovering(backup)


def test_an_ignored_consumer_has_an_object_after_the_end(found: Discovering, operators: Operators) -> None:
    """By the exact name of its folder: another one that contains it is not ignored."""
    found.prepare(CREATE)
    found.upload("left", "left-behind")
    until_when = f"{found.backup.team.began + 10 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    ignored = {"consumer": "left", "reason": "moved away", "until": until_when}
    found.discover(mode="Create", ignore=[ignored])
    with operators.running():
        eventually(found.names, {"left-behind-prod"})
        eventually(found.skipped, {"Ignored": 1})
    with operators.running(later=11 * DAY):
        eventually(found.names, {"left-prod", "left-behind-prod"})
        eventually(found.skipped, {})


def test_an_operator_that_only_observes_makes_nothing(found: Discovering, operators: Operators) -> None:
    """It says what it would make, and why it does not. Without the setting it does."""
    found.prepare(CREATE)
    found.upload("nhs")
    found.discover(mode="Create")
    with operators.running(settings={"CLIENTCERT_OBSERVE_ONLY": "true"}):
        eventually(found.says, ("Unknown", "ObserveOnly"))
        assert "the operator only observes (CLIENTCERT_OBSERVE_ONLY)" in found.words()
        assert found.would_create() == (1, ["nhs-prod"])
    assert found.names() == set()
    with operators.running():
        eventually(found.names, {"nhs-prod"})


def made_and_changed(found: Discovering) -> None:
    """Discovery has made objects; people have changed some of them, each in another way, and declared one."""
    team = found.backup.team
    found.upload(*LEFT, "stays", "by-hand")
    team.declare("by-hand", source=in_store(STORE, "by-hand/client.pem"))
    found.discover(mode="Create")
    eventually(found.names, {"by-hand", *(f"{each}-prod" for each in (*LEFT, "stays"))})
    for name in LEFT:
        eventually(lambda name=name: team.phase(f"{name}-prod"), "Valid")
    path = team.path("ClientCertificate", "labelled-prod")
    team.api.request("PATCH", path, {"metadata": {"labels": {"mine": "yes"}}}, content_type=MERGE_PATCH)
    path = team.path("ClientCertificate", "edited-prod")
    team.api.request("PATCH", path, {"spec": {"owner": "team"}}, content_type=MERGE_PATCH)
    manifest: dict[str, Any] = found.objects()["applied-prod"]
    metadata = {"name": "applied-prod", "namespace": team.namespace}
    team.apply({**{name: manifest[name] for name in ("apiVersion", "kind", "spec")}, "metadata": metadata})
    assert found.objects()["applied-prod"]["metadata"]["generation"] == 1


def poll(found: Discovering, operator: Operator) -> None:
    """And wait until discovery has ended, too."""
    found.backup.poll(operator)
    operator.settle()


def test_pruning(found: Discovering, operators: Operators) -> None:
    """Of nine objects one is deleted: discovery made it, nobody changed it, and its key is gone for a week.

    Until then it alerts as Missing. Nothing is deleted while prune is false, or after a LIST that says too little.
    """
    found.prepare(CREATE)
    team = found.backup.team
    with operators.running():
        made_and_changed(found)
    every = found.names()
    found.remove(*LEFT, "by-hand")
    with operators.running(later=DAY):
        for name in (*(f"{each}-prod" for each in LEFT), "by-hand"):
            eventually(lambda name=name: team.phase(name), "Missing")
            until(lambda name=name: team.status(name)["source"]["gap"].get("keyGoneTime"))
    found.discover(mode="Create", prune=True)
    with operators.running(later=7 * DAY) as operator:
        poll(found, operator)
        assert found.names() == every
        found.upload("back", days=100)
        poll(found, operator)
        eventually(lambda: team.phase("back-prod"), "Valid")
    found.discover(mode="Create")
    found.remove("back")
    with operators.running(later=9 * DAY) as operator:
        eventually(lambda: team.phase("back-prod"), "Missing")
        poll(found, operator)
        assert found.names() == every
        found.discover(mode="Create", prune=True)
        eventually(found.says, ("False", "Forbidden"))
        assert f"bind the ClusterRole {DELETE} to its ServiceAccount" in found.words()
        assert found.names() == every
        found.discover(mode="Create")
        found.grant(DELETE)
        poll(found, operator)
        for answer in UNUSABLE.values():
            answers_lists(found, answer)
            found.discover(mode="Create", prune=True)
            poll(found, operator)
            assert found.names() == every
            found.discover(mode="Create")
            poll(found, operator)
        found.backup.proxy.behaviour = None
        found.discover(mode="Create", prune=True)
        eventually(found.names, every - {"gone-prod"})
        eventually(found.says, ("True", "Discovered"))
        assert operator.metric("clientcert_discovery_total", outcome="pruned") == 1
        poll(found, operator)
        assert found.names() == every - {"gone-prod"}


def answers_lists(found: Discovering, answer: Callable[[], web.Response]) -> None:
    async def behave(request: web.Request) -> web.Response | None:
        return answer() if "list-type" in request.query else None

    found.backup.proxy.behaviour = behave
