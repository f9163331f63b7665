"""Keeps the lists of a namespace: for each CA the gateways' list, and where the operator has the CA's key, the CRL.

They are compared at each resync, after each change of a revocation, policy or CA, and when a CRL or an entry ends. A
namespace with many revocations is computed in a thread, and rests between two passes.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain

from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.policies import POLICY
from clientcert.cache.renewal_records import RevocationRecord
from clientcert.cache.revocations import REVOCATION, ListProblem, ListState
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.certificate_revocation import authorities
from clientcert.controllers.certificate_revocation.authorities import Known, Named
from clientcert.controllers.certificate_revocation.conditions import conclusions
from clientcert.controllers.certificate_revocation.config_maps import ListFiles, kept_entries
from clientcert.controllers.certificate_revocation.crl_files import Crl, CrlFiles, former_crls
from clientcert.controllers.certificate_revocation.former_lists import Former, FormerLists
from clientcert.errors import IssuerError, Reason
from clientcert.issuers.interface import Issuer
from clientcert.kube.config_maps import Found
from clientcert.lifecycle.renewal.list_plan import Issuers, ListPlan, Revoked, plan_lists
from clientcert.lifecycle.renewal.revocation_lists import Part
from clientcert.lifecycle.renewal.spec import RevocationReason
from clientcert.lifecycle.renewal.standing import changes_once_known
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item, WorkQueue

_RETRY = timedelta(minutes=5)
_REST, _SHORTEST_REST = 3, timedelta(seconds=1)
"""A namespace rests for this many times as long as its last pass took."""
_AT_ONCE = 1000
"""Certificates that are looked at without a pause."""
_TWO_CAS = (
    "policies name several CAs in this Secret, of which only one can have the CRL: give each CA a Secret of its own"
)

logger = logging.getLogger(__name__)


class RevocationListsReconciler:
    """Called by the workers, never for the same namespace twice at once."""

    def __init__(
        self,
        cache: ObjectCache,
        sources: SourceCache,
        queue: WorkQueue,
        issuers: Mapping[type, Issuer],
        files: ListFiles,
        crls: CrlFiles,
        clock: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._revocations = cache.revocations
        self._sources = sources
        self._queue = queue
        self._issuers = issuers
        self._files = files
        self._former = FormerLists(files)
        self._crls = crls
        self._clock = clock
        self._rests: dict[str, tuple[datetime, datetime]] = {}
        """By namespace: the end of its last pass, and of its rest."""

    def begin_term(self) -> None:
        """Enqueue all namespaces with revocations or CAs."""
        self._revocations.forget_lists()
        self._rests.clear()
        namespaces = {key.namespace for key in self._revocations.revocations}
        namespaces |= {key.namespace for key, each in self._cache.policies.policies.items() if each.renewal}
        self._revocations.enqueue_lists(sorted(namespaces))

    def urgency(self, key: ObjectKey) -> float:  # noqa: ARG002
        """Return an urgency before all certificates: what is revoked must be refused soon."""
        return -2.0

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Bring all lists of the namespace up to date; returns when they are due. Raises KubeError of an outage."""
        namespace, began = key.namespace, self._clock()
        ended, rested = self._rests.get(namespace, (began, began))
        if ended <= began < rested:
            return rested
        await self._cache.serials.fill()
        self._revocations.begin_pass(namespace)
        self._note_keys(namespace)
        named = self._named(namespace)
        former = await self._former.read(namespace, {each.name for each in named})
        for parts in former.parts.values():
            await self._keep(namespace, parts)
        states, due = list[ListState](), list[datetime]()
        for about in named:
            state, again = await self._maintain(namespace, about)
            states.append(state)
            due += [again] if again else []
        problem = await self._former.note(namespace, former, {each.name for each in states if each.exists})
        if problem is not None:
            states = [replace(each, input_problem=each.input_problem or problem) for each in states]
            due.append(self._clock() + _RETRY)
        await self._kept_is_known(namespace, {*(each.name for each in states), *former.parts})
        await self._compared(namespace, tuple(states))
        self._forget_unlisted(namespace, states, former)
        ended = self._clock()
        self._rests[namespace] = ended, ended + max(_REST * (ended - began), _SHORTEST_REST)
        return min(due, default=None)

    def _named(self, namespace: str) -> list[Named]:
        policies = self._cache.policies.policies
        found = (policies[key].renewal for key in self._cache.policies.that_renew(namespace))
        return authorities.named(each for each in found if each is not None)

    async def _kept_is_known(self, namespace: str, read: set[str]) -> None:
        """Note it, and enqueue what has waited for it: requests, and certificates whose status kept what it said."""
        was_known = self._revocations.knows_kept(namespace)
        self._revocations.kept_is_known(namespace, read)
        self._revocations.needs_lists(namespace, {each.name for each in self._named(namespace)})
        if was_known or not self._revocations.knows_kept(namespace):
            return  # a policy names another CA by now: the next pass reads its list, too
        self._cache.renewals.enqueue_all(self._cache.renewals.index.open_in(namespace))
        now = self._clock()
        policies = self._cache.policies.that_renew(namespace)
        for number, key in enumerate(chain.from_iterable(map(self._cache.certificates_of, policies))):
            record = self._cache.certificates.get(key)
            if record is not None and changes_once_known(record.status, now):
                self._cache.enqueue(key)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _log_unaccounted(self, namespace: str, state: ListState) -> None:
        """Log entries that appeared without an object: a deleted object is known, so somebody has written them."""
        before = self._revocations.lists(namespace) or ()
        known = next((each.without_object for each in before if each.name == state.name), state.without_object)
        if state.without_object > known:
            logger.warning("%s: list %s has %d entries without an object", namespace, state.name, state.without_object)

    def _forget_unlisted(self, namespace: str, states: Sequence[ListState], former: Former) -> None:
        """Forget deleted revocations that no list needs; none while a CA cannot be read or a list not be written.

        If no policy names a CA, all lists are read again before anything is signed.
        """
        if all(each.issuer_dns and not (each.list_problem or each.input_problem) for each in states):
            listed = former.listed.union(*(each.listed for each in states))
            self._revocations.forget_unlisted(namespace, listed, self._clock())

    async def _maintain(self, namespace: str, about: Named) -> tuple[ListState, datetime | None]:
        """Bring the lists of one CA up to date: their state, and when they are due again."""
        try:
            found = await self._files.read_parts(namespace, about.name)
        except IssuerError as error:
            problem, before = ListProblem(error.reason, error.message), self._before(namespace, about.name)
            # Gateways go on with the CRL that they have, so the metric shows its end as before.
            return ListState(about.name, crl_ends=before.crl_ends, list_problem=problem), self._clock() + _RETRY
        parts = await asyncio.to_thread(kept_entries, found)
        await self._keep(namespace, parts)
        known = await authorities.read(self._issuers, namespace, about)
        dns = known.issuer_dns
        if known.problem is not None:
            dns = tuple(dict.fromkeys((*dns, *_dns_before(self._before(namespace, about.name), parts))))
        specs, now = self._revocations.specs_in(namespace), self._clock()
        objects = [each.spec for each in self._revocations.in_namespace(namespace) if each.spec is not None]
        issuers = Issuers(dns, _crl_dn(self._before(namespace, about.name), known, dns) if about.has_key else "")
        plan = await asyncio.to_thread(plan_lists, parts, Revoked(specs, objects), issuers, now)
        exists = bool(any(plan.parts) or found)
        state = ListState(about.name, dns, plan.listed, exists=exists, without_object=plan.without_object)
        self._log_unaccounted(namespace, state)
        if known.problem is not None:
            state = replace(state, input_problem=ListProblem(known.problem.reason, known.problem.message))
        due = [plan.next_end]
        if state.exists:
            state = await self._write_list(namespace, found, plan, state)
        if about.has_key and (state.exists or about.crl_secrets):
            crl = await self._write_crl(namespace, about, known, plan)
            state = replace(state, exists=True, crl_dn=issuers.crl_dn, crl_ends=crl.ends, crl_problem=crl.problem)
            state = replace(state, former_crls=former_crls(crl, known.former_dns(now)))
            due.append(crl.due)
        if state.list_problem or state.crl_problem or state.input_problem:
            due.append(now + _RETRY)
        return state, min(filter(None, due), default=None)

    async def _keep(self, namespace: str, parts: tuple[Part, ...]) -> None:
        for part in parts:
            for entry in self._revocations.keep(namespace, part):
                self._cache.enqueue_serial(namespace, entry.issuer_dn, entry.serial_number)
            await asyncio.sleep(0)  # a part has thousands

    async def _write_list(
        self, namespace: str, found: list[Found | None], plan: ListPlan, state: ListState
    ) -> ListState:
        try:
            await self._files.write_parts(namespace, state.name, found, plan.parts, self._clock())
        except IssuerError as error:
            return replace(state, list_problem=ListProblem(error.reason, error.message))
        return state

    async def _write_crl(self, namespace: str, about: Named, known: Known, plan: ListPlan) -> Crl:
        signer = known.crl_signer
        if signer is None:
            crl = await self._crls.known(namespace, about.name)
            problem = known.problem
            return replace(crl, problem=ListProblem(problem.reason, problem.message)) if problem else crl
        crl = await self._crls.maintain(namespace, about.name, signer, plan.in_crl, about.crl_secrets)
        if len({each.authority.fingerprint_sha256 for each in known.signers if each.has_key}) > 1:
            return replace(crl, problem=ListProblem(Reason.ISSUER_INVALID, _TWO_CAS))
        return crl

    def _before(self, namespace: str, name: str) -> ListState:
        """The state of the last pass."""
        states = self._revocations.lists(namespace) or ()
        return next((each for each in states if each.name == name), ListState(name))

    def _note_keys(self, namespace: str) -> None:
        """Bar the key of a certificate that is in a source, if it was revoked for KeyCompromise without its key."""
        for record in self._revocations.in_namespace(namespace):
            spec = record.spec
            if spec is None or spec.reason is not RevocationReason.KEY_COMPROMISE or spec.key_hash:
                continue
            for key in self._cache.serials.with_serial(namespace, spec.issuer_dn, spec.serial_number):
                seen = self._sources.observation(self._cache.certificates[key]).certificate
                if seen is not None and f"{seen.serial_number:x}" == spec.serial_number and seen.public_key_hash:
                    self._revocations.keep(namespace, [replace(spec, key_hash=seen.public_key_hash.hex())])

    async def _compared(self, namespace: str, states: tuple[ListState, ...]) -> None:
        """Note the states, and enqueue the revocations and policies that say something else now."""
        before, now = self._revocations.lists(namespace), self._clock()
        self._revocations.lists_compared(namespace, states)
        records = self._revocations.in_namespace(namespace)
        changed = await asyncio.to_thread(_changed, records, before, states, now)
        self._queue.enqueue_all([Item(REVOCATION, key) for key in changed])
        if before is None or [_of_policy(each) for each in before] != [_of_policy(each) for each in states]:
            self._queue.enqueue_all([Item(POLICY, key) for key in self._cache.policies.that_renew(namespace)])


def _dns_before(before: ListState, parts: tuple[Part, ...]) -> tuple[str, ...]:
    """The CAs of a list while one of them cannot be read: revocations do not wait for that."""
    return before.issuer_dns or tuple(dict.fromkeys(each.issuer_dn for part in parts for each in part))


def _crl_dn(before: ListState, known: Known, dns: tuple[str, ...]) -> str:
    """The CA that signs the CRL; while that cannot be read, the one that did."""
    if known.crl_signer is not None:
        return authorities.subject_dn(known.crl_signer.authority.certificate_der)
    return before.crl_dn or ("" if known.signers else next(iter(dns), ""))


def _changed(
    records: Iterable[RevocationRecord],
    before: tuple[ListState, ...] | None,
    after: tuple[ListState, ...],
    now: datetime,
) -> list[ObjectKey]:
    """The revocations whose conditions are others now. Blocking."""
    every = [each for each in records if each.spec is not None]
    if before is None:
        return [each.key for each in every]
    return [
        each.key
        for each in every
        if each.spec and conclusions(each.spec, before, now) != conclusions(each.spec, after, now)
    ]


def _of_policy(state: ListState) -> tuple[object, ...]:
    """The parts of the state that the condition of a policy shows."""
    problems = (state.input_problem, state.list_problem, state.crl_problem)
    return state.name, state.exists, problems, state.without_object, state.former_crls
