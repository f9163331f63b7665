"""The last known version of each CertificateRenewal. Every change is enqueued.

A request and its certificate concern each other: a change of one has both reconciled. The certificate comes after its
request has gone as far as it goes: a renewal that is done in one go costs one status of the certificate, and not six.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from clientcert.api.kinds import CERTIFICATE_RENEWAL, CLIENT_CERTIFICATE
from clientcert.cache.decoding import Body, is_newer, key_of, overwritten, with_uid
from clientcert.cache.renewal_records import RenewalRecord, decode_renewal
from clientcert.cache.request_index import RequestIndex
from clientcert.garbage_collection import unscanned_tuple
from clientcert.lifecycle.renewal.due_notices import WAITING_TOLD
from clientcert.lifecycle.renewal.status import State
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item, ItemsOf, WorkQueue

RENEWAL = CERTIFICATE_RENEWAL.name
"""The kind of items in the work queue."""
_CERTIFICATE = CLIENT_CERTIFICATE.name


class RenewalCache:
    """All requests. Use it from the event loop only."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self.index = RequestIndex()
        self.renewals: Mapping[ObjectKey, RenewalRecord] = self.index.records
        self._untold: set[ObjectKey] = set()
        """Requests whose certificate is still to be reconciled after them."""

    def upsert(self, body: Body) -> None:
        """Take over a CertificateRenewal from a watch; older versions are ignored."""
        if is_newer(body["metadata"]["resourceVersion"], self.renewals.get(key_of(body))):
            self._take_over(body)

    def replace(self, body: Body) -> None:
        """Take over an answer about a known object, even with a lower version; one that was removed stays removed."""
        if key_of(body) in self.renewals:
            self._take_over(body)

    def _take_over(self, body: Body) -> None:
        key = key_of(body)
        before = self.renewals.get(key)
        if before is not None and before.uid != body["metadata"]["uid"]:
            self.remove(key)
            before = None
        record = decode_renewal(before.key if before else key, body)
        self._put(record)
        if before is None or (before.generation, before.status_hash) != (record.generation, record.status_hash):
            self._untold.add(key)
            self._queue.enqueue(Item(RENEWAL, key))

    def remove(self, key: ObjectKey, uid: str = "") -> None:
        """Remove a CertificateRenewal, only if it has this `uid` (empty: any)."""
        record = with_uid(self.renewals, key, uid)
        if record is None:
            return
        self.index.remove(key)
        self._stopped_waiting(record)
        self._untold.discard(key)
        self._queue.enqueue(Item(RENEWAL, key))
        self._queue.enqueue(Item(_CERTIFICATE, ObjectKey(key.namespace, record.certificate)))

    def written(self, record: RenewalRecord) -> None:
        """Take over our own write that the API server has accepted."""
        if overwritten(self.renewals, record) is not None:
            self._put(record)
        if with_uid(self.renewals, record.key, record.uid) is not None:
            self._untold.add(record.key)  # also if a later version is known already

    def concerns_certificate(self, key: ObjectKey) -> None:
        """Have the certificate reconciled after this request, whether the request changes or not."""
        self._untold.add(key)

    def reconciled(self, key: ObjectKey) -> None:
        """Enqueue the certificate of a request that has changed, now that its reconcile has ended."""
        record = self.renewals.get(key)
        if key in self._untold and record is not None:
            self._queue.enqueue(Item(_CERTIFICATE, ObjectKey(key.namespace, record.certificate)))
        self._untold.discard(key)
        if not self._untold:
            self._untold.clear()  # an empty set keeps the memory of its largest size

    def expect_status(self, record: RenewalRecord, status_hash: bytes) -> None:
        """Note the hash of a status that is being written, so that its watch event is not taken for a change."""
        current = self.renewals.get(record.key)
        if current is not None and current.uid == record.uid:
            self.index.put(replace(current, status_hash=status_hash))

    def certificate_changed(self, certificate: ObjectKey) -> tuple[ObjectKey, ...]:
        """Enqueue the requests about this certificate that are not done with; returns their keys.

        They are open, or somebody was not told of them, or their old certificate may be retired.
        """
        concerned = (*self.index.following_policy(certificate), *self.index.retirable_of(certificate))
        for key in concerned:
            self._queue.enqueue(Item(RENEWAL, key))
        return concerned

    def enqueue_all(self, keys: Iterable[ObjectKey]) -> None:
        """Have many requests reconciled."""
        self._queue.enqueue_all(ItemsOf(RENEWAL, unscanned_tuple(keys, len(self.renewals))))

    def _put(self, record: RenewalRecord) -> None:
        before = self.renewals.get(record.key)
        self.index.put(record)
        if before is not None and record.state is not before.state:
            self._stopped_waiting(before)

    def _stopped_waiting(self, before: RenewalRecord) -> None:
        """If it has waited for approval, the next one about its certificate may be told."""
        if before.state is State.AWAITING_APPROVAL:
            certificate = ObjectKey(before.key.namespace, before.certificate)
            following = self.index.waiting_at(certificate, WAITING_TOLD - 1)
            if following is not None:
                self._queue.enqueue(Item(RENEWAL, following))
