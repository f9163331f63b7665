"""The last known version of each CertificateRevocation, and what the lists of each CA have. Every change is enqueued.

Revoked is final: what was revoked once stays so when its object is deleted. Objects tell of it, and after a restart the
entries that are kept beside the lists.
"""

from collections.abc import Container, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

from clientcert.api.kinds import CERTIFICATE_REVOCATION
from clientcert.cache.decoding import Body, is_newer, key_of, overwritten, with_uid
from clientcert.cache.renewal_records import RevocationRecord, decode_revocation
from clientcert.errors import Reason
from clientcert.lifecycle.renewal.revocation_entries import EVERYBODY, bars_key, combined, is_kept
from clientcert.lifecycle.renewal.spec import RevocationSpec
from clientcert.lifecycle.spec import ObjectKey, SecretKeyRef
from clientcert.pki.distinguished_names import same_name
from clientcert.workqueue.work_queue import Item, WorkQueue

REVOCATION = CERTIFICATE_REVOCATION.name
"""The kind of items in the work queue."""
REVOCATION_LISTS = "RevocationLists"
"""The kind of the items for the lists of one namespace. Their keys have no name."""
_HASH_DIGITS = 32
"""So many are known of the key of a certificate that is in a source."""


@dataclass(frozen=True, slots=True)
class ListProblem:
    """The reason why a list or CRL is not up to date."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class FormerCrl:
    """The CRL of a former CA in a Secret, beside that of the CA that signs now."""

    secret: SecretKeyRef
    issuer_dn: str
    ends: datetime | None
    """Its nextUpdate; None: there is none."""


@dataclass(frozen=True, slots=True)
class ListState:
    """The lists of one CA."""

    name: str
    """Of its Secret or issuer: the ConfigMaps are named after it."""
    issuer_dns: tuple[str, ...] = ()
    """The CA that signs now, if it can be read, then former ones."""
    listed: frozenset[tuple[str, str]] = frozenset()
    """Issuer and serial number, as the objects write them, of what the list has."""
    exists: bool = False
    """True if there is a list or a CRL."""
    crl_dn: str = ""
    """The CA whose CRL the operator signs; empty: none."""
    crl_ends: datetime | None = None
    """The nextUpdate of the CRL that gateways read."""
    former_crls: tuple[FormerCrl, ...] = ()
    without_object: int = 0
    """Entries that no CertificateRevocation of the namespace accounts for: of deleted ones, or written by somebody."""
    input_problem: ListProblem | None = None
    """The reason why a CA, a former one or a former list cannot be read: revocations may be missing in the list."""
    list_problem: ListProblem | None = None
    crl_problem: ListProblem | None = None

    def is_about(self, issuer_dn: str) -> bool:
        """True if the list is that of this CA."""
        return any(same_name(issuer_dn, each) for each in self.issuer_dns)

    def is_crl_about(self, issuer_dn: str) -> bool:
        """True if the CRL is that of this CA."""
        return bool(self.crl_dn) and same_name(issuer_dn, self.crl_dn)


class RevocationCache:
    """All revocations. Use it from the event loop only."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self.revocations: dict[ObjectKey, RevocationRecord] = {}
        self._of_namespace: dict[str, dict[ObjectKey, RevocationRecord]] = {}
        self._specs: dict[str, dict[str, tuple[RevocationSpec, ...]]] = {}
        """By namespace and serial number; also of deleted objects, while a list has the entry."""
        self._compromised: set[tuple[str, str]] = set()
        """Namespace and the beginning of the hash of each key that was revoked for KeyCompromise."""
        self._lists: dict[str, tuple[ListState, ...]] = {}
        self._since: dict[str, set[RevocationSpec]] = {}
        """By namespace: what was revoked since its last pass began, which that may not have listed."""
        self._knows_kept: dict[str, frozenset[str]] = {}
        """By namespace: the names of the lists whose kept entries are known, if those of all its CAs are."""

    def upsert(self, body: Body) -> None:
        """Take over a CertificateRevocation from a watch; older versions are ignored."""
        if is_newer(body["metadata"]["resourceVersion"], self.revocations.get(key_of(body))):
            self._take_over(body)

    def replace(self, body: Body) -> None:
        """Take over an answer about a known object, even with a lower version; one that was removed stays removed."""
        if key_of(body) in self.revocations:
            self._take_over(body)

    def _take_over(self, body: Body) -> None:
        key = key_of(body)
        before = self.revocations.get(key)
        record = decode_revocation(key, body)
        self._put(record)
        if record.spec is not None:
            self._note(key.namespace, record.spec)
        if before is None or (before.uid, before.status_hash) != (record.uid, record.status_hash):
            self._queue.enqueue(Item(REVOCATION, key))

    def remove(self, key: ObjectKey, uid: str = "") -> None:
        """Remove a CertificateRevocation, only if it has this `uid` (empty: any). Its certificate stays revoked."""
        if with_uid(self.revocations, key, uid) is not None:
            del self.revocations[key]
            del self._of_namespace[key.namespace][key]
            self._queue.enqueue(Item(REVOCATION, key))

    def written(self, record: RevocationRecord) -> None:
        """Take over our own write that the API server has accepted."""
        if overwritten(self.revocations, record) is not None:
            self._put(record)

    def keep(self, namespace: str, entries: Iterable[RevocationSpec]) -> list[RevocationSpec]:
        """Take over what was kept beside a list; returns the entries that were not known."""
        return [each for each in entries if self._note(namespace, each)]

    def begin_pass(self, namespace: str) -> None:
        """Note that the lists of this namespace are compared from now on: `forget_unlisted` leaves what comes later."""
        self._since[namespace] = set()

    def kept_is_known(self, namespace: str, names: AbstractSet[str]) -> None:
        """Note that everything was taken over that is kept in this namespace: in the lists of these names."""
        self._knows_kept[namespace] = frozenset(names)

    def needs_lists(self, namespace: str, names: AbstractSet[str]) -> None:
        """Note the names of lists that policies have: until each of them was read, not everything is known."""
        if not names <= self._knows_kept.get(namespace, frozenset()):
            self._knows_kept.pop(namespace, None)

    def knows_kept(self, namespace: str) -> bool:
        """True once the entries of deleted objects are known, too: only then anything is signed."""
        return namespace in self._knows_kept

    def revoked(self, namespace: str, issuer_dn: str, serial_number: str) -> RevocationSpec | None:
        """The revocation of this certificate in this namespace, also if its object is deleted; None: it is not."""
        about = self._specs.get(namespace, {}).get(serial_number, ())
        found = [each for each in about if same_name(each.issuer_dn, issuer_dn)]
        return combined(found) if found else None

    def is_revoked(self, namespace: str, consumer: str, serial_number: str) -> bool:
        """True if a certificate of this consumer with this serial number is or was revoked."""
        return any(
            each.consumer in {consumer, EVERYBODY} for each in self._specs.get(namespace, {}).get(serial_number, ())
        )

    def is_compromised(self, namespace: str, key_hash: str) -> bool:
        """True if a certificate with this key was revoked for KeyCompromise."""
        return (namespace, key_hash[:_HASH_DIGITS]) in self._compromised

    def in_namespace(self, namespace: str) -> tuple[RevocationRecord, ...]:
        """The revocations of a namespace."""
        return tuple(self._of_namespace.get(namespace, {}).values())

    def specs_in(self, namespace: str) -> list[RevocationSpec]:
        """All revocations of a namespace, also of deleted objects."""
        return [spec for about in self._specs.get(namespace, {}).values() for spec in about]

    def forget_unlisted(self, namespace: str, listed: Container[tuple[str, str]], now: datetime) -> None:
        """Forget deleted revocations that no list has, as a restart would: `listed` are issuers and serial numbers."""
        every, records = self.specs_in(namespace), self._of_namespace.get(namespace, {})
        later = self._since.pop(namespace, set())
        if len(every) <= len(records):
            return  # the objects are the bound
        gone = [each for each in every if not (is_kept(each, now) and (each.issuer_dn, each.serial_number) in listed)]
        objects = {each.spec for each in records.values()} if gone else set()
        unneeded = {each for each in gone if each not in later and each not in objects}
        unneeded = {each for each in unneeded if replace(each, key_hash="") not in objects}  # see `_note_keys`
        if not unneeded:
            return
        kept = [each for each in every if each not in unneeded]
        self._specs.pop(namespace, None)
        self._compromised = {each for each in self._compromised if each[0] != namespace}
        for spec in kept:
            self._note(namespace, spec)

    def lists(self, namespace: str) -> tuple[ListState, ...] | None:
        """The lists of each CA of a namespace; None: they were not compared since this replica leads."""
        return self._lists.get(namespace)

    def lists_compared(self, namespace: str, states: tuple[ListState, ...]) -> None:
        """Take over the lists as they are now."""
        self._lists[namespace] = states

    def forget_lists(self) -> None:
        """Forget the states of all lists: another replica may have written them."""
        self._lists.clear()

    def crl_ends(self) -> Iterator[tuple[str, str, datetime]]:
        """Namespace, name and nextUpdate of each CRL."""
        for namespace, states in self._lists.items():
            yield from ((namespace, each.name, each.crl_ends) for each in states if each.crl_ends)

    def without_object(self) -> Iterator[tuple[str, str, int]]:
        """Namespace and name of each list, and the number of its entries without a CertificateRevocation."""
        for namespace, states in self._lists.items():
            yield from ((namespace, each.name, each.without_object) for each in states if each.exists)

    def enqueue_lists(self, namespaces: Iterable[str]) -> None:
        """Have the lists of these namespaces compared."""
        self._queue.enqueue_all([Item(REVOCATION_LISTS, ObjectKey(each, "")) for each in dict.fromkeys(namespaces)])

    def _put(self, record: RevocationRecord) -> None:
        self.revocations[record.key] = record
        self._of_namespace.setdefault(record.key.namespace, {})[record.key] = record

    def _note(self, namespace: str, spec: RevocationSpec) -> bool:
        """True if it was not known."""
        about = self._specs.setdefault(namespace, {})
        known = about.get(spec.serial_number, ())
        if spec in known:
            return False
        about[spec.serial_number] = (*known, spec)
        if namespace in self._since:
            self._since[namespace].add(spec)
        if bars_key(spec):
            self._compromised.add((namespace, spec.key_hash[:_HASH_DIGITS]))
        return True
