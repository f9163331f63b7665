"""Parses the specs of ClientCertificates and CertificateStores.

The schema checks types and bounds (crds/); any other invalid value is an error with `SpecInvalid`, never a traceback.
Short values that many objects share are interned.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

from clientcert.api.kinds import moment
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.spec import (
    Bucket,
    CertificateSpec,
    Contact,
    Person,
    S3Source,
    SecretKeyRef,
    SecretSource,
    Silence,
    SourceRef,
)
from clientcert.pki.identity import Field, Identity

Spec = Mapping[str, Any]

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS = (3600, 60, 1)


def parse_spec(spec: Spec) -> CertificateSpec:
    """Parse the spec of a ClientCertificate; raises ClientCertError with `SpecInvalid`."""
    with spec_errors():
        return _spec(spec)


def parse_bucket(spec: Spec) -> Bucket:
    """Parse the spec of a CertificateStore; raises ClientCertError with `SpecInvalid`."""
    with spec_errors():
        s3 = spec["s3"]
        return Bucket(
            name=s3["bucket"],
            prefix=s3.get("prefix", ""),
            region=s3.get("region", ""),
            endpoint=s3.get("endpoint", ""),
            credentials_secret=(s3.get("credentialsSecretRef") or {}).get("name", ""),
            poll_seconds=parse_duration(spec.get("pollEvery", "5m")),
            addressing=s3.get("addressing", "Auto"),
        )


def parse_duration(text: str) -> float:
    """Parse a Go duration of whole hours, minutes and seconds; returns seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise ValueError(f"{text!r} is not a duration like 5m or 1h30m")
    return float(sum(int(number or 0) * unit for number, unit in zip(match.groups(), _SECONDS, strict=True)))


def secret_key_ref(entry: Mapping[str, Any] | None) -> SecretKeyRef | None:
    """Parse a `…SecretRef {name, key}`; None if it is absent. Raises KeyError or TypeError for other values."""
    if not entry:
        return None
    name, key = entry["name"], entry["key"]
    if not isinstance(name, str) or not isinstance(key, str):
        raise TypeError("a reference to a Secret has a name and a key")
    return SecretKeyRef(sys.intern(name), sys.intern(key))


@contextmanager
def spec_errors() -> Iterator[None]:
    """Raise ClientCertError with `SpecInvalid` for a value that cannot be used."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ClientCertError(
            Reason.SPEC_INVALID, f"the spec cannot be used: {type(error).__name__} {error}"
        ) from error


def _spec(spec: Spec) -> CertificateSpec:
    identity, silence = spec.get("identity") or {}, spec.get("silence")
    acknowledgement, vetting = spec.get("acknowledgement") or {}, spec.get("vetting")
    return CertificateSpec(
        consumer=spec["consumer"],
        environment=sys.intern(spec["environment"]),
        source=_source(spec["source"]),
        contact=_contact(spec["contact"]),
        owner=sys.intern(spec.get("owner", "")),
        profile=sys.intern(spec.get("profile", "Client")),
        batch=sys.intern(spec.get("batch", "")),
        identity=_identity(spec["consumer"], identity),
        policy=sys.intern((spec.get("policyRef") or {}).get("name", "")),
        silence=_silence(silence) if silence else None,
        acknowledged=acknowledgement.get("serialNumber", ""),
        acknowledged_because=acknowledgement.get("reason", ""),
        vetting_date=date.fromisoformat(vetting["date"]) if vetting else None,
    )


def _identity(consumer: str, declared: Mapping[str, Any]) -> Identity:
    if not declared:
        return Identity(consumer)
    fields = {field: declared.get(field.value, "") for field in Field}
    fields[Field.ISSUER_DN] = sys.intern(fields[Field.ISSUER_DN])
    return Identity.declared(consumer, fields)


def _source(source: Mapping[str, Any]) -> SourceRef:
    if source["type"] == "Secret":
        secret = source["secret"]
        return SecretSource(
            secret["name"], sys.intern(secret.get("key", "tls.crt")), secret_key_ref(secret.get("passwordSecretRef"))
        )
    if source["type"] == "S3":
        s3 = source["s3"]
        return S3Source(sys.intern(s3["storeRef"]["name"]), s3["key"], secret_key_ref(s3.get("passwordSecretRef")))
    raise ValueError(f"this version does not support sources of type {source['type']}")


def _contact(contact: Mapping[str, Any]) -> Contact:
    slack = contact.get("slack") or {}
    return Contact(
        technical=_person(contact.get("technical")),
        business=_person(contact.get("business")),
        requester=_person(contact.get("requester")),
        slack_email=slack.get("email", ""),
        slack_member_id=slack.get("memberID", ""),
        lookup=tuple(sys.intern(way) for way in contact.get("lookup") or ()),
    )


def _person(entry: Mapping[str, Any] | None) -> Person | None:
    return Person(entry.get("name", ""), entry.get("email", "")) if entry else None


def _silence(entry: Mapping[str, Any]) -> Silence:
    until = moment(entry["until"])
    if until is None:
        raise ValueError("silence has no end")
    return Silence(until, entry["reason"])
