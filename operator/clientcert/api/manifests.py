"""Renders objects as a person would write them: the counterpart of `client_certificate.py`."""

from typing import Any

from clientcert.api.kinds import API_VERSION, CERTIFICATE_STORE, CLIENT_CERTIFICATE, Kind, timestamp
from clientcert.lifecycle.spec import Bucket, CertificateSpec, Contact, ObjectKey, Person, SecretKeyRef, SecretSource

Manifest = dict[str, Any]


def client_certificate(key: ObjectKey, spec: CertificateSpec) -> Manifest:
    """The manifest of a ClientCertificate without what only people decide later (acknowledgement, vetting)."""
    content: Manifest = {"consumer": spec.consumer, "environment": spec.environment}
    if spec.owner:
        content["owner"] = spec.owner
    if spec.profile != "Client":
        content["profile"] = spec.profile
    if spec.batch:
        content["batch"] = spec.batch
    content |= {"contact": _contact(spec.contact), "source": _source(spec)}
    if spec.identity.fields:
        content["identity"] = {field.value: value for field, value in spec.identity.fields}
    if spec.policy:
        content["policyRef"] = {"name": spec.policy}
    if spec.silence is not None:
        content["silence"] = {"until": timestamp(spec.silence.until), "reason": spec.silence.reason}
    return _object(CLIENT_CERTIFICATE, key, content)


def certificate_store(key: ObjectKey, bucket: Bucket) -> Manifest:
    """The manifest of a CertificateStore, with the default poll interval."""
    fields = {"bucket": bucket.name, "prefix": bucket.prefix, "region": bucket.region, "endpoint": bucket.endpoint}
    content: Manifest = {name: value for name, value in fields.items() if value}
    if bucket.credentials_secret:
        content["credentialsSecretRef"] = {"name": bucket.credentials_secret}
    return _object(CERTIFICATE_STORE, key, {"s3": content})


def _object(kind: Kind, key: ObjectKey, spec: Manifest) -> Manifest:
    metadata = {"name": key.name, "namespace": key.namespace}
    return {"apiVersion": API_VERSION, "kind": kind.name, "metadata": metadata, "spec": spec}


def _contact(contact: Contact) -> Manifest:
    found: Manifest = {}
    for role in ("technical", "business", "requester"):
        person: Person | None = getattr(contact, role)
        if person is not None:
            found[role] = {"name": person.name, "email": person.email} if person.name else {"email": person.email}
    if contact.slack_email:
        found["slack"] = {"email": contact.slack_email}
    elif contact.slack_member_id:
        found["slack"] = {"memberID": contact.slack_member_id}
    if contact.lookup:
        found["lookup"] = list(contact.lookup)
    return found


def _source(spec: CertificateSpec) -> Manifest:
    source = spec.source
    if isinstance(source, SecretSource):
        return {"type": "Secret", "secret": {"name": source.name, "key": source.key, **_password(source.password_ref)}}
    return {
        "type": "S3",
        "s3": {"storeRef": {"name": source.store}, "key": source.key, **_password(source.password_ref)},
    }


def _password(ref: SecretKeyRef | None) -> Manifest:
    return {"passwordSecretRef": {"name": ref.name, "key": ref.key}} if ref else {}
