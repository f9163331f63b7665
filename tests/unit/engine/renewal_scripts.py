"""Whole renewals, each with what people and other programs do in it."""

import base64
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bench.proofs import proof
from clientcert.pki.pem import read_blocks
from tests.builders import DAY
from tests.unit.engine.renewal_world import (
    CERTIFICATE,
    CERTIFICATE_REQUESTS,
    POLICY,
    RENEWAL,
    STORE,
    STORE_KEY,
    Kill,
    World,
)
from tests.unit.renewal.asking import CA, CSR, CURRENT, ENDS, public_key_pem
from tools.certificates import CertificateAuthority, Issued, make_private_key

BEGINS = ENDS - 20 * DAY
ENDS_OF_A_REQUEST = frozenset({"Done", "Refused", "Denied", "Ended"})
SETTLED_SECONDS = 75.0
"""Longer than anything is retried after."""
CONSUMERS_KEY = make_private_key("rsa")
"""With which the consumer opens what is encrypted to them."""
CA_SECRET: Mapping[str, Any] = {"issuer": {"type": "CASecret", "caSecret": {"name": "client-ca"}}}
CERT_MANAGER: Mapping[str, Any] = {
    "issuer": {
        "type": "CertManager",
        "certManager": {"name": "client-ca", "caRef": {"name": "client-ca", "key": "tls.crt"}},
    }
}
SMALL_KEY: Mapping[str, Any] = {"key": {"generate": {"algorithm": "ECDSA", "size": 256}}}
AUTOMATIC: Mapping[str, Any] = {
    "approval": "Automatic",
    "requesters": ["Holder"],
    "proofOfPossession": "Required",
}


@dataclass(frozen=True)
class Script:
    """One way of a renewal."""

    policy: Mapping[str, Any]
    """`spec.renewal`."""
    request: Callable[[], Mapping[str, Any]]
    """The fields of the request that say what is asked for."""
    in_bucket: bool = True
    mailed: bool = True
    """False: it is left for retrieval, and handed over by hand."""
    approved: bool = True
    """A person approves it; False: it is approved automatically."""
    longest_seconds: float = 30.0
    """From the request to its end, also with a kill."""

    def declare(self, world: World, *, certificate: bytes = CURRENT.certificate_pem) -> None:
        """Everything that a team declares, but for the request."""
        pair = CA.identity
        world.put_secret("client-ca", {"issuer": "allowed"}, tls_crt=pair.certificate_pem, tls_key=pair.private_key_pem)
        channels = [
            {"name": "team", "type": "Slack", "slack": {"channel": "#team"}},
            {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}},
        ]
        world.server.put(POLICY, spec={"alerts": {"channels": channels}, "renewal": dict(self.policy)})
        source: Mapping[str, Any] = {"type": "Secret", "secret": {"name": "nhs-cert"}}
        if self.in_bucket:
            s3 = {"bucket": "backup", "region": "eu-west-2", "credentialsSecretRef": {"name": "credentials"}}
            world.server.put(STORE, spec={"s3": s3, "pollEvery": "24h"})
            world.put_object(STORE_KEY, certificate)
            source = {"type": "S3", "s3": {"storeRef": {"name": "backup"}, "key": STORE_KEY}}
        else:
            world.put_secret("nhs-cert", tls_crt=certificate)
        self.declare_certificate(world, source)

    def declare_certificate(self, world: World, source: Mapping[str, Any]) -> None:
        world.server.put(
            CERTIFICATE,
            spec={
                "consumer": "nhs",
                "environment": "prod",
                "contact": {"technical": {"email": "jo@nhs.example"}},
                "source": source,
                "policyRef": {"name": "team"},
            },
        )

    def ask(self, world: World) -> None:
        """`clientcert renew`."""
        fields = {"certificateRef": {"name": "nhs"}, "serialNumber": CURRENT.serial_number_hex, "requestedBy": "sam"}
        world.server.put(RENEWAL, spec={**fields, **self.request()})

    def take_part(self, world: World) -> None:
        """The acts of people about the request."""
        if self.approved:
            world.people.append(world.approve)
        if not self.mailed:
            world.people.append(world.hand_over)
        if "certManager" in self.policy["issuer"]:
            world.people.append(CertManager(world))


class CertManager:
    """Its part: approves and signs each CertificateRequest, two seconds after it was made."""

    def __init__(
        self,
        world: World,
        authority: CertificateAuthority = CA,
        *,
        longest: timedelta = 400 * DAY,
        subject: x509.Name | None = None,
    ) -> None:
        """`longest` is the limit of the issuer: no certificate is valid for longer. It may write its own `subject`."""
        self._world, self._authority, self._longest, self._subject = world, authority, longest, subject
        self._seen: dict[str, datetime] = {}
        self.signed: list[bytes] = []

    def __call__(self) -> None:
        for path, body in tuple(self._world.server.objects.items()):
            if path.startswith(CERTIFICATE_REQUESTS) and "status" not in body:
                first = self._seen.setdefault(path, self._world.now())
                if self._world.now() - first > timedelta(seconds=2):
                    self._sign(path, body)

    def _sign(self, path: str, body: Mapping[str, Any]) -> None:
        request = x509.load_pem_x509_csr(base64.b64decode(body["spec"]["request"]))
        now, hours = self._world.now().replace(microsecond=0), int(body["spec"]["duration"].partition("h")[0])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self._subject or request.subject)
            .issuer_name(self._authority.identity.certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + min(timedelta(hours=hours), self._longest))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
        )
        for extension in request.extensions:
            if extension.oid == x509.SubjectAlternativeName.oid:
                builder = builder.add_extension(extension.value, extension.critical)
        key = self._authority.identity.private_key
        issued = Issued(builder.sign(key, hashes.SHA256()), make_private_key(), ())
        self.signed.append(issued.certificate_pem)
        ready = {"type": "Ready", "status": "True", "reason": "Issued"}
        approved = {"type": "Approved", "status": "True", "reason": "cert-manager.io"}
        answer = base64.b64encode(issued.certificate_pem).decode()
        self._world.server.put(path, status={"conditions": [approved, ready], "certificate": answer})


SCRIPTS: Mapping[str, Script] = {
    "public key, CASecret, approved, S3, mail": Script(
        {**CA_SECRET, **SMALL_KEY}, lambda: {"publicKey": public_key_pem(CONSUMERS_KEY)}
    ),
    "CSR with proof, Automatic, Secret": Script(
        {**CA_SECRET, **AUTOMATIC},
        lambda: {"csr": CSR, "proof": {"type": "CMS", "cms": proof(CSR.encode(), CURRENT, BEGINS)}},
        in_bucket=False,
        approved=False,
    ),
    "CSR, left for retrieval, handed over": Script(
        {**CA_SECRET, "delivery": {"type": "None"}}, lambda: {"csr": CSR}, mailed=False
    ),
    "public key, CertManager, S3, mail": Script(
        {**CERT_MANAGER, **SMALL_KEY},
        lambda: {"publicKey": public_key_pem(CONSUMERS_KEY)},
        longest_seconds=60.0,
    ),
}


def faults(world: World, script: Script) -> list[str]:
    """The broken rules, as sentences."""
    found, recorded = list(world.unplanned), world.renewal.get("certificate", "")
    if len(world.certificates) != 1:
        found.append(f"{len(world.certificates)} certificates were recorded")
    block = _first(recorded)
    for mail in world.mails:
        files = {each.name: each.content for each in mail.attachments}
        if files and _first(files["client.pem"].decode()) != block:
            found.append("another certificate was mailed than is recorded")
        if files and script.request().get("publicKey") and not _opens(files):
            found.append("the consumer cannot open the key of the mailed certificate")
    for key in {each.key for each in world.mails if each.notice}:
        times = sum(each.key == key for each in world.mails)
        if times > 1 + sum(key in each for each in world.in_flight):
            notice = next(each.notice for each in world.mails if each.key == key)
            found.append(f"{notice} was sent {times} times, in flight {sum(key in each for each in world.in_flight)}")
    if script.mailed and not any(each.attachments for each in world.mails):
        found.append("the certificate was never mailed")
    if not script.mailed and any(each.attachments for each in world.mails):
        found.append("the certificate was mailed, though the policy mails none")
    if _first(world.source.decode()) != block:
        found.append("the source does not hold the recorded certificate")
    written = {body for key, body in world.puts[1:] if key == STORE_KEY}
    if len(written) > 1:
        found.append(f"{len(written)} certificates were written to the source")
    if world.state != "Done" or {status for status, _ in map(world.condition, world.conditions)} != {"True"}:
        found.append(f"it ended as {world.state} with {world.conditions}")
    return found


def _first(pem: str) -> bytes:
    blocks = read_blocks(pem.encode()) if pem else []
    return blocks[0].der or b"" if blocks else b""


def _opens(files: Mapping[str, bytes]) -> bool:
    """True if the consumer's key opens the private key, and that belongs to the certificate."""
    with TemporaryDirectory() as folder:
        key, sealed = Path(folder, "consumer.key"), Path(folder, "sealed")
        key.write_bytes(Issued(CURRENT.certificate, CONSUMERS_KEY).private_key_pem)
        sealed.write_bytes(files["client.key.cms"])
        command = ["openssl", "cms", "-decrypt", "-inform", "PEM", "-in", sealed, "-inkey", key]
        opened = subprocess.run(command, capture_output=True, check=False)
    if opened.returncode:
        return False
    public = load_pem_private_key(opened.stdout, None).public_key()
    return public == x509.load_pem_x509_certificate(files["client.pem"]).public_key()


async def renew(
    script: Script, kills: Iterable[Kill] = (), prepare: Callable[[World], object] = lambda _: None
) -> tuple[World, list[str]]:
    """One renewal from the request to its end, with these kills; the world after it, and what is wrong in it."""
    world = World(BEGINS, kills)
    prepare(world)
    script.declare(world)
    script.ask(world)
    script.take_part(world)
    try:
        await world.run_until(lambda: world.state in ENDS_OF_A_REQUEST and not world.waits_for)
        took = (world.now() - BEGINS).total_seconds()
        await world.let_pass(SETTLED_SECONDS)
    finally:
        await world.stop()
    late = [f"it took {took:.0f} seconds"] if took > script.longest_seconds else []
    return world, [*faults(world, script), *late]
