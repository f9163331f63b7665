"""Groups of alerts: the certificates of one policy or batch with an alert in one channel, and letters about batches."""

import hashlib

from clientcert.alerting.groups import MOST_SINGLE, Groups, GroupSpec
from clientcert.cache.object_cache import ObjectCache
from clientcert.lifecycle.contacts import batch_of
from clientcert.lifecycle.delivery_log import DeliveryFailure, DueNotification, MessageKind
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import AlertPolicy, Channel, Group
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey
from clientcert.workqueue.work_queue import WorkQueue

ALERT_GROUP = "AlertGroup"
"""The kind of the work queue's items."""


class AlertGroups(Groups[None]):
    """The groups whose members are certificates."""

    kind = ALERT_GROUP

    def __init__(self, cache: ObjectCache, queue: WorkQueue, digest_types: frozenset[str]) -> None:
        """`digest_types` are the types of channels that can send one message about many certificates."""
        super().__init__(cache, queue)
        self._cache = cache
        self._digest_types = digest_types

    def admit(self, evaluation: Evaluation, notification: DueNotification) -> bool:
        """True if the certificate sends this message itself; otherwise a group sends for it, or is just doing so.

        A message in flight counts whatever has become of the policy since: a second one would repeat it.
        """
        key, name = evaluation.key, notification.channel.name
        if self._in_flight and self._waits_for_message_in_flight(key, evaluation.uid, name):
            return False
        spec = self._group_of(evaluation, notification)
        return spec is None or not self._join(spec, key, evaluation.assessment.expires.time, None)

    def notice(self, evaluation: Evaluation) -> None:
        """Note a host certificate of a batch, even if no message is due: the letter about the batch waits for more."""
        for channel in evaluation.policy.channels:
            spec = letter_group(evaluation.spec, evaluation.key, channel)
            if spec is not None:
                self._wait_longer(spec.key, evaluation.key)

    def failure(self, evaluation: Evaluation, notification: DueNotification) -> DeliveryFailure | None:
        """The last failure of this notification's group, if it is to be reported in the status."""
        return self._reported_failure(self._group_of(evaluation, notification))

    def belongs(self, key: ObjectKey, evaluation: Evaluation, notification: DueNotification) -> bool:
        """True if the notification still belongs to this group: its certificate may have another policy by now."""
        spec = self._group_of(evaluation, notification)
        return spec is not None and spec.key == key

    def _group_of(self, evaluation: Evaluation, notification: DueNotification) -> GroupSpec | None:
        """The group that a notification may join; None if it is sent as a single message."""
        channel, spec, policy = notification.channel, evaluation.spec, evaluation.policy
        if notification.kind is not MessageKind.ALERT:
            return None
        if channel.to_consumer:
            return letter_group(spec, evaluation.key, channel)
        if policy.group is Group.NEVER or channel.type not in self._digest_types:
            return None
        if policy.group is Group.BATCH and not spec.batch:
            return None
        key, single = ObjectKey(evaluation.key.namespace, spec.policy), MOST_SINGLE[policy.group]
        if self._cache.count_certificates_of(key) <= single:
            return None
        return GroupSpec(_digest_key(key, channel, spec, policy), key, channel.name, single)


def letter_group(spec: CertificateSpec, key: ObjectKey, channel: Channel) -> GroupSpec | None:
    """The group of a host certificate whose requester gets one letter about its batch; None for any other."""
    batch = batch_of(key.namespace, spec) if channel.to_consumer else None
    if batch is None:
        return None
    # A hash, because the batch contains its requester, and logs contain the names of items.
    digest = hashlib.blake2b(repr(batch).encode(), digest_size=8).hexdigest()
    name = ObjectKey(key.namespace, f"{spec.policy}/{channel.name}/letter/{digest}")
    return GroupSpec(name, ObjectKey(key.namespace, spec.policy), channel.name, single=0, letter=True)


def _digest_key(policy_key: ObjectKey, channel: Channel, spec: CertificateSpec, policy: AlertPolicy) -> ObjectKey:
    batch = spec.batch if policy.group is Group.BATCH else ""
    return ObjectKey(policy_key.namespace, f"{policy_key.name}/{channel.name}/digest/{batch}")
