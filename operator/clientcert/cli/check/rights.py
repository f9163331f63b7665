"""The rights that the operator needs in each namespace, and those that it lacks. Pure.

A test compares the table with the roles that are shipped.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_REVOCATION, CERTIFICATE_STORE, GROUP
from clientcert.cli.check.finding import Check, Finding, Right, Subject
from clientcert.cli.check.folder_rights import Grant, Rules, account_names
from clientcert.cli.check.known import Item, Known
from clientcert.cli.loading import discovery_of, renewal_of
from clientcert.errors import Reason
from clientcert.lifecycle.renewal.policy import CertManagerIssuer

Rule = tuple[str, str, str]
"""API group, resources and verbs, each separated by spaces."""

SHIPPED: Mapping[str, tuple[Rule, ...]] = {
    "declarations": (
        (GROUP, "clientcertificates", "get list watch"),
        (GROUP, "certificatepolicies certificatestores", "list watch"),
    ),
    "status": ((GROUP, "clientcertificates/status certificatepolicies/status certificatestores/status", "patch"),),
    "renewals": (
        (GROUP, "certificaterenewals certificaterevocations", "get list watch"),
        (GROUP, "certificaterenewals/status certificaterevocations/status", "patch"),
    ),
    "admission-proof": ((GROUP, "clientcertificates certificatepolicies certificaterenewals", "create"),),
    "retirement": ((GROUP, "certificaterevocations", "create"),),
    "secrets": (("", "secrets", "get list watch"),),
    "contacts": (("", "configmaps", "get"),),
    "events": (("", "events", "get create patch"),),
}
"""By the end of the role's name: what each installation grants. The role `retention` may be removed."""
OPTIONAL: Mapping[str, tuple[Rule, ...]] = {
    "write-secrets": (("", "secrets", "patch"),),
    "write-revocation-lists": (("", "configmaps", "get create patch"),),
    "request-certificates": (("cert-manager.io", "certificaterequests", "get create"),),
    "discover-certificates": ((GROUP, "clientcertificates", "create discover"),),
    "prune-certificates": ((GROUP, "clientcertificates", "delete"),),
}
"""The same of the roles that people bind in a namespace that needs them."""
_OF_DISCOVERY = frozenset({"discover-certificates", "prune-certificates"})


@dataclass(frozen=True, slots=True)
class Need:
    """A role that the operator needs in a namespace."""

    role: str
    """The end of its name."""
    namespace: str
    because: Item | None = None
    """The object that needs an optional role."""
    name: str = ""
    """The only object that it is needed for; empty: all."""

    @property
    def rights(self) -> list[Right]:
        """The rights of the role."""
        rules = SHIPPED.get(self.role) or OPTIONAL[self.role]
        return [
            Right(verb, group, resource, self.namespace, self.name)
            for group, resources, verbs in rules
            for resource in resources.split()
            for verb in verbs.split()
        ]


def needs(known: Known, namespaces: Iterable[str]) -> list[Need]:
    """The roles that are needed."""
    found = [Need(role, namespace) for namespace in namespaces for role in SHIPPED]
    optional: dict[tuple[str, str, str], Need] = {}
    for item in known.items:
        for role, name in _optional_roles(item):
            optional.setdefault((role, item.key.namespace, name), Need(role, item.key.namespace, item, name))
    return [*found, *optional.values()]


def given(
    grants: Iterable[Grant], rights: Iterable[Right], account: tuple[str, str], installation: str
) -> frozenset[Right]:
    """Those of the rights that the bindings of the folder give to the operator. `installation` is its name."""
    names = account_names(*account)
    own = [
        replace(each, rules=_shipped(each.role, installation)) if each.rules is None else each
        for each in grants
        if each.subjects & names
    ]
    return frozenset(right for right in rights if any(each.gives(right) for each in own))


def _shipped(role: str, installation: str) -> Rules:
    """The rules of a role that the folder binds and does not have; none if it is not one of the operator's."""
    by_name = {f"{installation}-{end}": rules for end, rules in SHIPPED.items()}
    by_name |= {_optional(installation, end): rules for end, rules in OPTIONAL.items()}
    return tuple(
        {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
        for group, resources, verbs in by_name.get(role, ())
    )


def check_rights(
    wanted: Iterable[Need], lacking: frozenset[Right], account: tuple[str, str], installation: str
) -> Iterator[Finding]:
    """A finding for each role that the operator has not, or not as a whole; one for a namespace without any right.

    `account` is namespace and name of the operator's ServiceAccount.
    """
    by_namespace: dict[str, list[Need]] = {}
    for need in wanted:
        by_namespace.setdefault(need.namespace, []).append(need)
    for namespace, all_needs in by_namespace.items():
        shipped = [each for each in all_needs if each.because is None]
        if all(right in lacking for each in shipped for right in each.rights):
            yield _not_served(namespace, account)
            continue
        for need in all_needs:
            if missing := [right for right in need.rights if right in lacking]:
                yield _finding(need, missing, account, installation)


def _optional_roles(item: Item) -> Iterator[tuple[str, str]]:
    """The roles that the object needs, each with the name of the only object that it is needed for."""
    if item.kind is CERTIFICATE_REVOCATION:
        yield "write-revocation-lists", ""
    discovery = discovery_of(item.content) if item.kind is CERTIFICATE_STORE else None
    if discovery is not None and discovery.creates:
        yield "discover-certificates", ""
        if discovery.prunes:
            yield "prune-certificates", ""
    renewal = renewal_of(item.content) if item.kind is CERTIFICATE_POLICY else None
    if renewal is None:
        return
    if isinstance(renewal.issuer, CertManagerIssuer):
        yield "request-certificates", ""
    if renewal.crl_secret is not None:
        yield "write-revocation-lists", ""
        yield "write-secrets", renewal.crl_secret.name


def _not_served(namespace: str, account: tuple[str, str]) -> Finding:
    words = f"the operator has no right in namespace {namespace}: it does not serve this namespace"
    action = "Add the namespace to includeNamespaces of the chart, or apply the operator's roles again."
    return Finding(Check.RIGHTS, _subject(account), Reason.FORBIDDEN, words, action)


def _finding(need: Need, missing: list[Right], account: tuple[str, str], installation: str) -> Finding:
    named: dict[tuple[str, str], list[str]] = {}
    for right in missing:
        named.setdefault((right.group, right.resource), []).append(right.verb)
    rights = "; ".join(
        f"{', '.join(verbs)} {resource}{f' of {group}' if group else ''}" for (group, resource), verbs in named.items()
    )
    words = f"the operator may not {rights} in namespace {need.namespace}"
    if need.because is None:
        role = f"{installation}-{need.role}"
        action = f"Apply the role {role} and its binding again (helm upgrade, or kubectl apply -k)."
        return Finding(Check.RIGHTS, _subject(account), Reason.FORBIDDEN, words, action)
    role = _optional(installation, need.role)
    example = "discovery" if need.role in _OF_DISCOVERY else "operator-may-write"
    action = f"Bind the ClusterRole {role} there, as deploy/examples/{example}.yaml does."
    return Finding(Check.RIGHTS, need.because.subject, Reason.FORBIDDEN, words, action)


def _optional(installation: str, role: str) -> str:
    """The name of an optional role, as the chart makes it of the name of the installation."""
    return f"{installation.removesuffix('-operator')}-{role}"


def _subject(account: tuple[str, str]) -> Subject:
    return Subject("ServiceAccount", account[1], account[0])
