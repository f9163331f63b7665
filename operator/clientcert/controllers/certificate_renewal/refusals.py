"""Counts the refusals that are told about each certificate: a few a day, also of requests that come at once."""

from collections.abc import Callable
from datetime import datetime

from clientcert.cache.renewal_records import RenewalRecord
from clientcert.cache.renewals import RenewalCache
from clientcert.lifecycle.schedule import DAY
from clientcert.lifecycle.spec import ObjectKey


class Refusals:
    """Remembers those whose letters are on their way, which no status records yet."""

    def __init__(self, renewals: RenewalCache, clock: Callable[[], datetime]) -> None:
        self._renewals = renewals
        self._clock = clock
        self._begun: dict[ObjectKey, ObjectKey] = {}
        """The certificate by the request."""
        self._of_certificate: dict[ObjectKey, set[ObjectKey]] = {}

    def told_of_others(self, record: RenewalRecord) -> int:
        """Other requests about its certificate whose refusal was told within the last day, or is being told."""
        certificate = ObjectKey(record.key.namespace, record.certificate)
        told = self._renewals.index.refusals_told(certificate, self._clock() - DAY)
        return len({*told, *self._of_certificate.get(certificate, ())} - {record.key})

    def begin(self, record: RenewalRecord) -> None:
        """Note that the refusal of this request is told now."""
        self.end(record.key)  # one of this name that is gone may have been about another certificate
        certificate = self._begun[record.key] = ObjectKey(record.key.namespace, record.certificate)
        self._of_certificate.setdefault(certificate, set()).add(record.key)

    def end(self, key: ObjectKey) -> None:
        """Note that it is told, or is not told any more."""
        certificate = self._begun.pop(key, None)
        if certificate is not None:
            left = self._of_certificate.pop(certificate) - {key}
            if left:
                self._of_certificate[certificate] = left

    def clear(self) -> None:
        """Forget all: another replica may have told them."""
        self._begun.clear()
        self._of_certificate.clear()
