"""The fallback: the operator's own channel is used while a channel of the policy does not reach the team."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.delivery_log import DeliveryFailure, DeliveryLog
from clientcert.lifecycle.policy import EVENT, AlertPolicy, Channel

FALLBACK_AFTER = timedelta(hours=1)
"""Time after which the fallback is used for a channel that fails without a permanent error."""


def with_fallback_channel(
    policy: AlertPolicy,
    fallback: Channel,
    assessment: Assessment,
    log: DeliveryLog,
    failures: Mapping[str, DeliveryFailure],
) -> AlertPolicy:
    """Return the policy, with the operator's own channel while another one fails, and until that alert is closed."""
    if any((each.type, each.address) == (fallback.type, fallback.address) for each in policy.channels):
        return policy
    refused = _refused(policy, failures, assessment.now)
    told = log.channel(fallback.name)
    is_owed = told is not None and told.stage is not None and told.fingerprint_sha256 not in assessment.fingerprints
    if refused is None and not is_owed:
        return policy
    schedule = (refused or fallback).schedule
    return replace(policy, channels=(*policy.channels, replace(fallback, schedule=schedule)))


def _refused(policy: AlertPolicy, failures: Mapping[str, DeliveryFailure], now: datetime) -> Channel | None:
    # A channel to consumers does not reach the team: if another channel does, letters need no fallback.
    tells_team = any(each.type != EVENT and not each.to_consumer and not each.escalation for each in policy.channels)
    for channel in policy.channels:
        failure = failures.get(channel.name)
        if failure is None or failure.reason is Reason.CHANNEL_BUSY or (tells_team and channel.to_consumer):
            continue  # a message that waits for its turn will arrive; the fallback would only be flooded
        if failure.permanent or now - failure.since >= FALLBACK_AFTER:
            return channel
    return None
