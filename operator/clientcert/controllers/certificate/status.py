"""What the status of a ClientCertificate shall say: from the record, and from what a look has found."""

from clientcert.alerting.retries import OF_THE_RECIPIENT, remembered
from clientcert.api.status import CHANNELS, HISTORY
from clientcert.cache.objects import CertificateRecord, Failure, PolicyRecord
from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.conditions import CONTACT_RESOLVED, DeliveryProblem, conditions, stood_in
from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.recorded_status import CertificateStatus, PreviousCertificate

_OF_A_SLACK_USER = OF_THE_RECIPIENT | {Reason.CHANNEL_NOT_FOUND}
"""A member of Slack is a channel: it is not found where that is a bot, or nobody."""


def remember(record: CertificateRecord, assessment: Assessment, policy: PolicyRecord | None) -> CertificateStatus:
    """What the status shall say from now on."""
    known = remembered(record)
    version = record.observation.version if record.observation else known.source_version
    history = known.history
    old = assessment.newly_replaced(known)
    if old is not None:
        history = (PreviousCertificate(old.serial_number, old.not_after, assessment.now), *history)[:HISTORY]
    return CertificateStatus(
        accepted=known.accepted if known.accepted == assessment.accepted else assessment.accepted,
        source_version=version,
        source_observed=known.source_observed if version == known.source_version else assessment.now,
        channels=known.channels[-CHANNELS:],
        history=history,
        conditions=conditions(
            assessment,
            record.declaration,
            _shortfall(record, policy),
            known,
            record.contact,
            _unreached(record, assessment, policy, known),
        ),
    )


def _shortfall(record: CertificateRecord, policy: PolicyRecord | None) -> DeliveryProblem | None:
    """Why this certificate's alerts do not go where they were asked to go, the gravest first."""
    counting = [(name, failure) for name, failure in (record.failing or {}).items() if failure.counts]
    if counting:
        name, gravest = min(counting, key=lambda each: (not each[1].permanent, each[0]))
        return DeliveryProblem(gravest.reason, f"channel {name}: {gravest.message}{_and_more(len(counting) - 1)}")
    wanted = record.declaration.policy if record.declaration else ""
    if wanted and policy is None:
        words = f"there is no CertificatePolicy {wanted} in namespace {record.key.namespace}, so the defaults are used"
        return DeliveryProblem(Reason.POLICY_NOT_FOUND, f"{words}: create it, or correct spec.policyRef")
    if policy is not None and policy.policy.problems:
        return DeliveryProblem(
            Reason.POLICY_INVALID, f"CertificatePolicy {policy.key.name}: {policy.policy.problems[0]}"
        )
    return None


def _and_more(channels: int) -> str:
    if not channels:
        return ""
    return f"; and {channels} more channel{'s' if channels > 1 else ''}"


def _unreached(
    record: CertificateRecord, assessment: Assessment, policy: PolicyRecord | None, known: CertificateStatus
) -> DeliveryProblem | None:
    """Why whoever should get the letters gets none, where only another contact would mend that.

    It stays so until one was delivered: neither a restart nor a mail server that is away has mended anything.
    """
    contact = record.contact
    if policy is None or contact is None or not contact.resolved:
        return None
    letters = [each.name for each in policy.policy.channels if each.to_consumer and not each.escalation]
    failures = [failure for name in letters if (failure := (record.failing or {}).get(name))]
    in_slack = contact.recipients[0].role is Role.SLACK
    found = next((each for each in failures if _is_of_the_recipient(each, in_slack=in_slack)), None)
    if found is not None:
        return DeliveryProblem(found.reason, found.message)
    before = known.condition(CONTACT_RESOLVED)
    owed = any(told.last_failure for name in letters if (told := known.channel(name)))
    if before is None or before.reason not in _OF_A_SLACK_USER or stood_in(known) or not owed:
        return None
    return DeliveryProblem(Reason(before.reason), before.message) if assessment.expires_soon else None


def _is_of_the_recipient(failure: Failure, *, in_slack: bool) -> bool:
    return failure.permanent and failure.reason in (_OF_A_SLACK_USER if in_slack else OF_THE_RECIPIENT)
