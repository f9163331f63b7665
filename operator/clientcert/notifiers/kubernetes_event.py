"""Kubernetes Events as a channel: the end of the output of `kubectl describe clientcertificate`."""

import asyncio

from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.kube.events import EventRecorder, EventSpec
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.messages.message import Message
from clientcert.notifiers.interface import Pace, Receipt

EVENT_SECONDS = 10.0
"""For all attempts: they must end before another replica may lead."""


class EventNotifier:
    """Writes the sentence and the next step of a message as an Event on its object."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:  # noqa: ARG002
        """No limit: the API server enforces its own."""
        return None

    async def notify(self, channel: Channel, message: Message) -> Receipt:  # noqa: ARG002
        """As in the interface. An Event has no channel and no thread: its name comes from object and reason."""
        event = EventSpec(
            kind=message.object_kind.name,
            key=message.object_key,
            uid=message.object_uid,
            reason=message.reason,
            message=f"{message.text}. {message.next_step}",
            warning=message.kind is MessageKind.ALERT,
        )
        try:
            async with asyncio.timeout(EVENT_SECONDS):
                await self._recorder.record(event)
        except TimeoutError:
            words = f"the API server did not take the Event within {EVENT_SECONDS:.0f} seconds"
            raise DeliveryError(Reason.API_UNAVAILABLE, words, retryable=True) from None
        except KubeError as error:
            retry = error.retryable or error.reason is Reason.CONFLICT
            raise DeliveryError(error.reason, error.message, retryable=retry, retry_after=error.retry_after) from error
        return Receipt()
