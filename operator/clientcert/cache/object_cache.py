"""What the operator remembers of each object between two looks: the last the API server said, and what was seen since.

Everything here can be had again from the API server and the sources, but for what was sent and not yet recorded.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from clientcert.api.client_certificate import parse_bucket
from clientcert.api.policy import default_policy, parse_digests, parse_policy
from clientcert.api.status import digest, parse_status
from clientcert.cache.decoding import Body, created_of, declaration_of, is_newer, recorded_of
from clientcert.cache.objects import CertificateRecord, PolicyRecord, StoreRecord
from clientcert.cache.reference_index import References, secrets_of
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.conditions import of_somebody_else, stood_in
from clientcert.lifecycle.contacts import contact_key
from clientcert.lifecycle.policy import AlertPolicy, Channel
from clientcert.lifecycle.spec import ObjectKey


@dataclass(slots=True)
class ObjectCache:
    """All records, and who refers to whom. `wake` is called with the key of each certificate to look at again."""

    wake: Callable[[ObjectKey], None]
    mended: Callable[[ObjectKey], None] = lambda _: None
    """Called with the key of each certificate whose channels may be reached in another way from now on."""
    default_channel: Channel | None = None
    certificates: dict[ObjectKey, CertificateRecord] = field(default_factory=dict)
    policies: dict[ObjectKey, PolicyRecord] = field(default_factory=dict)
    stores: dict[ObjectKey, StoreRecord] = field(default_factory=dict)
    default_policy: AlertPolicy = field(init=False)
    _references: References = field(default_factory=References)

    def __post_init__(self) -> None:
        self.default_policy = default_policy(self.default_channel)

    def upsert_certificate(self, body: Body) -> None:
        """Take over what the API server says of a ClientCertificate; echoes of our own writes fall through."""
        metadata = body["metadata"]
        key = ObjectKey(metadata["namespace"], metadata["name"])
        before = self.certificates.get(key)
        if before is None or is_newer(metadata["resourceVersion"], before.resource_version):
            self.take_over_certificate(body)

    def take_over_certificate(self, body: Body) -> None:
        """The same, for what the API server has just answered in person: versions go back when etcd is restored."""
        metadata = body["metadata"]
        key = ObjectKey(metadata["namespace"], metadata["name"])
        before = self.certificates.get(key)
        if before is not None and before.uid == metadata["uid"]:
            self._update(before, body)
        else:
            self.remove_certificate(key)
            self._insert(key, body)

    def remove_certificate(self, key: ObjectKey, uid: str = "") -> bool:
        """Forget a ClientCertificate, and whether it was known. With `uid` only that one: a namesake is another one."""
        record = self.certificates.get(key)
        if record is None or not _is(record, uid):
            return False
        del self.certificates[key]
        self._references.remove(record)
        return True

    def upsert_policy(self, body: Body) -> ObjectKey | None:
        """Take over a CertificatePolicy; returns its key if it says something new."""
        metadata = body["metadata"]
        key = ObjectKey(metadata["namespace"], metadata["name"])
        before = self.policies.get(key)
        if before is not None and not is_newer(metadata["resourceVersion"], before.resource_version):
            return None
        status = body.get("status") or {}
        policy = parse_policy(body.get("spec") or {}, self.default_channel)
        self.policies[key] = PolicyRecord(
            key=key,
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
            generation=metadata["generation"],
            policy=policy,
            conditions=parse_status(status).conditions,
            status_digest=digest({name: value for name, value in status.items() if name != "digests"}),
            digests=parse_digests(status),
        )
        self._references.needs("policy", key, secrets_of(policy))
        if before is None or before.generation != metadata["generation"] or before.uid != metadata["uid"]:
            self._wake_all("policy", key)
            return key
        return None

    def remove_policy(self, key: ObjectKey, uid: str = "") -> None:
        """Forget a CertificatePolicy (of that `uid`); its certificates go on with the defaults."""
        if _is(self.policies.get(key), uid):
            del self.policies[key]
            self._references.needs("policy", key, frozenset())
            self._wake_all("policy", key)

    def upsert_store(self, body: Body) -> None:
        """Take over a CertificateStore; if it says something new, it is polled at once."""
        metadata = body["metadata"]
        key = ObjectKey(metadata["namespace"], metadata["name"])
        before = self.stores.get(key)
        if before is not None and not is_newer(metadata["resourceVersion"], before.resource_version):
            return
        status = body.get("status") or {}
        if before is not None and before.uid == metadata["uid"] and before.generation == metadata["generation"]:
            before.resource_version = metadata["resourceVersion"]
            before.conditions = parse_status(status).conditions
            before.status_digest = digest(status)
            return
        bucket, problem = None, None
        try:
            bucket = parse_bucket(body["spec"])
        except ClientCertError as error:
            problem = error
        self.stores[key] = StoreRecord(
            key=key,
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
            generation=metadata["generation"],
            bucket=bucket,
            problem=problem,
            conditions=parse_status(status).conditions,
            status_digest=digest(status),
        )
        self._references.needs("store", key, frozenset({bucket.credentials_secret} if bucket else ()) - {""})
        self._reread(self.referring("store", key))

    def remove_store(self, key: ObjectKey, uid: str = "") -> None:
        """Forget a CertificateStore (of that `uid`); its certificates are missing from now on."""
        if _is(self.stores.get(key), uid):
            del self.stores[key]
            self._references.needs("store", key, frozenset())
            self._reread(self.referring("store", key))

    def secret_changed(self, namespace: str, name: str, resource_version: str) -> None:
        """A Secret has this resourceVersion, or is gone (empty). That which was told before is no news."""
        key = ObjectKey(namespace, name)
        certificates, users = self.referring("secret", key), self._references.users(key)
        if not certificates and not users:
            return
        known = self._references.tell(key, resource_version)
        for certificate_key in certificates:
            record = self.certificates[certificate_key]
            if not resource_version or resource_version not in {known, record.revision}:
                self.mark_stale(certificate_key)
        for what, user in users if resource_version != known else ():
            if what == "policy":
                self.retry_failing(user)
            elif user in self.stores:
                self.stores[user].next_poll = None

    def secrets_wanted(self, namespace: str) -> set[tuple[str, str]]:
        """Namespace and name of the Secrets that something in this namespace (empty: in any) refers to."""
        return self._references.secrets(namespace)

    def retry_failing(self, policy: ObjectKey) -> None:
        """What certificates of this policy could not send is tried again now."""
        for certificate_key in self.referring("policy", policy):
            self._tell_anew(self.certificates[certificate_key])

    def _tell_anew(self, record: CertificateRecord) -> None:
        if record.failing or (record.contact is not None and not record.contact.resolved):
            record.failing = None
            self.wake(record.key)
        self.mended(record.key)

    def try_again(self, namespace: str = "", *, refused: bool = False) -> None:
        """What the API server did not answer, or `refused`, in a namespace (empty: in any) is asked for again now."""
        again = {Reason.SOURCE_UNAVAILABLE, *((Reason.ACCESS_DENIED,) if refused else ())}
        for record in tuple(self.certificates.values()):
            if namespace not in {"", record.key.namespace}:
                continue
            failing = record.failing or {}
            others = {name: f for name, f in failing.items() if f.reason is not Reason.API_UNAVAILABLE}
            if record.read_failure in again:
                self.mark_stale(record.key)
            if len(others) < len(failing):
                record.failing = others or None
                self.wake(record.key)

    def referring(self, what: str, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """The certificates whose spec names this `secret`, `policy` or `store`."""
        return self._references.certificates(what, key)

    def members(self, policy: ObjectKey) -> int:
        """How many certificates have this policy; without a name: how many there are, whatever they have."""
        return self._references.count("policy", policy) if policy.name else len(self.certificates)

    def client_list_changed(self, client_list: ObjectKey) -> None:
        """It says something else than before: contacts that were asked for, or corrected, may be in it."""
        for key, found in self.policies.items():
            if (key.namespace, found.policy.contacts.directory) == client_list:
                for certificate_key in self.referring("policy", key):
                    self.wake(certificate_key)

    def mark_stale(self, key: ObjectKey) -> None:
        """The source of this certificate is to be read again."""
        record = self.certificates.get(key)
        if record is not None:
            record.stale, record.read_again = True, None
            self.wake(key)

    def urgency(self, key: ObjectKey) -> float:
        """When it expires, in seconds since the epoch, as far as its status says so: the lower, the more urgent."""
        record = self.certificates.get(key)
        accepted = record.recorded.accepted if record else None
        return accepted.not_after.timestamp() if accepted else math.inf

    def clock_was_set(self) -> None:
        """Whatever waits for a time waits no longer."""
        for record in self.certificates.values():
            record.failing, record.read_again = None, None
        for store in self.stores.values():
            store.next_poll = None

    def _insert(self, key: ObjectKey, body: Body) -> None:
        metadata, status = body["metadata"], body.get("status") or {}
        declaration, spec_problem = declaration_of(body.get("spec") or {})
        recorded = recorded_of(status, metadata["generation"])
        record = CertificateRecord(
            key=key,
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
            generation=metadata["generation"],
            created=created_of(metadata),
            declaration=declaration,
            spec_problem=spec_problem,
            recorded=recorded,
            status_digest=digest(status),
            stood_in=stood_in(recorded),
        )
        self.certificates[key] = record
        self._references.add(record)
        self.wake(key)

    def _update(self, record: CertificateRecord, body: Body) -> None:
        """The same object: what was seen of its source and what was sent stays true, unless the spec has changed."""
        metadata, status = body["metadata"], body.get("status") or {}
        record.resource_version = metadata["resourceVersion"]
        found = digest(status)
        if found != record.status_digest:
            before, record.recorded = record.recorded, recorded_of(status, metadata["generation"])
            record.status_digest = found
            # What another has recorded since is newer than what was sent here and could not be recorded.
            unrecorded = (record.sent or {}).items()
            kept = {name: sent for name, sent in unrecorded if record.recorded.channel(name) == before.channel(name)}
            if len(kept) < len(unrecorded):
                record.sent = kept or None
            self.wake(record.key)
        if metadata["generation"] != record.generation:
            self._references.remove(record)
            record.generation = metadata["generation"]
            was_declared = record.declaration
            record.declaration, record.spec_problem = declaration_of(body.get("spec") or {})
            if contact_key(was_declared) != contact_key(record.declaration):
                record.recipients, record.stood_in = (), None
                record.recorded = of_somebody_else(record.recorded)
            record.observation, record.revision, record.failing = None, "", None
            self._references.add(record)
            self.mark_stale(record.key)

    def _wake_all(self, what: str, key: ObjectKey) -> None:
        for certificate_key in self.referring(what, key):
            record = self.certificates[certificate_key]
            self._tell_anew(record)
            self.wake(certificate_key)

    def _reread(self, keys: tuple[ObjectKey, ...]) -> None:
        for key in keys:
            self.mark_stale(key)


def _is(record: CertificateRecord | PolicyRecord | StoreRecord | None, uid: str) -> bool:
    """Whether there is one, and it is the one of that uid; an empty one says any."""
    return record is not None and uid in {"", record.uid}
