"""Find a certificate by its serial number, and make its CertificateRevocation."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import click

from clientcert.api.client_certificate import parse_spec
from clientcert.api.kinds import (
    API_VERSION,
    CERTIFICATE_REVOCATION,
    CLIENT_CERTIFICATE,
    moment,
)
from clientcert.api.renewal import parse_revocation_spec, render_revocation_spec
from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import AlreadyExists, AnswerIsNo
from clientcert.cli.files import read_file
from clientcert.cli.request_list import requests_about
from clientcert.cli.table import aligned_facts, printable, to_the_minute
from clientcert.errors import CertificateError, ClientCertError
from clientcert.lifecycle.renewal.naming import revocation_name
from clientcert.lifecycle.renewal.revocation_entries import bars_key
from clientcert.lifecycle.renewal.spec import RevocationReason, RevocationSpec
from clientcert.pki.identity import Field
from clientcert.pki.key_request import read_request
from clientcert.pki.leaf_content import LeafContent, read_leaf

_HEX = re.compile(r"(-?)(?:0x)?((?:[0-9a-f]{1,2}:)+[0-9a-f]{1,2}|[0-9a-f]+)", re.IGNORECASE)
_LONGEST_SERIAL = 128
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Revocable:
    """A certificate that can be revoked."""

    consumer: str
    issuer_dn: str
    serial_number: str
    not_after: datetime
    key_hash: str = ""
    """Empty: not on record."""

    @property
    def name(self) -> str:
        """Of its CertificateRevocation."""
        return revocation_name(self.consumer, self.issuer_dn, self.serial_number)


def serial_number(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """A serial number as people copy it, in lower-case hex: 4AF2, 4a:f2, 0x4af2, 004af2."""
    if value is None:
        return None
    found = _HEX.fullmatch(value)
    if found is None or len(value) > 2 * _LONGEST_SERIAL:
        raise click.BadParameter("must be a serial number in hex, such as 4af2")
    return f"{int(found[1] + found[2].replace(':', ''), 16):x}"


def current(certificate: Object) -> Iterator[Revocable]:
    """The one in use."""
    known = (certificate.get("status") or {}).get("certificate") or {}
    return _complete(certificate, [known])


def replaced(certificate: Object) -> Iterator[Revocable]:
    """Those before, the newest first, as far as their issuer is known."""
    return _complete(certificate, (certificate.get("status") or {}).get("history") or ())


def on_record(cluster: Cluster, certificate: Object, now: datetime) -> list[Revocable]:
    """The certificates in the requests about a ClientCertificate, with the hashes of their keys.

    Empty if the caller may not list requests.
    """
    name = certificate["metadata"]["name"]
    found: dict[tuple[str, str], Revocable] = {}
    for request in requests_about(cluster, name) or ():
        status = request.get("status") or {}
        for pem in (status.get("previousCertificate"), status.get("certificate")):
            each = _of_pem(certificate["spec"]["consumer"], pem, now) if pem else None
            if each is not None:
                found[each.issuer_dn, each.serial_number] = each
    return [*found.values()]


def with_key(found: Revocable, records: Iterable[Revocable]) -> Revocable:
    """The same with the hash of its key, if that is on record."""
    same = [each for each in records if (each.issuer_dn, each.serial_number) == (found.issuer_dn, found.serial_number)]
    return replace(found, key_hash=found.key_hash or (same[0].key_hash if same else ""))


def in_file(certificate: Object, file: str, now: datetime) -> Revocable:
    """The certificate in a file, which must be the consumer's, by any issuer; raises AnswerIsNo."""
    consumer = certificate["spec"]["consumer"]
    try:
        declared = parse_spec(certificate["spec"]).identity
        by_anyone = tuple((field, value) for field, value in declared.fields if field is not Field.ISSUER_DN)
        leaf = read_leaf(read_file(file), identity=replace(declared, fields=by_anyone), now=now)
    except ClientCertError as error:
        raise AnswerIsNo(f"{printable(file)}: {printable(error.message)}") from None
    if mismatch := leaf.certificate.identity_mismatch:
        raise AnswerIsNo(printable(f"{file}: this is {mismatch}"))
    return _revocable(consumer, leaf)


def find_certificates(cluster: Cluster, name: str | None, serial: str | None) -> list[Object]:
    """The ClientCertificate of this name, or those of the namespace that know this serial number."""
    if name is not None:
        return [cluster.get(CLIENT_CERTIFICATE, name)]
    found = [each for each in cluster.list(CLIENT_CERTIFICATE) if serial in _serials(each)]
    if not found:
        raise AnswerIsNo(f"no ClientCertificate in namespace {cluster.namespace} has or had serial number {serial}")
    return found


def choose(candidates: Iterable[Revocable], serial: str | None = None) -> Revocable | None:
    """The one of them that has the serial number, or the only one; None if there is none.

    Raises AnswerIsNo with their serial numbers if there are several.
    """
    found = {each.name: each for each in candidates if serial in (None, each.serial_number)}
    if len(found) > 1 and serial is None:
        serials = ", ".join(each.serial_number for each in found.values())
        raise AnswerIsNo(f"there are several: give --serial with one of {serials}")
    if len(found) > 1:
        raise AnswerIsNo(f"several certificates have serial number {serial}: give NAME, or the file by --certificate")
    return next(iter(found.values()), None)


def summary(found: Revocable, reason: RevocationReason) -> Iterator[str]:
    """The question to be confirmed."""
    yield from aligned_facts(
        (
            ("Consumer", found.consumer),
            ("Serial number", found.serial_number),
            ("Issuer", found.issuer_dn),
            ("Ends", to_the_minute(found.not_after)),
            ("Reason", reason.value),
            ("Key, SHA-256", found.key_hash or "not on record"),
        )
    )


def revoke(cluster: Cluster, found: Revocable, reason: RevocationReason, now: datetime) -> datetime:
    """Create the CertificateRevocation, and return since when it is revoked.

    One that exists for the same reason is the same; raises AnswerIsNo if it is for another. But a key may turn out to
    be compromised, or become known, later: that is a second or third one, which bars the key.
    """
    spec = RevocationSpec(
        found.issuer_dn, found.serial_number, found.consumer, reason, now, found.not_after, found.key_hash
    )
    is_compromised = reason is RevocationReason.KEY_COMPROMISE
    for ending in ("", "-key", "-key-hash") if is_compromised else ("",):
        found_object = _created(cluster, f"{found.name}{ending}", spec)
        before = parse_revocation_spec(found_object["spec"])
        if before.reason is reason and (before.key_hash or not bars_key(spec)):
            break
    if before.reason is not reason:
        raise AnswerIsNo(
            f"serial number {found.serial_number} is revoked since {to_the_minute(before.revocation_time)} for reason"
            f" {before.reason}, which is final"
        )
    if not bars_key(spec):
        before = replace(before, key_hash=spec.key_hash)  # which key it has matters only where one is barred
    if replace(before, revocation_time=now) != spec:
        name = found_object["metadata"]["name"]
        raise AnswerIsNo(f"CertificateRevocation {name} is about another certificate: read it, and tell the team")
    cluster.leave(CERTIFICATE_REVOCATION, found_object)
    return before.revocation_time


def _created(cluster: Cluster, name: str, spec: RevocationSpec) -> Object:
    """Create it; returns what there is with this name."""
    new = {
        "apiVersion": API_VERSION,
        "kind": CERTIFICATE_REVOCATION.name,
        "metadata": {"name": name},
        "spec": render_revocation_spec(spec),
    }
    try:
        return cluster.create(CERTIFICATE_REVOCATION, new)
    except AlreadyExists:
        return cluster.get(CERTIFICATE_REVOCATION, name)


def is_revoked(cluster: Cluster, found: Revocable) -> bool:
    """True if there is a CertificateRevocation of it."""
    return cluster.find(CERTIFICATE_REVOCATION, found.name) is not None


def _complete(certificate: Object, entries: Iterable[dict[str, Any]]) -> Iterator[Revocable]:
    for each in entries:
        ends = moment(each.get("notAfter"))
        if ends is not None and each.get("issuerDN") and each.get("serialNumber"):
            key = each.get("keyHash", "")
            yield Revocable(certificate["spec"]["consumer"], each["issuerDN"], each["serialNumber"], ends, key)


def _serials(certificate: Object) -> frozenset[str]:
    status = certificate.get("status") or {}
    entries = [status.get("certificate") or {}, *(status.get("history") or ())]
    return frozenset(each.get("serialNumber", "") for each in entries)


def _of_pem(consumer: str, pem: str, now: datetime) -> Revocable | None:
    """The first certificate of a PEM text that the operator wrote."""
    first = _PEM.search(pem)
    try:
        return _revocable(consumer, read_leaf(first[0].encode(), now=now)) if first else None
    except CertificateError:
        return None


def _revocable(consumer: str, leaf: LeafContent) -> Revocable:
    found = leaf.certificate
    serial = f"{found.serial_number:x}"
    return Revocable(consumer, found.issuer_dn, serial, found.not_after, _key_hash(leaf.der))


def _key_hash(certificate_der: bytes) -> str:
    """Empty if the key cannot be read."""
    try:
        return read_request(certificate_der).key_hash
    except CertificateError:
        return ""
