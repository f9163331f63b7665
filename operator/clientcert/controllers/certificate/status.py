"""The desired status of a ClientCertificate, from its evaluation."""

from datetime import UTC, datetime

from clientcert.alerting.retries import OF_THE_RECIPIENT
from clientcert.api.status import CHANNELS, HISTORY
from clientcert.errors import Reason
from clientcert.lifecycle.conditions import CONTACT_RESOLVED, DeliveryProblem, conditions
from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.delivery_log import DeliveryFailure
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus, PreviousCertificate

_OF_A_SLACK_USER = OF_THE_RECIPIENT | {Reason.CHANNEL_NOT_FOUND}
"""Slack addresses a user like a channel: for a bot or an unknown user the reason is ChannelNotFound."""
_NEVER = datetime.min.replace(tzinfo=UTC)


def desired_status(evaluation: Evaluation, version: str | None) -> CertificateStatus:
    """The whole status. `version` is the version of the source's content; None if it was not read yet."""
    assessment, status = evaluation.assessment, evaluation.status
    history, old = status.history, assessment.newly_replaced(status)
    if old is not None:
        history = (PreviousCertificate(old.serial_number, old.not_after, assessment.now), *history)[:HISTORY]
    version = status.source_version if version is None else version
    return CertificateStatus(
        phase=assessment.phase.value,
        accepted=assessment.accepted,
        source_version=version,
        source_observed=status.source_observed if version == status.source_version else assessment.now,
        channels=evaluation.log.channels if len(evaluation.log.channels) <= CHANNELS else _kept(evaluation),
        history=history,
        conditions=conditions(evaluation, _undelivered(evaluation), _unreached(evaluation)),
    )


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
