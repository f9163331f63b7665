"""Reads the values of Secrets: certificates, and the passwords, tokens and credentials that belong to them.

Errors, reprs and logs contain the names of Secrets and keys, and never a value.
"""

import base64
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

from clientcert.errors import KubeError, Reason, SourceError
from clientcert.lifecycle.spec import SecretKeyRef, SecretSource, SourceRef
from clientcert.pki.passwords import decode_password
from clientcert.sources.interface import MAX_BYTES, Content, Password

_KEYS_SHOWN = 10


class SecretGetter(Protocol):
    """Gets a Secret from the API server."""

    async def __call__(self, namespace: str, name: str) -> Mapping[str, Any]:
        """Return the Secret as JSON; raises KubeError."""


class SecretReader:
    """The source of type Secret; also reads every other value that is kept in a Secret."""

    def __init__(self, get_secret: SecretGetter) -> None:
        self._get_secret = get_secret

    async def read(self, namespace: str, ref: SourceRef) -> Content:
        """Read the value of one key, which may be any bytes. Raises SourceError."""
        if not isinstance(ref, SecretSource):
            raise TypeError(f"not a reference to a Secret: {ref}")
        secret = await self._get(namespace, ref.name, missing=Reason.SOURCE_NOT_FOUND)
        body = secret.value(ref.key, missing=Reason.KEY_MISSING)
        return Content(body, f"sha256:{hashlib.sha256(body).hexdigest()}", secret.resource_version)

    async def read_secret_value(self, namespace: str, ref: SecretKeyRef, *, missing: Reason) -> bytes:
        """Read one key unchanged. Raises SourceError; the reason is `missing` if there is no Secret, key or value."""
        secret = await self._get(namespace, ref.name, missing=missing)
        return secret.filled_value(ref.key, missing=missing)

    async def read_secret_text(self, namespace: str, ref: SecretKeyRef, *, missing: Reason) -> str:
        """Read one key as UTF-8, without the line break at the end that editors and `echo` add.

        Raises SourceError; the reason is `missing` if there is no Secret, key or text.
        """
        value = await self.read_secret_value(namespace, ref, missing=missing)
        where = f"Secret {namespace}/{ref.name}: the value of key {ref.key}"
        try:
            text = value.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise SourceError(missing, f"{where} is not UTF-8 text: correct it.") from None
        if not text:
            raise SourceError(missing, f"{where} is empty: fill it in.")
        return text

    async def read_password(self, namespace: str, ref: SecretKeyRef) -> Password:
        """Read a container's password unchanged; whoever opens the container tries it without white space as well.

        Raises SourceError; the reason is PasswordNotFound if there is no Secret, key or value.
        """
        secret = await self._get(namespace, ref.name, missing=Reason.PASSWORD_NOT_FOUND)
        value = secret.filled_value(ref.key, missing=Reason.PASSWORD_NOT_FOUND)
        return Password(decode_password(value), secret.resource_version)

    async def read_secret_values(
        self, namespace: str, name: str, *, required: tuple[str, ...], optional: tuple[str, ...] = (), missing: Reason
    ) -> dict[str, bytes]:
        """Read several keys of one version of a Secret; optional keys that are absent or empty are left out.

        Raises SourceError; the reason is `missing` if there is no Secret, or a required key or value is absent.
        """
        secret = await self._get(namespace, name, missing=missing)
        wanted = (*required, *(key for key in optional if secret.encoded.get(key)))
        return {key: secret.filled_value(key, missing=missing) for key in wanted}

    async def _get(self, namespace: str, name: str, *, missing: Reason) -> "_Secret":
        try:
            return _Secret(f"Secret {namespace}/{name}", await self._get_secret(namespace, name))
        except KubeError as error:
            raise source_error(error, f"Secret {namespace}/{name}", missing) from error


class _Secret:
    """One Secret as the API server returned it. It has the default repr, which shows no value."""

    def __init__(self, title: str, content: Mapping[str, Any]) -> None:
        self.title = title
        self.encoded: Mapping[str, str] = content.get("data") or {}
        self.resource_version = str((content.get("metadata") or {}).get("resourceVersion", ""))

    def value(self, key: str, *, missing: Reason) -> bytes:
        encoded = self.encoded.get(key)
        if encoded is None:
            raise SourceError(missing, f"{self.title} has no key {key}: {self._advice()}.")
        # Four characters of base64 are three bytes: a value that is far too long is refused before it is decoded.
        if len(encoded) * 3 // 4 - 2 > MAX_BYTES or len(value := base64.b64decode(encoded)) > MAX_BYTES:
            raise SourceError(
                Reason.TOO_LARGE,
                f"{self.title}: the value of key {key} is larger than 1 MiB: leave only the certificate in it.",
            )
        return value

    def filled_value(self, key: str, *, missing: Reason) -> bytes:
        value = self.value(key, missing=missing)
        if not value:
            raise SourceError(missing, f"{self.title}: the value of key {key} is empty: fill it in.")
        return value

    def _advice(self) -> str:
        if not self.encoded:
            return "it holds nothing, so fill it in"
        shown = ", ".join(sorted(self.encoded)[:_KEYS_SHOWN])
        return f"name one that it has ({shown}{', …' if len(self.encoded) > _KEYS_SHOWN else ''}) or add it"


def source_error(error: KubeError, title: str, missing: Reason) -> SourceError:
    """The error for a Secret that could not be read, with advice; the reason is `missing` if there is none."""
    if error.reason is Reason.NOT_FOUND:
        return SourceError(missing, f"{title} does not exist: create it, or correct the reference.")
    if error.reason is Reason.FORBIDDEN and error.status != HTTPStatus.UNAUTHORIZED:
        return SourceError(
            Reason.ACCESS_DENIED,
            f"The operator may not read {title}: give its ServiceAccount the verb get on secrets in that namespace.",
        )
    return SourceError(
        Reason.SOURCE_UNAVAILABLE,
        f"{title} could not be read: {error.message}.",
        retryable=error.retryable or error.status == HTTPStatus.UNAUTHORIZED,
        retry_after=error.retry_after,
    )
