"""The desired status of a ClientCertificate, from its evaluation, and the Kubernetes Events about its changes."""

import logging
from collections.abc import Collection
from datetime import UTC, datetime

from clientcert.alerting.dispatcher import decide
from clientcert.alerting.retries import OF_THE_RECIPIENT
from clientcert.api.kinds import CHANNELS, CLIENT_CERTIFICATE
from clientcert.api.status import HISTORY
from clientcert.errors import Reason
from clientcert.kube.events import EventSpec
from clientcert.lifecycle.assessment import Observation
from clientcert.lifecycle.conditions import (
    ALERTS_DELIVERED,
    CONTACT_RESOLVED,
    READY,
    DeliveryProblem,
    carried_over,
    conditions,
)
from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.delivery_log import DeliveryFailure, whole_second
from clientcert.lifecycle.ends_first import OTHER_ENDED, is_issuer, name_first
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.recorded_status import (
    CertificateStatus,
    ChannelStatus,
    Condition,
    PreviousCertificate,
    shared_conditions,
)
from clientcert.lifecycle.renewal.declaration import declared_hash
from clientcert.lifecycle.renewal.standing import standing
from clientcert.lifecycle.renewal.vetting import vetting_condition

_OF_A_SLACK_USER = OF_THE_RECIPIENT | {Reason.CHANNEL_NOT_FOUND}
"""Slack addresses a user like a channel: for a bot or an unknown user the reason is ChannelNotFound."""
_NEVER = datetime.min.replace(tzinfo=UTC)

logger = logging.getLogger(__name__)


def desired_status(evaluation: Evaluation, observation: Observation | None) -> CertificateStatus:
    """The whole status. `observation` is the last one of the source; None if it was not read yet."""
    assessment, status = evaluation.assessment, evaluation.status
    history, old = status.history, assessment.newly_replaced(status)
    if old is not None:
        replaced = whole_second(assessment.now)
        history = (PreviousCertificate(old.serial_number, old.not_after, replaced, old.issuer_dn), *history)[:HISTORY]
    version = status.source_version if observation is None else observation.version
    # The declaration stays known under a policy without a renewal: else an editor hides a change by such a policy.
    keeps = status.renewal is not None and bool(status.renewal.declared_hash)
    stands = standing(evaluation) if evaluation.renewal is not None or keeps else None
    every = conditions(evaluation, _undelivered(evaluation), _unreached(evaluation))
    if stands is not None:
        found = (stands.condition, *_vetted(evaluation))
        every = (*every, *(carried_over(each, status.conditions, assessment.now) for each in found))
    return CertificateStatus(
        phase=assessment.phase.value,
        accepted=assessment.accepted,
        source_version=version,
        source_observed=status.source_observed if version == status.source_version else assessment.now,
        source_gap=status.source_gap if observation is None else observation.gap,
        channels=evaluation.log.channels if len(evaluation.log.channels) <= CHANNELS else _kept(evaluation),
        history=history,
        renewal=stands.recorded(_declared(evaluation)) if stands else None,
        conditions=shared_conditions(every),
    )


def _vetted(evaluation: Evaluation) -> tuple[Condition, ...]:
    if evaluation.renewal is None or evaluation.assessment.host:
        return ()
    accepted, spec = evaluation.assessment.accepted, evaluation.spec
    ends = accepted.not_after if accepted else None
    found = vetting_condition(spec.vetting_date, evaluation.renewal.policy, evaluation.now, ends)
    return (found,) if found else ()


def _declared(evaluation: Evaluation) -> str:
    """The declaration at the last delivery, else at the first look; empty while the contact is looked up."""
    situation, before, contact = evaluation.renewal, evaluation.status.renewal, evaluation.contact
    if situation and situation.last_delivered and situation.last_delivered.declared_hash:
        return situation.last_delivered.declared_hash
    if before is not None and before.declared_hash:
        return before.declared_hash
    if contact is None or contact.pending:
        return ""
    addresses = tuple([each.address for each in contact.recipients])
    return declared_hash(evaluation.uid, evaluation.spec, addresses)


def _kept(evaluation: Evaluation) -> tuple[ChannelStatus, ...]:
    """The records of all channels of the policy, then of others, as far as there is room.

    A channel that has left the policy owes a closing message once it returns; if it was closed, it owes nothing and is
    dropped first. Of equals the one with the newest message is kept.
    """
    every = evaluation.log.channels
    active = {channel.name for channel in evaluation.policy.channels}

    def worth(told: ChannelStatus) -> tuple[bool, bool, datetime]:
        return told.name in active, told.stage is not None, told.last_sent or _NEVER

    kept = {told.name for told in sorted(every, key=worth, reverse=True)[:CHANNELS]}
    return tuple(told for told in every if told.name in kept)


def _undelivered(evaluation: Evaluation) -> DeliveryProblem | None:
    """The most severe problem in the delivery of this certificate's alerts; None if there is none."""
    failing = [(name, failure) for name, failure in evaluation.failures.items() if failure.is_reported]
    if failing:
        name, gravest = min(failing, key=lambda each: (not each[1].permanent, each[0]))
        return DeliveryProblem(gravest.reason, f"channel {name}: {gravest.message}{_and_more(len(failing) - 1)}")
    busy = [each for each in evaluation.status.conditions if each.reason == Reason.CHANNEL_BUSY]
    if busy and decide(evaluation).due:
        return DeliveryProblem(Reason.CHANNEL_BUSY, busy[0].message)  # until it is sent, also after a restart
    wanted = evaluation.spec.policy
    if wanted and not evaluation.policy_found:
        words = f"there is no CertificatePolicy {wanted} in namespace {evaluation.key.namespace}"
        return DeliveryProblem(
            Reason.POLICY_NOT_FOUND, f"{words}, so the defaults are used: create it, or correct spec.policyRef"
        )
    if evaluation.policy.problems:
        return DeliveryProblem(Reason.POLICY_INVALID, f"CertificatePolicy {wanted}: {evaluation.policy.problems[0]}")
    return None


def _and_more(channels: int) -> str:
    if not channels:
        return ""
    return f"; and {channels} more channel{'s' if channels > 1 else ''}"


def _unreached(evaluation: Evaluation) -> DeliveryProblem | None:
    """The problem with the recipient of the letters that only another contact would fix; None if there is none.

    It remains until a letter is delivered: neither a restart nor a mail server that is down fixes it.
    """
    contact, status = evaluation.contact, evaluation.status
    if not evaluation.policy.writes_letters or contact is None or not contact.resolved:
        return None
    letters = [each.name for each in evaluation.policy.channels if each.to_consumer and not each.escalation]
    in_slack = contact.recipients[0].role is Role.SLACK
    for name in letters:
        failure = evaluation.failures.get(name)
        if failure is not None and _is_of_the_recipient(failure, in_slack=in_slack):
            return DeliveryProblem(failure.reason, failure.message)
    before = status.condition(CONTACT_RESOLVED)
    if before is None or before.reason not in _OF_A_SLACK_USER or contact.fallback_recipient is not None:
        return None
    is_owed = any(told.last_failure for name in letters if (told := evaluation.log.channel(name)))
    if not is_owed or not evaluation.assessment.expires_soon:
        return None
    return DeliveryProblem(Reason(before.reason), before.message)


def _is_of_the_recipient(failure: DeliveryFailure, *, in_slack: bool) -> bool:
    return failure.permanent and failure.reason in (_OF_A_SLACK_USER if in_slack else OF_THE_RECIPIENT)


def events_for(
    evaluation: Evaluation, after: CertificateStatus, announced: Collection[str], pending: tuple[EventSpec, ...]
) -> tuple[EventSpec, ...]:
    """The Events that are due for the change to this status.

    `announced` are the reasons of Events that alerts create anyway; `pending` are Events that are still to be written.
    None of them is repeated. A letter to a fallback recipient is logged as well, because no failed channel reports it.
    There are none while the operator only observes.
    """
    if evaluation.observe_only:
        return ()
    before = evaluation.status
    found = [
        _event(evaluation, condition.reason, condition.message)
        for condition in after.conditions
        if condition.type in {READY, ALERTS_DELIVERED} and condition.status == "False"
        if condition.reason != Reason.CHANNEL_BUSY  # it may concern thousands at once, and nothing has gone wrong
        if _is_new(condition, before)
    ]
    fallback = evaluation.contact.fallback_recipient if evaluation.contact else None
    if fallback is not None and not any(told.fallback_recipient == fallback for told in before.channels):
        event = _event(evaluation, Reason.RECIPIENT_REFUSED, str(fallback))
        found.append(event)
        if event not in pending:
            logger.warning("%s: %s: %s", evaluation.key, event.reason, event.message)
    old, accepted = evaluation.assessment.newly_replaced(before), evaluation.assessment.accepted
    if old is not None and accepted is not None:
        words = (
            f"the certificate with serial number {old.serial_number} was replaced by {accepted.serial_number},"
            f" valid until {evaluation.assessment.expires.time:%Y-%m-%d}"
        )
        if accepted.ends_first is not None:
            words += f", the end of {name_first(accepted.ends_first, accepted.subject_dn)} in the same file"
        found.append(_event(evaluation, "Renewed", words, warning=False))
    elif before.accepted is not None and before.accepted.ends_first is not None and _chain_is_renewed(evaluation):
        issuer = is_issuer(before.accepted.ends_first, before.accepted.subject_dn)
        change = "the chain was renewed" if issuer else f"the certificate {OTHER_ENDED}"
        words = f"{change}: it is valid until {evaluation.assessment.expires.time:%Y-%m-%d}"
        found.append(_event(evaluation, "Renewed", words, warning=False))
    unique = {event.reason: event for event in found if event.reason not in announced and event not in pending}
    return tuple(unique.values())


def _chain_is_renewed(evaluation: Evaluation) -> bool:
    """True if the certificate is the same, and the one that ended before it was replaced by one that ends later."""
    before, assessment = evaluation.status.accepted, evaluation.assessment
    if before is None or before.ends_first is None or assessment.accepted is None:
        return False
    same = before.fingerprint_sha256 == assessment.accepted.fingerprint_sha256
    return same and assessment.expires.time > before.ends_first.time


def _is_new(condition: Condition, status: CertificateStatus) -> bool:
    before = status.condition(condition.type)
    return before is None or (before.status, before.reason) != (condition.status, condition.reason)


def _event(evaluation: Evaluation, reason: str, message: str, *, warning: bool = True) -> EventSpec:
    return EventSpec(CLIENT_CERTIFICATE.name, evaluation.key, evaluation.uid, str(reason), message, warning)
