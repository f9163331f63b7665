"""The last known version of each of our objects, and the references between them.

Every change is enqueued in the work queue. Everything here can be read again from the API server.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.api.policy import default_policy
from clientcert.cache.decoding import (
    Body,
    decode_certificate,
    decode_store,
    is_newer,
    key_of,
    next_configuration,
    overwritten,
    with_uid,
)
from clientcert.cache.objects import CertificateRecord, PolicyRecord, StoreRecord
from clientcert.cache.policies import POLICY, PolicyCache
from clientcert.cache.reference_index import ReferenceIndex
from clientcert.cache.renewals import RenewalCache
from clientcert.cache.revocations import RevocationCache
from clientcert.cache.serial_index import SerialIndex
from clientcert.cache.watched_objects import WatchedObjects
from clientcert.garbage_collection import unscanned_tuple
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.renewal.former_cas import FormerCas
from clientcert.lifecycle.spec import Bucket, ObjectKey, S3Source, SecretKeyRef, SecretSource
from clientcert.workqueue.work_queue import Item, ItemsOf, WorkQueue

CERTIFICATE = CLIENT_CERTIFICATE.name
"""The kind of its items in the work queue. CertificateStores are polled by a timer."""
CERTIFICATE_TEST = f"{CERTIFICATE} test alert"
"""The kind of the items for its test alerts."""


class ObjectCache:
    """All records. Use it from the event loop only."""

    def __init__(self, queue: WorkQueue, fallback: Channel | None = None) -> None:
        """`fallback` is the operator's own channel."""
        self._queue = queue
        self._references = ReferenceIndex()
        self._changed_sources: dict[ObjectKey, str] = {}
        """Certificates whose source may have changed, and the new resourceVersion of their Secret, if known."""
        self._read_versions: dict[ObjectKey, str] = {}
        """The resourceVersion of the Secret that each certificate was last read from; none: read it again."""
        self._read_password_versions: dict[ObjectKey, str] = {}
        """The same of the Secret with the password, if it is another one."""
        self._being_written: dict[ObjectKey, CertificateRecord] = {}
        """ClientCertificates whose status is being written, as they will be."""
        self.default_policy = default_policy(fallback)
        self.certificates: dict[ObjectKey, CertificateRecord] = {}
        self.serials = SerialIndex(self.certificates)
        self.stores: dict[ObjectKey, StoreRecord] = {}
        self.watched = WatchedObjects(self.certificates)
        self.renewals = RenewalCache(queue)
        self.revocations = RevocationCache(queue)
        self.policies = PolicyCache(queue, self._references, self.revocations, fallback)

    # ClientCertificates

    def upsert_certificate(self, body: Body) -> None:
        """Take over a ClientCertificate from a watch; older versions and our own writes are ignored."""
        if is_newer(body["metadata"]["resourceVersion"], self.certificates.get(key_of(body))):
            self._put_certificate(body)

    def replace_certificate(self, body: Body) -> None:
        """Take over an answer about a known object, even with a lower version: a restore of etcd lowers versions.

        One that was removed before the answer came stays removed, of every kind.
        """
        if key_of(body) in self.certificates:
            self._put_certificate(body)

    def _put_certificate(self, body: Body) -> None:
        key = key_of(body)
        before = self.certificates.get(key)
        if before is not None and before.uid != body["metadata"]["uid"]:
            self.remove_certificate(key)
            before = None
        expected = self._being_written.get(key) if before is not None else None
        record = decode_certificate(before.key if before else key, body, before, expected)
        self.certificates[key] = record
        if record.test != (before.test if before is not None else None):
            self._queue.enqueue(Item(CERTIFICATE_TEST, key))
        self._serial_changed(before, record)
        if before is not None and before.generation == record.generation:
            hold_ended = before.held_until is not None and record.held_until is None
            if hold_ended or record.status_hash not in {before.status_hash, expected.status_hash if expected else b""}:
                self.enqueue(key)
            return
        if self.watched.index.is_used:
            self.watched.change(before, record)
        if before is not None:
            self._references.remove(before)
            if self.renewals.renewals:
                self.renewals.certificate_changed(key)
        self._references.add(record)
        self.reread(record.key)

    def remove_certificate(self, key: ObjectKey, uid: str = "") -> bool:
        """Remove a ClientCertificate, only if it has this `uid` (empty: any); returns True if it was removed."""
        record = with_uid(self.certificates, key, uid)
        if record is None:
            return False
        self._references.remove(record)
        self._changed_sources.pop(key, None)
        self._read_versions.pop(key, None)
        self._read_password_versions.pop(key, None)
        self._being_written.pop(key, None)
        self._serial_changed(record, None)
        if self.watched.index.is_used:
            self.watched.change(record, None)
        del self.certificates[key]
        self._queue.enqueue(Item(CERTIFICATE, key))  # its reconciler cleans up
        if record.test is not None:
            self._queue.enqueue(Item(CERTIFICATE_TEST, key))  # the same
        self.renewals.certificate_changed(key)
        return True

    def begin_status_write(self, wanted: CertificateRecord) -> None:
        """Note the status that is being written: its watch event may come before the answer, and is no change."""
        self._being_written[wanted.key] = wanted

    def status_write_failed(self, key: ObjectKey) -> None:
        """The status was not written."""
        self._being_written.pop(key, None)

    def certificate_status_written(self, written: CertificateRecord) -> None:
        """Take over our own write that the API server has accepted."""
        self._being_written.pop(written.key, None)
        before = overwritten(self.certificates, written)
        if before is not None:  # the write was for exactly the version before, so nothing else has changed
            record = written if written.held_until is None else replace(written, held_until=None)
            self.certificates[written.key] = record
            self._serial_changed(before, record)

    def certificate_test_written(self, written: CertificateRecord) -> None:
        """Take over our own write of `status.test` that the API server has accepted."""
        before = overwritten(self.certificates, written)
        if before is not None:
            self.certificates[written.key] = replace(
                before, resource_version=written.resource_version, test=written.test
            )

    def enqueue(self, key: ObjectKey) -> None:
        """Enqueue a ClientCertificate in the work queue."""
        self._queue.enqueue(Item(CERTIFICATE, key), self.urgency(key))

    def enqueue_all(self, keys: Iterable[ObjectKey]) -> None:
        """Have many ClientCertificates reconciled."""
        self._queue.enqueue_all(ItemsOf(CERTIFICATE, unscanned_tuple(keys, len(self.certificates))))

    def urgency(self, key: ObjectKey) -> float:
        """The time of expiry by its status, in seconds since the epoch; infinite if unknown. The lowest is first."""
        record = self.certificates.get(key)
        accepted = record.status.accepted if record else None
        if accepted is None:
            return math.inf
        return (accepted.ends_first.time if accepted.ends_first else accepted.not_after).timestamp()

    def enqueue_serial(self, namespace: str, issuer_dn: str, serial_number: str) -> None:
        """Enqueue the ClientCertificates with this certificate, and their open requests; `serials` must be filled."""
        for key in self.serials.with_serial(namespace, issuer_dn, serial_number):
            self.enqueue(key)
            self.renewals.certificate_changed(key)

    def _serial_changed(self, before: CertificateRecord | None, after: CertificateRecord | None) -> None:
        """A request about a certificate may have waited until no other ClientCertificate has it."""
        if self.serials.index.is_used:
            for key in self.serials.change(before, after):
                self.renewals.certificate_changed(key)

    def policy_of(self, record: CertificateRecord) -> PolicyRecord | None:
        """The policy that its spec names; None if it names none, or a missing one: then the defaults are used."""
        return self.policies.policies.get(ObjectKey(record.key.namespace, record.spec.policy))

    def former_cas(self, record: CertificateRecord) -> FormerCas | None:
        """The former CAs of its policy; None until they were read."""
        return self.policies.former_cas(ObjectKey(record.key.namespace, record.spec.policy))

    def slack_token_ref(self, key: ObjectKey) -> SecretKeyRef | None:
        """The Slack token for letters to the certificate's contact, as its policy names it."""
        record = self.certificates.get(key)
        found = self.policy_of(record) if record else None
        return found.policy.contacts.slack_token_ref if found else None

    def bucket(self, namespace: str, name: str) -> Bucket | None:
        """The bucket of a store; None if the store is not known, or its spec cannot be used."""
        record = self.stores.get(ObjectKey(namespace, name))
        return record.bucket if record else None

    def lacks_references(self, record: CertificateRecord) -> bool:
        """True if the spec names a policy or a store that the cache does not contain."""
        spec, namespace = record.spec, record.key.namespace
        if spec.policy and ObjectKey(namespace, spec.policy) not in self.policies.policies:
            return True
        return isinstance(spec.source, S3Source) and ObjectKey(namespace, spec.source.store) not in self.stores

    # Sources

    def reread(self, key: ObjectKey, version: str = "") -> None:
        """Have the source of this certificate read again, unless it was last read in `version`."""
        self._changed_sources[key] = version if self._changed_sources.get(key, version) == version else ""
        self.enqueue(key)

    def renewed(self, renewal: ObjectKey, certificate: ObjectKey) -> None:
        """The source holds what this request has brought: it is read after the request was reconciled."""
        if certificate in self.certificates:
            self._changed_sources[certificate] = ""
        self.renewals.concerns_certificate(renewal)

    def reread_all(self, keys: Iterable[ObjectKey]) -> None:
        """The sources of these certificates may hold something else: have them read."""
        wanted = unscanned_tuple((key for key in keys if key in self.certificates), len(self.certificates))
        for key in wanted:
            self._changed_sources[key] = ""
        self.enqueue_all(wanted)

    def take_source_change(self, key: ObjectKey) -> bool:
        """True if `reread` was called since the last call of this, and its version was not read already."""
        change = self._changed_sources.pop(key, None)
        if not self._changed_sources:
            self._changed_sources.clear()  # only this gives back its memory: after a start all certificates are in it
        return change is not None and (not change or change != self._read_versions.get(key))

    def is_unread(self, key: ObjectKey) -> bool:
        """True if the source may have changed, and no read has begun since."""
        return key in self._changed_sources

    def source_was_read(self, key: ObjectKey, version: str, password_version: str) -> None:
        """Note the versions of the Secrets with the certificate and with its password.

        Empty: there is none, or it is read again with the next list of Secrets.
        """
        for versions, found in ((self._read_versions, version), (self._read_password_versions, password_version)):
            if found:
                versions[key] = found
            else:
                versions.pop(key, None)

    # CertificateStores

    def upsert_store(self, body: Body) -> None:
        """Take over a CertificateStore, unless a newer version of it is known."""
        if is_newer(body["metadata"]["resourceVersion"], self.stores.get(key_of(body))):
            self._put_store(body)

    def replace_store(self, body: Body) -> None:
        """Take over an answer about a known object, even with a lower version."""
        if key_of(body) in self.stores:
            self._put_store(body)

    def _put_store(self, body: Body) -> None:
        """After a change of its spec its certificates are read again."""
        key = key_of(body)
        before = self.stores.get(key)
        record = self.stores[key] = decode_store(key, body, before)
        if before is None or before.configuration != record.configuration:
            credentials = record.bucket.credentials_secret if record.bucket else ""
            self._references.set_secrets("store", key, frozenset({credentials}) - {""})
            self.reread_all(self.referring("store", key))

    def remove_store(self, key: ObjectKey, uid: str = "") -> None:
        """Remove a CertificateStore, only if it has this `uid` (empty: any); its certificates are read as missing."""
        if with_uid(self.stores, key, uid) is not None:
            del self.stores[key]
            self._references.set_secrets("store", key, frozenset())
            self.reread_all(self.referring("store", key))

    def store_status_written(self, written: StoreRecord) -> None:
        """Take over our own write that the API server has accepted."""
        before = overwritten(self.stores, written)
        if before is not None:
            self.stores[written.key] = replace(
                before,
                resource_version=written.resource_version,
                conditions=written.conditions,
                status_hash=written.status_hash,
                outcome=written.outcome,
            )

    # Secrets

    def secret_changed(self, namespace: str, name: str, version: str) -> None:
        """A Secret has this resourceVersion, or is gone (empty).

        Enqueue the certificates that were not read from that version, and the policies that were not told of it; a
        store has its credentials read with its next call.
        """
        secret = ObjectKey(namespace, name)
        for key in self.referring("secret", secret):
            source = self.certificates[key].spec.source
            is_own = isinstance(source, SecretSource) and source.name == name
            read = (self._read_versions if is_own else self._read_password_versions).get(key)
            if not version or version != read:
                self.reread(key, version if is_own else "")
        users = self._references.users(secret)
        known = self._references.note_version(secret, version) if users else None
        for kind, user in users if version != known else ():
            if kind == POLICY:
                self.policies.secret_changed(user)
            elif kind != POLICY and user in self.stores:
                self.stores[user] = replace(self.stores[user], configuration=next_configuration())

    def secrets_wanted(self, namespace: str) -> Iterator[tuple[str, str]]:
        """Namespace and name of each Secret that an object here (empty: anywhere) refers to; some are there twice.

        They may be 100,000: pass over them in more than one iteration of the event loop.
        """
        return self._references.secrets(namespace)

    # References

    def client_list_changed(self, client_list: ObjectKey) -> None:
        """Enqueue the certificates of a changed client list: it may contain new or corrected contacts."""
        for key, record in self.policies.policies.items():
            if (key.namespace, record.policy.contacts.directory) == client_list:
                self.enqueue_all(self.certificates_of(key))

    def referring(self, kind: str, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """The certificates whose spec names this `secret`, `policy` or `store`."""
        return self._references.certificates(kind, key)

    def certificates_of(self, policy: ObjectKey) -> tuple[ObjectKey, ...]:
        """The certificates that name this policy; without a name: all certificates."""
        if policy.name:
            return self.referring("policy", policy)
        return unscanned_tuple(self.certificates)

    def count_certificates_of(self, policy: ObjectKey) -> int:
        """The number of certificates in `certificates_of`."""
        return self.count_referring("policy", policy) if policy.name else len(self.certificates)

    def count_referring(self, kind: str, key: ObjectKey) -> int:
        """The number of certificates in `referring`."""
        return self._references.count(kind, key)
