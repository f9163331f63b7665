"""spec.renewal of a policy says who signs and whether anybody must approve, so an editor alone must not change it."""

from typing import Any

import pytest

from tests.deploy.cases import manifests
from tests.deploy.people import Person, operator, person
from tests.deploy.schema import REMOVED, edited, steps
from tools.control_plane import ApiError, ControlPlane

pytestmark = pytest.mark.usefixtures("admission")

REFUSED = 'only a user with the verb "approve" on certificatepolicies may set, change or remove spec.renewal'
RENEWS = manifests()["renews"]
ALERTS = {"alerts": {"startDaysBefore": 14}}
WITH = edited(RENEWS, {steps("spec.alerts"): ALERTS["alerts"]})
WITHOUT = edited(WITH, {steps("spec.renewal"): REMOVED})
AUTOMATIC = edited(
    WITH,
    {
        steps("spec.renewal.approval"): "Automatic",
        steps("spec.renewal.proofOfPossession"): "Required",
        steps("spec.renewal.requesters"): ["Holder"],
    },
)
ANOTHER_ISSUER = edited(WITH, {steps("spec.renewal.issuer.caSecret.name"): "my-own-ca"})


@pytest.fixture
def editor(control_plane: ControlPlane, namespace: str) -> Person:
    return person(control_plane, namespace, "clientcert-view", "clientcert-edit")


@pytest.fixture
def ra(control_plane: ControlPlane, namespace: str) -> Person:
    return person(control_plane, namespace, "clientcert-view", "clientcert-edit", "clientcert-policy-approver")


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, WITH), (WITHOUT, WITH), (WITH, AUTOMATIC), (WITH, ANOTHER_ISSUER), (WITH, WITHOUT)],
    ids=["created with it", "added", "made automatic", "another issuer", "removed"],
)
def test_only_a_user_with_the_verb_approve_changes_the_renewal(
    editor: Person, ra: Person, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    """Whichever way it is written: created, applied, patched or replaced."""
    if before is None:
        with pytest.raises(ApiError, match=REFUSED):
            editor.create(after)
        ra.create(after)
        return
    ra.create(before)
    patch = {"spec": {"renewal": after["spec"].get("renewal")}}
    with pytest.raises(ApiError, match=REFUSED):
        editor.change("CertificatePolicy", "renews", patch)
    stored = editor.read("CertificatePolicy", "renews")
    with pytest.raises(ApiError, match=REFUSED):
        editor.replace({**stored, "spec": after["spec"]})
    ra.change("CertificatePolicy", "renews", patch)


def test_an_editor_cannot_apply_a_renewal(editor: Person) -> None:
    """A server-side apply that creates or changes it is checked as well."""
    with pytest.raises(ApiError, match=REFUSED):
        editor.apply(WITH)
    editor.apply(WITHOUT)
    with pytest.raises(ApiError, match=REFUSED):
        editor.apply(WITH)


def test_an_editor_changes_everything_else(editor: Person, ra: Person) -> None:
    """An unchanged renewal does not matter, and neither does a policy without one."""
    ra.create(WITH)
    changed = editor.change("CertificatePolicy", "renews", {"spec": {"alerts": {"startDaysBefore": 21}}})
    assert changed["spec"]["alerts"]["startDaysBefore"] == 21
    editor.create(manifests()["on-days"])


def test_the_right_ends_at_its_namespace(control_plane: ControlPlane, ra: Person) -> None:
    elsewhere = f"{ra.namespace}-b"
    control_plane.create_namespace(elsewhere)
    there = person(control_plane, elsewhere, "clientcert-view", "clientcert-edit")
    with pytest.raises(ApiError, match=REFUSED):
        there.create(WITH)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("document", [WITH, WITHOUT], ids=["with renewal", "without"])
def test_the_operator_creates_no_policy(
    control_plane: ControlPlane, namespace: str, document: dict[str, Any], dry_run: bool
) -> None:
    """It has the right to create them only for the proof, whose refusal names our policy."""
    with pytest.raises(ApiError) as refused:
        operator(control_plane, namespace).create(document, dry_run=dry_run)
    assert refused.value.status == 403
    assert "ValidatingAdmissionPolicy 'clientcert-policies'" in str(refused.value)
    assert "clientcert-operator creates no CertificatePolicy" in str(refused.value)
