"""ClientCertificates by the serial number of their certificate."""

from collections.abc import Mapping

from clientcert.cache.lazy_index import LazyIndex
from clientcert.cache.objects import CertificateRecord
from clientcert.lifecycle.spec import ObjectKey

Serial = tuple[str, str, str]
"""Namespace, issuer DN and serial number."""
_TOLD = 6
"""The most objects that are told when another leaves. A request that waits for others to leave names five of them."""


class SerialIndex:
    """Await `fill` before each look-up."""

    def __init__(self, certificates: Mapping[ObjectKey, CertificateRecord]) -> None:
        self._certificates = certificates
        self.index = LazyIndex[Serial]()

    async def fill(self) -> None:
        """Read all certificates, the first time."""
        await self.index.fill(self._certificates, lambda key: _serial(self._certificates.get(key)))

    def sharing(self, record: CertificateRecord) -> tuple[str, ...]:
        """The names of the other ClientCertificates of the namespace with the same serial number and issuer."""
        serial = _serial(record)
        return tuple(each.name for each in self.index.objects(serial) if each != record.key) if serial else ()

    def with_serial(self, namespace: str, issuer_dn: str, serial_number: str) -> tuple[ObjectKey, ...]:
        """The ClientCertificates with this certificate."""
        return self.index.objects((namespace, issuer_dn, serial_number))

    def change(self, before: CertificateRecord | None, after: CertificateRecord | None) -> tuple[ObjectKey, ...]:
        """Take over a change of one object; returns those that shared its certificate, if they are a few by now.

        If thousands share it, each that leaves would otherwise have all others reconciled. Until they are a few, a
        request may go on naming one that has left.
        """
        old, new = _serial(before), _serial(after)
        if old == new:
            return ()
        if before is not None:
            self.index.discard(old, before.key)
        if after is not None:
            self.index.add(new, after.key)
        left = self.index.objects(old) if old is not None else ()
        return left if len(left) <= _TOLD else ()


def _serial(record: CertificateRecord | None) -> Serial | None:
    accepted = record.status.accepted if record is not None else None
    return (record.key.namespace, accepted.issuer_dn, accepted.serial_number) if record and accepted else None
