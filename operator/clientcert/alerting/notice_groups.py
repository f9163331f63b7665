"""Groups of notices about requests: those of one occasion, to one channel or address of the registration authority.

A channel belongs to a policy. An address may be that of several: it gets one letter about the requests of all policies
of a namespace that have the same sender and the same person to call.

The contact of record gets each letter by itself. A ticket has the line about its request as its reconcile has composed
it, and what the line depends on: a request that has changed since is in no message before it is reconciled.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from clientcert.alerting.groups import MOST_SINGLE, Groups, GroupSpec
from clientcert.cache.object_cache import ObjectCache
from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.delivery_log import DeliveryFailure
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import Group
from clientcert.lifecycle.renewal.due_notices import WAITING_TOLD
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Notice
from clientcert.lifecycle.renewal.status import State
from clientcert.lifecycle.spec import ObjectKey
from clientcert.messages.renewal_digest import notice_line
from clientcert.workqueue.work_queue import WorkQueue

NOTICE_GROUP = "NoticeGroup"
"""The kind of the work queue's items."""


@dataclass(frozen=True, slots=True)
class Version:
    """The facts on which a notice depends."""

    uid: str
    generation: int
    state: State
    certificate: tuple[str, int]
    """Uid and generation of the ClientCertificate."""
    policy: int
    """The number of its policy's configuration; 0 without one."""


@dataclass(frozen=True, slots=True)
class NoticeTicket:
    """A notice that is due, for a message about many."""

    notice: Notice
    version: Version
    line: str


class NoticeGroups(Groups[NoticeTicket]):
    """The groups whose members are requests."""

    kind = NOTICE_GROUP

    def __init__(self, cache: ObjectCache, queue: WorkQueue, digest_types: frozenset[str]) -> None:
        """`digest_types` are the types of channels that can send one message about many requests."""
        super().__init__(cache.renewals, queue)
        self._cache = cache
        self._digest_types = digest_types

    def admit(self, evaluation: RenewalEvaluation, notice: Notice) -> bool:
        """True if the request sends this message itself; otherwise a group sends for it, or is just doing so."""
        key, destination = evaluation.key, _destination(notice)
        if self._in_flight and self._waits_for_message_in_flight(key, evaluation.uid, destination):
            return False
        spec, version = self._group_of(evaluation, notice), self.version(key)
        if spec is None or version is None or evaluation.certificate is None:
            return True
        judged = Version(
            evaluation.uid, evaluation.generation, evaluation.status.state, version.certificate, version.policy
        )
        ticket = NoticeTicket(notice, judged, notice_line(evaluation, notice.kind))
        return not self._join(spec, key, evaluation.certificate.assessment.expires.time, ticket)

    def stay(self, evaluation: RenewalEvaluation, due: Iterable[Notice]) -> None:
        """Have the request leave the groups of all notices but these."""
        if evaluation.key in self._joined:
            specs = (self._group_of(evaluation, each) for each in due)
            self._leave_others(evaluation.key, {each.key for each in specs if each})

    def failure(self, evaluation: RenewalEvaluation, notice: Notice) -> DeliveryFailure | None:
        """The last failure of this notice's group, if it is to be reported in the status."""
        return self._reported_failure(self._group_of(evaluation, notice))

    def version(self, key: ObjectKey) -> Version | None:
        """The request as it is known now; None if it or its certificate is gone."""
        record = self._cache.renewals.renewals.get(key)
        certificate = self._cache.certificates.get(ObjectKey(key.namespace, record.certificate)) if record else None
        if record is None or certificate is None:
            return None
        policy, about = self._cache.policy_of(certificate), (certificate.uid, certificate.generation)
        number = policy.configuration if policy else 0
        return Version(record.uid, record.generation, record.state, about, number)

    def _group_of(self, evaluation: RenewalEvaluation, notice: Notice) -> GroupSpec | None:
        """The group that a notice may join; None if it is sent as a single message."""
        found, recipient = evaluation.certificate, notice.recipient
        if found is None or not self._may_be_grouped(found, notice):
            return None
        namespace, single = evaluation.key.namespace, MOST_SINGLE[found.policy.group]
        policy = ObjectKey(namespace, "" if recipient else found.spec.policy)
        if self._most_members(policy) <= single:
            return None
        batch, destination = found.spec.batch if found.policy.group is Group.BATCH else "", _destination(notice)
        name = f"{policy.name}/digest/{destination}/{batch}"
        if recipient:
            name = f"letter/{_settings(evaluation, notice)}/{destination}/{batch}"
        return GroupSpec(ObjectKey(namespace, name), policy, destination, single)

    def _most_members(self, policy: ObjectKey) -> int:
        """The largest number of requests that are told at once; without a name, of all policies of the namespace."""
        if policy.name:
            return WAITING_TOLD * self._cache.count_certificates_of(policy)
        policies = (each for each in self._cache.policies.policies if each.namespace == policy.namespace)
        return WAITING_TOLD * sum(map(self._cache.count_certificates_of, policies))

    def _may_be_grouped(self, certificate: Evaluation, notice: Notice) -> bool:
        group = certificate.policy.group
        if group is Group.NEVER or (group is Group.BATCH and not certificate.spec.batch):
            return False
        if notice.recipient is None:
            return notice.channel.type in self._digest_types
        return notice.recipient.role is Role.AUTHORITY


def _destination(notice: Notice) -> str:
    """Kind and destination; of an address its hash, because logs contain the names of items."""
    if notice.recipient is None:
        return f"{notice.kind}/{notice.channel.name}"
    return f"{notice.kind}/{_hash(notice.recipient.address)}"


def _settings(evaluation: RenewalEvaluation, notice: Notice) -> str:
    """The settings of the policy that a letter shows, and how many requests make one letter; a hash, as above."""
    whom = evaluation.policy.call_if_unauthorised if evaluation.policy else ""
    group = evaluation.certificate.policy.group if evaluation.certificate else Group.AUTO
    return _hash(repr((notice.channel.address, whom, group)))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
