"""The messages that tests of several notifiers send, and the error of one that could not be sent."""

from typing import Any

from clientcert.errors import DeliveryError
from clientcert.lifecycle.policy import Channel
from clientcert.messages.message import Message
from clientcert.notifiers.interface import Notifier
from tests.builders import DAY, NOW, certificate, notified, policy
from tests.unit.messages.composing import composed, knowing


def alert(left: float = 14, **changes: Any) -> Message:
    """About a certificate with so many days left."""
    plan = policy(runbook_url="https://runbooks.example/renew?a=1&b=2")
    return composed(certificate(NOW + left * DAY), plan=plan, **changes)


def closing() -> Message:
    """The certificate bb has replaced aa."""
    old = certificate(NOW + 5 * DAY, serial_number=0xAA)
    recorded = knowing(old, notified(6, old.fingerprint_sha256))
    return composed(certificate(NOW + 400 * DAY, serial_number=0xBB), recorded=recorded)


async def failure(notifier: Notifier, channel: Channel, message: Message | None = None) -> DeliveryError:
    """The error of a message that could not be sent."""
    try:
        receipt = await notifier.notify(channel, message or alert())
    except DeliveryError as error:
        return error
    raise AssertionError(f"it was sent: {receipt}")
