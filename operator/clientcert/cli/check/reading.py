"""Read from the cluster what the checks need, and note what may not be read. No value of a Secret is kept."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from clientcert.api.kinds import GROUP, Kind
from clientcert.cli.check.finding import Check, NotMade, Right, some
from clientcert.cli.check.known import Declared, SecretFacts
from clientcert.cli.check.named import SecretReference
from clientcert.cli.cluster import Cluster, Object, is_name
from clientcert.cli.errors import Forbidden, NotFound
from clientcert.lifecycle.spec import ObjectKey

AUTHORIZATION = "authorization.k8s.io/v1"


@dataclass(slots=True)
class Reader:
    """Reads as the caller. An object that the caller may not read is noted, and is no error."""

    cluster: Cluster
    unlisted: set[tuple[Kind, str]] = field(default_factory=set)
    """Kinds that may not be listed, with the namespace; empty: all."""
    _refused: dict[tuple[Check, Right], list[str]] = field(default_factory=dict)
    """The objects that were not checked, by the right that is missing."""
    _has: dict[Right, bool] = field(default_factory=dict)
    """The rights of the caller, as far as they were asked for."""
    _named: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)
    """The names that may be read, by resource and namespace, once one was refused; None: nobody knows."""

    def note(self, check: Check, right: Right, what: str) -> None:
        """Note that a part of a check cannot be made without this right."""
        self._refused.setdefault((check, right), []).append(what)

    def lease(self, name: str, namespace: str) -> Object | None:
        """The Lease of an installation; None if there is none, or if it may not be read, which is noted once."""
        try:
            return self.cluster.within(namespace).lease(name)
        except NotFound:
            return None
        except Forbidden:
            right = Right("get", "coordination.k8s.io", "leases", namespace, name)
            if (Check.LEADER, right) not in self._refused:
                self.note(Check.LEADER, right, "whether a replica of the operator leads")
            return None

    @property
    def may_read_lease(self) -> bool:
        """False once the Lease was refused."""
        return all(check is not Check.LEADER for check, _ in self._refused)

    def not_made(self) -> list[NotMade]:
        """Everything that was noted: one for each right."""
        return [
            NotMade(check, some(what), f"you have no right to {right.words}", right)
            for (check, right), what in self._refused.items()
        ]

    def may(self, right: Right) -> bool:
        """True if the caller has this right, which everybody may ask."""
        if right not in self._has:
            self._has[right] = bool(self._ask("SelfSubjectAccessReview", attributes(right)).get("allowed"))
        return self._has[right]

    def _ask(self, kind: str, spec: Object) -> Object:
        review = {"apiVersion": AUTHORIZATION, "kind": kind, "spec": spec}
        path = f"/apis/{AUTHORIZATION}/{kind.lower()}s"
        return dict(self.cluster.send("POST", path, review, "the question what you may do").get("status") or {})

    def objects(self, kind: Kind, namespace: str, labels: str = "") -> list[Object]:
        """The objects of a kind in a namespace; empty: in all. Of a kind that is not installed there are none."""
        where = self.cluster.within(namespace) if namespace else self.cluster
        try:
            return where.list(kind, everywhere=not namespace, labels=labels)
        except NotFound:
            return []
        except Forbidden:
            if (kind, namespace) not in self.unlisted:
                self.unlisted.add((kind, namespace))
                self.note(Check.REFERENCES, Right("list", GROUP, kind.plural, namespace), f"each {kind.name}")
            return []

    def secrets(
        self, references: Iterable[SecretReference], declared: Mapping[ObjectKey, SecretFacts]
    ) -> dict[ObjectKey, SecretFacts | None]:
        """The Secrets that are named, as they will be. One that the folder makes whole is not read."""
        found: dict[ObjectKey, SecretFacts | None] = {}
        for each in references:
            made = declared.get(each.key)
            if made is not None and _is_enough(made, each):
                found.setdefault(each.key, made)
            elif each.key not in found or (made is not None and found[each.key] is made):
                self._read_secret(each.key, made, found)
        return found

    def config_maps(self, keys: Iterable[ObjectKey], declared: Declared) -> dict[ObjectKey, bool]:
        """True for each of these ConfigMaps that will exist; one that may not be read is missing."""
        found: dict[ObjectKey, bool] = {}
        for key in dict.fromkeys(keys):
            if key in declared.config_maps:
                found[key] = True
                continue
            read = self._read(Check.REFERENCES, key, "ConfigMap", "configmaps", lambda _: True)
            if read is not _NOT_READ:
                found[key] = read is True
        return found

    def _read_secret(
        self, key: ObjectKey, made: SecretFacts | None, found: dict[ObjectKey, SecretFacts | None]
    ) -> None:
        read = self._read(Check.SECRETS, key, "Secret", "secrets", _facts)
        if read is not _NOT_READ:
            there = read if isinstance(read, SecretFacts) else None
            found[key] = made.joined(there) if made else there

    def _read(self, check: Check, key: ObjectKey, kind: str, plural: str, taken: Callable[[Object], object]) -> object:
        """The result of `taken` for one object; None if there is none, _NOT_READ if it may not be read."""
        if not (is_name(key.name) and is_name(key.namespace)):
            return None
        named = self._named.get((plural, key.namespace))
        if named is not None and key.name not in named:
            self.note(check, Right("get", "", plural, key.namespace), f"{kind} {key.name}")
            return _NOT_READ
        path = f"/api/v1/namespaces/{key.namespace}/{plural}/{key.name}"
        try:
            return taken(self.cluster.document(path, f"{kind} {key.name} in namespace {key.namespace}"))
        except NotFound:
            return None
        except Forbidden:
            self.note(check, Right("get", "", plural, key.namespace), f"{kind} {key.name}")
            if (plural, key.namespace) not in self._named:
                rules = self._ask("SelfSubjectRulesReview", {"namespace": key.namespace})
                self._named[plural, key.namespace] = _readable(rules, plural)
            return _NOT_READ


_NOT_READ = object()


def attributes(right: Right) -> Object:
    """The right as an access review names it."""
    resource, _, subresource = right.resource.partition("/")
    named = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource}
    return {"resourceAttributes": {**named, "namespace": right.namespace, "name": right.name}}


def _readable(rules: Object, plural: str) -> frozenset[str] | None:
    """The names that these rules let the caller read; None if that is not all: others may be readable, too."""
    names = set[str]()
    for each in rules.get("resourceRules") or ():
        wanted = (("verbs", "get"), ("apiGroups", ""), ("resources", plural))
        if all({value, "*"} & {*(each.get(field) or ())} for field, value in wanted):
            if not each.get("resourceNames"):
                return None
            names.update(each["resourceNames"])
    return None if rules.get("incomplete") else frozenset(names)


def _is_enough(made: SecretFacts, reference: SecretReference) -> bool:
    """True if the folder alone has everything that is needed of the Secret."""
    has_keys = made.keys is None or all(key in made.keys for key in reference.keys)
    return has_keys and (not reference.label or made.labels is None or reference.label in made.labels)


def _facts(secret: Object) -> SecretFacts:
    data, labels = secret.get("data") or {}, secret["metadata"].get("labels") or {}
    return SecretFacts({key: bool(value) for key, value in data.items()}, labels)
