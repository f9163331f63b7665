"""The lists that no policy names any more: what they say stays known. An index in the namespace has their names.

The operator may read a ConfigMap by its name only. So an index keeps the name of each list that it has written.
"""

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from clientcert.api.kinds import OBJECT_NAME
from clientcert.cache.revocations import ListProblem
from clientcert.controllers.certificate_revocation.config_maps import ListFiles, kept_entries
from clientcert.errors import IssuerError, Reason
from clientcert.kube.config_maps import Files, Found
from clientcert.lifecycle.renewal.revocation_lists import Part

INDEX = "clientcert-revocation-lists"
_NAMES = "names"
_MOST_NAMES = 200
_TOO_MANY = (
    f"the namespace has more than {_MOST_NAMES} revocation lists, and the index {INDEX} has no place for all: delete"
    " the ConfigMaps of those that no gateway reads"
)


@dataclass(frozen=True, slots=True)
class Former:
    """The former lists of a namespace."""

    index: Found | None = None
    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    """The entries of each, by its name."""
    problem: ListProblem | None = None
    """The reason why one could not be read."""

    @property
    def listed(self) -> frozenset[tuple[str, str]]:
        """Issuer and serial number of each entry."""
        entries = (each for parts in self.parts.values() for part in parts for each in part)
        return frozenset((each.issuer_dn, each.serial_number) for each in entries)


class FormerLists:
    """Reads them, and keeps the index. Raises KubeError of an outage."""

    def __init__(self, files: ListFiles) -> None:
        self._files = files
        self._names: dict[str, frozenset[str]] = {}
        """By namespace: the names of the last pass, for an index that was deleted or could not be written."""

    async def read(self, namespace: str, current: AbstractSet[str]) -> Former:
        """All lists but the current ones, which policies name."""
        index, parts = None, dict[str, tuple[Part, ...]]()
        try:
            index = await self._files.read(namespace, INDEX)
            for name in sorted((_names(index) | self._names.get(namespace, frozenset())) - current):
                found = await self._files.read_parts(namespace, name)
                if found:
                    parts[name] = await asyncio.to_thread(kept_entries, found)
        except IssuerError as error:
            return Former(index, parts, ListProblem(error.reason, error.message))
        return Former(index, parts)

    async def note(self, namespace: str, former: Former, existing: AbstractSet[str]) -> ListProblem | None:
        """Bring the index to these lists, the former ones and those that exist; returns the problem, if there is one.

        The name of a list leaves it once somebody has deleted its ConfigMaps.
        """
        if former.problem is not None:
            return former.problem
        names = frozenset((*former.parts, *existing))
        self._names[namespace] = names
        if len(names) > _MOST_NAMES:
            return ListProblem(Reason.TOO_LARGE, _TOO_MANY)
        if names == _names(former.index):
            return None
        try:
            await self._files.write(namespace, INDEX, former.index, Files({_NAMES: "".join(map(_line, sorted(names)))}))
        except IssuerError as error:
            return ListProblem(error.reason, error.message)
        return None


def _names(index: Found | None) -> frozenset[str]:
    if index is None or not index.is_ours:
        return frozenset()
    lines = index.files.text.get(_NAMES, "").split("\n")[:_MOST_NAMES]
    return frozenset(each for each in lines if OBJECT_NAME.fullmatch(each))


def _line(name: str) -> str:
    return f"{name}\n"
