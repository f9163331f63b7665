"""Gather what the checks need, in order, and make them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from clientcert import __version__
from clientcert.api.installed_kinds import OPENAPI_PATH, installed_versions
from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_STORE, CLIENT_CERTIFICATE, KINDS, Kind
from clientcert.cli.check.conditions import check_conditions, unobserved
from clientcert.cli.check.dry_run import DryRuns, as_declared
from clientcert.cli.check.duplicates import check_duplicates
from clientcert.cli.check.finding import (
    OF_OBJECTS,
    Check,
    CheckReason,
    Finding,
    NotMade,
    Outcome,
    together,
    without_repetitions,
)
from clientcert.cli.check.installation import Installation, check_leader, check_versions, leads
from clientcert.cli.check.known import OBSERVED, Declared, Item, Known, Place, SecretFacts
from clientcert.cli.check.manifests import Sorted, check_policies
from clientcert.cli.check.operator_account import OperatorAccount, find_account
from clientcert.cli.check.reading import Reader
from clientcert.cli.check.references import check_references, check_secrets
from clientcert.cli.check.rights import check_rights, given, needs
from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import Failed, NotFound
from clientcert.cli.waiting import Pauses
from clientcert.lifecycle.spec import ObjectKey

_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of a call."""

    folder: Sorted | None
    """None: the objects in the cluster are checked."""
    everywhere: bool
    selector: str
    skipped: frozenset[Check]
    operator_namespace: str
    lease: str
    account: OperatorAccount | None
    """None: that of the operator's Deployment."""
    wait_seconds: float


@dataclass
class Gathering:
    """One call of the verb."""

    cluster: Cluster
    wanted: Wanted
    now: Callable[[], datetime]
    reader: Reader = field(init=False)
    _findings: list[Finding] = field(default_factory=list)
    _not_made: list[NotMade] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = Reader(self.cluster)

    def wait(self, sleep: Callable[[float], None]) -> None:
        """Wait until a replica leads, and has looked at what is applied; a moment without an answer does not end it."""
        pauses = Pauses(self.now, sleep, _POLL_SECONDS).within(self.wanted.wait_seconds)
        if self._is_ready():
            return
        for _ in pauses:
            if self._is_ready():
                return

    def outcome(self) -> tuple[Outcome, int]:
        """The outcome, and the number of objects that were checked."""
        installation = self._installation()
        known = self._known(frozenset(installation.kinds))
        if self._is_made(Check.VERSIONS):
            self._findings += check_versions(installation, __version__)
        if self._is_made(Check.LEADER) and self.reader.may_read_lease:
            self._findings += check_leader(installation, self.now())
        if self._is_made(Check.RIGHTS):
            self._findings += self._rights(known)
        self._findings += self._of_objects(known)
        if self._is_made(Check.CONDITIONS) and all(each.reason != CheckReason.NO_LEADER for each in self._findings):
            self._not_made += unobserved(known)  # which follows from it if no replica leads
        not_made = [each for each in (*self._not_made, *self.reader.not_made()) if self._is_missed(each)]
        return Outcome(tuple(without_repetitions(self._findings)), tuple(together(not_made))), len(known.items)

    def _is_made(self, check: Check) -> bool:
        return check not in self.wanted.skipped

    def _is_missed(self, each: NotMade) -> bool:
        """True if a check that was asked for was not made; without a list, no check of objects is."""
        if each.right is not None and each.right.verb == "list":
            return not self.wanted.skipped >= OF_OBJECTS
        return self._is_made(each.check)

    def _is_ready(self) -> bool:
        try:
            if self._is_made(Check.LEADER) and not self._is_led():
                return False
            wanted, folder = self._applied(OBSERVED), self.wanted.folder
            of_folder = {(each.kind, each.key) for each in folder.manifests} if folder else wanted.keys()
            return all(Item(*place, found, found).is_observed for place, found in wanted.items() if place in of_folder)
        except Failed:
            return False

    def _is_led(self) -> bool:
        """True also if the Lease may not be read."""
        lease = self.reader.lease(self.wanted.lease, self.wanted.operator_namespace)
        return leads(lease, self.now()) or not self.reader.may_read_lease

    def _installation(self) -> Installation:
        namespace, name = self.wanted.operator_namespace, self.wanted.lease
        try:
            kinds = installed_versions(self.cluster.document(OPENAPI_PATH, "the OpenAPI document of the kinds"))
        except NotFound:
            kinds = {}
        return Installation(namespace, name, kinds, self.reader.lease(name, namespace))

    def _applied(self, kinds: Iterable[Kind]) -> dict[Place, Object]:
        """The objects in the cluster, in the namespaces that are looked at."""
        folder = self.wanted.folder
        namespaces = ["" if self.wanted.everywhere else self.cluster.namespace]
        if folder is not None:
            namespaces = sorted({each.key.namespace for each in folder.manifests})
        return {
            (kind, _key(each)): each
            for namespace in namespaces
            for kind in kinds
            for each in self.reader.objects(kind, namespace)
        }

    def _known(self, installed: frozenset[str]) -> Known:
        """All that the checks of objects look at; the dry runs are made meanwhile."""
        folder = self.wanted.folder
        if folder is None:
            applied = self._applied(KINDS)
            items, declared = self._selected(applied), Declared()
        else:
            declared_kinds = {each.kind for each in folder.manifests}
            applied = self._applied(kind for kind in KINDS if kind in declared_kinds or kind in OBSERVED)
            items, declared = self._of_folder(folder, applied, installed), folder.declared
        checked = {each.place for each in items}
        others = [Item(*place, found, found) for place, found in applied.items() if place not in checked]
        named = {each.key for item in items for each in item.references.objects if each.kind is None}
        return Known(
            items=tuple(items),
            others=tuple(others),
            unlisted=self._unlisted(items),
            secrets=self._secrets(items, declared),
            declared=declared,
            config_maps=self.reader.config_maps(sorted(named), declared) if self._is_made(Check.REFERENCES) else {},
        )

    def _secrets(self, items: list[Item], declared: Declared) -> dict[ObjectKey, SecretFacts | None]:
        if not self._is_made(Check.SECRETS):
            return {}
        return self.reader.secrets((each for item in items for each in item.references.secrets), declared.secrets)

    def _unlisted(self, items: list[Item]) -> frozenset[tuple[Kind, str]]:
        """By namespace, also where the list of all namespaces was refused."""
        found = set(self.reader.unlisted)
        everywhere = [kind for kind, namespace in found if not namespace]
        return frozenset(found | {(kind, item.key.namespace) for kind in everywhere for item in items})

    def _selected(self, applied: dict[Place, Object]) -> list[Item]:
        """The objects that are checked, without a folder: with labels those, and what they name."""
        every = [Item(*place, found, found) for place, found in applied.items()]
        if not self.wanted.selector:
            return every
        namespace = "" if self.wanted.everywhere else self.cluster.namespace
        labelled = self.reader.objects(CLIENT_CERTIFICATE, namespace, self.wanted.selector)
        keys = {_key(each) for each in labelled}
        items = [each for each in every if each.kind is CLIENT_CERTIFICATE and each.key in keys]
        named = {(each.kind, each.key) for item in items for each in item.references.objects}
        return items + [
            each for each in every if each.place in named and each.kind in {CERTIFICATE_POLICY, CERTIFICATE_STORE}
        ]

    def _of_folder(self, folder: Sorted, applied: dict[Place, Object], installed: frozenset[str]) -> list[Item]:
        self._findings += folder.findings if self._is_made(Check.MANIFESTS) else ()
        dry_runs, items = DryRuns(self.reader, applied, folder.declared, installed), list[Item]()
        for manifest in folder.manifests:
            if not self._is_made(Check.MANIFESTS):
                items.append(as_declared(manifest, applied.get((manifest.kind, manifest.key))))
                continue
            item, found = dry_runs.send(manifest)
            if not (isinstance(found, Finding) and found.reason is CheckReason.NAMESPACE_NOT_FOUND):
                items.append(item)  # else nothing that it names can be there
            if isinstance(found, Finding):
                self._findings.append(found)
            elif found is not None:
                self._not_made.append(found)
        return items

    def _of_objects(self, known: Known) -> Iterator[Finding]:
        checks = {
            Check.MANIFESTS: check_policies,
            Check.REFERENCES: check_references,
            Check.SECRETS: check_secrets,
            Check.DUPLICATES: check_duplicates,
            Check.CONDITIONS: check_conditions,
        }
        return (found for check, function in checks.items() if self._is_made(check) for found in function(known))

    def _rights(self, known: Known) -> Iterable[Finding]:
        wanted = self.wanted
        account: OperatorAccount | NotMade | None = wanted.account
        if account is None:
            account = find_account(self.reader, wanted.operator_namespace, wanted.lease)
        if isinstance(account, NotMade):
            self._not_made.append(account)
        if not isinstance(account, OperatorAccount):
            return ()
        namespaces = known.namespaces or ([] if wanted.everywhere else [self.cluster.namespace])
        wanted_roles = needs(known, namespaces)
        lacking = account.lacks(self.reader, [need.rights for need in wanted_roles])
        if lacking is None:
            return ()
        who = account.namespace, account.name
        lacking -= given(known.declared.grants, lacking, who, wanted.lease)
        return check_rights(wanted_roles, lacking, who, wanted.lease)


def _key(found: Object) -> ObjectKey:
    return ObjectKey(found["metadata"]["namespace"], found["metadata"]["name"])
