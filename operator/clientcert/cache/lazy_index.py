"""An index that only some kinds of work need: the first `fill` makes it, and then it is kept up to date."""

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from clientcert.garbage_collection import unscanned_tuple
from clientcert.lifecycle.spec import ObjectKey

_Key = TypeVar("_Key", bound=Hashable)
_AT_ONCE = 1_000
"""Objects that are added in one iteration of the event loop, however many callers wait for the index."""


class LazyIndex(Generic[_Key]):
    """Objects by a key. Most keys have one object, and a tenant may give thousands of its objects the same."""

    def __init__(self) -> None:
        self.is_used = False
        """While it is False, no change needs to be taken over."""
        self._filling = asyncio.Lock()
        self._unread: Iterator[ObjectKey] = iter(())
        self._first: dict[_Key, ObjectKey] = {}
        self._others: dict[_Key, set[ObjectKey]] = {}
        """The objects of a key but the first, if it has several."""

    async def fill(self, objects: Collection[ObjectKey], key_of: Callable[[ObjectKey], _Key | None]) -> None:
        """Add all objects; once that is done, it returns at once.

        `key_of` returns the key that an object has when it is called; None if it is gone, or has none.
        """
        if not self.is_used:
            self.is_used, self._unread = True, iter(unscanned_tuple(objects))
        async with self._filling:  # a caller that is cancelled leaves the rest to the next one
            while part := tuple(islice(self._unread, _AT_ONCE)):
                for each in part:
                    self.add(key_of(each), each)
                await asyncio.sleep(0)

    def add(self, key: _Key | None, added: ObjectKey) -> None:
        """Add an object; it may be there already."""
        if key is not None and self._first.setdefault(key, added) != added:
            self._others.setdefault(key, set()).add(added)

    def discard(self, key: _Key | None, gone: ObjectKey) -> None:
        """Remove an object, if it is there."""
        if key is None or key not in self._first:
            return
        others = self._others.get(key, set())
        if self._first[key] != gone:
            others.discard(gone)
        elif others:
            self._first[key] = others.pop()
        else:
            del self._first[key]
        if not others:
            self._others.pop(key, None)

    def objects(self, key: _Key) -> tuple[ObjectKey, ...]:
        """The objects with this key."""
        first = self._first.get(key)
        return (first, *self._others.get(key, ())) if first is not None else ()
