"""Where certificates are read: one protocol, and an adapter for each type of source."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from clientcert.lifecycle.spec import SourceRef

MAX_BYTES = 1024 * 1024
"""A source is read no further than this; what is larger is refused with `TooLarge`."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a source held at one moment."""

    body: bytes
    version: str
    """Changes when the content changes and only then: an ETag, or `sha256:` and the hash of the value."""
    revision: str = ""
    """Of the thing that holds it (a Secret's resourceVersion): equal means there is no need to read again."""

    def __repr__(self) -> str:
        return f"Content({len(self.body)} bytes, version={self.version!r})"


@dataclass(frozen=True, slots=True)
class Listing:
    """What one LIST of a store found."""

    etags: Mapping[str, str]
    """Of the keys that were asked for and are there."""
    objects: int
    private_keys: tuple[str, ...] = ()
    """Names that look like private keys; at most five."""
    prefix: str = ""

    def covers(self, key: str) -> bool:
        """Whether the LIST would have shown that key if it was there."""
        return key.startswith(self.prefix)


class Lists(Protocol):
    """A type of store that can list all it holds in a few requests."""

    async def list(self, namespace: str, store: str, wanted: Collection[str]) -> Listing:
        """Go through all pages, and keep what was asked for. Raises SourceError as `Source.read` does."""

    async def forget(self, namespace: str, store: str) -> None:
        """The store has changed or is gone: end its connections, and read its credentials anew."""


class Source(Protocol):
    """One type of source. Safe to call for many certificates at once."""

    async def read(self, namespace: str, ref: SourceRef) -> Content:
        """Read what is there now.

        Raises SourceError; with `retryable` when the same call may succeed soon.
        """
