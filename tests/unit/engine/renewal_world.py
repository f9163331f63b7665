"""Renewals on virtual time: the operator's real parts, and a world outside that outlives each of its processes.

    world = World(kills=[Kill(7, "after")])
    world.declare(...)
    await world.run_until(lambda: world.state == "Done")

The world has an API server with versions and conflicts, a bucket, and a mail server. Every write and every send is
counted, in the order in which they are made. A process can be killed just before one takes effect, or just after.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, TypeVar, cast

from clientcert.app_renewals import Shared, issuers, reconcilers
from clientcert.cache.informers import Informers
from clientcert.delivery.interface import Attachment
from clientcert.errors import KubeError, Reason, SourceError
from clientcert.kube.client import KubeClient
from clientcert.kube.labelled_secrets import LabelledSecrets
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.spec import Bucket, ObjectKey, S3Source, SourceRef
from clientcert.loop_budget import LoopBudget
from clientcert.messages.digest import Digest
from clientcert.messages.letter import Letter
from clientcert.messages.message import Message
from clientcert.notifiers.consumer_contact import ContactNotifier
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.settings import Settings
from clientcert.sources.interface import Content
from clientcert.sources.s3 import S3Reader
from clientcert.sources.s3.calls import StoreCalls
from clientcert.sources.s3.connections import Connections
from clientcert.sources.s3.errors import PreconditionFailedError
from clientcert.sources.secret import SecretReader
from clientcert.supervisor import STOP_SECONDS
from tests.simulation.api_server import NAMESPACE, ApiServer, Body, copied
from tests.unit.engine.engine_harness import EngineHarness, Outside

OURS = f"/apis/clientcert.dev/v1alpha1/namespaces/{NAMESPACE}"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
CERTIFICATE, POLICY, STORE = (
    f"{OURS}/clientcertificates/nhs",
    f"{OURS}/certificatepolicies/team",
    f"{OURS}/certificatestores/backup",
)
RENEWAL = f"{OURS}/certificaterenewals/nhs-1"
CERTIFICATE_REQUESTS = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/certificaterequests"
STORE_KEY = "nhs/client.pem"
SETTINGS = Settings(smtp_host="mail.integration.example", smtp_from="certificates@integration.example")
_TICK, _LATENCY, _WATCH, _DECISION = 0.25, 0.01, 0.05, 4.0
_KINDS = (
    "certificatepolicies",
    "certificatestores",
    "clientcertificates",
    "certificaterevocations",
    "certificaterenewals",
    "secrets",
)
"""In the order in which a process learns of them."""
REFUSED = "(refused)"
_PLANNED = ("notBefore", "notAfter", "issuerFingerprint", "requestHash", "tbsHash", "requestRef")
"""The fields of a write-ahead before anything is signed."""
_Answer = TypeVar("_Answer")
Side = Literal["before", "after"]
SIDES: tuple[Side, Side] = ("before", "after")


class Kill(NamedTuple):
    """A process ends just before its n-th write or send takes effect, or just after, before it hears the answer."""

    number: int
    side: Side


@dataclass(frozen=True)
class Mail:
    """A message to a person that the mail server has taken."""

    key: str
    """The left half of its Message-ID."""
    address: str
    notice: str
    """The name of its record; empty for a letter about the certificate."""
    attachments: tuple[Attachment, ...]
    process: int
    letter: Letter


class RenewalServer(ApiServer):
    """It refuses the operator's dry runs as the shipped admission policies do."""

    def create(self, path: str, content: Body) -> Body:
        if "dryRun" in path:
            kinds = {
                "ClientCertificate": "vetting",
                "CertificatePolicy": "policies",
                "CertificateRenewal": "renewals",
            }
            name = kinds.get(content["kind"], "revocations")
            policy = f"ValidatingAdmissionPolicy 'clientcert-{name}' with binding 'clientcert-{name}' denied request"
            raise KubeError(Reason.FORBIDDEN, f"{policy}: … (rules 1)", status=403)
        at = f"{path}/{content['metadata']['name']}"
        if at in self.objects:
            raise KubeError(Reason.CONFLICT, f"{at} exists", status=409)
        body = self.put(at, **{name: value for name, value in content.items() if name != "metadata"})
        if "labels" in content["metadata"]:
            self.objects[at]["metadata"]["labels"] = content["metadata"]["labels"]
        return body

    def label(self, path: str, **labels: str) -> None:
        """Set labels, as `kubectl label`; `_` is written for `.`."""
        self.objects[path]["metadata"]["labels"] = {f"clientcert.dev/{name}": value for name, value in labels.items()}


class World:
    """Everything outside the operator. `kills` has one for each process that is to be killed, in order."""

    def __init__(self, begins: datetime, kills: Iterable[Kill] = ()) -> None:
        self._loop = asyncio.get_running_loop()
        self._begins, self._start = begins, self._loop.time()
        self.server = RenewalServer(self.now)
        self.server.status_written = self._status_written
        self.bucket: dict[str, tuple[bytes, str]] = {}
        """Body and ETag by key."""
        self.puts: list[tuple[str, bytes]] = []
        self.mails: list[Mail] = []
        self.mail_seconds = 0.0
        """The seconds that the mail server takes for one."""
        self.posts: list[str] = []
        """The sentences in the team's channel."""
        self.digests: list[Digest] = []
        """The messages about many in the same channel."""
        self.certificates: list[str] = []
        """Each `status.certificate` that was ever recorded, without repetitions in a row."""
        self.write_aheads: list[str] = []
        """The same for what was to be signed."""
        self.unplanned: list[str] = []
        """The certificates that were signed or asked for, and not written ahead."""
        self.before_write: Callable[[str], object] = lambda _: None
        """Called with method and path just before a write takes effect."""
        self.refuses: Callable[[str], Exception | None] = lambda _: None
        """The error of a write, by method and path."""
        self.loses_answer: Callable[[str], Exception | None] = lambda _: None
        """The error in place of the answer to a write that took effect."""
        self.unreadable: Exception | None = None
        """The error of each read of the bucket."""
        self.read_seconds: Callable[[str], float] = lambda _: 0.0
        """The seconds that the answer to a read takes, by path."""
        self.people: list[Callable[[], object]] = []
        """The acts of people and other programs; called four times a second."""
        self.writes: list[str] = []
        """All writes and sends, in order; those that took no effect end with REFUSED."""
        self.observes: Callable[[int], bool] = lambda _: False
        """True if the process with this number only observes."""
        self.held, self.before_release = False, ""
        self.away_seconds = 0.0
        self._kills, self.killed = list(kills), 0
        self._waits_since = 0.0
        self.processes: list[Process] = []
        self.in_flight: list[frozenset[str]] = []
        """For each kill the keys of the mails that were delivered, and are recorded nowhere."""

    def now(self) -> datetime:
        return self._begins + timedelta(seconds=self._loop.time() - self._start)

    def set_clock(self, by: timedelta) -> None:
        """Set the clock of everything outside, and so the operator's."""
        self._begins += by

    # What is there.

    @property
    def renewal(self) -> Body:
        """The status of the request."""
        return self.server.objects.get(RENEWAL, {}).get("status") or {}

    @property
    def state(self) -> str:
        return self.renewal.get("state", "")

    @property
    def waits_for(self) -> str:
        return self.renewal.get("waitsFor", "")

    def condition(self, kind: str, path: str = RENEWAL) -> tuple[str, str]:
        """Status and reason."""
        status = self.server.objects.get(path, {}).get("status") or {}
        found = next((each for each in status.get("conditions") or () if each["type"] == kind), {})
        return found.get("status", ""), found.get("reason", "")

    @property
    def conditions(self) -> dict[str, str]:
        """The reason of each condition of the request."""
        return {each["type"]: each["reason"] for each in self.renewal.get("conditions") or ()}

    @property
    def source(self) -> bytes:
        """The content of the source: the Secret `nhs-cert`, else the object in the bucket."""
        secret = self.server.objects.get(f"{CORE}/secrets/nhs-cert")
        if secret is not None:
            return base64.b64decode(secret["data"].get("tls.crt", ""))
        return self.bucket.get(STORE_KEY, (b"", ""))[0]

    # What people do.

    def put_secret(
        self, name: str, labels: Mapping[str, str] | None = None, *, namespace: str = NAMESPACE, **data: bytes
    ) -> None:
        """Create or change a Secret; `_` is written for `.`."""
        encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        self.server.put(path, data=encoded)
        if labels:
            self.server.label(path, **labels)

    def put_source(self, content: bytes) -> None:
        """Put a certificate into the source by hand. A bucket is polled some seconds later."""
        if f"{CORE}/secrets/nhs-cert" in self.server.objects:
            self.put_secret("nhs-cert", tls_crt=content)
            return
        self.put_object(STORE_KEY, content)
        self._loop.call_later(5.0, self._poll)

    def put_object(self, key: str, body: bytes) -> None:
        self.bucket[key] = (body, f"etag-{len(self.puts)}")
        self.puts.append((key, body))

    def edit(self, path: str, **changes: Any) -> None:
        """Change fields of a spec; None removes one."""
        spec = {**self.server.objects[path]["spec"], **changes}
        self.server.put(path, spec={name: value for name, value in spec.items() if value is not None})

    def touch(self, path: str) -> None:
        """Give the object another version, as a label does."""
        self.server.put(path)

    def approve(self) -> None:
        """Approve the request as it shows itself, some seconds after it began to wait for that."""
        if self.state == "AwaitingApproval" and "approval" not in self.server.objects[RENEWAL]["spec"]:
            status, moment = self.renewal, self._loop.time()
            self._waits_since = self._waits_since or moment
            if moment - self._waits_since < _DECISION:
                return
            approval = {"decision": "Approve", "by": "alex", "keyHash": status["keyHash"]}
            self.edit(RENEWAL, approval=approval | {"recipientHash": status.get("recipientHash", "")})

    def hand_over(self) -> None:
        """Say that the consumer has it, once it is left for that."""
        if self.state == "Issued" and "handedOver" not in self.server.objects[RENEWAL]["spec"]:
            self.edit(RENEWAL, handedOver={"by": "sam"})

    def comes_back(self, seconds: float, act: Callable[[], object]) -> None:
        """Do it after so many seconds."""
        self.away_seconds = seconds
        self._loop.call_later(seconds, act)

    # The operator.

    async def kill(self) -> None:
        """End the running process at once; another one follows."""
        self.process.is_dead = True
        self.process.died.set()
        await asyncio.sleep(0)

    async def run_until(self, holds: Callable[[], object], seconds: float = 900.0) -> None:
        """Let the operator run until it holds; a killed process is followed by another."""
        ends = self._loop.time() + seconds
        while not holds():
            assert self._loop.time() < ends, (self.state, self.waits_for, self.conditions, self.writes[-12:])
            await self.let_pass(_TICK)

    async def let_pass(self, seconds: float) -> None:
        """Let time pass, while the operator runs and people do what they do."""
        ends = self._loop.time() + seconds
        while self._loop.time() < ends:
            if not self.processes or self.processes[-1].died.is_set():
                await self._start_again()
            for act in self.people:
                act()
            await asyncio.sleep(_TICK)

    async def stop(self) -> None:
        """End the last process."""
        if self.processes:
            await self.processes[-1].end()

    @property
    def process(self) -> "Process":
        """The running one."""
        return self.processes[-1]

    async def _start_again(self) -> None:
        if self.processes:
            await self.processes[-1].end()
            self.killed += 1
            self.in_flight.append(self._unrecorded())
        kill = self._kills.pop(0) if self._kills else None
        process = Process(self, len(self.processes), kill)
        self.processes.append(process)
        process.start()

    def check_planned(self, request: str) -> None:
        """Note whether the write-ahead names this CertificateRequest."""
        if ((self.renewal.get("issuance") or {}).get("requestRef") or {}).get("name") != request:
            self.unplanned.append(f"{request} was created, and is not written ahead")

    def _unrecorded(self) -> frozenset[str]:
        """The mails about the request that no status records."""
        status = self.renewal
        told = {each["name"] for each in status.get("notices") or ()}
        return frozenset(
            each.key
            for each in self.mails
            if each.notice
            if each.notice not in told
            if not (each.attachments and status.get("delivery"))
        )

    def _poll(self) -> None:
        if self.processes:
            self.process.poll()

    def _status_written(self, path: str, body: Body) -> None:
        if path != RENEWAL:
            return
        certificate, issuance = body["status"].get("certificate"), body["status"].get("issuance")
        planned = " ".join(str(issuance.get(each)) for each in _PLANNED) if issuance else ""
        if certificate and certificate not in self.certificates[-1:]:
            self.certificates.append(certificate)
            if planned not in self.write_aheads[-1:]:
                self.unplanned.append("a certificate was recorded that was not written ahead")
        if planned and planned not in self.write_aheads[-1:]:
            self.write_aheads.append(planned)


class Process:
    """One process of the operator, with nothing in memory but what it learns from the world."""

    def __init__(self, world: World, number: int, kill: Kill | None) -> None:
        self.world, self.number = world, number
        self._kill, self.count, self.is_dead = kill, 0, False
        self.died = asyncio.Event()
        self.may_send = True
        """False: another replica may lead before a message could be sent and recorded."""
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """For this everything waits that a dead process would have done."""
        link = _Link(self)
        client = cast("KubeClient", link)
        secrets = LabelledSecrets(link.get_secret, client)
        settings = replace(SETTINGS, observe_only=world.observes(number))
        found = issuers(settings, client, secrets, world.now)
        calls = StoreCalls(self._bucket, cast("Connections", _Connections(self)), ())
        post = _Mailbox(self)
        self.engine = EngineHarness(
            outside=Outside(
                client=client,
                clock=world.now,
                source=_Sources(SecretReader(link.get_secret), calls),
                notifiers={"Slack": _Team(self), "Email": ContactNotifier(post, post)},
                may_start=lambda _: self.may_send and not self.is_dead,
                readiness=found.readiness,
            ),
            observe_only=settings.observe_only,
        )
        engine = self.engine
        shared = Shared(
            settings=settings,
            client=client,
            queue=engine.queue,
            cache=engine.cache,
            informers=cast("Informers", SimpleNamespace(know_renewals=lambda _: True)),
            sources=engine.sources,
            buckets=cast("S3Reader", SimpleNamespace(calls=calls)),
            contacts=engine.contacts,
            evaluator=engine.evaluator,
            notifiers=engine.notifiers,
            limiter=engine.limiter,
            groups=engine.notice_groups,
            outbox=engine.renewal_outbox,
            statuses=engine.statuses,
            may_start=lambda _: self.may_send and not self.is_dead,
            clock=world.now,
            metrics=engine.metrics,
            loop_budget=LoopBudget(),
        )
        engine.reconcilers.update(reconcilers(shared, found))
        self._hidden: set[str] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """List everything, watch from then on, and begin a term."""
        objects = self.world.server.objects
        for kind in _KINDS:
            for path, body in tuple(objects.items()):
                if f"/{kind}/" in path:
                    self._take_over(path, body, deleted=False)
        self.world.server.watchers.append(self._changed)
        self.lead()

    def lead(self) -> None:
        """Begin a term."""
        self.engine.workers.begin_term()
        self._tasks = [asyncio.create_task(self.engine.workers.run())]

    async def stop_cleanly(self) -> None:
        """SIGTERM: nothing more is sent, what has begun is finished, the rest stays due. As the supervisor does it."""
        self.may_send = False
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self.engine.workers.drain()
        self.is_dead = True
        self.died.set()

    async def stand_by(self) -> None:
        """End the term: what has begun is finished, and the watches go on."""
        self.engine.workers.stop()
        await asyncio.gather(*self._tasks)

    async def end(self) -> None:
        """SIGKILL: nothing of it takes effect any more."""
        self.is_dead = True
        self.world.server.watchers.remove(self._changed)
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._gone.cancel()

    def hides(self, kind: str) -> None:
        """The watch of this kind is silent from now on."""
        self._hidden.add(kind)

    def poll(self) -> None:
        """Find what was changed in the bucket."""
        for key in tuple(self.engine.cache.certificates):
            self.engine.cache.reread(key)

    async def read(self, effect: Callable[[], _Answer]) -> _Answer:
        """Read something from the world."""
        await self._alive()
        await asyncio.sleep(_LATENCY)
        await self._alive()
        return effect()

    async def write(self, what: str, effect: Callable[[], _Answer]) -> _Answer:
        """Have a write or a send take effect, unless the process is killed before; it may be killed after it."""
        await self._alive()
        await asyncio.sleep(_LATENCY)
        await self._alive()
        self.count += 1
        number = self.count
        await self._ends_at(number, "before")
        self.world.before_write(what)
        self.world.writes.append(f"{what} {REFUSED}")
        refusal = self.world.refuses(what)
        if refusal is not None:
            raise refusal
        answer = effect()
        self.world.writes[-1] = what
        lost = self.world.loses_answer(what)
        await self._ends_at(number, "after")
        await asyncio.sleep(_LATENCY)
        await self._alive()
        if lost is not None:
            raise lost
        return answer

    async def _ends_at(self, number: int, side: Side) -> None:
        if self._kill == (number, side):
            self.is_dead = True
            self.died.set()
        await self._alive()

    async def _alive(self) -> None:
        if self.is_dead:
            await self._gone

    def _changed(self, path: str, body: Body, deleted: bool) -> None:
        taking = partial(self._take_over, path, copied(body), deleted=deleted)
        self._timers.append(asyncio.get_running_loop().call_later(_WATCH, taking))

    def _take_over(self, path: str, body: Body, *, deleted: bool) -> None:
        """As the informers do."""
        cache, metadata = self.engine.cache, body["metadata"]
        key, uid = ObjectKey(metadata["namespace"], metadata["name"]), metadata.get("uid", "")
        kind = path.split("/")[-2]
        if kind in self._hidden:
            return
        if kind == "secrets":
            cache.secret_changed(*key, "" if deleted else metadata["resourceVersion"])
            return
        places: dict[str, tuple[Callable[[Body], None], Callable[[ObjectKey, str], object]]] = {
            "clientcertificates": (cache.upsert_certificate, cache.remove_certificate),
            "certificatepolicies": (cache.policies.upsert, cache.policies.remove),
            "certificatestores": (cache.upsert_store, cache.remove_store),
            "certificaterenewals": (cache.renewals.upsert, cache.renewals.remove),
            "certificaterevocations": (cache.revocations.upsert, cache.revocations.remove),
        }
        if kind in places:
            upsert, remove = places[kind]
            remove(key, uid) if deleted else upsert(copied(body))

    def _bucket(self, namespace: str, name: str) -> Bucket | None:
        return self.engine.cache.bucket(namespace, name)


class _Link:
    """The calls of `KubeClient` that reconciles make."""

    def __init__(self, process: Process) -> None:
        self._process, self._server = process, process.world.server

    async def get(self, path: str) -> Body:
        await asyncio.sleep(self._process.world.read_seconds(path))
        return copied(await self._process.read(lambda: self._server.get(path)))

    async def get_secret(self, namespace: str, name: str) -> Body:
        return await self.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")

    async def create(self, path: str, content: Body) -> Body:
        if "dryRun" in path:
            return await self._process.read(lambda: self._server.create(path, content))
        if path == CERTIFICATE_REQUESTS:
            self._process.world.check_planned(content["metadata"]["name"])
        return copied(await self._process.write(f"POST {path}", lambda: self._server.create(path, content)))

    async def merge_patch(self, path: str, content: Body, *, metadata_only: bool = False) -> Body:
        del metadata_only
        return copied(await self._process.write(f"PATCH {path}", lambda: self._server.merge_patch(path, content)))

    async def delete(self, path: str, _uid: str) -> None:
        await self._process.write(f"DELETE {path}", lambda: self._server.delete(path))


@dataclass(frozen=True)
class _Sources:
    """Secrets, and the bucket."""

    secrets: SecretReader
    calls: StoreCalls

    async def read(self, namespace: str, ref: SourceRef) -> Content:
        if not isinstance(ref, S3Source):
            return await self.secrets.read(namespace, ref)
        store, key = ObjectKey(namespace, ref.store), ref.key
        return await self.calls.call(store, self.calls.bucket(store, key), lambda connection: connection.get(key))


@dataclass(frozen=True)
class _Connection:
    process: Process

    async def get(self, key: str) -> Content:
        def found() -> Content:
            if self.process.world.unreadable is not None:
                raise self.process.world.unreadable
            if key not in self.process.world.bucket:
                raise SourceError(Reason.SOURCE_NOT_FOUND, f"there is no object {key}")
            return Content(*self.process.world.bucket[key])

        return await self.process.read(found)

    async def put(self, key: str, body: bytes, version: str) -> None:
        def write() -> None:
            if self.process.world.bucket.get(key, (b"", ""))[1] != version:
                raise PreconditionFailedError(Reason.SOURCE_CHANGED, "it has another version")
            self.process.world.put_object(key, body)

        await self.process.write(f"PUT {key}", write)


@dataclass(frozen=True)
class _Connections:
    process: Process

    @asynccontextmanager
    async def connection_to(self, *_: object) -> AsyncIterator[_Connection]:
        yield _Connection(self.process)


@dataclass(frozen=True)
class _Mailbox:
    """The mail server."""

    process: Process
    _limit: Pace = field(default=Pace("mail", 0.2))

    def pace(self, _namespace: str, _channel: Channel, _kind: MessageKind) -> Pace:
        return self._limit

    async def notify(self, _channel: Channel, message: Message) -> Receipt:
        await asyncio.sleep(self.process.world.mail_seconds)
        [letter] = message.letters
        notice = message.about.renewal.occasion.split()[0] if message.about.renewal else ""
        mail = Mail(letter.key, letter.recipient.address, notice, letter.attachments, self.process.number, letter)
        await self.process.write(f"MAIL {notice}", lambda: self.process.world.mails.append(mail))
        return Receipt()


@dataclass(frozen=True)
class _Team:
    """The team's channel in Slack."""

    process: Process
    _limit: Pace = field(default=Pace("slack", 1.0))

    def pace(self, _namespace: str, _channel: Channel, _kind: MessageKind) -> Pace:
        return self._limit

    async def notify(self, _channel: Channel, message: Message) -> Receipt:
        await self.process.write("POST", lambda: self.process.world.posts.append(message.text))
        return Receipt()

    async def notify_digest(self, _channel: Channel, digest: Digest) -> Receipt:
        await self.process.write("POST MANY", lambda: self.process.world.digests.append(digest))
        return Receipt()
