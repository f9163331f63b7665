"""The status reports which channels fail, and why."""

from dataclasses import replace

import pytest

from clientcert.controllers.certificate.status import desired_status
from clientcert.errors import Reason
from clientcert.lifecycle.delivery_log import DeliveryFailure
from tests.builders import DAY, NOW, assessment, certificate, evaluation, policy

SEEN = certificate(NOW + 14 * DAY)
BUSY = DeliveryFailure(Reason.CHANNEL_UNAVAILABLE, "Slack does not answer", False, NOW, 3, 3, None)
NEW = DeliveryFailure(Reason.CHANNEL_UNAVAILABLE, "Slack does not answer", False, NOW, 1, 1, None)
REVOKED = DeliveryFailure(Reason.TOKEN_REJECTED, "renew the token", True, NOW, 1, 1, None)
REFUSED = DeliveryFailure(Reason.RECIPIENT_REFUSED, "correct the address", True, NOW, 1, 1, None)


@pytest.mark.parametrize(
    ("failing", "reason", "message"),
    [
        ({"b": REVOKED}, "TokenRejected", "channel b: renew the token"),
        ({"a": BUSY, "b": REVOKED}, "TokenRejected", "channel b: renew the token; and 1 more channel"),
        (
            {"a": BUSY, "c": REVOKED, "b": REFUSED},
            "RecipientRefused",
            "channel b: correct the address; and 2 more channels",
        ),
        ({"a": NEW, "b": BUSY}, "ChannelUnavailable", "channel b: Slack does not answer"),
    ],
    ids=["one", "the gravest", "by name", "what may pass does not count"],
)
def test_the_most_severe_of_several_failures_is_named(
    failing: dict[str, DeliveryFailure], reason: str, message: str
) -> None:
    """A permanent failure comes before a transient one, and the others are counted."""
    evaluated = replace(evaluation(assessment(SEEN), policy()), failures=failing)
    found = desired_status(evaluated, None).condition("AlertsDelivered")
    assert found is not None
    assert (found.status, found.reason, found.message) == ("False", reason, message)
