"""People ask, decide and hand over in their own names, and two people are needed for one certificate."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.deploy.cases import manifests
from tests.deploy.people import Person, operator, person
from tests.deploy.schema import edited, steps
from tools.control_plane import ApiError, ControlPlane

pytestmark = pytest.mark.usefixtures("admission")

KIND = "CertificateRenewal"
KEY, RECIPIENT = "a" * 64, "b" * 64
STATES = ("Checking", "Waiting", "AwaitingApproval", "Approved", "Issued", "Delivered", "Done")
ENDS = ("Refused", "Denied", "Ended")
RACES = 20

ASKS = {key: value for key, value in manifests()["asks"].items() if key != "status"}


@dataclass(frozen=True)
class Office:
    """The people of one namespace, and the operator."""

    requester: Person
    ra: Person
    """May approve, and ask for a renewal as well."""
    second_ra: Person
    editor: Person
    operator: Person

    def asked(self, state: str = "AwaitingApproval", requester: Person | None = None, name: str = "asks") -> str:
        """A request in this state, with the hashes that the operator has written."""
        self.request(requester, name)
        if state:
            status = {"state": state, "keyHash": KEY, "recipientHash": RECIPIENT}
            self.operator.change(KIND, name, {"status": status}, "status")
        return name

    def request(self, requester: Person | None = None, name: str = "asks", **edits: Any) -> dict[str, Any]:
        requester = requester or self.requester
        return requester.create(request_of(requester, name, **edits))


def request_of(requester: Person, name: str = "asks", **edits: Any) -> dict[str, Any]:
    changes = {steps("metadata.name"): name, steps("spec.requestedBy"): requester.name}
    return edited(ASKS, changes | {steps(f"spec.{field}"): value for field, value in edits.items()})


def approval(by: Person, **fields: Any) -> dict[str, Any]:
    decision = {"decision": "Approve", "by": by.name, "keyHash": KEY, "recipientHash": RECIPIENT}
    return {"spec": {"approval": decision | fields}}


def denial(by: Person, **fields: Any) -> dict[str, Any]:
    return {"spec": {"approval": {"decision": "Deny", "by": by.name, "reason": "NotConfirmed"} | fields}}


@pytest.fixture
def office(control_plane: ControlPlane, namespace: str) -> Office:
    roles = ("clientcert-view", "clientcert-renewal-approver", "clientcert-renewal-requester")
    return Office(
        requester=person(control_plane, namespace, "clientcert-view", "clientcert-renewal-requester"),
        ra=person(control_plane, namespace, *roles),
        second_ra=person(control_plane, namespace, *roles),
        editor=person(control_plane, namespace, "clientcert-view", "clientcert-edit"),
        operator=operator(control_plane, namespace),
    )


def refused(person: Person, name: str, patch: Mapping[str, Any], subresource: str = "") -> str:
    """The words of the refusal; the request is as before."""
    before = person.read(KIND, name)
    with pytest.raises(ApiError) as error:
        person.change(KIND, name, patch, subresource)
    assert person.read(KIND, name) == before
    return str(error.value)


class TestAsking:
    def test_a_request_is_made_in_the_requesters_own_name(self, office: Office) -> None:
        assert office.request()["spec"]["requestedBy"] == office.requester.name

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_nobody_asks_in_the_name_of_another(self, office: Office, dry_run: bool) -> None:
        """Otherwise one person could ask and approve."""
        with pytest.raises(ApiError) as error:
            office.ra.create(request_of(office.requester), dry_run=dry_run)
        assert f"spec.requestedBy must be the user who creates the request: set it to {office.ra.name}" in str(
            error.value
        )

    def test_the_administrator_of_the_cluster_neither(self, control_plane: ControlPlane, office: Office) -> None:
        with pytest.raises(ApiError, match="set it to admin"):
            Person("admin", control_plane.api, office.ra.namespace).create(request_of(office.requester))

    def test_an_editor_has_no_right_to_ask(self, office: Office) -> None:
        with pytest.raises(ApiError, match="cannot create resource"):
            office.request(office.editor)

    @pytest.mark.parametrize("field", ["approval", "handedOver"])
    def test_a_new_request_is_not_decided(self, office: Office, field: str) -> None:
        """Not even by somebody who may approve: nothing was checked yet."""
        decided = {**approval(office.ra)["spec"], "handedOver": {"by": office.ra.name}}
        with pytest.raises(ApiError, match="a new request has neither"):
            office.request(office.ra, **{field: decided[field]})

    def test_a_status_that_is_sent_along_is_dropped(self, office: Office) -> None:
        forged = request_of(office.requester) | {"status": {"state": "Approved", "keyHash": KEY}}
        assert "status" not in office.requester.create(forged)

    def test_a_request_is_owned_by_nothing(self, office: Office) -> None:
        """It would be deleted with its owner, and it is the record of who was given what."""
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "a"}
        owned = edited(request_of(office.requester), {steps("metadata.ownerReferences"): [owner]})
        with pytest.raises(ApiError, match="must not be deleted with another object"):
            office.requester.create(owned)
        name = office.asked()
        patch = {"metadata": {"ownerReferences": [owner]}}
        assert "must not be deleted with another object" in refused(office.ra, name, patch)

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_the_operator_makes_no_request(self, office: Office, dry_run: bool) -> None:
        """Neither in its own name: it has the right only for the proof, whose refusal names our policy."""
        with pytest.raises(ApiError) as error:
            office.operator.create(request_of(office.operator), dry_run=dry_run)
        assert error.value.status == 403
        assert "ValidatingAdmissionPolicy 'clientcert-renewals'" in str(error.value)
        assert "clientcert-operator creates no CertificateRenewal" in str(error.value)


class TestStatus:
    @pytest.mark.parametrize("who", ["requester", "ra", "editor"])
    def test_people_have_no_right_to_write_it(self, office: Office, who: str) -> None:
        name = office.asked()
        words = refused(getattr(office, who), name, {"status": {"state": "Approved"}}, "status")
        assert 'cannot patch resource "certificaterenewals/status"' in words

    def test_nobody_writes_it_who_has_the_right(self, control_plane: ControlPlane, office: Office) -> None:
        """The administrator of the cluster, for example: with the status one could have any key signed."""
        name = office.asked()
        admin = Person("admin", control_plane.api, office.ra.namespace)
        for state in ("Approved", "Checking"):
            words = refused(admin, name, {"status": {"state": state}}, "status")
            assert "only clientcert-operator writes the status of a CertificateRenewal" in words

    def test_it_cannot_be_written_through_the_object(self, office: Office) -> None:
        name = office.asked()
        changed = office.ra.change(KIND, name, {"metadata": {"labels": {"a": "b"}}, "status": {"keyHash": "c" * 64}})
        assert (changed["metadata"]["labels"], changed["status"]["keyHash"]) == ({"a": "b"}, KEY)

    def test_an_approval_sees_the_status_that_is_stored(self, office: Office) -> None:
        """A forged one in the same patch counts for nothing."""
        name = office.asked("Refused")
        forged = approval(office.ra) | {"status": {"state": "AwaitingApproval"}}
        assert "only a request in state AwaitingApproval" in refused(office.ra, name, forged)


class TestApproval:
    def test_another_user_with_the_verb_approves(self, office: Office) -> None:
        name = office.asked()
        changed = office.ra.change(KIND, name, approval(office.ra, message="confirmed by telephone"))
        assert changed["spec"]["approval"]["by"] == office.ra.name

    def test_the_right_to_change_requests_is_not_enough(self, control_plane: ControlPlane, office: Office) -> None:
        """Somebody who may patch, as a role of the cluster's own might allow, and has no verb approve."""
        role = {"metadata": {"name": "patches"}, "rules": [
            {"apiGroups": ["clientcert.dev"], "resources": ["certificaterenewals"], "verbs": ["patch", "update"]}
        ]}  # fmt: skip
        editor = owner_of(control_plane, office, role)
        name = office.asked()
        for patch in (approval(editor), denial(editor)):
            words = refused(editor, name, patch)
            assert 'only a user with the verb "approve" on certificaterenewals may decide' in words
        assert editor.change(KIND, name, {"metadata": {"labels": {"team": "a"}}})["metadata"]["labels"]

    @pytest.mark.parametrize("make", [approval, denial])
    def test_nobody_decides_about_their_own_request(self, office: Office, make: Any) -> None:
        name = office.asked(requester=office.ra)
        assert "nobody decides about a request of their own" in refused(office.ra, name, make(office.ra))
        office.second_ra.change(KIND, name, make(office.second_ra))

    def test_a_team_of_one_has_the_verb_approve_own(self, control_plane: ControlPlane, office: Office) -> None:
        """RBAC decides; no shipped role has it (test_rbac.py)."""
        verbs = ["create", "approve", "approve-own", "patch"]
        role = {"metadata": {"name": "alone"}, "rules": [
            {"apiGroups": ["clientcert.dev"], "resources": ["certificaterenewals"], "verbs": verbs}
        ]}  # fmt: skip
        alone = owner_of(control_plane, office, role)
        name = office.asked(requester=alone)
        assert alone.change(KIND, name, approval(alone))["spec"]["approval"]["by"] == alone.name

    @pytest.mark.parametrize("make", [approval, denial])
    def test_nobody_decides_in_the_name_of_another(self, office: Office, make: Any) -> None:
        name = office.asked()
        words = refused(office.ra, name, make(office.second_ra))
        assert f"spec.approval.by must be the user who decides: set it to {office.ra.name}" in words

    @pytest.mark.parametrize(
        ("field", "value"),
        [("keyHash", "c" * 64), ("keyHash", ""), ("recipientHash", "c" * 64), ("recipientHash", "")],
    )
    def test_it_is_for_the_key_and_the_recipient_that_the_status_shows(
        self, office: Office, field: str, value: str
    ) -> None:
        name = office.asked()
        words = refused(office.ra, name, approval(office.ra, **{field: value}))
        assert f"spec.approval.{field} is not status.{field}: look at the request again" in words

    def test_a_key_that_the_operator_has_not_read_cannot_be_approved(self, office: Office) -> None:
        office.request()
        office.operator.change(KIND, "asks", {"status": {"state": "AwaitingApproval"}}, "status")
        for value in (KEY, ""):
            words = refused(office.ra, "asks", approval(office.ra, keyHash=value, recipientHash=""))
            assert "spec.approval.keyHash is not status.keyHash" in words

    def test_without_a_contact_of_record_the_recipient_is_empty(self, office: Office) -> None:
        """The certificate is left for retrieval; if a contact is found meanwhile, the approval does not hold."""
        office.request()
        status = {"state": "AwaitingApproval", "keyHash": KEY}
        office.operator.change(KIND, "asks", {"status": status}, "status")
        assert "recipientHash" in refused(office.ra, "asks", approval(office.ra))
        office.ra.change(KIND, "asks", approval(office.ra, recipientHash=""))

    @pytest.mark.parametrize("state", ["", *(each for each in (*STATES, *ENDS) if each != "AwaitingApproval")])
    def test_only_a_request_that_awaits_approval_is_approved(self, office: Office, state: str) -> None:
        """Before, its checks have not passed; afterwards, it is too late."""
        name = office.asked(state)
        assert "only a request in state AwaitingApproval can be approved" in refused(
            office.ra, name, approval(office.ra)
        )

    @pytest.mark.parametrize("state", ["", "Checking", "Waiting", "AwaitingApproval"])
    def test_a_request_can_be_denied_before_it_is_approved(self, office: Office, state: str) -> None:
        """Without hashes: nothing has to be looked at for a no."""
        name = office.asked(state)
        assert office.ra.change(KIND, name, denial(office.ra))["spec"]["approval"]["decision"] == "Deny"

    @pytest.mark.parametrize("state", [*STATES[3:], *ENDS])
    def test_afterwards_it_cannot_be_denied(self, office: Office, state: str) -> None:
        """A denial of what was signed would be a wrong record."""
        name = office.asked(state)
        assert "this request can no longer be denied" in refused(office.ra, name, denial(office.ra))

    @pytest.mark.parametrize("patch", [{"approval": None}, {"approval": {"decision": "Deny"}}, {"reason": "another"}])
    def test_it_is_final_and_the_request_stays_as_it_was(self, office: Office, patch: dict[str, Any]) -> None:
        name = office.asked()
        office.ra.change(KIND, name, approval(office.ra))
        assert "another" in refused(office.second_ra, name, {"spec": patch})

    def test_the_right_ends_at_its_namespace(self, control_plane: ControlPlane, office: Office) -> None:
        elsewhere = f"{office.ra.namespace}-b"
        control_plane.create_namespace(elsewhere)
        admin = Person("admin", control_plane.api, elsewhere)
        admin.create(request_of(admin))
        there = Person(office.ra.name, office.ra.api, elsewhere)
        with pytest.raises(ApiError, match="cannot patch resource"):
            there.change(KIND, "asks", denial(there))

    def test_of_two_approvers_at_once_one_wins(self, office: Office) -> None:
        """Twenty races of approve and deny: one decision each, and it stays."""
        names = [office.asked(name=f"race-{number}") for number in range(RACES)]
        with ThreadPoolExecutor(2 * RACES) as pool:
            runs = [
                pool.submit(decide, by, name, make(by))
                for name in names
                for by, make in ((office.ra, approval), (office.second_ra, denial))
            ]
            results = [each.result() for each in runs]
        for number, name in enumerate(names):
            won = [each for each in results[2 * number : 2 * number + 2] if isinstance(each, dict)]
            lost = [each for each in results[2 * number : 2 * number + 2] if isinstance(each, str)]
            assert len(won) == 1
            assert "final" in lost[0] or "has been modified" in lost[0]
            assert office.ra.read(KIND, name)["spec"]["approval"] == won[0]["spec"]["approval"]


class TestHandingOver:
    def test_a_user_with_the_verb_says_so_once(self, office: Office) -> None:
        name = office.asked("Issued")
        office.ra.change(KIND, name, {"spec": {"handedOver": {"by": office.ra.name}}})
        for patch in ({"handedOver": {"by": office.second_ra.name}}, {"handedOver": None}):
            assert "handedOver is set once, and stays" in refused(office.second_ra, name, {"spec": patch})

    def test_not_in_the_name_of_another(self, office: Office) -> None:
        name = office.asked("Issued")
        words = refused(office.ra, name, {"spec": {"handedOver": {"by": office.second_ra.name}}})
        assert f"spec.handedOver.by must be the user who says so: set it to {office.ra.name}" in words

    def test_not_without_the_verb(self, control_plane: ControlPlane, office: Office) -> None:
        role = {"metadata": {"name": "patches"}, "rules": [
            {"apiGroups": ["clientcert.dev"], "resources": ["certificaterenewals"], "verbs": ["patch"]}
        ]}  # fmt: skip
        editor = owner_of(control_plane, office, role)
        name = office.asked("Issued")
        words = refused(editor, name, {"spec": {"handedOver": {"by": editor.name}}})
        assert "may say that a certificate was handed over" in words

    @pytest.mark.parametrize("state", ["", *(each for each in (*STATES, *ENDS) if each != "Issued")])
    def test_only_what_is_issued_and_not_delivered(self, office: Office, state: str) -> None:
        name = office.asked(state)
        words = refused(office.ra, name, {"spec": {"handedOver": {"by": office.ra.name}}})
        assert "the request must be in state Issued" in words


def decide(by: Person, name: str, patch: Mapping[str, Any]) -> dict[str, Any] | str:
    """The stored request, or the words of the refusal."""
    try:
        return by.change(KIND, name, patch)
    except ApiError as error:
        return str(error)


def owner_of(control_plane: ControlPlane, office: Office, role: dict[str, Any]) -> Person:
    """A user with view and a ClusterRole that is not ours."""
    name = f"{role['metadata']['name']}-{office.ra.namespace}"
    body = role | {"metadata": {"name": name}}
    control_plane.api.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", body)
    return person(control_plane, office.ra.namespace, "clientcert-view", name)
