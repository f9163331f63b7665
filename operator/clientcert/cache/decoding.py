"""Decodes the body of an object into its record."""

import itertools
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from clientcert.api.alert_test import parse_alert_test
from clientcert.api.client_certificate import parse_bucket, parse_spec
from clientcert.api.digests import parse_digests
from clientcert.api.kinds import moment
from clientcert.api.policy import parse_policy
from clientcert.api.renewal_policy import parse_renewal_policy
from clientcert.api.restored import held_until
from clientcert.api.status import digest, parse_status
from clientcert.api.store_discovery import DISCOVERED_BY, parse_discovery, parse_outcome
from clientcert.cache.objects import CertificateRecord, PolicyRecord, StoreRecord
from clientcert.errors import ClientCertError
from clientcert.lifecycle.alert_test import AlertTest
from clientcert.lifecycle.assessment import Problem
from clientcert.lifecycle.conditions import without_contact
from clientcert.lifecycle.contacts import contact_key
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.spec import UNUSABLE_SPEC, ObjectKey

Body: TypeAlias = dict[str, Any]
_Parsed = TypeVar("_Parsed")

_LONGEST_PROBLEM = 300
_LONGEST_NAME = 253
"""Of an object of Kubernetes."""
_configurations = itertools.count()


def key_of(body: Body) -> ObjectKey:
    """Namespace and name. All objects of a namespace share its name in memory."""
    metadata = body["metadata"]
    return ObjectKey(sys.intern(metadata["namespace"]), metadata["name"])


class Versioned(Protocol):
    """A record of one version of an object."""

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""

    @property
    def uid(self) -> str:
        """It differs if the object was created again."""

    @property
    def resource_version(self) -> str:
        """The version."""


Record = TypeVar("Record", bound=Versioned)


def is_newer(version: str, known: Versioned | None) -> bool:
    """True if no version is known, or only an earlier one; Kubernetes orders them officially since 1.35.

    Versions that are not numbers have no order: any other one counts as newer.
    """
    known_version = known.resource_version if known else ""
    if version.isdigit() and known_version.isdigit():
        return int(version) > int(known_version)
    return version != known_version


def overwritten(records: Mapping[ObjectKey, Record], written: Record) -> Record | None:
    """The record that an accepted write of ours replaces; None: the object is gone, was created again, or is newer.

    It is newer if a watch has delivered a later change before the answer to our write arrived.
    """
    known = records.get(written.key)
    if known is None or known.uid != written.uid or is_newer(known.resource_version, written):
        return None
    return known


def with_uid(records: Mapping[ObjectKey, Record], key: ObjectKey, uid: str) -> Record | None:
    """The record of the object with this uid (empty: any); None if there is none, or it was created again."""
    known = records.get(key)
    return known if known is not None and uid in {"", known.uid} else None


def decode_certificate(
    key: ObjectKey, body: Body, before: CertificateRecord | None, expected: CertificateRecord | None = None
) -> CertificateRecord:
    """The record of a ClientCertificate; `before` is the last one of the same object (uid).

    Unchanged parts are taken from it, or from the one whose status is being written, so that nothing is parsed twice.
    """
    metadata, content = body["metadata"], body.get("status") or {}
    generation, status_hash = metadata["generation"], digest(content)
    is_noted = bool(metadata.get("annotations") or metadata.get("labels"))
    if before is not None and before.generation == generation:
        spec, problem = before.spec, before.spec_problem
    else:
        try:
            spec, problem = parse_spec(body.get("spec") or {}), None
        except ClientCertError as error:
            spec, problem = UNUSABLE_SPEC, Problem(Phase.INVALID, error.reason, error.message)
    same = next((each for each in (before, expected) if each is not None and each.status_hash == status_hash), None)
    if same is not None:
        same_contact = same.generation == generation or contact_key(same.spec) == contact_key(spec)
        status = same.status if same_contact else without_contact(same.status)
    else:
        status = _status(content, generation) if content else CertificateStatus()
    created = before.created if before is not None else moment(metadata["creationTimestamp"])
    assert created is not None  # noqa: S101 - the API server sets it on every object
    return CertificateRecord(
        key=key,
        uid=before.uid if before is not None else metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=generation,
        created=created,
        spec=spec,
        spec_problem=problem,
        status=status,
        status_hash=status_hash,
        test=_test(body) if is_noted or "test" in content else None,
        discovered_by=_discovered_by(metadata) if is_noted else "",
        held_until=held_until(metadata, content, created) if is_noted else None,
    )


def _discovered_by(metadata: Body) -> str:
    name = (metadata.get("annotations") or {}).get(DISCOVERED_BY, "")
    return sys.intern(name) if len(name) <= _LONGEST_NAME else ""


def decode_policy(key: ObjectKey, body: Body, before: PolicyRecord | None, fallback: Channel | None) -> PolicyRecord:
    """The record of a CertificatePolicy; `fallback` is the operator's own channel."""
    metadata, status = body["metadata"], body.get("status") or {}
    policy = parse_policy(body.get("spec") or {}, fallback)
    renewal, renewal_problem = _renewal(body.get("spec") or {})
    same = before is not None and before.uid == metadata["uid"] and before.policy == policy
    same = same and before is not None and before.renewal == renewal
    return PolicyRecord(
        key=key,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata["generation"],
        policy=policy,
        renewal=renewal,
        renewal_problem=renewal_problem,
        conditions=parse_status(status).conditions,
        digests=parse_digests(status),
        status_hash=digest({name: value for name, value in status.items() if name != "digests"}),
        configuration=before.configuration if before and same else next_configuration(),
        test=_test(body),
    )


def decode_store(key: ObjectKey, body: Body, before: StoreRecord | None) -> StoreRecord:
    """The record of a CertificateStore."""
    metadata, status = body["metadata"], body.get("status") or {}
    bucket, problem = _parsed(parse_bucket, body["spec"])
    discovery, discovery_problem = _parsed(parse_discovery, body["spec"])
    same = before is not None and before.uid == metadata["uid"] and before.bucket == bucket
    return StoreRecord(
        key=key,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata["generation"],
        bucket=bucket,
        problem=problem,
        conditions=parse_status(status).conditions,
        status_hash=digest(status),
        configuration=before.configuration if before and same else next_configuration(),
        discovery=discovery,
        discovery_problem=discovery_problem,
        outcome=parse_outcome(status),
    )


def _parsed(parse: Callable[[Body], _Parsed], spec: Body) -> tuple[_Parsed | None, ClientCertError | None]:
    try:
        return parse(spec), None
    except ClientCertError as error:
        return None, error.with_traceback(None)  # its frames hold the object, and the record before


def next_configuration() -> int:
    """A number that no record has had yet."""
    return next(_configurations)


def _test(body: Body) -> AlertTest | None:
    return parse_alert_test(body["metadata"].get("annotations"), body.get("status") or {})


def _renewal(content: Body) -> tuple[RenewalPolicy | None, str]:
    try:
        return parse_renewal_policy(content), ""
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return None, f"spec.renewal cannot be used: {type(error).__name__} {error}"[:_LONGEST_PROBLEM]


def _status(content: Body, generation: int) -> CertificateStatus:
    """Parse a status; its contact is kept only if it was written for this generation."""
    status = parse_status(content)
    return status if content.get("observedGeneration") == generation else without_contact(status)
