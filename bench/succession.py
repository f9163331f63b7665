"""The day a CA is replaced: namespaces with the Secrets of both CAs, a policy and a store, and a bucket."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bench import fleet
from bench.holders import Holder
from bench.kubernetes import all_of
from bench.liveness import must_live
from bench.operator_run import SECONDS_EACH as SECONDS_OF_A_STATUS
from bench.operator_run import cpu_seconds
from bench.scene import Scene
from tools.certificates import CertificateAuthority
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client
from tools.mail_server import LoopbackMailServer

NAMESPACES = tuple(f"succession-{number}" for number in range(10))
BUCKET = "certificates"
POLICY, STORE = "succession", "backup"
NEW_CA, FORMER_CA = "new-ca", "former-ca"
CREATED_BY = "admin"
"""The user of the bench."""
SENDER = "certificates@integration.example"
SECONDS_EACH = 10 * SECONDS_OF_A_STATUS
"""The longest time for one renewal, after which the bench gives up."""
_RENEWALS = "certificaterenewals"
_OURS = f"/apis/{fleet.API_VERSION}"
RENEWALS = f"{_OURS}/{_RENEWALS}"
_STORED_AT_ONCE = 8
_FIRST = 20


@dataclass(frozen=True, slots=True)
class Succession:
    """Both CAs, and those who hold certificates of the former one."""

    former: CertificateAuthority
    new: CertificateAuthority
    holders: Sequence[Holder]
    approval: str = "Automatic"

    def namespace(self, index: int) -> str:
        return NAMESPACES[index % len(NAMESPACES)]


@dataclass(slots=True)
class Place:
    """The place of the succession."""

    scene: Scene
    succession: Succession
    server: S3Server
    client: S3Client
    mail: LoopbackMailServer
    cores: frozenset[int]
    done: set[str] = field(default_factory=set)
    """The requests that the watch has shown as Done."""

    @property
    def size(self) -> int:
        return len(self.succession.holders)

    @property
    def first(self) -> int:
        """The number of renewals before the memory is read for the first time."""
        return min(_FIRST, self.size // 2)

    @property
    def settings(self) -> dict[str, str]:
        return {**self.scene.slack_settings, **mail_settings(self.scene, self.server, self.mail)}


def mail_settings(scene: Scene, server: S3Server, mail: LoopbackMailServer) -> dict[str, str]:
    """The environment of an operator that reads this S3 server, and sends by this mail server."""
    endpoint = server.endpoint.removeprefix("http://")
    return {
        "CLIENTCERT_ALLOWED_HOSTS": f"{scene.slack.host},127.0.0.1,{endpoint}",
        "CLIENTCERT_SMTP_HOST": mail.host,
        "CLIENTCERT_SMTP_PORT": str(mail.port),
        "CLIENTCERT_SMTP_FROM": SENDER,
        "CLIENTCERT_SMTP_TLS": "none",
        "CLIENTCERT_SMTP_PER_SECOND": "1000",
    }


def server_seconds(place: Place) -> dict[str, float]:
    """The CPU time of all servers, and of the bench with its mail server and Slack, in seconds so far."""
    control_plane = place.scene.control_plane
    pids = {
        "kube-apiserver": control_plane.kube_apiserver.pid,
        "etcd": control_plane.etcd.pid,
        "S3": place.server.process.pid,
        "bench": os.getpid(),
    }
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: round(after[name] - before[name], 1) for name in after}


def source_key(holder: Holder) -> str:
    """The key of its certificate in the bucket."""
    return f"{holder.name}/client.pem"


@asynccontextmanager
async def served_bucket(scene: Scene) -> AsyncIterator[tuple[S3Server, S3Client]]:
    """An S3 server with an empty bucket."""
    with S3Server.start(Path(mkdtemp(dir=scene.directory, prefix="s3-"))) as server:
        async with must_live(server.process):
            client = S3Client(server)
            client.create_bucket(BUCKET)
            yield server, client
            client.close()


async def found(scene: Scene, succession: Succession, server: S3Server, endpoint: str) -> None:
    """Create the namespaces, and everything in them that is there before the day."""
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    s3 = {"bucket": BUCKET, "region": server.region, "endpoint": endpoint}
    store = {"s3": {**s3, "credentialsSecretRef": {"name": "s3"}}}
    for where in NAMESPACES:
        await scene.create_namespace(where)
        await _create(scene, where, "Secret", "s3", stringData=keys)
        for name, authority in ((NEW_CA, succession.new), (FORMER_CA, succession.former)):
            await _create(scene, where, "Secret", name, labels=_LABEL, stringData=_pair(authority, name))
        await _create(scene, where, "CertificateStore", STORE, spec=store)
        await _create(scene, where, "CertificatePolicy", POLICY, spec=_policy(succession.approval))


@asynccontextmanager
async def declared(scene: Scene, succession: Succession, client: S3Client) -> AsyncIterator[None]:
    """Put the certificates into the bucket, and declare them; in the end they are gone, with all requests."""
    scene.say(f"declaring {len(succession.holders)} certificates of the former CA")

    def put(holder: Holder) -> None:
        client.put_object(BUCKET, source_key(holder), holder.certificate_pem)
        client.delete_object(BUCKET, f"{holder.name}/client.csr")

    with ThreadPoolExecutor(_STORED_AT_ONCE) as threads:
        await asyncio.gather(*(asyncio.wrap_future(threads.submit(put, each)) for each in succession.holders))

    async def declare(index: int) -> None:
        where = succession.namespace(index)
        body = fleet.stored_certificate(index, where, STORE)
        body["spec"]["policyRef"] = {"name": POLICY}
        await scene.kubernetes.create(fleet.certificates_in(where), body)

    await all_of(declare, range(len(succession.holders)))
    try:
        yield
    finally:
        for where in NAMESPACES:
            for kind in (_RENEWALS, "clientcertificates"):
                await scene.kubernetes.delete(f"{_OURS}/namespaces/{where}/{kind}")
        await scene.statuses.until(
            lambda: not any(where in NAMESPACES for where, _ in scene.statuses.objects), 120, "all to be deleted"
        )


async def ask(scene: Scene, succession: Succession, indices: Sequence[int]) -> None:
    """Create these requests, as fast as the API server takes them."""

    async def create(index: int) -> None:
        holder = succession.holders[index]
        spec = {
            "certificateRef": {"name": holder.name},
            "serialNumber": holder.serial_number,
            "subjectDN": f"CN={holder.name}",
            "requestedBy": CREATED_BY,
            "csr": holder.csr_pem,
            "proof": {"type": "CMS", "cms": holder.proof_pem},
        }
        await _create(scene, succession.namespace(index), "CertificateRenewal", holder.request, spec=spec)

    await all_of(create, indices)


def not_renewed(succession: Succession, client: S3Client) -> int:
    """The number of sources that hold something else than one certificate of the new CA."""

    def is_old(holder: Holder) -> bool:
        content = client.get_object(BUCKET, source_key(holder))
        return content == holder.certificate_pem or b"BEGIN CERTIFICATE" not in content

    with ThreadPoolExecutor(_STORED_AT_ONCE) as threads:
        return sum(threads.map(is_old, succession.holders))


async def _create(
    scene: Scene, where: str, kind: str, name: str, labels: dict[str, str] | None = None, **content: Any
) -> None:
    version, root = ("v1", "/api/v1") if kind == "Secret" else (fleet.API_VERSION, _OURS)
    plural = f"{kind.lower().removesuffix('y')}{'ies' if kind.endswith('y') else 's'}"
    metadata = {"name": name, "labels": labels or {}}
    body = {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
    await scene.kubernetes.create(f"{root}/namespaces/{where}/{plural}", body)


_LABEL = {"clientcert.dev/issuer": "allowed"}


def _pair(authority: CertificateAuthority, name: str) -> dict[str, str]:
    """The former CA without its private key: it signs nothing any more."""
    identity = authority.identity
    values = {"tls.crt": identity.certificate_pem.decode()}
    return values | ({"tls.key": identity.private_key_pem.decode()} if name == NEW_CA else {})


def _policy(approval: str) -> dict[str, Any]:
    """No channel hears of each request: a mail to the contact, and nothing else, is what each renewal sends."""
    renewal = {
        "issuer": {"type": "CASecret", "caSecret": {"name": NEW_CA}},
        "trust": [{"name": FORMER_CA}],
        "requesters": ["Holder"],
        "proofOfPossession": "Required",
        "approval": approval,
    }
    letters = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}
    return {"alerts": {"channels": [letters]}, "renewal": renewal}
