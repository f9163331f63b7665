"""Secrets, keys, ConfigMaps and objects of ours that objects name, and that do not exist. Pure."""

from collections.abc import Iterable, Iterator
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
from clientcert.cli.check.finding import Check, Finding
from clientcert.cli.check.known import Item, Known, SecretFacts
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.policy import AlertPolicy, SlackAddress, UrlAddress
from clientcert.lifecycle.renewal.consent import ALLOWED, CRL, DELIVER, ISSUER
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, RenewalPolicy
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey, S3Source, SecretKeyRef

_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_KEYS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A Secret that an object names, and the reasons of what may be wrong with it."""

    item: Item
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
        return ObjectKey(self.item.key.namespace, self.name)


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """Another object that an object names."""

    item: Item
    kind: Kind | None
    """None: a ConfigMap."""
    name: str
    where: str
    missing: Reason | str
    keys: tuple[str, ...] = ()

    @property
    def key(self) -> ObjectKey:
        """Of the object that is named."""
        return ObjectKey(self.item.key.namespace, self.name)


def secret_references(items: Iterable[Item]) -> list[SecretReference]:
    """The Secrets that these objects name."""
    return [found for item in items for found in _references(item) if isinstance(found, SecretReference)]


def object_references(items: Iterable[Item]) -> list[ObjectReference]:
    """The other objects that these objects name."""
    return [found for item in items for found in _references(item) if isinstance(found, ObjectReference)]


def check_references(known: Known) -> Iterator[Finding]:
    """A finding for each object of ours, or client list, that is named and does not exist."""
    there = known.by_place()
    for each in object_references(known.items):
        if each.kind is None:
            is_there = known.config_maps.get(each.key, True)
        else:
            is_there = (each.kind, each.key) in there or (each.kind, each.key.namespace) in known.unlisted
        if not is_there:
            kind = each.kind.name if each.kind else "ConfigMap"
            words = f"{kind} {each.name} does not exist"
            yield _finding(Check.REFERENCES, each.item, each.missing, words, f"Create it, or correct {each.where}.")


def check_secrets(known: Known) -> Iterator[Finding]:
    """A finding for each Secret that does not exist, lacks a key or a label, or has an empty value."""
    for each in secret_references(known.items):
        if each.key not in known.secrets:
            continue
        found, begin = known.secrets[each.key], f"{each.part}: " if each.part else ""
        if found is None:
            words = f"{begin}Secret {each.name} does not exist"
            yield _finding(Check.SECRETS, each.item, each.missing, words, f"Create it, or correct {each.where}.")
            continue
        yield from _keys(each, found, begin)
        if each.label and found.labels is not None and found.labels.get(each.label) != ALLOWED:
            words = f"{begin}Secret {each.name} has no label {each.label}={ALLOWED}"
            action = f"Add the label if it may be used so, or name another Secret in {each.where}."
            yield _finding(Check.SECRETS, each.item, each.no_label, words, action)


def _keys(each: SecretReference, found: SecretFacts, begin: str) -> Iterator[Finding]:
    if found.keys is None:
        return
    for key in each.keys:
        if key not in found.keys:
            words = f"{begin}Secret {each.name} has no key {key}: {_shown(found.keys)}"
            action = f"Add the key, or correct {each.where}."
            yield _finding(Check.SECRETS, each.item, each.no_key, words, action)
        elif not found.keys[key]:
            words = f"{begin}the value of key {key} of Secret {each.name} is empty"
            yield _finding(Check.SECRETS, each.item, each.empty, words, "Fill it in.")


def _shown(keys: Iterable[str]) -> str:
    every = sorted(keys)
    if not every:
        return "it holds nothing"
    return f"it has {', '.join(every[:_KEYS_SHOWN])}{', …' if len(every) > _KEYS_SHOWN else ''}"


def _finding(check: Check, item: Item, reason: Reason | str, message: str, action: str) -> Finding:
    return Finding(check, item.subject, reason, message, action)


def _references(item: Item) -> Iterator[SecretReference | ObjectReference]:
    """What the object names; nothing if its spec cannot be read, which another check says.

    A dry run has checked the types of the fields, unless it was left out, or could not be made.
    """
    try:
        found = [*_named(item)]
    except (ClientCertError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return iter(())
    return (each for each in found if all(isinstance(text, str) for text in (each.name, *each.keys)))


def _named(item: Item) -> Iterator[SecretReference | ObjectReference]:
    spec = item.content.get("spec") or {}
    if item.kind is CLIENT_CERTIFICATE:
        yield from _of_certificate(item, parse_spec(spec))
    elif item.kind is CERTIFICATE_STORE:
        yield from _of_store(item, parse_bucket(spec).credentials_secret)
    elif item.kind is CERTIFICATE_POLICY:
        yield from _of_policy(item, parse_policy(spec, None))
        if renewal := parse_renewal_policy(spec):
            yield from _of_renewal(item, renewal)
    elif item.kind is CERTIFICATE_RENEWAL and item.file:
        where, reason = "spec.certificateRef", Reason.CERTIFICATE_GONE
        yield ObjectReference(item, CLIENT_CERTIFICATE, spec["certificateRef"]["name"], where, reason)


def _of_certificate(item: Item, spec: CertificateSpec) -> Iterator[SecretReference | ObjectReference]:
    source = spec.source
    if isinstance(source, S3Source):
        where = "spec.source.s3"
        yield ObjectReference(item, CERTIFICATE_STORE, source.store, f"{where}.storeRef", Reason.STORE_NOT_FOUND)
    else:
        where = "spec.source.secret"
        reasons = (Reason.SOURCE_NOT_FOUND, Reason.KEY_MISSING, Reason.EMPTY)
        yield SecretReference(item, source.name, (source.key,), where, *reasons)
    yield from _one(item, source.password_ref, f"{where}.passwordSecretRef", Reason.PASSWORD_NOT_FOUND)
    if spec.policy:
        yield ObjectReference(item, CERTIFICATE_POLICY, spec.policy, "spec.policyRef", Reason.POLICY_NOT_FOUND)


def _of_store(item: Item, secret: str) -> Iterator[SecretReference]:
    if secret:
        reasons = (Reason.CREDENTIALS_NOT_FOUND,) * 3
        yield SecretReference(item, secret, _CREDENTIALS, "spec.s3.credentialsSecretRef", *reasons)


def _of_policy(item: Item, policy: AlertPolicy) -> Iterator[SecretReference | ObjectReference]:
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
                yield from _one(item, ref, f"{where} of the channel", Reason.TOKEN_NOT_FOUND, part)
    where, contacts = "spec.contacts", policy.contacts
    yield from _one(item, contacts.slack_token_ref, f"{where}.slackTokenSecretRef", Reason.TOKEN_NOT_FOUND)
    if contacts.directory:
        yield ObjectReference(item, None, contacts.directory, f"{where}.directoryRef", "DirectoryNotFound")


def _of_renewal(item: Item, renewal: RenewalPolicy) -> Iterator[SecretReference]:
    where, issuer = "spec.renewal", renewal.issuer
    authority = (Reason.ISSUER_NOT_FOUND, Reason.ISSUER_INVALID, Reason.ISSUER_INVALID, ISSUER)
    if isinstance(issuer, CaSecretIssuer):
        keys = (issuer.certificate_key, issuer.private_key_key, *filter(None, (issuer.password_key,)))
        yield SecretReference(item, issuer.name, keys, f"{where}.issuer.caSecret", *authority)
    else:
        ref = issuer.ca
        yield SecretReference(item, ref.name, (ref.key,), f"{where}.issuer.certManager.caRef", *authority)
    for ref in renewal.trust:
        yield SecretReference(item, ref.name, (ref.key,), f"{where}.trust", *authority)
    for ref in renewal.delivery.extras:
        reasons = (Reason.SOURCE_NOT_FOUND, Reason.KEY_MISSING, Reason.KEY_MISSING)
        place = f"{where}.delivery.extras"
        yield SecretReference(item, ref.name, (ref.key,), place, *reasons, DELIVER, Reason.EXTRA_NOT_ALLOWED)
    if renewal.crl_secret:
        reasons = (Reason.SOURCE_NOT_FOUND,) * 3  # its key is made with the first CRL
        place = f"{where}.revocation.crlSecretRef"
        yield SecretReference(item, renewal.crl_secret.name, (), place, *reasons, CRL, Reason.WRITE_NOT_ALLOWED)


def _one(item: Item, ref: SecretKeyRef | None, where: str, reason: Reason, part: str = "") -> Iterator[SecretReference]:
    """A reference to one key, for which all faults have the same reason."""
    if ref is not None:
        yield SecretReference(item, ref.name, (ref.key,), where, reason, reason, reason, part=part)
