"""The Secrets, ConfigMaps and objects of ours that an object names. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from clientcert.api.client_certificate import parse_bucket, parse_spec
from clientcert.api.kinds import (
    CERTIFICATE_POLICY,
    CERTIFICATE_RENEWAL,
    CERTIFICATE_STORE,
    CLIENT_CERTIFICATE,
    Kind,
)
from clientcert.api.policy import BUSINESS_SUFFIX, parse_policy
from clientcert.api.renewal_policy import parse_renewal_policy
from clientcert.api.store_discovery import parse_discovery
from clientcert.cli.cluster import Object
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.policy import AlertPolicy, SlackAddress, UrlAddress
from clientcert.lifecycle.renewal.consent import CRL, DELIVER, ISSUER
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, RenewalPolicy
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey, S3Source, SecretKeyRef

_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A Secret that an object names, and the reasons of what may be wrong with it."""

    namespace: str
    name: str
    keys: tuple[str, ...]
    where: str
    """The field that names it, as a path."""
    missing: Reason
    no_key: Reason
    empty: Reason
    label: str = ""
    """The label that it needs; empty: none."""
    no_label: Reason = Reason.ISSUER_NOT_ALLOWED
    part: str = ""
    """The part of the object that needs it, such as "channel team"."""

    @property
    def key(self) -> ObjectKey:
        """Of the Secret."""
        return ObjectKey(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """Another object that an object names."""

    namespace: str
    kind: Kind | None
    """None: a ConfigMap."""
    name: str
    where: str
    missing: Reason | str
    keys: tuple[str, ...] = ()

    @property
    def key(self) -> ObjectKey:
        """Of the object that is named."""
        return ObjectKey(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class References:
    """The Secrets and the other objects that one object names."""

    secrets: tuple[SecretReference, ...] = ()
    objects: tuple[ObjectReference, ...] = ()


def references_of(kind: Kind, namespace: str, content: Object, *, is_declared: bool) -> References:
    """The references of an object; none if its spec cannot be read, which another check says.

    A dry run has checked the types of the fields, unless it was left out, or could not be made. `is_declared` is True
    for an object of a folder.
    """
    try:
        found = [*_named(kind, namespace, content.get("spec") or {}, is_declared=is_declared)]
    except (ClientCertError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return References()
    found = [each for each in found if all(isinstance(text, str) for text in (each.name, *each.keys))]
    return References(
        tuple(each for each in found if isinstance(each, SecretReference)),
        tuple(each for each in found if isinstance(each, ObjectReference)),
    )


def _named(
    kind: Kind, namespace: str, spec: Object, *, is_declared: bool
) -> Iterator[SecretReference | ObjectReference]:
    if kind is CLIENT_CERTIFICATE:
        yield from _of_certificate(namespace, parse_spec(spec))
    elif kind is CERTIFICATE_STORE:
        yield from _of_store(namespace, parse_bucket(spec).credentials_secret)
        discovery = parse_discovery(spec)
        if discovery is not None and discovery.policy:
            where = "spec.discovery.template.policyRef"
            yield ObjectReference(namespace, CERTIFICATE_POLICY, discovery.policy, where, Reason.POLICY_NOT_FOUND)
    elif kind is CERTIFICATE_POLICY:
        yield from _of_policy(namespace, parse_policy(spec, None))
        if renewal := parse_renewal_policy(spec):
            yield from _of_renewal(namespace, renewal)
    elif kind is CERTIFICATE_RENEWAL and is_declared:
        where, reason = "spec.certificateRef", Reason.CERTIFICATE_GONE
        yield ObjectReference(namespace, CLIENT_CERTIFICATE, spec["certificateRef"]["name"], where, reason)


def _of_certificate(namespace: str, spec: CertificateSpec) -> Iterator[SecretReference | ObjectReference]:
    source = spec.source
    if isinstance(source, S3Source):
        where = "spec.source.s3"
        yield ObjectReference(namespace, CERTIFICATE_STORE, source.store, f"{where}.storeRef", Reason.STORE_NOT_FOUND)
    else:
        where = "spec.source.secret"
        reasons = (Reason.SOURCE_NOT_FOUND, Reason.KEY_MISSING, Reason.EMPTY)
        yield SecretReference(namespace, source.name, (source.key,), where, *reasons)
    yield from _one(namespace, source.password_ref, f"{where}.passwordSecretRef", Reason.PASSWORD_NOT_FOUND)
    if spec.policy:
        yield ObjectReference(namespace, CERTIFICATE_POLICY, spec.policy, "spec.policyRef", Reason.POLICY_NOT_FOUND)


def _of_store(namespace: str, secret: str) -> Iterator[SecretReference]:
    if secret:
        reasons = (Reason.CREDENTIALS_NOT_FOUND,) * 3
        yield SecretReference(namespace, secret, _CREDENTIALS, "spec.s3.credentialsSecretRef", *reasons)


def _of_policy(namespace: str, policy: AlertPolicy) -> Iterator[SecretReference | ObjectReference]:
    for channel in policy.channels:
        address, part = channel.address, f"channel {channel.name}"
        fields: tuple[tuple[str, SecretKeyRef | None], ...] = ()
        if isinstance(address, SlackAddress):
            fields = ("slack.tokenSecretRef", address.token_ref), ("slack.webhookURLSecretRef", address.webhook_ref)
        elif isinstance(address, UrlAddress):
            field = channel.type.lower()
            fields = (
                (f"{field}.urlSecretRef", address.url_ref),
                (f"{field}.signingSecretRef", address.signing_ref),
                (f"{field}.authorizationSecretRef", address.authorization_ref),
            )
        if not channel.name.endswith(BUSINESS_SUFFIX):
            for where, ref in fields:
                yield from _one(namespace, ref, f"{where} of the channel", Reason.TOKEN_NOT_FOUND, part)
    where, contacts = "spec.contacts", policy.contacts
    yield from _one(namespace, contacts.slack_token_ref, f"{where}.slackTokenSecretRef", Reason.TOKEN_NOT_FOUND)
    if contacts.directory:
        yield ObjectReference(namespace, None, contacts.directory, f"{where}.directoryRef", "DirectoryNotFound")


def _of_renewal(namespace: str, renewal: RenewalPolicy) -> Iterator[SecretReference]:
    where, issuer = "spec.renewal", renewal.issuer
    authority = (Reason.ISSUER_NOT_FOUND, Reason.ISSUER_INVALID, Reason.ISSUER_INVALID, ISSUER)
    if isinstance(issuer, CaSecretIssuer):
        keys = (issuer.certificate_key, issuer.private_key_key, *filter(None, (issuer.password_key,)))
        yield SecretReference(namespace, issuer.name, keys, f"{where}.issuer.caSecret", *authority)
    else:
        ref = issuer.ca
        yield SecretReference(namespace, ref.name, (ref.key,), f"{where}.issuer.certManager.caRef", *authority)
    for ref in renewal.trust:
        yield SecretReference(namespace, ref.name, (ref.key,), f"{where}.trust", *authority)
    for ref in renewal.delivery.extras:
        reasons = (Reason.SOURCE_NOT_FOUND, Reason.KEY_MISSING, Reason.KEY_MISSING)
        place = f"{where}.delivery.extras"
        yield SecretReference(namespace, ref.name, (ref.key,), place, *reasons, DELIVER, Reason.EXTRA_NOT_ALLOWED)
    if renewal.crl_secret:
        reasons = (Reason.SOURCE_NOT_FOUND,) * 3  # its key is made with the first CRL
        place = f"{where}.revocation.crlSecretRef"
        yield SecretReference(namespace, renewal.crl_secret.name, (), place, *reasons, CRL, Reason.WRITE_NOT_ALLOWED)


def _one(
    namespace: str, ref: SecretKeyRef | None, where: str, reason: Reason, part: str = ""
) -> Iterator[SecretReference]:
    """A reference to one key, for which all faults have the same reason."""
    if ref is not None:
        yield SecretReference(namespace, ref.name, (ref.key,), where, reason, reason, reason, part=part)
