"""The series of policies, stores, requests and CRLs, and the counts of certificates, directly from the cache."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from clientcert.cache.objects import CertificateRecord, PolicyRecord, StoreRecord
from clientcert.cache.renewal_records import RenewalRecord
from clientcert.lifecycle.conditions import READY
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.status import State
from clientcert.lifecycle.renewal.troubles import is_trouble
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics_text import escape, header

Certificates = Mapping[ObjectKey, CertificateRecord]
_Record = TypeVar("_Record")


def phases(records: Sequence[CertificateRecord]) -> str:
    """The number of certificates in each phase."""
    counted = Counter(record.status.phase for record in records if record.status.phase)
    rows = "".join(f'clientcert_certificates{{phase="{phase}"}} {count}\n' for phase, count in sorted(counted.items()))
    return header("clientcert_certificates", "ClientCertificates by phase.") + rows


def renewals(records: Iterable[RenewalRecord]) -> str:
    """The number of requests in each state, also of those in which there is none."""
    counted = Counter(record.state for record in records)
    rows = "".join(f'clientcert_renewals{{state="{state}"}} {counted[state]}\n' for state in State)
    return header("clientcert_renewals", "CertificateRenewals by state.") + rows


def crls(ends: Iterable[tuple[str, str, datetime]]) -> str:
    """The end of each CRL, by namespace and issuer. A CA that is gone has no series."""
    name = "clientcert_crl_next_update_timestamp_seconds"
    found = [(f'namespace="{namespace}",issuer="{issuer}"', end.timestamp()) for namespace, issuer, end in ends]
    rows = "".join([f"{name}{{{labels}}} {end:.0f}\n" for labels, end in found])
    return header(name, "When the CRL of a CA ends: after that, whoever checks it refuses everybody.") + rows


def entries_without_object(lists: Iterable[tuple[str, str, int]]) -> str:
    """The number of entries of each list that no CertificateRevocation accounts for."""
    name = "clientcert_revocation_entries_without_object"
    rows = "".join([f'{name}{{namespace="{space}",issuer="{issuer}"}} {count}\n' for space, issuer, count in lists])
    words = "Entries of revocation lists without a CertificateRevocation: of deleted ones, or written by somebody."
    return header(name, words) + rows


def policies(records: Sequence[PolicyRecord], size: int) -> Iterator[Callable[[], str]]:
    """Functions that render the series of these policies, `size` at a time."""
    words = "1 while the whole CertificatePolicy can be used, 0 while a part of it cannot."
    yield from _family("clientcert_policy_ready", words, _policy_ready, records, size)
    words = "1 for each condition of a CertificatePolicy that is not as it should be."
    yield from _family("clientcert_policy_condition", words, _policy_conditions, records, size)


def stores(records: Sequence[StoreRecord], size: int) -> Iterator[Callable[[], str]]:
    """Functions that render the series of these stores, `size` at a time."""
    words = "1 while the bucket of a CertificateStore can be listed."
    yield from _family("clientcert_store_ready", words, _store_ready, records, size)
    words = "1 for each condition of a CertificateStore that is not as it should be."
    yield from _family("clientcert_store_condition", words, _store_conditions, records, size)
    words = "ClientCertificates that the discovery of a CertificateStore would make and has not made."
    yield from _family("clientcert_store_would_create", words, _would_create, records, size)


def open_requests(
    records: Sequence[RenewalRecord], certificates: Certificates, size: int
) -> Iterator[Callable[[], str]]:
    """Functions that render the series of the open requests, `size` at a time."""
    name = "clientcert_renewal_open_since_timestamp_seconds"
    words = "When a CertificateRenewal was made that has not come to its end."
    yield from _family(name, words, partial(_open_since, certificates), records, size)
    name = "clientcert_renewal_awaiting_approval_since_timestamp_seconds"
    words = "Since when a CertificateRenewal has waited for an approval."
    yield from _family(name, words, partial(_awaiting_approval_since, certificates), records, size)


def _family(
    name: str, words: str, row: Callable[[_Record], str], records: Sequence[_Record], size: int
) -> Iterator[Callable[[], str]]:
    yield partial(header, name, words)
    for start in range(0, len(records), size):
        yield partial(_rows, row, records[start : start + size])


def _rows(row: Callable[[_Record], str], records: Sequence[_Record]) -> str:
    return "".join(map(row, records))


def _policy_ready(record: PolicyRecord) -> str:
    return _ready("clientcert_policy_ready", record.key, record.conditions)


def _store_ready(record: StoreRecord) -> str:
    return _ready("clientcert_store_ready", record.key, record.conditions)


def _ready(name: str, key: ObjectKey, conditions: tuple[Condition, ...]) -> str:
    ready = next((each for each in conditions if each.type == READY), None)
    return f"{name}{{{_labels(key)}}} {int(ready.status == 'True')}\n" if ready else ""


def _policy_conditions(record: PolicyRecord) -> str:
    return _conditions("clientcert_policy_condition", record.key, record.conditions)


def _store_conditions(record: StoreRecord) -> str:
    return _conditions("clientcert_store_condition", record.key, record.conditions)


def _conditions(name: str, key: ObjectKey, conditions: tuple[Condition, ...]) -> str:
    return "".join(
        f'{name}{{{_labels(key)},condition="{escape(each.type)}",status="{each.status}"'
        f',reason="{escape(each.reason)}"}} 1\n'
        for each in conditions
        if is_trouble(each)
    )


def _would_create(record: StoreRecord) -> str:
    count = record.outcome.would_create
    return f"clientcert_store_would_create{{{_labels(record.key)}}} {count}\n" if count is not None else ""


def _open_since(certificates: Certificates, record: RenewalRecord) -> str:
    labels = _labels_of_request(certificates, record)
    if not labels or not record.is_open:
        return ""
    name = "clientcert_renewal_open_since_timestamp_seconds"
    return f'{name}{{{labels},state="{record.state}"}} {record.created.timestamp():.0f}\n'


def _awaiting_approval_since(certificates: Certificates, record: RenewalRecord) -> str:
    labels, since = _labels_of_request(certificates, record), record.awaiting_approval_since
    if not labels or since is None:
        return ""
    return f"clientcert_renewal_awaiting_approval_since_timestamp_seconds{{{labels}}} {since.timestamp():.0f}\n"


def _labels_of_request(certificates: Certificates, record: RenewalRecord) -> str:
    """The labels of a request and of its certificate; empty if that does not exist."""
    certificate = certificates.get(ObjectKey(record.key.namespace, record.certificate))
    if certificate is None:
        return ""
    spec = certificate.spec
    return (
        f'{_labels(record.key)},certificate="{certificate.key.name}",consumer="{escape(spec.consumer)}"'
        f',environment="{escape(spec.environment)}",owner="{escape(spec.owner)}"'
    )


def _labels(key: ObjectKey) -> str:
    return f'namespace="{key.namespace}",name="{key.name}"'
