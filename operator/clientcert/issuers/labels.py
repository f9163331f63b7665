"""Secrets that their owner has labelled: without the label the operator uses no value of them.

Else whoever edits a policy could make the operator sign with, mail out or overwrite any Secret of the namespace.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from clientcert.errors import IssuerError, KubeError, Reason
from clientcert.lifecycle.renewal.consent import ALLOWED
from clientcert.lifecycle.renewal.consent import ISSUER as ISSUER_LABEL

_KEYS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class SecretContent:
    """One version of a Secret. Its repr shows no value."""

    labels: Mapping[str, str]
    data: Mapping[str, bytes] = field(repr=False)


class SecretRead(Protocol):
    """Reads a Secret from the API server."""

    async def __call__(self, namespace: str, name: str, /) -> SecretContent:
        """Return it; raises KubeError."""


def is_allowed(labels: Mapping[str, str], label: str) -> bool:
    """True if the label says so; the value is exact."""
    return labels.get(label) == ALLOWED


@dataclass(frozen=True, slots=True)
class LabelledSecret:
    """A Secret with the label of an issuer."""

    title: str
    """Secret and its name, for messages."""
    data: Mapping[str, bytes] = field(repr=False)

    def value(self, key: str) -> bytes:
        """The value of a key; raises IssuerError if there is none, or an empty one."""
        found = self.data.get(key)
        if found is None:
            raise IssuerError(Reason.ISSUER_INVALID, f"{self.title} has no key {key}: {self._advice()}.")
        if not found:
            raise IssuerError(Reason.ISSUER_INVALID, f"{self.title}: the value of key {key} is empty: fill it in.")
        return found

    def error(self, error: IssuerError) -> IssuerError:
        """The same error with the name of the Secret in front of its fragment of a sentence."""
        return IssuerError(error.reason, f"{self.title}: {error.message}.", retryable=error.retryable)

    def _advice(self) -> str:
        if not self.data:
            return "it holds nothing, so fill it in"
        shown = ", ".join(sorted(self.data)[:_KEYS_SHOWN])
        return f"name one that it has ({shown}{', …' if len(self.data) > _KEYS_SHOWN else ''}) or add it"


async def read_issuer_secret(read_secret: SecretRead, namespace: str, name: str) -> LabelledSecret:
    """Read a Secret with the label of an issuer; raises IssuerError."""
    title = f"Secret {namespace}/{name}"
    try:
        found = await read_secret(namespace, name)
    except KubeError as error:
        raise _issuer_error(error, title) from error
    if not is_allowed(found.labels, ISSUER_LABEL):
        raise IssuerError(
            Reason.ISSUER_NOT_ALLOWED,
            f"{title} is not labelled as an issuer: if certificates may be signed with it, add the label"
            f" {ISSUER_LABEL}={ALLOWED}.",
        )
    return LabelledSecret(title, found.data)


def _issuer_error(error: KubeError, title: str) -> IssuerError:
    if error.reason is Reason.NOT_FOUND:
        return IssuerError(Reason.ISSUER_NOT_FOUND, f"{title} does not exist: create it, or correct the reference.")
    if error.reason is Reason.FORBIDDEN and error.status != HTTPStatus.UNAUTHORIZED:
        return IssuerError(
            Reason.ACCESS_DENIED,
            f"The operator may not read {title}: give its ServiceAccount the verb get on secrets in that namespace.",
        )
    return IssuerError(
        Reason.ISSUER_UNAVAILABLE,
        f"{title} could not be read: {error.message}.",
        retryable=error.retryable or error.status == HTTPStatus.UNAUTHORIZED,
        retry_after=error.retry_after,
    )
