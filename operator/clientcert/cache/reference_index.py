"""Index of the references between objects, to find all users of a changed Secret, policy or store.

Objects refer only to objects in their own namespace.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from clientcert.cache.objects import CertificateRecord
from clientcert.garbage_collection import unscanned_tuple
from clientcert.lifecycle.policy import AlertPolicy, SlackAddress, UrlAddress
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, RenewalPolicy
from clientcert.lifecycle.spec import UNUSABLE_SPEC, ObjectKey, S3Source, SecretKeyRef

_Reference = tuple[str, str, str]
"""Kind (secret, policy, store), namespace, name."""


@dataclass(slots=True)
class ReferenceIndex:
    """The references in the specs of certificates, and the Secrets that policies and stores need."""

    _certificates: dict[_Reference, ObjectKey | set[ObjectKey]] = field(default_factory=dict)
    """Reference → its certificates. A single one is stored without a set: most Secrets belong to one certificate."""
    _users: dict[ObjectKey, set[tuple[str, ObjectKey]]] = field(default_factory=dict)
    """Secret → the policies and stores that need it."""
    _needs: dict[tuple[str, ObjectKey], frozenset[str]] = field(default_factory=dict)
    """Policy or store → the names of the Secrets that it needs."""
    _versions: dict[ObjectKey, str] = field(default_factory=dict)
    """The last known resourceVersion of each Secret that a policy or store needs."""

    def add(self, record: CertificateRecord) -> None:
        """Add the references of this certificate."""
        for reference in _references(record):
            named = self._certificates.get(reference)
            if named is None:
                self._certificates[reference] = record.key
            elif isinstance(named, set):
                named.add(record.key)
            else:
                self._certificates[reference] = {named, record.key}

    def remove(self, record: CertificateRecord) -> None:
        """Remove the references of this certificate; its spec must be the same as when it was added."""
        for reference in _references(record):
            named = self._certificates.get(reference)
            if isinstance(named, set) and len(named) > 1:
                named.discard(record.key)
                continue
            self._certificates.pop(reference, None)

    def set_secrets(self, kind: str, key: ObjectKey, secrets: frozenset[str]) -> None:
        """Replace the Secrets that a policy or store needs by the Secrets with these names."""
        user = (kind, key)
        before = self._needs.pop(user, frozenset())
        if secrets:
            self._needs[user] = secrets
        for name in secrets - before:
            self._users.setdefault(ObjectKey(key.namespace, name), set()).add(user)
        for name in before - secrets:
            secret = ObjectKey(key.namespace, name)
            self._users[secret].discard(user)
            if not self._users[secret]:
                del self._users[secret]
                self._versions.pop(secret, None)

    def certificates(self, kind: str, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """The certificates whose spec names this `secret`, `policy` or `store`."""
        named = self._certificates.get((kind, key.namespace, key.name))
        if named is None:
            return ()
        return unscanned_tuple(named) if isinstance(named, set) else (named,)

    def count(self, kind: str, key: ObjectKey) -> int:
        """The number of certificates whose spec names this `secret`, `policy` or `store`."""
        named = self._certificates.get((kind, key.namespace, key.name), ())
        return len(named) if isinstance(named, set) else int(bool(named))

    def users(self, secret: ObjectKey) -> tuple[tuple[str, ObjectKey], ...]:
        """The policies and stores that need the Secret, each with its kind."""
        return tuple(self._users.get(secret, ()))

    def note_version(self, secret: ObjectKey, version: str) -> str | None:
        """Store the resourceVersion of a Secret that a policy or store needs; returns the previous one."""
        known, self._versions[secret] = self._versions.get(secret), version
        return known

    def secrets(self, namespace: str) -> Iterator[tuple[str, str]]:
        """Namespace and name of each Secret that an object here (empty: anywhere) refers to; some are there twice."""
        for kind, where, name in unscanned_tuple(self._certificates):
            if kind == "secret" and namespace in {"", where}:
                yield where, name
        yield from (secret for secret in tuple(self._users) if namespace in {"", secret.namespace})


def secrets_of(policy: AlertPolicy) -> frozenset[str]:
    """The names of the Secrets with tokens and URLs that its channels need."""
    references: list[SecretKeyRef | None] = [policy.contacts.slack_token_ref]
    for channel in policy.channels:
        match channel.address:
            case SlackAddress() as slack:
                references += [slack.token_ref, slack.webhook_ref]
            case UrlAddress() as called:
                references += [called.url_ref, called.signing_ref, called.authorization_ref]
    return frozenset(ref.name for ref in references if ref)


def secrets_of_renewal(policy: RenewalPolicy | None) -> frozenset[str]:
    """The names of the Secrets with the certificates of CAs, and of those that get a CRL."""
    if policy is None:
        return frozenset()
    issuer = policy.issuer
    references = [*policy.trust, *((policy.crl_secret,) if policy.crl_secret else ())]
    return frozenset(ref.name for ref in references) | {
        issuer.name if isinstance(issuer, CaSecretIssuer) else issuer.ca.name
    }


def _references(record: CertificateRecord) -> set[_Reference]:
    spec, namespace = record.spec, record.key.namespace
    if spec is UNUSABLE_SPEC:
        return set()
    source = spec.source
    found = {("store", namespace, source.store) if isinstance(source, S3Source) else ("secret", namespace, source.name)}
    if source.password_ref:
        found.add(("secret", namespace, source.password_ref.name))
    if spec.policy:
        found.add(("policy", namespace, spec.policy))
    return found
