"""Writes a renewed certificate back to its Secret: one key, and `client.csr` beside it."""

import asyncio
import base64
from collections.abc import Mapping
from http import HTTPStatus

from clientcert.errors import KubeError, Reason, SourceError
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.lifecycle.spec import SecretSource, SourceRef
from clientcert.pki.private_key_search import holds_private_key
from clientcert.sources.interface import WriteOrder
from clientcert.sources.replaceable import CSR_NAME, check_not_encrypted, may_write, may_write_csr
from clientcert.sources.secret import source_error

ROLE = "clientcert-write-secrets"
"""The ClusterRole that a RoleBinding grants in each namespace that wants it; that of an installation may differ."""
_ATTEMPTS = 3


class SecretWriter:
    """Writes Secrets by merge patches of single keys, with the resourceVersion of the Secret that was just read."""

    def __init__(self, client: KubeClient, role: str = ROLE) -> None:
        self._client = client
        self._role = role

    async def write(self, namespace: str, ref: SourceRef, order: WriteOrder) -> str:
        """As `SourceWriter.write`."""
        secret_ref = _secret(ref)
        title = f"Secret {namespace}/{secret_ref.name}"
        check_not_encrypted(secret_ref.password_ref is not None, title)
        for _ in range(_ATTEMPTS):
            secret = await self._get(namespace, secret_ref)
            changes, note = await asyncio.to_thread(_changes, secret, secret_ref.key, order, title)
            if not changes or await self._patch(namespace, secret_ref, secret, changes):
                return note
        words = f"{title} is changed again and again while it is written."
        raise SourceError(Reason.SOURCE_UNAVAILABLE, words, retryable=True)

    async def read_beside(self, namespace: str, ref: SourceRef) -> bytes | None:
        """As `SourceWriter.read_beside`: the key `client.csr` of the same Secret."""
        secret_ref = _secret(ref)
        if secret_ref.key == CSR_NAME:
            return None
        return _values(await self._get(namespace, secret_ref)).get(CSR_NAME)

    async def _get(self, namespace: str, ref: SecretSource) -> Object:
        """Read the Secret from the API server's store: an answer from its cache could be outdated."""
        try:
            return await self._client.get(_path(namespace, ref))
        except KubeError as error:
            raise source_error(error, f"Secret {namespace}/{ref.name}", Reason.SOURCE_NOT_FOUND) from error

    async def _patch(self, namespace: str, ref: SecretSource, secret: Object, changes: dict[str, bytes]) -> bool:
        """Write the keys; return False if the Secret has changed since it was read."""
        data = {key: base64.b64encode(value).decode() for key, value in changes.items()}
        patch = {"metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]}, "data": data}
        try:
            await self._client.merge_patch(_path(namespace, ref), patch, metadata_only=True)
        except KubeError as error:
            if error.reason is Reason.CONFLICT:
                return False
            raise _write_error(error, namespace, ref.name, self._role) from error
        return True


def _secret(ref: SourceRef) -> SecretSource:
    if not isinstance(ref, SecretSource):
        raise TypeError(f"not a reference to a Secret: {ref}")
    return ref


def _path(namespace: str, ref: SecretSource) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{ref.name}"


def _values(secret: Object) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def _changes(secret: Object, key: str, order: WriteOrder, title: str) -> tuple[dict[str, bytes], str]:
    """The keys to be written, and a note about what is not. Raises SourceError if the certificate must not be.

    Nothing is written into a Secret that holds a private key, also where the new certificate is there already.
    """
    values = _values(secret)
    changes = {key: order.new_pem} if may_write(values.get(key), order, f"{title}, key {key},") else {}
    note = ""
    if order.csr_pem and key != CSR_NAME and values.get(CSR_NAME) != order.csr_pem:
        if may_write_csr(values.get(CSR_NAME), order):
            changes[CSR_NAME] = order.csr_pem
        else:
            note = f"{title}: key {CSR_NAME} holds something else than an earlier request, and was left as it is."
    found = _key_with_private_key(values) if changes else ""
    if not found:
        return changes, note
    words = f"{title} holds a private key (in key {found}), so nothing is written to it"
    if key in changes:
        words = f"{words}: put the new certificate there by hand, with its key."
        raise SourceError(Reason.SOURCE_HAS_PRIVATE_KEY, words)
    return {}, f"{words}, and no {CSR_NAME}."


def _key_with_private_key(values: Mapping[str, bytes]) -> str:
    """The name of the first key of a Secret that holds a private key; empty if none does."""
    return next((name for name, value in sorted(values.items()) if holds_private_key(value)), "")


def _write_error(error: KubeError, namespace: str, name: str, role: str) -> SourceError:
    title = f"Secret {namespace}/{name}"
    if error.reason is Reason.FORBIDDEN and error.status != HTTPStatus.UNAUTHORIZED:
        return SourceError(
            Reason.WRITE_NOT_ALLOWED,
            f"The operator may not write {title}: bind the ClusterRole {role} to its ServiceAccount by a RoleBinding "
            "in that namespace, or put the new certificate there by hand (clientcert retrieve prints it).",
        )
    if error.reason is Reason.UNPROCESSABLE:
        return SourceError(
            Reason.WRITE_NOT_ALLOWED,
            f"{title} cannot be changed: it is immutable, or a policy of the cluster refuses it. Put the new "
            "certificate there by hand (clientcert retrieve prints it).",
        )
    return source_error(error, title, Reason.SOURCE_NOT_FOUND)
