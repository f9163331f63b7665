"""Index of ClientCertificates by their serial number. Made at the first look-up: only renewals need it."""

from collections.abc import Iterable

from clientcert.cache.objects import CertificateRecord
from clientcert.lifecycle.spec import ObjectKey

Serial = tuple[str, str, str]
"""Namespace, issuer DN and serial number."""


class SerialIndex:
    """Names of ClientCertificates by their certificate's serial number."""

    def __init__(self, every: Iterable[CertificateRecord]) -> None:
        self._names: dict[Serial, tuple[str, ...]] = {}
        for each in every:
            self._add(each)

    def sharing(self, record: CertificateRecord) -> tuple[str, ...]:
        """The names of the others with the same serial number and issuer."""
        serial = _serial(record)
        return tuple(name for name in self.names(serial) if name != record.key.name) if serial else ()

    def names(self, serial: Serial) -> tuple[str, ...]:
        """The names of all with this serial number and issuer."""
        return self._names.get(serial, ())

    def change(self, before: CertificateRecord | None, after: CertificateRecord | None) -> tuple[ObjectKey, ...]:
        """Take over a change of one object; returns those that shared its certificate, and do so no more."""
        old, new = _serial(before) if before else None, _serial(after) if after else None
        if old == new:
            return ()
        left: tuple[str, ...] = ()
        if before is not None and old is not None:
            left = tuple(name for name in self._names.get(old, ()) if name != before.key.name)
            self._names[old] = left
            if not left:
                del self._names[old]
        if after is not None:
            self._add(after)
        return tuple(ObjectKey(before.key.namespace, name) for name in left) if before else ()

    def _add(self, record: CertificateRecord) -> None:
        serial = _serial(record)
        if serial is not None:
            self._names[serial] = (*self._names.get(serial, ()), record.key.name)


def _serial(record: CertificateRecord) -> Serial | None:
    accepted = record.status.accepted
    return (record.key.namespace, accepted.issuer_dn, accepted.serial_number) if accepted else None
