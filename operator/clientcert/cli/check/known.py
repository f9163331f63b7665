"""The objects that were read, as the checks need them.

A Secret is known by its keys and labels; its values are dropped at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_STORE, CLIENT_CERTIFICATE, Kind
from clientcert.cli.check.finding import Subject
from clientcert.cli.check.folder_rights import Grant
from clientcert.cli.check.named import References, references_of
from clientcert.cli.cluster import Object
from clientcert.lifecycle.spec import ObjectKey

OBSERVED = (CLIENT_CERTIFICATE, CERTIFICATE_POLICY, CERTIFICATE_STORE)
"""Kinds that the operator looks at as a whole: each has the condition Ready."""
Place = tuple[Kind, ObjectKey]


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """The facts that may be known of a Secret."""

    keys: Mapping[str, bool] | None
    """The keys, and whether each has a value; None: a controller fills it in."""
    labels: Mapping[str, str] | None
    """None: a controller sets them."""

    def joined(self, other: "SecretFacts | None") -> "SecretFacts":
        """As it is when this is applied to the other one, which is in the cluster."""
        if other is None:
            return self
        keys = None if self.keys is None or other.keys is None else {**other.keys, **self.keys}
        labels = None if self.labels is None or other.labels is None else {**other.labels, **self.labels}
        return SecretFacts(keys, labels)


@dataclass(frozen=True)
class Item:
    """An object of ours."""

    kind: Kind
    key: ObjectKey
    content: Object
    """As it will be when the folder is applied; without a folder, as it is."""
    applied: Object | None = None
    """As it is in the cluster; None if it is not there."""
    file: str = ""
    changed: bool = False
    """True if the folder changes its spec, or makes it."""

    @cached_property
    def references(self) -> References:
        """The Secrets and the other objects that it names."""
        return references_of(self.kind, self.key.namespace, self.content, is_declared=bool(self.file))

    @property
    def subject(self) -> Subject:
        """For findings."""
        return Subject(self.kind.name, self.key.name, self.key.namespace, self.file)

    @property
    def place(self) -> Place:
        """Its kind and key."""
        return self.kind, self.key

    @property
    def status(self) -> Object:
        """Of the object in the cluster; empty if there is none."""
        return dict((self.applied or {}).get("status") or {})

    @property
    def generation(self) -> int:
        """Of the spec in the cluster; 0 if there is none."""
        return int((self.applied or {}).get("metadata", {}).get("generation", 0))

    @property
    def is_observed(self) -> bool:
        """True if the operator has looked at this spec; of other kinds than these always."""
        if self.kind not in OBSERVED or self.applied is None:
            return True
        conditions = self.status.get("conditions") or ()
        return any(each.get("observedGeneration") == self.generation for each in conditions)


@dataclass(frozen=True, slots=True)
class Declared:
    """The other objects that a folder makes, as far as objects of ours refer to them."""

    secrets: Mapping[ObjectKey, SecretFacts] = field(default_factory=dict)
    config_maps: frozenset[ObjectKey] = frozenset()
    namespaces: frozenset[str] = frozenset()
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that the checks of objects look at."""

    items: tuple[Item, ...] = ()
    """The objects that are checked."""
    others: tuple[Item, ...] = ()
    """The other objects of the same namespaces."""
    unlisted: frozenset[tuple[Kind, str]] = frozenset()
    """Kinds that may not be listed in a namespace: an object that is not known there may exist."""
    secrets: Mapping[ObjectKey, SecretFacts | None] = field(default_factory=dict)
    """None: there is none. A Secret that could not be looked at is missing."""
    config_maps: Mapping[ObjectKey, bool] = field(default_factory=dict)
    """True: it exists. One that could not be looked at is missing."""
    declared: Declared = field(default_factory=Declared)

    def all_of(self, kind: Kind) -> Iterator[Item]:
        """All objects of a kind, those that are checked first."""
        return (each for each in (*self.items, *self.others) if each.kind is kind)

    def of(self, kind: Kind) -> list[Item]:
        """The objects of a kind that are checked."""
        return [each for each in self.items if each.kind is kind]

    def by_place(self) -> dict[Place, Item]:
        """All objects."""
        return {each.place: each for each in (*self.others, *self.items)}

    @property
    def namespaces(self) -> list[str]:
        """Those of the objects that are checked."""
        return sorted({each.key.namespace for each in self.items})
