"""The CertificateRequests of cert-manager (cert-manager.io/v1): their names, their content, and their state. No I/O."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from clientcert.errors import IssuerError, Reason
from clientcert.issuers.interface import CreateRequest, Pending, PlanRequest
from clientcert.lifecycle.renewal.policy import CertManagerIssuer

API_VERSION = "cert-manager.io/v1"
USAGES = ("digital signature", "client auth")
RENEWAL_ANNOTATION = "clientcert.dev/renewal"
"""Names the CertificateRenewal, for whoever approves the request."""
CORRECT_AND_ASK_ANEW = "Correct the issuer, and ask anew (clientcert renew)"
"""The advice after an end: cert-manager never retries a CertificateRequest, and a refused renewal is final, too."""
_OWN_GROUP = "cert-manager.io"
_LONGEST_STEM = 200
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Ready:
    """The issuer has answered; the answer is not verified yet."""

    certificate_pem: bytes = field(repr=False)


def is_cluster_wide(settings: CertManagerIssuer) -> bool:
    """True if the issuer may belong to no namespace: ClusterIssuer, and other groups' kinds that are named like that.

    A kind of another group whose name does not say that it is an issuer of a namespace counts as well.
    """
    if settings.group == _OWN_GROUP:
        return settings.kind != "Issuer"
    return "cluster" in settings.kind.lower() or not settings.kind.endswith("Issuer")


def request_object_name(plan: PlanRequest, settings: CertManagerIssuer, fingerprint: str, lifetime: timedelta) -> str:
    """The object's name: another for each renewal, CSR, issuer, CA and lifetime, because its spec is immutable."""
    issuer = (settings.group, settings.kind, settings.name, fingerprint)
    parts = (plan.renewal_uid, plan.request_pem, *issuer, duration(lifetime))
    digits = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGITS]
    return f"{plan.renewal[:_LONGEST_STEM].rstrip('-.')}-{digits}"


def request_object(request: CreateRequest, settings: CertManagerIssuer, lifetime: timedelta) -> dict[str, Any]:
    """The whole object, as it is created."""
    return {
        "apiVersion": API_VERSION,
        "kind": "CertificateRequest",
        "metadata": {
            "name": request.issuance.request_ref,
            "namespace": request.plan.namespace,
            "annotations": {RENEWAL_ANNOTATION: request.plan.renewal},
        },
        "spec": {
            "request": base64.b64encode(request.plan.request_pem.encode()).decode(),
            "issuerRef": {"group": settings.group, "kind": settings.kind, "name": settings.name},
            "isCA": False,
            "usages": list(USAGES),
            "duration": duration(lifetime),
        },
    }


def duration(lifetime: timedelta) -> str:
    """As Go writes it, and so as cert-manager stores it: 9480h0m0s."""
    minutes, seconds = divmod(int(lifetime.total_seconds()), 60)
    return f"{minutes // 60}h{minutes % 60}m{seconds}s"


def is_same_request(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """True if both specs ask for the same; cert-manager adds the user who created it."""
    actual, spec = found.get("spec") or {}, wanted["spec"]
    return all(actual.get(name, False) == value for name, value in spec.items())


def state_of(found: Mapping[str, Any], title: str) -> Ready | Pending:
    """The state of the request at cert-manager. Raises IssuerError if it will never be signed."""
    status = found.get("status") or {}
    conditions = {each.get("type"): each for each in status.get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    look = f"kubectl describe certificaterequest {title.rpartition('/')[2]} says why"
    if _is_true(conditions, "Denied") or ready.get("reason") == "Denied":
        raise refused(
            f"{title} was denied by an approver of cert-manager: {look}. Have the approver allow it, and ask anew."
        )
    if _is_true(conditions, "InvalidRequest"):
        raise refused(
            f"{title} is invalid for cert-manager: {look}. Ask the consumer for another CSR, and ask anew with it."
        )
    if _is_true(conditions, "Ready") and status.get("certificate"):
        return Ready(_decoded(status["certificate"]))
    if ready.get("reason") == "Failed" or status.get("failureTime"):
        raise refused(f"{title} was refused by its issuer: {look}. {CORRECT_AND_ASK_ANEW}.")
    if not _is_true(conditions, "Approved"):
        return Pending(f"{title} waits for the approval by an approver of cert-manager, such as cmctl approve.")
    return Pending(f"{title} is approved, and waits for its issuer: {look}, if it takes long.")


def refused(message: str) -> IssuerError:
    """The error for a request that this issuer will never sign."""
    return IssuerError(Reason.ISSUANCE_REFUSED, message)


def _is_true(conditions: Mapping[str, Any], kind: str) -> bool:
    return (conditions.get(kind) or {}).get("status") == "True"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""
