"""The leaf of a source with its octets and its chain, for a renewal; `parse` keeps neither, as no alert needs them."""

from dataclasses import dataclass, field
from datetime import datetime

from clientcert.errors import CertificateError
from clientcert.pki.certificate import Certificate
from clientcert.pki.identity import ANYONE, Identity
from clientcert.pki.parsing import choose, guarded
from clientcert.pki.path import issuers_of
from clientcert.pki.private_key_search import holds_private_key
from clientcert.pki.strict import read_certificate
from clientcert.pki.structure import Kind


@dataclass(frozen=True, slots=True)
class LeafContent:
    """The content of a source."""

    certificate: Certificate
    der: bytes = field(repr=False)
    """The leaf."""
    chain_ders: tuple[bytes, ...] = field(repr=False)
    """Those of its issuers that are in the content, the nearest first; without a root."""
    has_private_key: bool
    """True if there is any private key, or a container that may hold one; such a content is never written over."""


def read_leaf(data: bytes, *, password: str | None = None, identity: Identity = ANYONE, now: datetime) -> LeafContent:
    """The same leaf as `parse` chooses, under the same conditions; blocking, and raises the same errors."""
    found = guarded(lambda: _read_leaf(data, password, identity, now))
    if isinstance(found, CertificateError):
        raise found
    return found


def _read_leaf(data: bytes, password: str | None, identity: Identity, now: datetime) -> LeafContent:
    bundle, choice = choose(data, password, identity, now)
    return LeafContent(
        certificate=read_certificate(bundle, choice),
        der=choice.leaf.der,
        chain_ders=tuple(each.der for each in issuers_of(choice.leaf, bundle.certificates)),
        has_private_key=Kind.PRIVATE_KEY in bundle.kinds
        or any(bundle.has_key(each) for each in bundle.certificates)
        or holds_private_key(data),
    )
