"""The operator at work on renewals, for the audit of its rights: with no optional role, and with one more each."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import yaml

from tests.control_plane.operators import Operators
from tests.control_plane.renewal_scene import MERGE_PATCH, PATIENCE, RenewalScene
from tests.control_plane.service_accounts import OPTIONAL_ROLES
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually, until
from tests.deploy.audit import Audited, Right
from tests.deploy.people import operator as operator_user
from tools.certificates import CertificateAuthority
from tools.control_plane.go_module import module_directory

SECRETS, LISTS, REQUESTS = (
    "clientcert-write-secrets",
    "clientcert-write-revocation-lists",
    "clientcert-request-certificates",
)
ROLES = (SECRETS, LISTS, REQUESTS)
LATER = 2 * DAY
"""The old certificate is retired a day after delivery."""
_GET_REVOCATION = Right("get", "clientcert.dev/certificaterevocations")
_GET_RENEWAL = Right("get", "clientcert.dev/certificaterenewals")
_AT_ONCE, _EDITS = 8, 20
_CRD = "deploy/crds/cert-manager.io_certificaterequests.yaml"


def optional_rights(role: str) -> set[Right]:
    """The rights that a shipped optional role grants."""
    rules = [
        rule
        for path in OPTIONAL_ROLES.glob("*.yaml")
        for each in yaml.safe_load_all(path.read_text())
        if each and each["kind"] == "ClusterRole" and each["metadata"]["name"] == role
        for rule in each["rules"]
    ]
    return {
        Right(verb, f"{group}/{name}")
        for rule in rules
        for group in rule["apiGroups"]
        for verb in rule["verbs"]
        for name in rule["resources"]
    }


@dataclass
class Seen:
    """The words of the audit log and of the conditions at a time."""

    used: set[Right]
    denied: set[Right]
    conditions: Mapping[str, str] = field(default_factory=dict)
    """By optional role: the message of the condition that is about what the role grants."""


class RenewalsUnderAudit:
    """Renewals in one namespace: by a CA, by cert-manager, retirement, revocation, and the end of a record."""

    def __init__(self, team: Team, installed: Audited, operators: Operators, served: str) -> None:
        self._team = team
        self._installed = installed
        self._operators = operators
        self._served = served
        authority = CertificateAuthority.create("Client CA")
        names = ("by-ca", "by-ca-again", "by-cert-manager")
        self._first, self._second, self._third = (RenewalScene.with_ca(team, authority, each) for each in names)
        self._edited = 0

    def without_optional_roles(self) -> Seen:
        """A whole renewal whose certificate is put into the source by hand, and all else that needs no role."""
        self._install()
        with self._operators.running(self._served):
            name = self._issue(self._first)
            eventually(lambda: self._condition(name, "Stored")[1], "WriteNotAllowed", PATIENCE)
            stored = self._condition(name, "Stored")[2]
            self._team.put(self._first.name, self._first.status(name)["certificate"].encode())
            eventually(lambda: self._first.state(name), "Done", PATIENCE)
            self._end_long_ago("ended-long-ago")
            until(lambda: self._team.get("CertificateRenewal", "ended-long-ago") == {}, seconds=PATIENCE)
            asked = self._third.ask("by-cert-manager", csr=self._third.csr())
            self._third.approve(asked)
            until(lambda: REQUESTS in self._condition(asked, "Issued")[2], seconds=PATIENCE)
            issued = self._condition(asked, "Issued")[2]
        with self._operators.running(self._served, later=LATER):
            until(self._retired, seconds=PATIENCE)
            until(lambda: LISTS in self._words_about_lists(), seconds=PATIENCE)
            for kind, create, right in (
                ("CertificateRevocation", self._revoke, _GET_REVOCATION),
                ("CertificateRenewal", self._ask_for_nothing, _GET_RENEWAL),
            ):
                until(partial(self._was_read_again, kind, create, right), seconds=PATIENCE)
            listed = self._words_about_lists()
        return self._seen({SECRETS: stored, REQUESTS: issued, LISTS: listed})

    def with_role(self, role: str) -> Seen:
        """The same, after this role was bound, too."""
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": role, "namespace": self._team.namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "clientcert-operator", "namespace": "clientcert-system"}],
        }
        self._installed.control_plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(binding))
        with self._operators.running(self._served, later=LATER):
            {SECRETS: self._write_secret, LISTS: self._write_lists, REQUESTS: self._request_certificate}[role]()
        if role == REQUESTS:
            self._ask_again()
        return self._seen({})

    def _write_secret(self) -> None:
        name = self._issue(self._second)
        eventually(lambda: self._second.state(name), "Done", PATIENCE)

    def _write_lists(self) -> None:
        self._revoke("listed")
        until(lambda: self._config_map("client-ca-revocations"), seconds=PATIENCE)
        self._revoke("listed-later")
        until(lambda: Right("patch", "/configmaps") in self._installed.rights_used(), seconds=PATIENCE)

    def _request_certificate(self) -> None:
        until(lambda: self._condition("by-cert-manager", "Issued"), lambda found: found[1] == "Pending", PATIENCE)

    def _ask_again(self) -> None:
        """Its answer is looked for every ten minutes, and after a restart."""
        with self._operators.running(self._served, later=LATER):
            wanted = optional_rights(REQUESTS)
            until(lambda: wanted - self._installed.rights_used(), lambda missing: not missing, PATIENCE)

    def _install(self) -> None:
        module = module_directory("cert-manager", "github.com/cert-manager/cert-manager")
        self._installed.control_plane.kubectl("apply", "--server-side", "-f", module / _CRD)
        self._first.apply_ca({"clientcert.dev/issuer": "allowed"})
        self._first.apply_policy("by-ca", retireAfterDays=1)
        by_cert_manager = {"name": "clients", "caRef": {"name": "client-ca", "key": "tls.crt"}}
        issuer = {"type": "CertManager", "certManager": by_cert_manager}
        self._first.apply_policy("by-cert-manager", issuer=issuer)
        for scene, policy in ((self._first, "by-ca"), (self._second, "by-ca"), (self._third, "by-cert-manager")):
            self._team.put(scene.name, scene.old)
            self._team.declare(scene.name, policyRef={"name": policy})

    def _issue(self, scene: RenewalScene) -> str:
        """Have it asked, approved, signed and handed over; returns the request's name."""
        name = scene.ask(scene.name, csr=scene.csr())
        scene.approve(name)
        eventually(lambda: scene.state(name), "Issued", PATIENCE)
        scene.hand_over(name)
        return name

    def _end_long_ago(self, name: str) -> None:
        """A request that was refused 400 days ago, as the operator itself has recorded it."""
        self._ask_for_nothing(name)
        ended = f"{datetime.now(UTC) - 400 * DAY:%Y-%m-%dT%H:%M:%SZ}"
        user = operator_user(self._installed.control_plane, self._team.namespace)
        user.change(
            "CertificateRenewal", name, {"status": {"state": "Refused", "endedTime": ended, "waitsFor": None}}, "status"
        )

    def _retired(self) -> bool:
        serial = self._first.old.serial_number_hex
        return any(each["spec"]["serialNumber"] == serial for each in self._team.items("CertificateRevocation"))

    def _revoke(self, name: str) -> None:
        now = datetime.now(UTC)
        spec = {
            "issuerDN": self._first.authority.identity.subject_dn,
            "serialNumber": name.encode().hex(),
            "consumer": "somebody",
            "reason": "Superseded",
            "revocationTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "notAfter": f"{now + 100 * DAY:%Y-%m-%dT%H:%M:%SZ}",
        }
        kind = {"apiVersion": "clientcert.dev/v1alpha1", "kind": "CertificateRevocation"}
        path = self._team.path("CertificateRevocation")
        self._team.api.request("POST", path, {**kind, "metadata": {"name": name}, "spec": spec})

    def _was_read_again(self, kind: str, create: Callable[[str], object], right: Right) -> bool:
        """Edit some while their statuses are written: one of the writes conflicts, and the object is read again."""
        self._edited += 1

        def create_and_edit(number: int) -> None:
            create(name := f"edited-{self._edited}-{number}")
            for edit in range(_EDITS):
                label = {"metadata": {"labels": {"edited": str(edit)}}}
                self._team.api.request("PATCH", self._team.path(kind, name), label, content_type=MERGE_PATCH)

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(create_and_edit, range(_AT_ONCE)))
        return right in self._installed.rights_used()

    def _ask_for_nothing(self, name: str) -> None:
        """A request about a certificate that nobody has declared: it ends at once."""
        self._first.ask(name, csr=self._first.csr(), certificateRef={"name": "gone"})

    def _words_about_lists(self) -> str:
        """The messages of all conditions of all revocations."""
        revocations = self._team.items("CertificateRevocation")
        conditions = [each for one in revocations for each in (one.get("status") or {}).get("conditions") or ()]
        return " ".join(str(each["message"]) for each in conditions)

    def _condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message."""
        found: list[dict[str, Any]] = self._team.status(name, "CertificateRenewal").get("conditions") or []
        each = next((each for each in found if each["type"] == kind), {})
        return str(each.get("status", "")), str(each.get("reason", "")), str(each.get("message", ""))

    def _config_map(self, name: str) -> bool:
        path = f"/api/v1/namespaces/{self._team.namespace}/configmaps"
        items = self._installed.control_plane.api.request("GET", path)["items"]
        return any(each["metadata"]["name"] == name for each in items)

    def _seen(self, conditions: Mapping[str, str]) -> Seen:
        asked = self._installed.asked()
        return Seen(self._installed.rights_used(), {each.right for each in asked if not each.allowed}, conditions)
