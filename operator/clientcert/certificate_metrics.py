"""The series of each certificate, in Prometheus' text format, straight from the store.

A client library's registry would keep a second copy of everything: 48 MB, and a second of standstill at a scrape of
10,000 certificates (design section 5). These are written a few hundred at a time, and kept nowhere.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from clientcert.cache.objects import CertificateRecord
from clientcert.lifecycle.recorded_status import AcceptedCertificate
from clientcert.lifecycle.spec import S3Source, SecretSource
from clientcert.pki.names import common_name

CHUNK = 250
"""Certificates a piece: about ten milliseconds of work."""

Row: TypeAlias = Callable[[CertificateRecord], str]


def families(*, x509: bool) -> Iterator[tuple[str, Row]]:
    """Each family's header, and what writes one certificate's line of it (empty: none)."""
    yield _header("clientcert_certificate_info", "One for each ClientCertificate, with its phase."), _info
    yield (
        _header(
            "clientcert_certificate_not_after_timestamp_seconds", "notAfter of the last certificate that was read."
        ),
        _own_not_after,
    )
    if x509:
        yield _header("x509_cert_not_after", "notAfter, seconds since 1970."), _not_after
        yield _header("x509_cert_not_before", "notBefore, seconds since 1970."), _not_before
        yield _header("x509_cert_expired", "1 once notAfter has passed."), _expired
        yield _header("x509_source_up", "1 while the source holds a certificate that can be read."), _source_up


def lines(row: Row, records: Sequence[CertificateRecord]) -> str:
    """One piece of a family."""
    return "".join(row(record) for record in records)


def phases(records: Sequence[CertificateRecord]) -> str:
    """How many certificates are in which phase."""
    counted = Counter(record.assessment.phase.value for record in records if record.assessment)
    rows = "".join(f'clientcert_certificates{{phase="{phase}"}} {count}\n' for phase, count in sorted(counted.items()))
    return _header("clientcert_certificates", "ClientCertificates by phase.") + rows


def _header(name: str, words: str) -> str:
    return f"# HELP {name} {words}\n# TYPE {name} gauge\n"


def _info(record: CertificateRecord) -> str:
    phase = record.assessment.phase.value if record.assessment else "Pending"
    return f'clientcert_certificate_info{{{_object_labels(record)},phase="{phase}"}} 1\n'


def _own_not_after(record: CertificateRecord) -> str:
    accepted = _accepted(record)
    if accepted is None:
        return ""
    seconds = accepted.not_after.timestamp()
    return f"clientcert_certificate_not_after_timestamp_seconds{{{_object_labels(record)}}} {seconds:.0f}\n"


def _not_after(record: CertificateRecord) -> str:
    return _x509(record, "x509_cert_not_after", lambda accepted: accepted.not_after.timestamp())


def _not_before(record: CertificateRecord) -> str:
    return _x509(record, "x509_cert_not_before", lambda accepted: accepted.not_before.timestamp())


def _expired(record: CertificateRecord) -> str:
    expired = record.assessment.expired if record.assessment else False
    return _x509(record, "x509_cert_expired", lambda _: float(expired))


def _source_up(record: CertificateRecord) -> str:
    if record.assessment is None:
        return ""
    up = int(not record.assessment.source_problem)
    return f"x509_source_up{{{_source_labels(record)}}} {up}\n"


def _x509(record: CertificateRecord, name: str, value: Callable[[AcceptedCertificate], float]) -> str:
    accepted = _accepted(record)
    if accepted is None:
        return ""
    seen = record.observation.certificate if record.observation else None
    if seen is not None and seen.fingerprint_sha256 == accepted.fingerprint_sha256:
        subject, issuer = seen.subject_common_name, seen.issuer_common_name
    else:
        subject, issuer = common_name(accepted.subject_dn), common_name(accepted.issuer_dn)
    names = f'serial_number="{accepted.serial_number}",subject_CN="{_escape(subject)}",issuer_CN="{_escape(issuer)}"'
    return f"{name}{{{_source_labels(record)},{names}}} {value(accepted):.0f}\n"


def _accepted(record: CertificateRecord) -> AcceptedCertificate | None:
    return record.assessment.accepted if record.assessment else None


def _object_labels(record: CertificateRecord) -> str:
    declaration = record.declaration
    consumer, environment, owner = (
        (declaration.consumer, declaration.environment, declaration.owner) if declaration else ("", "", "")
    )
    return (
        f'namespace="{record.key.namespace}",name="{record.key.name}",consumer="{_escape(consumer)}"'
        f',environment="{_escape(environment)}",owner="{_escape(owner)}"'
    )


def _source_labels(record: CertificateRecord) -> str:
    """The exporter's own labels: of a Secret, or of a file for an object in a store."""
    source = record.declaration.source if record.declaration else None
    if isinstance(source, SecretSource):
        return f'secret_namespace="{record.key.namespace}",secret_name="{source.name}",secret_key="{source.key}"'
    if isinstance(source, S3Source):
        name = _escape(source.key.rsplit("/", 1)[-1])
        path = _escape(f"{record.key.namespace}/{source.store}/{source.key}")
        return f'filename="{name}",filepath="{path}"'
    return f'secret_namespace="{record.key.namespace}"'


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
