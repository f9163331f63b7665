"""A revocation is final, and only the operator says whether CRL and list have it."""

from typing import Any

import pytest

from tests.deploy.cases import manifests
from tests.deploy.people import Person, operator, person
from tests.deploy.schema import edited, steps
from tools.control_plane import ApiError, ControlPlane

pytestmark = pytest.mark.usefixtures("admission")

KIND = "CertificateRevocation"
STATUS: dict[str, Any] = {"status": manifests()["revoked"]["status"]}
REVOKED = {key: value for key, value in manifests()["revoked"].items() if key != "status"}


@pytest.fixture
def revoker(control_plane: ControlPlane, namespace: str) -> Person:
    return person(control_plane, namespace, "clientcert-view", "clientcert-revoker")


def test_a_user_with_the_role_revokes(revoker: Person) -> None:
    assert revoker.create(REVOKED)["spec"] == REVOKED["spec"]


def test_an_editor_has_no_right_to(control_plane: ControlPlane, namespace: str) -> None:
    editor = person(control_plane, namespace, "clientcert-view", "clientcert-edit")
    with pytest.raises(ApiError, match="cannot create resource"):
        editor.create(REVOKED)


def test_the_operator_retires_a_certificate(control_plane: ControlPlane, namespace: str) -> None:
    """So its real creations are allowed."""
    created = operator(control_plane, namespace).create(edited(REVOKED, {steps("spec.reason"): "Superseded"}))
    assert created["spec"]["reason"] == "Superseded"


def test_its_dry_run_is_refused(control_plane: ControlPlane, namespace: str, revoker: Person) -> None:
    """That is how it proves the policy; the dry runs of others pass."""
    with pytest.raises(ApiError) as refused:
        operator(control_plane, namespace).create(REVOKED, dry_run=True)
    assert refused.value.status == 403
    assert "ValidatingAdmissionPolicy 'clientcert-revocations'" in str(refused.value)
    revoker.create(REVOKED, dry_run=True)


def test_only_the_operator_writes_its_status(control_plane: ControlPlane, namespace: str, revoker: Person) -> None:
    """The administrator of the cluster does not, nor a user who has the right by a role of their own."""
    revoker.create(REVOKED)
    admin = Person("admin", control_plane.api, namespace)
    with pytest.raises(ApiError, match="only clientcert-operator writes the status of a CertificateRevocation"):
        admin.change(KIND, "revoked", STATUS, "status")
    with pytest.raises(ApiError, match="cannot patch resource"):
        revoker.change(KIND, "revoked", STATUS, "status")
    written = operator(control_plane, namespace).change(KIND, "revoked", STATUS, "status")
    assert written["status"] == STATUS["status"]


def test_it_is_owned_by_nothing(revoker: Person) -> None:
    """Otherwise it would end with its owner."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "a"}
    with pytest.raises(ApiError, match="must not be deleted with another object"):
        revoker.create(edited(REVOKED, {steps("metadata.ownerReferences"): [owner]}))
