"""Writes the status of a request, and keeps the record of it for its time."""

from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.api.kinds import CERTIFICATE_RENEWAL, CLIENT_CERTIFICATE
from clientcert.api.renewal import render_renewal_status
from clientcert.api.status import digest
from clientcert.cache.renewal_records import ObjectVersion, RenewalRecord, WholeRequest, parse_request, renewal_record
from clientcert.cache.renewals import RenewalCache
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.kube.status_writer import StatusWriter, Target
from clientcert.lifecycle.renewal.delivering import CIPHERTEXT_KEPT
from clientcert.lifecycle.renewal.spec import RenewalSpec
from clientcert.lifecycle.renewal.status import RenewalStatus
from clientcert.lifecycle.spec import ObjectKey
from clientcert.pki.der import shifted

RECORD_KEPT = timedelta(days=400)
"""A request that has ended is the record of who was given what, for this time."""


class RenewalWriter:
    """The one writer of CertificateRenewals' statuses."""

    def __init__(
        self, renewals: RenewalCache, statuses: StatusWriter, client: KubeClient, *, observe_only: bool = False
    ) -> None:
        """With `observe_only` neither a record nor a ciphertext is removed."""
        self._renewals = renewals
        self._statuses = statuses
        self._client = client
        self._observe_only = observe_only

    async def write(
        self, record: RenewalRecord, spec: RenewalSpec, status: RenewalStatus, waits_for: str
    ) -> RenewalRecord:
        """Write the status of exactly this version, if it says anything new; returns the record after it.

        Raises KubeError: `Conflict` if the object has changed.
        """
        content = render_renewal_status(status, record.generation, waits_for)
        status_hash = digest(content)
        if status_hash == record.status_hash:
            return record
        self._renewals.expect_status(record, status_hash)  # the watch event may arrive before the answer
        try:
            version = await self._statuses.write(
                Target(CERTIFICATE_RENEWAL, record.key, record.resource_version), content
            )
        except BaseException:
            self._renewals.expect_status(record, record.status_hash)
            raise
        accepted = ObjectVersion(record.key, record.uid, record.created, version, record.generation, status_hash)
        written = renewal_record(accepted, spec, status, waits_for)
        self._renewals.written(written)
        return written

    async def read_whole(self, key: ObjectKey) -> WholeRequest | None:
        """Take over the request as the API server has it now, and return it whole.

        None if it cannot be used, or is gone: then it is removed.
        """
        known = self._renewals.renewals.get(key)
        try:
            body = await self._client.get(CERTIFICATE_RENEWAL.item(*key))
        except KubeError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            if known is not None:
                self._renewals.remove(key, known.uid)
            return None
        self._renewals.replace(body)
        record = self._renewals.renewals.get(key)
        return None if record is None or record.problem else parse_request(body)

    async def read_certificate(self, key: ObjectKey) -> Object | None:
        """A ClientCertificate, as the API server has it; None if there is none."""
        try:
            return await self._client.get(CLIENT_CERTIFICATE.item(*key))
        except KubeError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise

    async def keep(self, record: RenewalRecord, now: datetime) -> datetime | None:
        """Remove the ciphertext and the record when their time is over; returns when that is."""
        due = None if self._observe_only else next_removal(record)
        if due is None or due > now:
            return due
        if record.ended is not None and now >= shifted(record.ended, RECORD_KEPT):
            return await self._delete(record, now)
        target = Target(CERTIFICATE_RENEWAL, record.key, record.resource_version)
        await self._statuses.write(target, {"ciphertext": None})
        return next_removal(replace(record, has_ciphertext=False))

    async def _delete(self, record: RenewalRecord, now: datetime) -> datetime | None:
        try:
            await self._client.delete(CERTIFICATE_RENEWAL.item(*record.key), record.uid)
        except KubeError as error:
            if error.reason is Reason.FORBIDDEN:
                return now + timedelta(days=1)  # the role for it is not bound
            if error.reason is not Reason.NOT_FOUND:
                raise
        return None


def next_removal(record: RenewalRecord) -> datetime | None:
    """The time when the ciphertext of a request that has ended is removed, or the request itself; None: it is open."""
    if record.ended is None:
        return None
    gone = shifted(record.ended, RECORD_KEPT)
    if record.delivered is None or not record.has_ciphertext:
        return gone
    return min(gone, shifted(record.delivered, CIPHERTEXT_KEPT))
