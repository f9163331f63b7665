"""Builders of a team's objects, as dicts for `kubectl apply`. Shared by all tests."""

import base64
from collections.abc import Mapping
from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]

API_VERSION = "clientcert.dev/v1alpha1"
CONTACT = {"technical": {"name": "Jo Bloggs", "email": "jo@nhs.example"}}


def secret(name: str, **values: bytes | str) -> Manifest:
    """A Secret; a key's dot is written as `_`: `secret("nhs-cert", tls_crt=…)`."""
    data = {
        key.replace("_", "."): base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
        for key, value in values.items()
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def client_certificate(name: str, *, consumer: str = "", environment: str = "prod", **spec: Any) -> Manifest:
    """A ClientCertificate that is read from key tls.crt of the Secret `{name}-cert`, unless `spec` says otherwise."""
    usual = {
        "consumer": consumer or name,
        "environment": environment,
        "contact": CONTACT,
        "source": in_secret(f"{name}-cert"),
    }
    return _object("ClientCertificate", name, usual | spec)


def in_secret(name: str, key: str = "tls.crt", password: Mapping[str, str] | None = None) -> Manifest:
    """A source of type Secret; `password` names the Secret and the key of its password."""
    reference = {"passwordSecretRef": dict(password)} if password else {}
    return {"type": "Secret", "secret": {"name": name, "key": key, **reference}}


def in_store(store: str, key: str) -> Manifest:
    """A source of type S3."""
    return {"type": "S3", "s3": {"storeRef": {"name": store}, "key": key}}


def certificate_policy(name: str, *channels: Manifest, **alerts: Any) -> Manifest:
    """A CertificatePolicy with these channels, and other fields of `spec.alerts`."""
    return _object("CertificatePolicy", name, {"alerts": alerts | ({"channels": list(channels)} if channels else {})})


def slack_channel(name: str, channel: str, token_secret: str = "", **override: Any) -> Manifest:
    """A policy's channel that posts with the bot token in key `token` of a Secret; without a Secret, with the
    operator's.
    """
    token = {"tokenSecretRef": {"name": token_secret, "key": "token"}} if token_secret else {}
    return {"name": name, "type": "Slack", "slack": {"channel": channel, **token}, **override}


def slack_webhook(name: str, url_secret: str, **override: Any) -> Manifest:
    """A policy's channel that posts to the incoming webhook whose URL is in key `url` of a Secret."""
    reference = {"webhookURLSecretRef": {"name": url_secret, "key": "url"}}
    return {"name": name, "type": "Slack", "slack": reference, **override}


def certificate_store(name: str, bucket: str, endpoint: str, credentials_secret: str, **spec: Any) -> Manifest:
    """A CertificateStore in the region eu-west-2; the Secret is that of `store_credentials`."""
    s3 = {
        "bucket": bucket,
        "region": "eu-west-2",
        "endpoint": endpoint,
        "credentialsSecretRef": {"name": credentials_secret},
    }
    return _object("CertificateStore", name, {"s3": s3, "pollEvery": "10s", **spec})


def store_credentials(name: str, access_key: str, secret_key: str) -> Manifest:
    """A Secret with the credentials of a CertificateStore."""
    data = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def _object(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
