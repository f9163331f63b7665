"""One renewal on the real servers, run repeatedly, each time with the operator killed at another write or send.

Each run has a namespace, a bucket and a mail server of its own. Counted are the calls that change something at the API
server, the PUTs to the bucket, and the mails, in one order.
"""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from clientcert.lifecycle.renewal.status import HANDED_OVER
from tests.control_plane.operators import MAIL_LOGIN, Operator, forget_leader, unexpected_lines, with_mail
from tests.control_plane.team import DAY, Team
from tests.faults.api_proxy import before, seen_through
from tests.faults.kill_switch import KillSwitch, Point
from tests.faults.proxy import FaultyProxy
from tests.forked import forked_operator
from tests.scenarios import Manifest, certificate_policy, certificate_store, in_store, store_credentials
from tests.unit.renewal.asking import csr_pem, proof, public_key_pem
from tools.certificates import CertificateAuthority, make_private_key
from tools.control_plane import ControlPlane, OperatorProcess, S3Server
from tools.control_plane.s3_client import S3Client
from tools.mail_server import LoopbackMailServer, Received

ADMINISTRATOR = "admin"
"""The user of `Team.api`, who asks and decides here."""
REQUEST, KEY = "nhs-1", "nhs/client.pem"
MANUAL, AUTOMATIC, BY_HAND = "public key, approved, mailed", "CSR with proof, Automatic", "CSR, handed over by hand"
POLICIES: Mapping[str, Manifest] = {
    MANUAL: {"key": {"generate": {"algorithm": "ECDSA", "size": 256}}},
    AUTOMATIC: {"approval": "Automatic", "requesters": ["Holder"], "proofOfPossession": "Required"},
    BY_HAND: {"delivery": {"type": "None"}},
}
"""`spec.renewal` of each script, besides the issuer."""
_KILLED, _PATIENCE_SECONDS, _POLL_SECONDS, _QUIET_SECONDS = -9, 120.0, 0.1, 0.6


@dataclass(frozen=True)
class Shared:
    """The parts that all runs share. Each replaces the team's namespace by its own."""

    team: Team
    server: S3Server
    bucket: S3Client
    authority: CertificateAuthority
    directory: Path


@dataclass(frozen=True)
class Outcome:
    """The result of one run."""

    script: str
    killed: bool
    points: int
    """The number of writes and sends."""
    certificates: frozenset[str]
    """Fingerprints of each certificate that was ever recorded."""
    write_aheads: int
    mailed: frozenset[str]
    """Fingerprints of all that were mailed."""
    stored: frozenset[str]
    """Fingerprints of all that were put into the source, but for the old one."""
    repeated: int
    """Mails of which the same Message-ID had come before."""
    in_flight: int
    """Mails that the mail server had taken at the kill, and that the status did not record."""
    end: tuple[str, frozenset[tuple[str, str]]]
    """State and conditions of the request."""

    def faults(self, undisturbed: "Outcome") -> list[str]:
        """The violated invariants, as sentences."""
        found = []
        if len(self.certificates) != 1:
            found.append(f"{len(self.certificates)} certificates were recorded")
        if not self.mailed <= self.certificates or not self.stored <= self.certificates:
            found.append("a certificate was handed out that is not recorded")
        if not self.stored:
            found.append("the source was not written")
        if bool(self.mailed) == (self.script == BY_HAND):
            found.append(f"{len(self.mailed)} certificates were mailed")
        if self.repeated > self.in_flight:
            found.append(f"{self.repeated} mails were repeated, and {self.in_flight} were in flight")
        if self.write_aheads != 1:
            found.append(f"{self.write_aheads} plans were written ahead, though nothing has changed")
        if self.end != undisturbed.end:
            found.append(f"another end: {self.end}")
        return found


AT_APPROVAL = Point(0, "after")
"""In place of a write or send: the leader is killed while the request waits for approval."""


def run_pair(shared: Shared, script: str, point: Point) -> Outcome:
    """Renew one certificate with two replicas; kill the leader at this point, and the standby goes on."""
    with ExitStack() as stack:
        run = _Pair(shared, script, point, stack)
        run.play()
        return run.outcome()


def run_script(shared: Shared, script: str, point: Point) -> Outcome:
    """Renew one certificate; kill the operator at this point."""
    with ExitStack() as stack:
        run = _Run(shared, script, point, stack)
        run.play()
        return run.outcome()


class _RecordingSwitch(KillSwitch):
    """Looks at the request and at the source after each write of them, before the operator can go on."""

    def __init__(self, point: Point, run: "_Run") -> None:
        super().__init__(point)
        self._run = run

    def _after(self, request: web.Request, status: int, body: bytes) -> None:
        if status < 300:
            self._run.look(request.path)
        super()._after(request, status, body)


class _Run:
    def __init__(self, shared: Shared, script: str, point: Point, stack: ExitStack) -> None:
        self._shared, self._script, self._stack = shared, script, stack
        self._team = team = replace(shared.team, namespace=f"renewal-{uuid.uuid4().hex[:12]}")
        self._certificates, self._stored, self._write_aheads = set[str](), set[str](), set[str]()
        self._in_flight = 0
        self._mail = stack.enter_context(LoopbackMailServer(tls="starttls", login=MAIL_LOGIN))
        api = stack.enter_context(before(team.control_plane))
        self._store = stack.enter_context(FaultyProxy(shared.server.endpoint).running())
        self._switch = _RecordingSwitch(point, self)
        self._switch.attach_to(api, self._store)
        self._switch.attach_to_mail(self._mail)
        self._control_plane = seen_through(team.control_plane, api)
        begins, ends = team.began - 345 * DAY, team.began + 20 * DAY
        self._old = shared.authority.issue(team.consumer("nhs"), begins, ends, organization="NHS")

    def look(self, path: str) -> None:
        """Note what is recorded and stored now; called by a proxy."""
        if path.endswith(f"/certificaterenewals/{REQUEST}/status"):
            status = self._team.status(REQUEST, "CertificateRenewal")
            if status.get("certificate"):
                self._certificates.add(_fingerprint(status["certificate"].encode()))
            if status.get("issuance"):
                self._write_aheads.add(str(status["issuance"]))
        elif path.endswith(KEY):
            self._stored.add(_fingerprint(self._shared.bucket.get_object(self._team.namespace, KEY)))

    def play(self) -> None:
        self._prepare()
        self._declare()
        self._start()
        self._until(lambda: self._state == "Done")
        exit_code = self._process.stop()
        if exit_code == _KILLED:
            self._start_again()
            self._until(lambda: True)
            exit_code = self._process.stop()
        assert (exit_code, unexpected_lines(self._process.log_text())) == (0, [])

    def outcome(self) -> Outcome:
        status = self._team.status(REQUEST, "CertificateRenewal")
        ids = Counter(str(each.message["Message-ID"]) for each in self._mail.mails)
        return Outcome(
            script=self._script,
            killed=self._switch.has_fired,
            points=self._switch.count,
            certificates=frozenset(self._certificates),
            write_aheads=len(self._write_aheads),
            mailed=frozenset(found for each in self._mail.mails if (found := _mailed(each))),
            stored=frozenset(self._stored),
            repeated=ids.total() - len(ids),
            in_flight=self._in_flight,
            end=(status["state"], frozenset((each["type"], each["reason"]) for each in status["conditions"])),
        )

    @property
    def _state(self) -> str:
        return str(self._team.status(REQUEST, "CertificateRenewal").get("state", ""))

    def _prepare(self) -> None:
        self._team.control_plane.create_namespace(self._team.namespace)
        self._shared.bucket.create_bucket(self._team.namespace)
        self._shared.bucket.put_object(self._team.namespace, KEY, self._old.certificate_pem)

    def _declare(self) -> None:
        team, server, pair = self._team, self._shared.server, self._shared.authority.identity
        issuer = {"issuer": {"type": "CASecret", "caSecret": {"name": "client-ca"}}}
        policy = certificate_policy("renewing")  # without a channel: all mails are about the request
        policy["spec"]["renewal"] = issuer | POLICIES[self._script]
        team.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "client-ca", "labels": {"clientcert.dev/issuer": "allowed"}},
                "stringData": {"tls.crt": pair.certificate_pem.decode(), "tls.key": pair.private_key_pem.decode()},
            },
            store_credentials("backup-credentials", server.access_key, server.secret_key),
            certificate_store("backup", team.namespace, self._store.url, "backup-credentials", pollEvery="24h"),
            policy,
        )
        team.declare("nhs", policyRef={"name": "renewing"}, source=in_store("backup", KEY))
        spec = {
            "certificateRef": {"name": "nhs"},
            "serialNumber": self._old.serial_number_hex,
            "requestedBy": ADMINISTRATOR,
            **self._asked(),
        }
        team.api.request(
            "POST",
            team.path("CertificateRenewal"),
            {
                "apiVersion": "clientcert.dev/v1alpha1",
                "kind": "CertificateRenewal",
                "metadata": {"name": REQUEST},
                "spec": spec,
            },
        )

    def _asked(self) -> Manifest:
        key = make_private_key()
        if self._script == MANUAL:
            return {"publicKey": public_key_pem(key)}
        subject = (("O", "NHS"), ("CN", self._team.consumer("nhs")))
        csr = csr_pem(key, subject)
        return (
            {"csr": csr}
            if self._script == BY_HAND
            else {"csr": csr, "proof": {"type": "CMS", "cms": proof(csr, self._old)}}
        )

    # People, and the operator, which is started again after the kill.

    def _act(self) -> None:
        found = self._team.get("CertificateRenewal", REQUEST)
        spec, status = found["spec"], found.get("status") or {}
        change: Manifest = {}
        if status.get("state") == "AwaitingApproval" and "approval" not in spec:
            seen = {"keyHash": status["keyHash"], "recipientHash": status.get("recipientHash", "")}
            change = {"approval": {"decision": "Approve", "by": ADMINISTRATOR, **seen}}
        if status.get("state") == "Issued" and self._script == BY_HAND and "handedOver" not in spec:
            change = {"handedOver": {"by": ADMINISTRATOR}}
        if change:
            path = self._team.path("CertificateRenewal", REQUEST)
            self._team.api.request("PATCH", path, {"spec": change}, content_type="application/merge-patch+json")

    def _start(self) -> None:
        self._process = self._started(self._control_plane, "--no-leader-election")
        self._switch.victim = self._process

    def _started(self, control_plane: ControlPlane, *flags: str) -> OperatorProcess:
        folder = self._shared.directory / self._team.namespace
        folder.mkdir(exist_ok=True)
        process = OperatorProcess.start(
            control_plane,
            directory=folder,
            args=["--log-format", "text", *flags, "--namespace", self._team.namespace],
            env={"CLIENTCERT_ALLOWED_HOSTS": "127.0.0.1"} | with_mail(self._mail, folder),
            ready_timeout=None,
            launch=forked_operator,
        )
        self._stack.callback(process.kill)
        return process

    def _start_again(self) -> None:
        assert (self._process.process.returncode, self._switch.has_fired) == (_KILLED, True), self._process.log_text()
        self._note_kill()
        self._start()

    def _note_kill(self) -> None:
        self._switch.reopen()
        taken = {str(each.message["Message-ID"]) for each in self._mail.mails}
        self._in_flight = len(taken) - self._recorded_mails()

    def _recorded_mails(self) -> int:
        status = self._team.status(REQUEST, "CertificateRenewal")
        delivery = status.get("delivery") or {"role": HANDED_OVER}
        letters = [each for each in status.get("notices") or () if "/contact-" in each["name"]]
        return len(letters) + (delivery["role"] != HANDED_OVER)

    def _until(self, holds: Any) -> None:
        """Wait until it holds, and the operator is idle."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (holds() and self._is_quiet()):
            if self._process.process.returncode is not None:
                self._start_again()
            status = self._team.status(REQUEST, "CertificateRenewal")
            assert time.monotonic() < deadline, (status, self._process.log_text())
            self._act()
            time.sleep(_POLL_SECONDS)

    def _is_quiet(self) -> bool:
        operator = Operator(self._process)
        try:
            before = operator.reconciles
            time.sleep(_QUIET_SECONDS)
            return operator.reconciles == before and operator.metric("clientcert_queue_depth") == 0
        except OSError:  # it does not listen yet, or not any more
            return False


class _Pair(_Run):
    """The leader is seen through the switch; the standby is never killed."""

    def __init__(self, shared: Shared, script: str, point: Point, stack: ExitStack) -> None:
        super().__init__(shared, script, point, stack)
        self._at_approval = point == AT_APPROVAL

    def play(self) -> None:
        forget_leader(self._team.control_plane)
        self._prepare()
        self._process = self._switch.victim = self._started(self._control_plane)
        self._wait(lambda: self._leads(self._process))
        standby = self._started(self._team.control_plane)
        self._wait(lambda: Operator(standby).get("/readyz")[0] == 200)
        self._declare()
        self._wait(self._is_killed)
        self._note_kill()
        self._process = standby
        self._until(lambda: self._state == "Done")
        for path in (f"/certificaterenewals/{REQUEST}/status", KEY):
            self.look(path)  # the standby does not write through the switch
        exit_code = standby.stop()
        assert (exit_code, unexpected_lines(standby.log_text())) == (0, [])

    def _is_killed(self) -> bool:
        """The request is approved only after the kill if that is the point; its receipt may be on its way."""
        if not self._at_approval:
            self._act()
            return self._process.process.returncode is not None
        if self._state == "AwaitingApproval":
            time.sleep(_QUIET_SECONDS)
            self._process.kill()
        return self._process.process.returncode is not None

    def _leads(self, process: OperatorProcess) -> bool:
        return Operator(process).metric("clientcert_leader") == 1

    def _wait(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with suppress(OSError):  # it does not listen yet
                if holds():
                    return
            assert time.monotonic() < deadline, self._process.log_text()
            time.sleep(_POLL_SECONDS)


def _mailed(mail: Received) -> str:
    """The fingerprint of the attached certificate; empty if there is none."""
    for part in mail.message.iter_attachments():
        if part.get_filename() == "client.pem":
            return _fingerprint(part.get_payload(decode=True))
    return ""


def _fingerprint(pem: bytes) -> str:
    """Of the first certificate."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()
