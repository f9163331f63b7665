"""spec.vetting will decide whether a renewal is allowed, so an editor alone must not change it."""

import json
import time
from typing import Any

import pytest

from tests.deploy.cases import manifests
from tests.deploy.people import bind, operator
from tests.deploy.schema import REMOVED, edited, steps
from tools.control_plane import ApiError, ControlPlane, ControlPlaneError

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


class TestTheOperator:
    """It may create ClientCertificates by RBAC, for the proof; the admission policy asks for the verb discover."""

    def test_creates_none_without_the_role(self, control_plane: ControlPlane, namespace: str) -> None:
        with pytest.raises(ApiError) as refused:
            operator(control_plane, namespace).create(UNVETTED)
        assert refused.value.status == 403
        assert "ValidatingAdmissionPolicy 'clientcert-vetting'" in str(refused.value)
        assert "only where the ClusterRole clientcert-discover-certificates is bound to it" in str(refused.value)

    def test_creates_some_with_it_and_never_with_a_vetting(self, control_plane: ControlPlane, namespace: str) -> None:
        """Its dry runs are refused as ever, for they are the proof; and it has the right in this namespace alone."""
        itself = operator(control_plane, namespace)
        bind(control_plane, namespace, itself.name, "clientcert-discover-certificates")
        with pytest.raises(ApiError, match="rules 1"):
            itself.create(UNVETTED, dry_run=True)
        with pytest.raises(ApiError, match=REFUSED):
            itself.create(VETTED)
        itself.create(UNVETTED)
        elsewhere = f"{namespace}-b"
        control_plane.create_namespace(elsewhere)
        with pytest.raises(ApiError, match="clientcert-discover-certificates"):
            operator(control_plane, elsewhere).create(UNVETTED)
        with pytest.raises(ApiError, match="forbidden"):
            itself.change("ClientCertificate", UNVETTED["metadata"]["name"], {"spec": {"owner": "another"}})
