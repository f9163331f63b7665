"""The rights that the RoleBindings of a folder give once it is applied. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clientcert.cli.check.finding import Right
from clientcert.cli.cluster import Object

RBAC = "rbac.authorization.k8s.io"
_ROLES = frozenset({"Role", "ClusterRole"})
_BINDINGS = frozenset({"RoleBinding", "ClusterRoleBinding"})
Rules = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """One binding."""

    namespace: str
    """Empty: in all namespaces."""
    role: str
    subjects: frozenset[str]
    """The names of users and groups; a ServiceAccount is the user that it is for the API server."""
    rules: Rules | None = None
    """None: the folder does not have the role."""

    def gives(self, right: Right) -> bool:
        """True if the role, as the folder has it, has the right."""
        is_there = not self.namespace or self.namespace == right.namespace
        return is_there and any(_has(rule, right) for rule in self.rules or ())


def account_names(namespace: str, name: str) -> frozenset[str]:
    """The user and the groups that a ServiceAccount is for the API server."""
    groups = {"system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{namespace}"}
    return frozenset(groups | {account_user(namespace, name)})


def account_user(namespace: str, name: str) -> str:
    """The user that a ServiceAccount is for the API server."""
    return f"system:serviceaccount:{namespace}:{name}"


def grants(documents: Iterable[Object], namespace: str) -> tuple[Grant, ...]:
    """The bindings among these objects; `namespace` is that of objects that name none."""
    rules: dict[tuple[str, str, str], Rules] = {}
    bindings = list[tuple[str, Object]]()
    for each in documents:
        metadata, kind = _mapping(each.get("metadata")), each["kind"]
        where = "" if kind.startswith("Cluster") else str(metadata.get("namespace") or namespace)
        if each["apiVersion"].partition("/")[0] != RBAC:
            continue
        if kind in _ROLES:
            rules[kind, where, str(metadata.get("name"))] = tuple(map(_mapping, _list(each.get("rules"))))
        elif kind in _BINDINGS:
            bindings.append((where, each))
    return tuple(_grant(where, each, rules) for where, each in bindings)


def _grant(where: str, binding: Object, rules: Mapping[tuple[str, str, str], Rules]) -> Grant:
    role = _mapping(binding.get("roleRef"))
    kind, name = str(role.get("kind")), str(role.get("name"))
    subjects = frozenset(_subject(_mapping(each)) for each in _list(binding.get("subjects")))
    return Grant(where, name, subjects, rules.get((kind, where if kind == "Role" else "", name)))


def _subject(subject: Mapping[str, Any]) -> str:
    name = str(subject.get("name"))
    is_account = subject.get("kind") == "ServiceAccount"
    return account_user(str(subject.get("namespace")), name) if is_account else name


def _has(rule: Mapping[str, Any], right: Right) -> bool:
    wanted = (("verbs", right.verb), ("apiGroups", right.group), ("resources", right.resource))
    names = _list(rule.get("resourceNames"))
    return all(value in (found := _list(rule.get(field))) or "*" in found for field, value in wanted) and (
        not names or (bool(right.name) and right.name in names)
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
