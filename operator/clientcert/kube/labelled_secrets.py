"""Secrets that are used in another way than as a source: only with the consent that their label states.

Whoever edits a CertificatePolicy could otherwise sign with any key, and have any Secret mailed out or overwritten.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from clientcert.errors import KubeError, Reason, SourceError
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.lifecycle.renewal.consent import ALLOWED, CRL, DELIVER
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.pki.crl_bundle import CrlBundle, OtherCrl

_ROLE = "clientcert-write-secrets"


@dataclass(frozen=True, slots=True)
class LabelledSecret:
    """One Secret with its labels."""

    title: str
    labels: Mapping[str, str]
    data: Mapping[str, bytes] = field(repr=False)
    resource_version: str = ""

    def consents(self, label: str) -> bool:
        """True if it has this label."""
        return self.labels.get(label) == ALLOWED


class LabelledSecrets:
    """Reads them, and writes the CRL into one."""

    def __init__(
        self, get_secret: Callable[[str, str], Awaitable[Object]], client: KubeClient, role: str = _ROLE
    ) -> None:
        """`role` is what a namespace binds to the operator, to have its Secrets written."""
        self._get_secret = get_secret
        self._client = client
        self._role = role

    async def read(self, namespace: str, name: str) -> LabelledSecret:
        """One Secret. Raises KubeError."""
        found = await self._get_secret(namespace, name)
        metadata, encoded = found.get("metadata") or {}, found.get("data") or {}
        data = {key: base64.b64decode(value) for key, value in encoded.items()}
        version = str(metadata.get("resourceVersion", ""))
        return LabelledSecret(f"Secret {name} in namespace {namespace}", metadata.get("labels") or {}, data, version)

    async def read_extra(self, namespace: str, ref: SecretKeyRef) -> bytes:
        """A value that is delivered with a key. Raises SourceError."""
        secret = await self._consenting(namespace, ref.name, DELIVER, Reason.EXTRA_NOT_ALLOWED)
        if not secret.data.get(ref.key):
            words = (
                f"{secret.title} has no value of key {ref.key}: fill it in, or correct delivery.extras of the policy"
            )
            raise SourceError(Reason.KEY_MISSING, words)
        return secret.data[ref.key]

    async def write_crl(
        self, namespace: str, ref: SecretKeyRef, change: Callable[[bytes], CrlBundle]
    ) -> tuple[OtherCrl, ...]:
        """Bring one key of a Secret to what `change` makes of its value, in a thread; returns the CRLs of other CAs.

        Raises SourceError and KubeError.
        """
        secret = await self._consenting(namespace, ref.name, CRL, Reason.WRITE_NOT_ALLOWED)
        bundle = await asyncio.to_thread(change, secret.data.get(ref.key, b""))
        if secret.data.get(ref.key) != bundle.content:
            await self._write(namespace, ref, secret, bundle.content)
        return bundle.others

    async def _write(self, namespace: str, ref: SecretKeyRef, secret: LabelledSecret, content: bytes) -> None:
        change = {
            "metadata": {"resourceVersion": secret.resource_version},
            "data": {ref.key: base64.b64encode(content).decode()},
        }
        path = f"/api/v1/namespaces/{namespace}/secrets/{ref.name}"
        try:
            await self._client.merge_patch(path, change, metadata_only=True)
        except KubeError as error:
            if error.reason is Reason.OBSERVE_ONLY:
                raise SourceError(error.reason, error.message) from None
            if error.reason is not Reason.FORBIDDEN:
                raise
            words = f"the operator may not write {secret.title}: bind the role {self._role} to it there"
            raise SourceError(Reason.WRITE_NOT_ALLOWED, words) from None

    async def _consenting(self, namespace: str, name: str, label: str, refusal: Reason) -> LabelledSecret:
        title = f"Secret {name} in namespace {namespace}"
        try:
            secret = await self.read(namespace, name)
        except KubeError as error:
            if error.reason is Reason.NOT_FOUND:
                words = f"{title} does not exist: create it, or correct the policy"
                raise SourceError(Reason.SOURCE_NOT_FOUND, words) from None
            raise SourceError(
                Reason.SOURCE_UNAVAILABLE, f"{title} cannot be read: {error.message}", retryable=error.retryable
            ) from None
        if not secret.consents(label):
            words = f"{title} has no label {label}={ALLOWED}: add it, or name another Secret in the policy"
            raise SourceError(refusal, words)
        return secret
