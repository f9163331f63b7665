"""Reconciles a CertificateRevocation: it is put on the lists of its namespace, and its status says so."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.api.kinds import CERTIFICATE_REVOCATION
from clientcert.api.status import digest, render_conditions
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.renewal_records import RevocationRecord
from clientcert.cache.revocations import REVOCATION, ListState
from clientcert.controllers.certificate_revocation.conditions import conclusions
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.status_writer import StatusWriter, Target
from clientcert.lifecycle.conditions import carried_over
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.spec import RevocationSpec
from clientcert.lifecycle.spec import ObjectKey
from clientcert.pki.der import shifted
from clientcert.workqueue.work_queue import Item, WorkQueue

_SECOND = timedelta(seconds=1)


class RevocationReconciler:
    """Called by the workers, never for the same revocation twice at once."""

    def __init__(
        self,
        cache: ObjectCache,
        queue: WorkQueue,
        statuses: StatusWriter,
        client: KubeClient,
        clock: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._statuses = statuses
        self._client = client
        self._clock = clock
        self._seen: dict[ObjectKey, str] = {}
        """The uid of each revocation whose certificates were enqueued."""

    def begin_term(self) -> None:
        """Enqueue all revocations; the pass over their lists enqueues them again."""
        known = self._cache.revocations.revocations
        self._seen = {key: uid for key, uid in self._seen.items() if key in known}
        self._queue.enqueue_all([Item(REVOCATION, key) for key in known])

    def urgency(self, key: ObjectKey) -> float:  # noqa: ARG002
        """Return an urgency before all certificates: what is revoked must be refused soon."""
        return -1.0

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Have it put on the lists, and write the conditions that say so; returns when its certificate ends."""
        await self._cache.serials.fill()
        record = self._cache.revocations.revocations.get(key)
        if record is None or record.spec is None:
            self._seen.pop(key, None)
            self._cache.revocations.enqueue_lists([key.namespace])
            return None
        states, now = self._cache.revocations.lists(key.namespace), self._clock()
        if self._seen.get(key) != record.uid:
            self._seen[key] = record.uid
            self._enqueue_certificates(key.namespace, record.spec, states or ())
        found = conclusions(record.spec, states, now) if states is not None else ()
        if not found:
            self._cache.revocations.enqueue_lists([key.namespace])
        if found and not await self._write(record, found):
            return now
        return shifted(record.spec.not_after, _SECOND) if record.spec.not_after >= now else None

    def _enqueue_certificates(self, namespace: str, spec: RevocationSpec, states: tuple[ListState, ...]) -> None:
        """Have the certificate's own status say it, and its alerts; people may write the issuer in another form."""
        names = [spec.issuer_dn, *(dn for each in states if each.is_about(spec.issuer_dn) for dn in each.issuer_dns)]
        for issuer_dn in dict.fromkeys(names):
            self._cache.enqueue_serial(namespace, issuer_dn, spec.serial_number)

    async def _write(self, record: RevocationRecord, found: tuple[Condition, ...]) -> bool:
        """Write the status, if it says anything new; False if the object has changed meanwhile."""
        conditions = tuple(carried_over(each, record.conditions, self._clock()) for each in found)
        status = render_conditions(conditions, record.generation)
        status_hash = digest(status)
        if status_hash == record.status_hash:
            return True
        try:
            target = Target(CERTIFICATE_REVOCATION, record.key, record.resource_version)
            version = await self._statuses.write(target, status)
        except KubeError as error:
            if error.reason is Reason.NOT_FOUND:
                return True
            if error.reason is not Reason.CONFLICT:
                raise
            self._cache.revocations.replace(await self._client.get(CERTIFICATE_REVOCATION.item(*record.key)))
            return False
        written = replace(record, resource_version=version, conditions=conditions, status_hash=status_hash)
        self._cache.revocations.written(written)
        return True
