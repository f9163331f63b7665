"""Who refers to whom: what is to be looked at again when a Secret, a policy or a store has changed.

A reference never leaves its namespace.
"""

from dataclasses import dataclass, field

from clientcert.cache.objects import CertificateRecord
from clientcert.lifecycle.policy import AlertPolicy, SlackAddress, UrlAddress
from clientcert.lifecycle.spec import ObjectKey, S3Source, SecretKeyRef

_Reference = tuple[str, str, str]
"""What (secret, policy, store), namespace, name."""


@dataclass(slots=True)
class References:
    """What certificates name in their specs, and which Secrets policies and stores need."""

    _certificates: dict[_Reference, set[ObjectKey]] = field(default_factory=dict)
    """What is named → the certificates that name it."""
    _users: dict[ObjectKey, set[tuple[str, ObjectKey]]] = field(default_factory=dict)
    """Secret → the policies and stores that need it."""
    _versions: dict[ObjectKey, str] = field(default_factory=dict)
    """Of the Secrets that anything refers to, as last told."""

    def add(self, record: CertificateRecord) -> None:
        """Remember what this certificate names."""
        for reference in _named_by(record):
            self._certificates.setdefault(reference, set()).add(record.key)

    def remove(self, record: CertificateRecord) -> None:
        """Forget what it names; by the same declaration as it was added with."""
        for reference in _named_by(record):
            self._certificates[reference].discard(record.key)
            if not self._certificates[reference]:
                del self._certificates[reference]
                self._forget_version(ObjectKey(*reference[1:]))

    def needs(self, what: str, key: ObjectKey, secrets: frozenset[str]) -> None:
        """A `policy` or `store` needs Secrets of these names, and no others any more."""
        for secret, users in tuple(self._users.items()):
            users.discard((what, key))
            if not users:
                del self._users[secret]
                self._forget_version(secret)
        for name in secrets:
            self._users.setdefault(ObjectKey(key.namespace, name), set()).add((what, key))

    def certificates(self, what: str, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """Those whose spec names this `secret`, `policy` or `store`."""
        return tuple(self._certificates.get((what, key.namespace, key.name), ()))

    def count(self, what: str, key: ObjectKey) -> int:
        """How many these are."""
        return len(self._certificates.get((what, key.namespace, key.name), ()))

    def users(self, secret: ObjectKey) -> tuple[tuple[str, ObjectKey], ...]:
        """The policies and stores that need it, each with what it is."""
        return tuple(self._users.get(secret, ()))

    def tell(self, secret: ObjectKey, version: str) -> str | None:
        """A Secret that something refers to has this resourceVersion; returns what was told before."""
        known, self._versions[secret] = self._versions.get(secret), version
        return known

    def secrets(self, namespace: str) -> set[tuple[str, str]]:
        """Namespace and name of the Secrets that something in this namespace (empty: in any) refers to."""
        read = {(where, name) for what, where, name in self._certificates if what == "secret"}
        used = {(key.namespace, key.name) for key in self._users}
        return {secret for secret in read | used if namespace in {"", secret[0]}}

    def _forget_version(self, secret: ObjectKey) -> None:
        if secret not in self._users and not self.certificates("secret", secret):
            self._versions.pop(secret, None)


def secrets_of(policy: AlertPolicy) -> frozenset[str]:
    """The names of the Secrets with tokens and webhooks that its channels need."""
    references: list[SecretKeyRef | None] = [policy.contacts.slack_token_ref]
    for channel in policy.channels:
        match channel.address:
            case SlackAddress() as slack:
                references += [slack.token_ref, slack.webhook_ref]
            case UrlAddress() as called:
                references += [called.url_ref, called.signing_ref, called.authorization_ref]
    return frozenset(ref.name for ref in references if ref)


def _named_by(record: CertificateRecord) -> set[_Reference]:
    declaration, namespace = record.declaration, record.key.namespace
    if declaration is None:
        return set()
    source = declaration.source
    found = {("store", namespace, source.store) if isinstance(source, S3Source) else ("secret", namespace, source.name)}
    if source.password_ref:
        found.add(("secret", namespace, source.password_ref.name))
    if declaration.policy:
        found.add(("policy", namespace, declaration.policy))
    return found
