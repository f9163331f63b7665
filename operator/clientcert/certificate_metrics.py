"""The series of each certificate, in Prometheus' text format, directly from the cache.

A client library's registry would keep a second copy of everything: 48 MB, and a scrape of 10,000 certificates would
block the loop for a second (design section 5). These are written a few hundred at a time, and not stored.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TypeAlias

from clientcert.cache.objects import CertificateRecord
from clientcert.cache.source_cache import SourceCache
from clientcert.lifecycle.conditions import SOURCE_READABLE
from clientcert.lifecycle.recorded_status import AcceptedCertificate
from clientcert.lifecycle.spec import S3Source, SecretSource
from clientcert.pki import Certificate
from clientcert.pki.distinguished_names import common_name

CHUNK = 250
"""Certificates in one chunk: about ten milliseconds of work."""

Row: TypeAlias = Callable[[CertificateRecord, Certificate | None], str]
"""Renders one certificate's line from its object and from the certificate in its source; empty: no line."""


def families(now: datetime, *, x509: bool) -> Iterator[tuple[str, Row]]:
    """Each family's header, and the function that writes one certificate's line of it."""
    yield _header("clientcert_certificate_info", "One for each ClientCertificate, with its phase."), _info
    yield (
        _header(
            "clientcert_certificate_not_after_timestamp_seconds",
            "The end of the last certificate that was read, or of the certificate in its chain that ends first.",
        ),
        _expires,
    )
    if x509:
        yield _header("x509_cert_not_after", "notAfter, seconds since 1970."), _not_after
        yield _header("x509_cert_not_before", "notBefore, seconds since 1970."), _not_before
        yield _header("x509_cert_expired", "1 once notAfter has passed."), partial(_expired, now)
        yield _header("x509_source_up", "1 while the source holds a certificate that can be read."), _source_up


def lines(row: Row, records: Sequence[CertificateRecord], sources: SourceCache) -> str:
    """The lines of a family for these certificates."""
    return "".join([row(record, sources.observation(record).certificate) for record in records])


def phases(records: Sequence[CertificateRecord]) -> str:
    """The number of certificates in each phase."""
    counted = Counter(record.status.phase for record in records if record.status.phase)
    rows = "".join(f'clientcert_certificates{{phase="{phase}"}} {count}\n' for phase, count in sorted(counted.items()))
    return _header("clientcert_certificates", "ClientCertificates by phase.") + rows


def _header(name: str, words: str) -> str:
    return f"# HELP {name} {words}\n# TYPE {name} gauge\n"


def _info(record: CertificateRecord, _: Certificate | None) -> str:
    return f'clientcert_certificate_info{{{_object_labels(record)},phase="{record.status.phase or "Pending"}"}} 1\n'


def _expires(record: CertificateRecord, _: Certificate | None) -> str:
    accepted = record.status.accepted
    if accepted is None:
        return ""
    seconds = (accepted.ends_first.time if accepted.ends_first else accepted.not_after).timestamp()
    return f"clientcert_certificate_not_after_timestamp_seconds{{{_object_labels(record)}}} {seconds:.0f}\n"


def _not_after(record: CertificateRecord, seen: Certificate | None) -> str:
    accepted = record.status.accepted
    return _x509(record, accepted, seen, ("x509_cert_not_after", accepted.not_after.timestamp())) if accepted else ""


def _not_before(record: CertificateRecord, seen: Certificate | None) -> str:
    accepted = record.status.accepted
    return _x509(record, accepted, seen, ("x509_cert_not_before", accepted.not_before.timestamp())) if accepted else ""


def _expired(now: datetime, record: CertificateRecord, seen: Certificate | None) -> str:
    accepted = record.status.accepted
    if accepted is None:
        return ""
    return _x509(record, accepted, seen, ("x509_cert_expired", float(accepted.not_after < now)))


def _source_up(record: CertificateRecord, _: Certificate | None) -> str:
    readable = record.status.condition(SOURCE_READABLE)
    if readable is None:
        return ""
    return f"x509_source_up{{{_source_labels(record)}}} {int(readable.status == 'True')}\n"


def _x509(
    record: CertificateRecord, accepted: AcceptedCertificate, seen: Certificate | None, sample: tuple[str, float]
) -> str:
    if seen is not None and seen.fingerprint_sha256 == accepted.fingerprint_sha256:
        subject, issuer = seen.subject_common_name, seen.issuer_common_name
    else:
        subject, issuer = common_name(accepted.subject_dn), common_name(accepted.issuer_dn)
    names = f'serial_number="{accepted.serial_number}",subject_CN="{_escape(subject)}",issuer_CN="{_escape(issuer)}"'
    return f"{sample[0]}{{{_source_labels(record)},{names}}} {sample[1]:.0f}\n"


def _object_labels(record: CertificateRecord) -> str:
    spec = record.spec
    return (
        f'namespace="{record.key.namespace}",name="{record.key.name}",consumer="{_escape(spec.consumer)}"'
        f',environment="{_escape(spec.environment)}",owner="{_escape(spec.owner)}"'
    )


def _source_labels(record: CertificateRecord) -> str:
    """The labels of x509-certificate-exporter: those of a Secret, or those of a file for an object in a store."""
    source = record.spec.source
    if record.spec_problem is None and isinstance(source, SecretSource):
        return f'secret_namespace="{record.key.namespace}",secret_name="{source.name}",secret_key="{source.key}"'
    if isinstance(source, S3Source):
        name = _escape(source.key.rsplit("/", 1)[-1])
        path = _escape(f"{record.key.namespace}/{source.store}/{source.key}")
        return f'filename="{name}",filepath="{path}"'
    return f'secret_namespace="{record.key.namespace}"'


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
