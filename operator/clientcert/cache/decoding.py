"""What the bodies of objects say, as records have it."""

from datetime import datetime
from typing import Any, TypeAlias

from clientcert.api.client_certificate import parse_spec
from clientcert.api.kinds import moment
from clientcert.api.status import parse_status
from clientcert.errors import ClientCertError
from clientcert.lifecycle.assessment import Phase, Problem
from clientcert.lifecycle.conditions import of_somebody_else
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.lifecycle.spec import CertificateSpec

Body: TypeAlias = dict[str, Any]


def is_newer(version: str, known: str) -> bool:
    """Whether a resourceVersion is later than one we know; they are ordered since Kubernetes 1.35, and were before."""
    if version.isdigit() and known.isdigit():
        return int(version) > int(known)
    return version != known


def created_of(metadata: Body) -> datetime:
    """When the object was made."""
    created = moment(metadata["creationTimestamp"])
    assert created is not None  # noqa: S101 - the API server sets it on every object
    return created


def recorded_of(status: Body, generation: int) -> CertificateStatus:
    """What the status remembers; of the contact only what it says of this generation."""
    recorded = parse_status(status)
    return recorded if status.get("observedGeneration") == generation else of_somebody_else(recorded)


def declaration_of(spec: Body) -> tuple[CertificateSpec | None, Problem | None]:
    """What the spec declares, or why it cannot be used."""
    try:
        return parse_spec(spec), None
    except ClientCertError as error:
        return None, Problem(Phase.INVALID, error.reason, error.message)
