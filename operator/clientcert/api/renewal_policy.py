"""Parses `spec.renewal` of a CertificatePolicy."""

from collections.abc import Mapping
from typing import Any

from clientcert.api.client_certificate import secret_key_ref
from clientcert.lifecycle.renewal.policy import (
    CaSecretIssuer,
    CertManagerIssuer,
    ContentEncryption,
    DeliverySettings,
    DeliveryType,
    IssuerSettings,
    KeyChange,
    KeySettings,
    RenewalPolicy,
    Requester,
    Unchanged,
)
from clientcert.lifecycle.spec import SecretKeyRef

_SUBJECT = ("country", "stateOrProvince", "locality", "organization", "organizationalUnit")
"""In the order of a subject."""


def parse_renewal_policy(spec: Mapping[str, Any]) -> RenewalPolicy | None:
    """Parse it; None if it is absent: certificates are renewed by hand. Raises as the parsing of a mapping does."""
    entry = spec.get("renewal")
    if not entry:
        return None
    delivery, revocation, subject = entry.get("delivery") or {}, entry.get("revocation") or {}, entry.get("subject")
    return RenewalPolicy(
        issuer=_issuer(entry["issuer"]),
        trust=tuple(SecretKeyRef(each["name"], each.get("key", "tls.crt")) for each in entry.get("trust") or ()),
        opens_days_after_issue=entry.get("opensDaysAfterIssue", 183),
        requesters=frozenset(map(Requester, entry.get("requesters") or (Requester.TEAM,))),
        proof_required=entry.get("proofOfPossession") == "Required",
        require_unchanged=frozenset(map(Unchanged, entry.get("requireUnchanged", Unchanged))),
        max_vetting_age_days=entry.get("maxVettingAgeDays"),
        key=_key(entry.get("key") or {}),
        validity_days=entry.get("validityDays", 395),
        subject=tuple((name, subject[name]) for name in _SUBJECT if subject and subject.get(name)),
        automatic=entry.get("approval") == "Automatic",
        retire_after_days=entry.get("retireAfterDays"),
        delivery=DeliverySettings(
            DeliveryType(delivery.get("type", "CMS")),
            ContentEncryption(delivery.get("contentEncryption", "AES256CBC")),
            tuple(_ref(each["secretRef"]) for each in delivery.get("extras") or ()),
        ),
        crl_secret=secret_key_ref(revocation.get("crlSecretRef")),
        notify=tuple(entry.get("notify") or ()),
        call_if_unauthorised=entry.get("callIfUnauthorised", ""),
    )


def _issuer(entry: Mapping[str, Any]) -> IssuerSettings:
    if entry["type"] == "CASecret":
        pair = entry["caSecret"]
        return CaSecretIssuer(
            pair["name"],
            pair.get("certificateKey", "tls.crt"),
            pair.get("privateKeyKey", "tls.key"),
            pair.get("passwordKey", ""),
        )
    if entry["type"] != "CertManager":
        raise ValueError(f"this version has no issuer of type {entry['type']}")
    found = entry["certManager"]
    return CertManagerIssuer(
        found.get("group", "cert-manager.io"), found.get("kind", "Issuer"), found["name"], _ref(found["caRef"])
    )


def _key(entry: Mapping[str, Any]) -> KeySettings:
    made, default = entry.get("generate") or {}, KeySettings()
    return KeySettings(
        KeyChange(entry.get("policy", default.change)),
        made.get("algorithm", default.algorithm),
        made.get("size", default.size),
    )


def _ref(entry: Mapping[str, Any]) -> SecretKeyRef:
    return SecretKeyRef(entry["name"], entry["key"])
