"""The interface of certificate sources: reading, listing and writing back."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from clientcert.lifecycle.spec import SourceRef

MAX_BYTES = 1024 * 1024
"""The largest content that is read from a source; larger content is refused with `TooLarge`."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a source at one moment."""

    body: bytes
    version: str
    """Changes if and only if the content changes: an ETag, or `sha256:` and the hash of the value."""
    revision: str = ""
    """The version of the object that holds the content (a Secret's resourceVersion); if it is equal, skip the read."""

    def __repr__(self) -> str:
        return f"Content({len(self.body)} bytes, version={self.version!r})"


@dataclass(frozen=True, slots=True)
class Password:
    """The password of a container."""

    text: str | None = None
    """None: there is none."""
    version: str = ""
    """The resourceVersion of its Secret."""

    def __repr__(self) -> str:
        return f"Password(version={self.version!r})"


@dataclass(frozen=True, slots=True)
class Listing:
    """The result of one LIST of a store."""

    etags: Mapping[str, str]
    """ETags by key, for the requested keys that exist."""
    objects: int
    private_keys: tuple[str, ...] = ()
    """Names of objects that look like private keys; at most five."""
    prefix: str = ""

    def covers(self, key: str) -> bool:
        """True if the LIST would contain the key if it existed."""
        return key.startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class WriteOrder:
    """A renewed certificate, and the one that it replaces in its source."""

    old_fingerprint_sha256: str
    """Of the certificate that the source must still hold, in lower-case hex; empty for a consumer's first one, which is
    written only where nothing is."""
    new_pem: bytes = field(repr=False)
    """The certificate, then its chain."""
    csr_pem: bytes = field(default=b"", repr=False)
    """For `client.csr` beside the source; empty: none."""


class KeyCollector(Protocol):
    """Keeps some of the keys of a LIST."""

    def begin(self) -> None:
        """Forget the keys of a LIST that was not finished."""

    def add(self, key: str, etag: str) -> None:
        """Look at one key, in the order of the LIST."""


class StoreLister(Protocol):
    """Lists all objects of a store in a few requests."""

    async def list(
        self, namespace: str, store: str, wanted: AbstractSet[str], others: KeyCollector | None = None
    ) -> Listing:
        """Read all pages of the LIST and keep the `wanted` keys; all others go to the collector.

        Raises SourceError as `Source.read` does; the collector has seen a part of the keys then.
        """

    async def forget(self, namespace: str, store: str) -> None:
        """Close the store's connections after it was changed or deleted; the next call reads its credentials again."""


class Source(Protocol):
    """One type of source. Concurrent calls for many certificates are safe."""

    async def read(self, namespace: str, ref: SourceRef) -> Content:
        """Read the current content.

        Raises SourceError; `retryable` is set if the same call may succeed soon.
        """


class SourceWriter(Protocol):
    """Writes to one type of source. Every method raises SourceError."""

    async def write(self, namespace: str, ref: SourceRef, order: WriteOrder) -> str:
        """Write the new certificate, if the source, read anew, still holds the old one alone and no private key.

        Calling it again is safe: a source that holds the new certificate is left as it is. Returns a sentence about
        what was not written beside the certificate (`client.csr`), or an empty string.

        Reasons besides those of `Source.read`: SourceChanged, SourceHasPrivateKey, WriteNotAllowed, and
        UnsupportedFormat if the old certificate is not plain PEM. Their messages say what to do by hand.
        """

    async def read_beside(self, namespace: str, ref: SourceRef) -> bytes | None:
        """Read `client.csr` beside the source; None if there is none."""
