"""Finds the sources that several ClientCertificates read, so that no series of a source is written twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clientcert.cache.objects import CertificateRecord
from clientcert.garbage_collection import unscanned
from clientcert.lifecycle.conditions import SOURCE_READABLE
from clientcert.lifecycle.spec import ObjectKey, S3Source, SourceRef

_Place = tuple[str, type[SourceRef], str, str]
"""Namespace, kind, Secret or store, and key."""


@dataclass(frozen=True, slots=True)
class SharedSources:
    """The ClientCertificates whose series another object with the same source has."""

    certificates: frozenset[ObjectKey] = frozenset()
    """The other has the same certificate, too."""
    sources: frozenset[ObjectKey] = frozenset()
    """The other speaks for the source. It is one that cannot read it, if there is any."""


class SharedSourcesSearch:
    """Searches in parts: first all of `note`, then all of `compare`. It needs a number for each source, and no more."""

    def __init__(self, size: int) -> None:
        """`size` is the number of certificates."""
        self._seen = unscanned(set[int], size)
        self._shared: set[int] = set()
        self._certificates: dict[tuple[_Place, str, str], ObjectKey] = {}
        self._sources: dict[_Place, tuple[ObjectKey, bool]] = {}
        self._silent: tuple[set[ObjectKey], set[ObjectKey]] = set(), set()

    def note(self, records: Sequence[CertificateRecord]) -> None:
        """Note the sources of these certificates."""
        for record in records:
            number = hash(_place(record))
            (self._shared if number in self._seen else self._seen).add(number)

    def compare(self, records: Sequence[CertificateRecord]) -> None:
        """Compare those of these certificates whose source is noted twice."""
        for record in records:
            place = _place(record)
            if hash(place) in self._shared:
                self._compare_certificate(record, place)
                self._compare_source(record, place)

    def _compare_certificate(self, record: CertificateRecord, place: _Place) -> None:
        accepted = record.status.accepted
        if accepted is not None:
            identity = (place, accepted.issuer_dn, accepted.serial_number)
            if self._certificates.setdefault(identity, record.key) != record.key:
                self._silent[0].add(record.key)

    def _compare_source(self, record: CertificateRecord, place: _Place) -> None:
        condition = record.status.condition(SOURCE_READABLE)
        if condition is None or condition.status == "Unknown" or record.spec_problem:
            return
        readable = condition.status == "True"
        before = self._sources.setdefault(place, (record.key, readable))
        if before[0] == record.key:
            return
        if before[1] and not readable:
            self._sources[place] = record.key, readable
            self._silent[1].add(before[0])
        else:
            self._silent[1].add(record.key)

    @property
    def found_any(self) -> bool:
        """True if `compare` may find anything."""
        return bool(self._shared)

    @property
    def result(self) -> SharedSources:
        """The shared sources that were found."""
        return SharedSources(frozenset(self._silent[0]), frozenset(self._silent[1]))


def chunks(records: Sequence[CertificateRecord], size: int) -> Iterator[Sequence[CertificateRecord]]:
    """The records in parts of this size."""
    return (records[start : start + size] for start in range(0, len(records), size))


def _place(record: CertificateRecord) -> _Place:
    source = record.spec.source
    container = source.store if isinstance(source, S3Source) else source.name
    return record.key.namespace, type(source), container, source.key
