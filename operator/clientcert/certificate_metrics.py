"""The series of each certificate, in Prometheus' text format, directly from the cache.

A client library's registry would keep a second copy of everything: 48 MB, and a scrape of 10,000 certificates would
block the loop for a second (design section 5). These are written a few hundred at a time, and not stored.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TypeAlias

from clientcert.cache.objects import CertificateRecord
from clientcert.cache.revocations import RevocationCache
from clientcert.cache.source_cache import SourceCache
from clientcert.lifecycle.conditions import SOURCE_READABLE
from clientcert.lifecycle.due import silenced
from clientcert.lifecycle.recorded_status import AcceptedCertificate
from clientcert.lifecycle.renewal.troubles import is_trouble
from clientcert.lifecycle.spec import S3Source, SecretSource
from clientcert.metrics_text import escape, header
from clientcert.pki.certificate import Certificate
from clientcert.pki.distinguished_names import common_name
from clientcert.shared_sources import SharedSources

CHUNK = 250
"""Certificates in one chunk: about ten milliseconds of work."""

Row: TypeAlias = Callable[[CertificateRecord, Certificate | None], str]
"""Renders one certificate's lines from its object and from the certificate in its source; mostly one, or none."""


def families(now: datetime, revocations: RevocationCache) -> Iterator[tuple[str, Row]]:
    """Each family's header, and the function that writes one certificate's line of it."""
    yield header("clientcert_certificate_info", "One for each ClientCertificate, with its phase."), _info
    yield (
        header(
            "clientcert_certificate_not_after_timestamp_seconds",
            "The end of the last certificate that was read, or of the certificate in its chain that ends first.",
        ),
        _expires,
    )
    yield (
        header(
            "clientcert_previous_certificate_not_after_timestamp_seconds",
            "The end of a certificate that was replaced, and is still accepted: neither ended nor revoked.",
        ),
        partial(_previous, now, revocations),
    )
    yield (
        header("clientcert_certificate_condition", "1 for each condition that is not as it should be."),
        _conditions,
    )
    yield (
        header(
            "clientcert_certificate_silenced",
            "1 while spec.silence holds, 0 after it has ended; no series without one.",
        ),
        partial(_silenced, now),
    )


def x509_families(now: datetime, shared: SharedSources) -> Iterator[tuple[str, Row]]:
    """The same of the families that x509-certificate-exporter has, too."""
    yield header("x509_cert_not_after", "notAfter, seconds since 1970."), partial(_not_after, shared)
    yield header("x509_cert_not_before", "notBefore, seconds since 1970."), partial(_not_before, shared)
    yield header("x509_cert_expired", "1 once notAfter has passed."), partial(_expired, shared, now)
    words = "1 while the source holds a certificate that can be read."
    yield header("x509_source_up", words), partial(_source_up, shared)


def lines(row: Row, records: Sequence[CertificateRecord], sources: SourceCache) -> str:
    """The lines of a family for these certificates."""
    return "".join([row(record, sources.observation(record).certificate) for record in records])


def _info(record: CertificateRecord, _: Certificate | None) -> str:
    return f'clientcert_certificate_info{{{_object_labels(record)},phase="{record.status.phase or "Pending"}"}} 1\n'


def _expires(record: CertificateRecord, _: Certificate | None) -> str:
    accepted = record.status.accepted
    if accepted is None:
        return ""
    seconds = (accepted.ends_first.time if accepted.ends_first else accepted.not_after).timestamp()
    return f"clientcert_certificate_not_after_timestamp_seconds{{{_object_labels(record)}}} {seconds:.0f}\n"


def _previous(now: datetime, revocations: RevocationCache, record: CertificateRecord, _: Certificate | None) -> str:
    rows = []
    for each in record.status.history:
        revoked = revocations.revoked(record.key.namespace, each.issuer_dn, each.serial_number)
        if each.not_after >= now and revoked is None:
            labels = f'{_object_labels(record)},serial_number="{each.serial_number}"'
            name = "clientcert_previous_certificate_not_after_timestamp_seconds"
            rows.append(f"{name}{{{labels}}} {each.not_after.timestamp():.0f}\n")
    return "".join(rows)


def _conditions(record: CertificateRecord, _: Certificate | None) -> str:
    found = [each for each in record.status.conditions if is_trouble(each)]
    if not found:
        return ""
    labels = _object_labels(record)
    return "".join(
        [
            f'clientcert_certificate_condition{{{labels},condition="{escape(each.type)}",status="{each.status}"'
            f',reason="{escape(each.reason)}"}} 1\n'
            for each in found
        ]
    )


def _silenced(now: datetime, record: CertificateRecord, _: Certificate | None) -> str:
    silence = record.spec.silence
    if silence is None:
        return ""
    return f"clientcert_certificate_silenced{{{_object_labels(record)}}} {int(silenced(silence, now))}\n"


def _not_after(shared: SharedSources, record: CertificateRecord, seen: Certificate | None) -> str:
    accepted = record.status.accepted
    if accepted is None or record.key in shared.certificates:
        return ""
    return _x509(record, accepted, seen, ("x509_cert_not_after", accepted.not_after.timestamp()))


def _not_before(shared: SharedSources, record: CertificateRecord, seen: Certificate | None) -> str:
    accepted = record.status.accepted
    if accepted is None or record.key in shared.certificates:
        return ""
    return _x509(record, accepted, seen, ("x509_cert_not_before", accepted.not_before.timestamp()))


def _expired(shared: SharedSources, now: datetime, record: CertificateRecord, seen: Certificate | None) -> str:
    accepted = record.status.accepted
    if accepted is None or record.key in shared.certificates:
        return ""
    return _x509(record, accepted, seen, ("x509_cert_expired", float(accepted.not_after < now)))


def _source_up(shared: SharedSources, record: CertificateRecord, _: Certificate | None) -> str:
    readable = record.status.condition(SOURCE_READABLE)
    if readable is None or readable.status == "Unknown" or record.spec_problem or record.key in shared.sources:
        return ""
    labels = f"{_source_labels(record)},{_source_names(record)}"
    return f"x509_source_up{{{labels}}} {int(readable.status == 'True')}\n"


def _x509(
    record: CertificateRecord, accepted: AcceptedCertificate, seen: Certificate | None, sample: tuple[str, float]
) -> str:
    if seen is not None and seen.fingerprint_sha256 == accepted.fingerprint_sha256:
        subject, issuer = seen.subject_common_name, seen.issuer_common_name
    else:
        subject, issuer = common_name(accepted.subject_dn), common_name(accepted.issuer_dn)
    serial = _decimal(accepted.serial_number)
    names = f'serial_number="{serial}",subject_CN="{escape(subject)}",issuer_CN="{escape(issuer)}"'
    return f"{sample[0]}{{{_source_labels(record)},{names}}} {sample[1]:.0f}\n"


def _decimal(serial_number: str) -> str:
    """The serial number as x509-certificate-exporter writes it; as it is if somebody wrote another status."""
    try:
        return str(int(serial_number, 16))
    except ValueError:
        return escape(serial_number)


def _object_labels(record: CertificateRecord) -> str:
    spec = record.spec
    return (
        f'namespace="{record.key.namespace}",name="{record.key.name}",consumer="{escape(spec.consumer)}"'
        f',environment="{escape(spec.environment)}",owner="{escape(spec.owner)}"'
    )


def _source_labels(record: CertificateRecord) -> str:
    """The labels of x509-certificate-exporter: those of a Secret, or those of a file for an object in a store."""
    source = record.spec.source
    if record.spec_problem is None and isinstance(source, SecretSource):
        return f'secret_namespace="{record.key.namespace}",secret_name="{source.name}",secret_key="{source.key}"'
    if isinstance(source, S3Source):
        name = escape(source.key.rsplit("/", 1)[-1])
        path = escape(f"{record.key.namespace}/{source.store}/{source.key}")
        return f'filename="{name}",filepath="{path}"'
    return f'secret_namespace="{record.key.namespace}"'


def _source_names(record: CertificateRecord) -> str:
    """The labels that the exporter gives to a source as a whole: for the operator, each Secret or object is one."""
    source = record.spec.source
    container = source.name if isinstance(source, SecretSource) else source.store
    name = escape(f"{record.key.namespace}/{container}/{source.key}")
    return f'source_kind="{source.kind}",source_name="{name}"'
