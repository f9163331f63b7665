"""Objects in each state whose health docs/gitops.md describes, as the operator has left them.

`STATES` has the words of the page, and the names of the objects that are in this state.
"""

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.control_plane.buckets import Backup
from tests.control_plane.renewal_scene import MERGE_PATCH, PATIENCE, POLICY, RenewalScene
from tests.control_plane.revoking import LISTS, SECRETS, Revoker
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually
from tests.scenarios import (
    Manifest,
    certificate_policy,
    certificate_store,
    in_secret,
    secret,
    slack_channel,
    store_credentials,
)
from tools.certificates import CertificateAuthority

NEW, CHANGED = "new", "changed"
"""Snapshots of an object before the operator has started, and after its spec has changed while there was none."""
_KEPT_ELSEWHERE = {NEW, CHANGED, "observed"}
_NOT_SEEN = "new, or its spec has changed"
STATES: dict[str, dict[str, tuple[str, ...]]] = {
    "ClientCertificate": {
        _NOT_SEEN: (NEW, CHANGED),
        "valid": ("valid",),
        "it expires soon": ("soon",),
        "it has expired": ("expired",),
        "it is not valid yet": ("future",),
        "Slack refuses the channel": ("lost",),
        "there is no Secret yet": ("absent",),
        "the Secret is gone": ("gone",),
        "the source holds no certificate": ("broken",),
        "the source holds somebody else's certificate": ("foreign",),
        "the source holds cert-manager's temporary certificate": ("temporary",),
    },
    "CertificatePolicy": {
        _NOT_SEEN: (NEW, CHANGED),
        "valid": ("nowhere",),
        "its CA can sign": (POLICY,),
        "its CA ends soon": ("ends-soon",),
        "its CA has expired": ("ended",),
        "its CA is not valid yet": ("future",),
        "a setting cannot be used": ("unusable",),
        "there is no Secret of the CA yet": ("no-ca",),
        "the Secret of the CA has no label": ("unlabelled",),
    },
    "CertificateStore": {
        _NOT_SEEN: (NEW, CHANGED),
        "the bucket is listed": ("backup",),
        "there are no credentials yet": ("no-credentials",),
        "the credentials are wrong": ("refused",),
        "the bucket is gone": ("emptied",),
    },
    "CertificateRenewal": {
        "new, or just approved": (NEW, CHANGED),
        "it waits for approval": ("waiting",),
        "done": ("done",),
        "refused by a check": ("refused",),
        "denied by a person": ("denied",),
        "ended, because the certificate is gone": ("ended",),
    },
    "CertificateRevocation": {
        "new": (NEW,),
        "the list and the CRL have it": ("listed",),
        "the operator [only observes](reference.md#only-observe)": ("observed",),
        "no policy names its CA": ("unknown-ca",),
        "the certificate has ended": ("ended",),
    },
}
_BEFORE = {"ClientCertificate": "valid", "CertificatePolicy": "nowhere", "CertificateStore": "no-credentials"}
"""The objects that are read before the operator starts; requests and revocations are read as they are created."""


class GitOpsFleet:
    """Declares everything, brings each object into its state, and keeps how it was."""

    def __init__(self, team: Team, backup: Backup) -> None:
        self.team, self.backup, self.revoker = team, backup, Revoker(team)
        self.scene = RenewalScene.of(team)
        self.found: dict[tuple[str, str], Manifest] = {}

    def keep(self, kind: str, name: str, key: str = "") -> Manifest:
        """Keep the object as it is now."""
        found = self.team.get(kind, name)
        assert found
        self.found[kind, key or name] = found
        return found

    def declare(self) -> None:
        """The objects that need no operator; and the first look at them."""
        self._certificates()
        self._policies()
        self.team.apply(
            certificate_store("no-credentials", "any", self.backup.proxy.endpoint, "nobody", pollEvery="24h")
        )
        self.revoker.allow(LISTS, SECRETS)
        for kind, name in _BEFORE.items():
            self.keep(kind, name, NEW)

    def settle(self) -> None:
        """With the operator: everything comes into its state."""
        self._stores()
        self._requests()
        self._revocations()
        self._vanish()
        self._wait()
        for kind, states in STATES.items():
            for name in (each for names in states.values() for each in names if each not in _KEPT_ELSEWHERE):
                if (kind, name) not in self.found:
                    self.keep(kind, name)

    def observe(self) -> None:
        """With an operator that only observes: a revocation that no list has."""
        began, authority = self.team.began, self.scene.authority
        revoked = authority.issue("observed", began - 300 * DAY, began + 100 * DAY)
        name = self.revoker.revoke(revoked, "observed")
        eventually(lambda: self.revoker.condition(name), ("Unknown", "ObserveOnly"))
        self.keep("CertificateRevocation", name, "observed")

    def change(self) -> None:
        """Without the operator: change the spec of some."""
        changes = {
            ("ClientCertificate", "valid"): {"owner": "another-team"},
            ("CertificatePolicy", "nowhere"): {"alerts": {"startDaysBefore": 5}},
            ("CertificateStore", "backup"): {"pollEvery": "12h"},
        }
        for (kind, name), spec in changes.items():
            self.team.api.request("PATCH", self.team.path(kind, name), {"spec": spec}, content_type=MERGE_PATCH)
            self.keep(kind, name, CHANGED)
        self.scene.approve("waiting")
        self.keep("CertificateRenewal", "waiting", CHANGED)

    def _certificates(self) -> None:
        team = self.team
        team.hand_out("valid", days=300)
        team.hand_out("soon", days=20)
        team.hand_out("expired", days=-1)
        team.put("future", team.issue("future", days=400, since=10 * DAY))
        team.hand_out("lost", days=3, policyRef={"name": "nowhere"})
        team.hand_out("gone", days=100)
        team.put("broken", b"<html>404</html>")
        team.put("foreign", team.issue("somebody", days=100))
        throwaway = CertificateAuthority.create("cert-manager.local")
        began, ends = team.began - DAY, team.began + 90 * DAY
        team.put("temporary", throwaway.issue(team.consumer("temporary"), began, ends, serial_number=0x1234567890))
        for name in ("future", "broken", "foreign", "temporary"):
            team.declare(name)
        team.declare("absent", source=in_secret("nobody-made-it"))

    def _policies(self) -> None:
        revoker, began = self.revoker, self.team.began
        self.team.apply(
            secret("slack", token=self.team.slack.tokens[1]),
            certificate_policy("nowhere", slack_channel("team", "#nowhere", "slack")),
            certificate_policy("unusable", sendAt={"time": "09:00", "timezone": "Europe/Atlantis"}),
        )
        for name, first, last in (("ends-soon", -400, 30), ("ended", -400, -1), ("future", 1, 900)):
            dates = began + first * DAY, began + last * DAY
            authority = CertificateAuthority.create(name, not_before=dates[0], not_after=dates[1])
            pair = authority.identity
            revoker.put_ca(pair.certificate_pem, pair.private_key_pem, f"{name}-ca")
            revoker.declare_policy(name, ca=f"{name}-ca")
        pair = self.scene.authority.identity
        content = {"tls_crt": pair.certificate_pem.decode(), "tls_key": pair.private_key_pem.decode()}
        revoker.secret("unlabelled-ca", {}, **content)
        revoker.declare_policy("unlabelled", ca="unlabelled-ca")
        revoker.declare_policy("no-ca", ca="nobody-made-it")

    def _stores(self) -> None:
        backup, server = self.backup, self.backup.server
        backup.declare()
        emptied = f"emptied-{self.team.namespace}"
        backup.client.create_bucket(emptied)
        for name, bucket, secret_key in (
            ("refused", backup.bucket, "wrong-secret-key"),
            ("emptied", emptied, server.secret_key),
        ):
            self.team.apply(
                store_credentials(f"{name}-credentials", server.access_key, secret_key),
                certificate_store(name, bucket, backup.proxy.endpoint, f"{name}-credentials", pollEvery="24h"),
            )
        eventually(lambda: self._ready("CertificateStore", "emptied"), "Polled")
        backup.client.delete_bucket(emptied)
        # Another spec is polled at once.
        change, path = {"spec": {"pollEvery": "23h"}}, self.team.path("CertificateStore", "emptied")
        self.team.api.request("PATCH", path, change, content_type=MERGE_PATCH)

    def _requests(self) -> None:
        scene, team = self.scene, self.team
        scene.install()
        wrong = scene.subject(x509.NameAttribute(NameOID.COMMON_NAME, "somebody else"))
        for name in ("waiting", "done", "refused", "denied", "ended"):
            one = RenewalScene.with_ca(team, scene.authority, f"nhs-{name}")
            one.declare(POLICY)
            one.ask(name, csr=one.csr(subject=wrong) if name == "refused" else one.csr())
            if name == "waiting":
                self._keep_new("CertificateRenewal", name)
        scene.approve("denied", decision="Deny", reason="NotVerified")
        scene.approve("done")
        eventually(lambda: scene.state("done"), "Issued", PATIENCE)
        scene.hand_over("done")
        eventually(lambda: scene.state("ended"), "AwaitingApproval", PATIENCE)
        team.delete("ClientCertificate", "nhs-ended")

    def _revocations(self) -> None:
        began, authority = self.team.began, self.scene.authority
        another = CertificateAuthority.create("Another CA")
        ends = {"listed": (authority, 100), "unknown-ca": (another, 100), "ended": (authority, -1)}
        self._names = {
            key: self.revoker.revoke(issuer.issue(key, began - 300 * DAY, began + days * DAY), key)
            for key, (issuer, days) in ends.items()
        }
        self._keep_new("CertificateRevocation", self._names["unknown-ca"])
        expected = {
            "listed": [("True", "Listed"), ("True", "Signed")],
            "unknown-ca": [("False", "IssuerNotFound"), ("", "")],
            "ended": [("False", "Ended"), ("", "")],
        }
        for key, conditions in expected.items():
            name = self._names[key]
            eventually(
                lambda name=name: [self.revoker.condition(name, each) for each in ("Listed", "InCRL")], conditions
            )
            self.keep("CertificateRevocation", name, key)

    def _vanish(self) -> None:
        eventually(lambda: self.team.phase("gone"), "Valid")
        self.team.delete("Secret", "gone-cert")

    def _wait(self) -> None:
        reasons = {
            ("ClientCertificate", "Ready"): {
                "valid": "Valid",
                "soon": "ExpiringSoon",
                "expired": "Expired",
                "future": "NotYetValid",
                "lost": "ChannelNotFound",
                "absent": "SourceNotFound",
                "gone": "SourceNotFound",
                "broken": "NotACertificate",
                "foreign": "IdentityMismatch",
                "temporary": "TemporaryCertificate",
            },
            ("CertificatePolicy", "Ready"): {"nowhere": "Valid", "unusable": "PolicyInvalid"},
            ("CertificatePolicy", "IssuerReady"): {
                POLICY: "Ready",
                "ends-soon": "CAEndsSoon",
                "ended": "IssuerExpired",
                "future": "IssuerNotYetValid",
                "no-ca": "IssuerNotFound",
                "unlabelled": "IssuerNotAllowed",
            },
            ("CertificateStore", "Ready"): {
                "backup": "Polled",
                "no-credentials": "CredentialsNotFound",
                "refused": "CredentialsInvalid",
                "emptied": "BucketNotFound",
            },
        }
        for (kind, condition), expected in reasons.items():
            for name, reason in expected.items():
                eventually(lambda k=kind, c=condition, n=name: self.team.condition(n, c, k)[1], reason)
        states = {"done": "Done", "refused": "Refused", "denied": "Denied", "ended": "Ended"}
        for name, state in states.items():
            eventually(lambda name=name: self.scene.state(name), state, PATIENCE)
        eventually(lambda: self.scene.state("waiting"), "AwaitingApproval", PATIENCE)

    def _ready(self, kind: str, name: str) -> str:
        return self.team.condition(name, "Ready", kind)[1]

    def _keep_new(self, kind: str, name: str) -> None:
        """As it was created: the operator may be faster than a look at it."""
        self.keep(kind, name, NEW).pop("status", None)
