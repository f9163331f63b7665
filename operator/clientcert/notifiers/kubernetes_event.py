"""Kubernetes Events as a channel: what `kubectl describe clientcertificate` shows at its end."""

import asyncio

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.kube.events import EventRecorder, EventSpec
from clientcert.lifecycle.due import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.messages.message import Message
from clientcert.notifiers.interface import Pace, Receipt

EVENT_SECONDS = 10.0
"""With all its attempts: whoever leads next must not meet it."""


class EventNotifier:
    """Writes the sentence of a message, and what to do next, as an Event on the ClientCertificate."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:  # noqa: ARG002
        """The API server has limits of its own, and says so."""
        return None

    async def notify(self, channel: Channel, message: Message) -> Receipt:  # noqa: ARG002
        """Event names are made from object and reason, so there is nothing that a channel or a thread could add."""
        fact = EventSpec(
            kind=CLIENT_CERTIFICATE.name,
            key=message.object_key,
            uid=message.object_uid,
            reason=message.reason,
            message=f"{message.text}. {message.next_step}",
            warning=message.kind is MessageKind.ALERT,
        )
        try:
            async with asyncio.timeout(EVENT_SECONDS):
                await self._recorder.record(fact)
        except TimeoutError:
            words = f"the API server did not take the Event within {EVENT_SECONDS:.0f} seconds"
            raise DeliveryError(Reason.API_UNAVAILABLE, words, retryable=True) from None
        except KubeError as error:
            retry = error.retryable or error.reason is Reason.CONFLICT
            raise DeliveryError(error.reason, error.message, retryable=retry, retry_after=error.retry_after) from error
        return Receipt()
