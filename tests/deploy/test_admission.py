"""spec.vetting will decide whether a renewal is allowed, so an editor alone must not change it."""

import json
import time
from typing import Any

import pytest

from tests.deploy.cases import manifests
from tests.deploy.people import bind
from tests.deploy.schema import REMOVED, edited, steps
from tools.control_plane import ControlPlane, ControlPlaneError

VETTED = manifests()["from-secret"]
UNVETTED = edited(VETTED, {steps("spec.vetting"): REMOVED})
REVETTED = edited(VETTED, {steps("spec.vetting.date"): "2026-11-01"})
REFUSED = 'only a user with the verb "vet" on clientcertificates may change spec.vetting'


@pytest.fixture
def people(control_plane: ControlPlane, namespace: str) -> str:
    """An editor, and a registration authority (ra) with the verb vet, both in this namespace only."""
    bind(control_plane, namespace, "editor", "clientcert-view", "clientcert-edit")
    bind(control_plane, namespace, "ra", "clientcert-view", "clientcert-edit", "clientcert-vet")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:  # a policy takes effect some time after its creation
            apply(control_plane, namespace, "editor", VETTED, "--dry-run=server")
        except ControlPlaneError as error:
            if REFUSED in str(error):
                return namespace
            raise
        time.sleep(0.1)
    raise AssertionError("the admission policy does not hold")


def apply(control_plane: ControlPlane, namespace: str, user: str, document: dict[str, Any], *arguments: str) -> str:
    return control_plane.kubectl(
        *(f"--as={user}", "-n", namespace, "apply", "-f", "-", *arguments), input=json.dumps(document)
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, VETTED), (UNVETTED, VETTED), (VETTED, REVETTED), (VETTED, UNVETTED)],
    ids=["created with it", "added", "changed", "removed"],
)
def test_only_a_user_who_may_vet_changes_the_vetting(
    control_plane: ControlPlane, people: str, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    if before is not None:
        apply(control_plane, people, "ra", before)
    with pytest.raises(ControlPlaneError, match=REFUSED):
        apply(control_plane, people, "editor", after)
    apply(control_plane, people, "ra", after)


@pytest.mark.parametrize("document", [UNVETTED, VETTED], ids=["not vetted", "vetted"])
def test_an_editor_changes_everything_else(control_plane: ControlPlane, people: str, document: dict[str, Any]) -> None:
    """An unchanged vetting does not matter."""
    apply(control_plane, people, "ra", document)
    changed = edited(document, {steps("spec.owner"): "another-team"})
    assert "configured" in apply(control_plane, people, "editor", changed)


def test_a_right_to_vet_ends_at_its_namespace(control_plane: ControlPlane, people: str) -> None:
    elsewhere = f"{people}-b"
    control_plane.create_namespace(elsewhere)
    bind(control_plane, elsewhere, "ra", "clientcert-view", "clientcert-edit")
    with pytest.raises(ControlPlaneError, match=REFUSED):
        apply(control_plane, elsewhere, "ra", VETTED)
