"""The number of objects in a page of a LIST: the usual one, and fewer where objects are large.

A tenant may make each object of its namespace 1.5 MB large, so that five hundred of them would fill the memory.
"""

import logging
from dataclasses import dataclass, field

from clientcert.network.byte_budget import MIB

LARGEST_PAGE = 4 * MIB
"""Bytes. A larger page is abandoned, and asked for again with half as many objects; usual pages have a fourth of it."""
LARGEST_ANSWER = 8 * MIB
"""Bytes of a page with one object, and of any other answer. etcd takes objects of 1.5 MiB, which are at most 6 MiB as
JSON, where some characters have six.
"""
_ROOMY = LARGEST_PAGE // 4

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class PageLimits:
    """The number of objects of the next page of each collection."""

    _reduced: dict[str, int] = field(default_factory=dict)
    """By path, where pages of the usual size were too large."""

    def objects(self, path: str, usual: int) -> int:
        """The number for the next page; `usual` is the one for small objects."""
        return self._reduced.get(path, usual)

    def largest(self, path: str, usual: int) -> int:
        """The bytes of the next page, at most: beyond them it can have fewer objects."""
        return LARGEST_PAGE if self.objects(path, usual) > 1 else LARGEST_ANSWER

    def reduce(self, path: str, usual: int) -> bool:
        """Halve the number after a page that was too large; returns False if it had one object."""
        objects = self.objects(path, usual)
        if objects == usual:
            logger.info("%s has large objects, so that its pages have fewer", path)
        self._reduced[path] = max(objects // 2, 1)
        return objects > 1

    def grow(self, path: str, usual: int, size: int) -> None:
        """Double the number, up to the usual one, after a page that was small (`size` in bytes)."""
        if path in self._reduced and size < _ROOMY:
            self._reduced[path] *= 2
            if self._reduced[path] >= usual:
                del self._reduced[path]
