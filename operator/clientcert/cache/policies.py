"""The last known version of each CertificatePolicy. Every change is enqueued in the work queue."""

import math
from dataclasses import replace

from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE
from clientcert.cache.decoding import Body, decode_policy, is_newer, key_of, next_configuration, overwritten, with_uid
from clientcert.cache.objects import PolicyRecord
from clientcert.cache.reference_index import ReferenceIndex, secrets_of, secrets_of_renewal
from clientcert.cache.revocations import RevocationCache
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.renewal.former_cas import FormerCas
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item, ItemsOf, WorkQueue

POLICY = CERTIFICATE_POLICY.name
"""The kind of its items in the work queue."""
POLICY_TEST = f"{POLICY} test alert"
"""The kind of the items for its test alerts."""


class PolicyCache:
    """All CertificatePolicies. Use it from the event loop only."""

    def __init__(
        self, queue: WorkQueue, references: ReferenceIndex, revocations: RevocationCache, fallback: Channel | None
    ) -> None:
        """`fallback` is the operator's own channel."""
        self._queue = queue
        self._references = references
        self._revocations = revocations
        self._fallback = fallback
        self.policies: dict[ObjectKey, PolicyRecord] = {}
        self._former_cas: dict[ObjectKey, FormerCas | None] = {}
        """The CAs whose certificates each renews at any time, as they do not sign any more. None: unreadable."""

    def upsert(self, body: Body) -> None:
        """Take over a CertificatePolicy, unless a newer version of it is known."""
        if is_newer(body["metadata"]["resourceVersion"], self.policies.get(key_of(body))):
            self._put(body)

    def replace(self, body: Body) -> None:
        """Take over an answer about a known object, even with a lower version; one that was removed stays removed."""
        if key_of(body) in self.policies:
            self._put(body)

    def _put(self, body: Body) -> None:
        key = key_of(body)
        before = self.policies.get(key)
        record = self.policies[key] = decode_policy(key, body, before, self._fallback)
        self._references.set_secrets(POLICY, key, secrets_of(record.policy) | secrets_of_renewal(record.renewal))
        if record.test != (before.test if before is not None and before.uid == record.uid else None):
            self._queue.enqueue(Item(POLICY_TEST, key))
        if before is None or before.configuration != record.configuration:
            if record.renewal:
                self._revocations.needs_lists(key.namespace, {record.renewal.issuer.name})
            self._enqueue(key, record, before)

    def enqueue_all(self, namespace: str = "") -> None:
        """Enqueue the CertificatePolicies of a namespace (empty: of all), and the revocation lists there."""
        found = [key for key in self.policies if namespace in {"", key.namespace}]
        for key in found:
            self._queue.enqueue(Item(POLICY, key), -math.inf)
        self._revocations.enqueue_lists(key.namespace for key in found if self.policies[key].renewal)

    def remove(self, key: ObjectKey, uid: str = "") -> None:
        """Remove a CertificatePolicy, only if it has this `uid` (empty: any); its certificates use the defaults."""
        record = with_uid(self.policies, key, uid)
        if record is not None:
            del self.policies[key]
            self._former_cas.pop(key, None)
            self._references.set_secrets(POLICY, key, frozenset())
            self._enqueue(key, record)
            if record.test is not None:
                self._queue.enqueue(Item(POLICY_TEST, key))  # its reconciler cleans up

    def secret_changed(self, key: ObjectKey) -> None:
        """Enqueue a policy, one of whose Secrets has changed."""
        if key in self.policies:
            self.policies[key] = replace(self.policies[key], configuration=next_configuration())
            self._enqueue(key, self.policies[key])

    def _enqueue(self, key: ObjectKey, *versions: PolicyRecord | None) -> None:
        """Enqueue it, and the revocation lists of its namespace if it names a CA, or did."""
        self._queue.enqueue(Item(POLICY, key), -math.inf)
        if any(each is not None and each.renewal for each in versions):
            self._revocations.enqueue_lists([key.namespace])

    def that_renew(self, namespace: str) -> list[ObjectKey]:
        """The policies of a namespace that name a CA."""
        return [key for key, each in self.policies.items() if key.namespace == namespace and each.renewal]

    def note_former_cas(self, key: ObjectKey, found: FormerCas | None) -> None:
        """Take over a policy's former CAs (None: unreadable); if they are others, its certificates are enqueued."""
        before, self._former_cas[key] = self._former_cas.get(key, FormerCas()), found
        if found is not None and before != found:
            concerned = self._references.certificates("policy", key)
            self._queue.enqueue_all(ItemsOf(CLIENT_CERTIFICATE.name, tuple(concerned)))

    def former_cas(self, key: ObjectKey) -> FormerCas | None:
        """The former CAs of a policy; None until they were read."""
        return self._former_cas.get(key)

    def status_written(self, written: PolicyRecord) -> None:
        """Take over our own write that the API server has accepted."""
        before = overwritten(self.policies, written)
        if before is not None:
            self.policies[written.key] = replace(
                before,
                resource_version=written.resource_version,
                conditions=written.conditions,
                digests=written.digests,
                status_hash=written.status_hash,
            )

    def test_written(self, written: PolicyRecord) -> None:
        """Take over our own write of `status.test` that the API server has accepted."""
        before = overwritten(self.policies, written)
        if before is not None:
            self.policies[written.key] = replace(before, resource_version=written.resource_version, test=written.test)
