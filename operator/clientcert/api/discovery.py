"""The names of a certificate that was found: one decision for `clientcert import` and for the discovery of a store.

    pattern = KeyPattern.parse("{consumer}/client.pem")
    folder = pattern.folder("nhs/client.pem")           # nhs
    found = read_found(content, folder, now=now)        # its consumer, and the identity that it must declare
    names = object_names(found.name, "prod", S3Source("backup", "nhs/client.pem"))    # nhs-prod

A name depends on the source, the consumer's name there and the environment alone, so it is the same each time. Keys of
a bucket are not trusted.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self

from clientcert.api.client_list import LONGEST_CONSUMER, is_one_line
from clientcert.api.kinds import OBJECT_NAME
from clientcert.errors import CertificateError, Reason
from clientcert.lifecycle.source_gap import TEMPORARY, is_temporary
from clientcert.lifecycle.spec import SecretSource, SourceRef
from clientcert.pki.alternative_names import Names
from clientcert.pki.certificate import Certificate
from clientcert.pki.certificate_fields import read_fields
from clientcert.pki.der import MalformedError
from clientcert.pki.distinguished_names import EMAIL_ADDRESS
from clientcert.pki.identity import ANYONE, Field, Identity
from clientcert.pki.leaf_content import LeafContent, read_leaf
from clientcert.pki.lenient import read_outline
from clientcert.pki.mismatch import identity_offer
from clientcert.pki.visible import declarable

CONSUMER = "{consumer}"
LONGEST_KEY = 1024
_NOT_IN_NAMES, _NOT_IN_CONSUMERS = re.compile(r"[^a-z0-9]+"), re.compile(r"[^-_.a-zA-Z0-9]+")
_LONGEST_STEM = 40
_HASH_DIGITS = 10


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """The form of the keys that are certificates: a text with {consumer}, which is one folder or a part of one."""

    before: str
    after: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError, which says what to correct."""
        before, found, after = text.partition(CONSUMER)
        if not found or CONSUMER in after or not declarable(before + "x" + after):
            raise ValueError(f"must have {CONSUMER} once, such as {CONSUMER}/client.pem")
        if {"{", "}"} & set(before + after):
            raise ValueError(f"knows no field but {CONSUMER}")
        return cls(before, after)

    def __str__(self) -> str:
        return self.before + CONSUMER + self.after

    def listed(self, prefix: str) -> str:
        """The beginning of all keys that match below the prefix of a store."""
        return prefix + self.before if not prefix or prefix.endswith("/") else prefix

    @staticmethod
    def below(prefix: str, key: str) -> str:
        """The part of a key that is compared with the pattern: below the prefix, which need not end with the slash."""
        return key.removeprefix(prefix).removeprefix("/")

    def folder(self, key: str) -> str | None:
        """The part of the key in the place of {consumer}; None if the key does not match."""
        found = key[len(self.before) : len(key) - len(self.after)]
        return found if found and "/" not in found and key == self.key(found) else None

    def folder_above(self, key: str) -> str | None:
        """The folder in the place of {consumer} that holds the key, under any name; None if there is none."""
        if not self.after.startswith("/") or not key.startswith(self.before):
            return None
        found, slash, _ = key.removeprefix(self.before).partition("/")
        return found if found and slash else None

    def key(self, folder: str) -> str:
        """The key for this folder."""
        return f"{self.before}{folder}{self.after}"


@dataclass(frozen=True, slots=True)
class Found:
    """A certificate that was found, and how a ClientCertificate has to declare it."""

    name: str
    """The folder, or the certificate's own name."""
    consumer: str
    """The same, unless no consumer may be called so."""
    identity: tuple[tuple[Field, str], ...]
    """The fields of spec.identity; none if the certificate has the consumer's name."""
    leaf: LeafContent = field(repr=False)
    is_authority: bool = False
    """True for the certificate of a CA (basicConstraints)."""
    is_for_clients: bool = True
    """False if its extendedKeyUsage lacks clientAuth."""

    @property
    def certificate(self) -> Certificate:
        """The leaf."""
        return self.leaf.certificate


class ObjectNames(NamedTuple):
    """The names of an object, in the order in which they are tried."""

    usual: str
    other: str
    """If another object, which reads another source, has the first one."""


def consumer_of(folder: str) -> str:
    """The consumer of this folder: its name; if no consumer may be called so, its readable part and a hash."""
    if is_one_line(folder, LONGEST_CONSUMER):
        return folder
    return _with_hash(_stem(_NOT_IN_CONSUMERS, folder), folder)


def origin_of(source: SourceRef) -> str:
    """The source in one line, without its namespace."""
    if isinstance(source, SecretSource):
        return f"secret {source.name} {source.key}"
    return f"s3 {source.store} {source.key}"


def object_names(folder: str, environment: str, source: SourceRef | str) -> ObjectNames:
    """The names of the ClientCertificate for a folder (or another name of the consumer) and a source.

    A certificate that has no source yet is named by a line like that of `origin_of`.

    `nhs-prod`; with a hash of the two words if Kubernetes would refuse them, or if letters would be lost. Two folders
    of an environment never have the same name; `a-b` in `c` and `a` in `b-c` have, and then the other name is used.
    """
    plain = f"{folder}-{environment}"
    stem = "-".join(_stem(_NOT_IN_NAMES, each.lower()) for each in (folder, environment)).strip("-")
    fits = len(folder) <= LONGEST_CONSUMER and OBJECT_NAME.fullmatch(plain) is not None
    usual = plain if fits else _with_hash(stem, folder, environment)
    origin = source if isinstance(source, str) else origin_of(source)
    return ObjectNames(usual, _with_hash(stem, folder, environment, origin))


def key_problem(key: str) -> str:
    """The reason why no ClientCertificate can name this key; empty if one can."""
    if len(key) > LONGEST_KEY:
        return f"the key has more than {LONGEST_KEY} characters, the limit of S3: give it a shorter name"
    if not declarable(key):
        return "the key has control or invisible characters, which no ClientCertificate may name: give it another name"
    return ""


def read_found(
    content: bytes, folder: str, *, otherwise: str = "", password: str | None = None, now: datetime
) -> Found:
    """Read a certificate as the operator will; blocking. Raises CertificateError.

    Without a `folder`, the certificate itself names the consumer; if it has no name but addresses, `otherwise` does.
    """

    def read(identity: Identity) -> LeafContent:
        return read_leaf(content, password=password, identity=identity, now=now)

    leaf = read(Identity(consumer_of(folder)) if folder else ANYONE)
    if is_temporary(leaf.certificate):
        raise CertificateError(Reason.TEMPORARY_CERTIFICATE, f"it holds {TEMPORARY}")
    outline = read_outline(leaf.der)
    name = folder or next((each for each in Names(outline).own if not is_address(each)), otherwise)
    consumer = consumer_of(name)
    offer = identity_offer(consumer, outline)
    identity = (offer,) if offer else ()
    if offer or not folder:  # what is declared decides which of several certificates is the leaf
        leaf = read(Identity.declared(consumer, dict(identity)))
    if leaf.certificate.identity_mismatch:
        raise CertificateError(Reason.IDENTITY_MISMATCH, f"it holds {leaf.certificate.identity_mismatch}")
    return Found(name, consumer, identity, leaf, read_outline(leaf.der).is_authority, _is_for_clients(leaf.der))


def is_address(text: str) -> bool:
    """True if a name in a certificate is the address of a person, or contains one, such as a DN with emailAddress."""
    return "@" in text or f"{EMAIL_ADDRESS}=" in text


def _is_for_clients(der: bytes) -> bool:
    try:
        return read_fields(der).allows_clients
    except MalformedError:
        return True


def _stem(replaced: re.Pattern[str], text: str) -> str:
    return replaced.sub("-", text).strip("-.")[:_LONGEST_STEM].rstrip("-.")


def _with_hash(stem: str, *parts: str) -> str:
    digits = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{stem}-{digits}" if stem else f"certificate-{digits}"
