"""A letter to a user of Slack, as a direct message of the operator's app.

    tokens = SlackTokens(own_token, own_namespaces, read_secret)
    async with SlackDirectNotifier(tokens, token_ref_of, api_url, egress) as notifier:
        receipt = await notifier.notify(channel, message)

chat.postMessage takes a member's ID as a channel: with the scope chat:write alone it opens the conversation.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Self

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.spec import ObjectKey, SecretKeyRef
from clientcert.messages.letter import Letter
from clientcert.messages.message import Message
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.deadline import deadline
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.notifiers.slack.block_kit import letter_payload, plain_letter_payload
from clientcert.notifiers.slack.errors import refusal
from clientcert.notifiers.slack.member_id import is_member_id
from clientcert.notifiers.slack.plain_fallback import post_with_plain_fallback
from clientcert.notifiers.slack.tokens import SlackTokens
from clientcert.notifiers.slack.web_api import MESSAGE_SECONDS, SLACK, SlackWebApi

_MESSAGES_TAB = "allow the Slack app to write to people: turn on its Messages Tab, under App Home"
_CORRECT = "correct spec.contact.slack: it must name a person who is an active member of the workspace"
_UNREACHABLE = {
    "messages_tab_disabled": _MESSAGES_TAB,
    "cannot_dm_bot": _CORRECT,
    "channel_not_found": _CORRECT,
    "user_disabled": _CORRECT,
    "user_not_found": _CORRECT,
    "user_not_visible": _CORRECT,
}
"""The advice about an unreachable person; for a channel the same codes have another meaning."""


class SlackDirectNotifier:
    """Sends the first letter of a message, over a session that lasts as long as the `async with` block."""

    def __init__(
        self,
        tokens: SlackTokens,
        token_ref_of: Callable[[ObjectKey], SecretKeyRef | None],
        api_url: str,
        egress: EgressPolicy,
    ) -> None:
        """`token_ref_of` returns the token that a certificate's policy names; None for the operator's own.

        Raises SettingsError for an `api_url` that is neither https nor of a listed host.
        """
        self._tokens = tokens
        self._token_ref_of = token_ref_of
        self._api = SlackWebApi(api_url, egress)

    async def __aenter__(self) -> Self:
        self._api.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.close()

    async def notify(self, channel: Channel, message: Message) -> Receipt:  # noqa: ARG002
        """As in the interface. Each reminder is a message of its own; no reference to it is kept."""
        letter, key = _letter(message), message.object_key
        async with deadline(SLACK):
            token = await self._tokens.read(key.namespace, self._token_ref_of(key))
            post = partial(self._post, token, letter.recipient.address)
            await post_with_plain_fallback(str(key), post, letter_payload(letter), plain_letter_payload(letter))
        return Receipt()

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace:  # noqa: ARG002
        """One message a second to all users of a channel together, as the user is only known from the message."""
        return Pace(("Slack user", namespace, channel.address), MESSAGE_SECONDS)

    async def _post(self, token: str, user: str, payload: dict[str, Any]) -> None:
        await self._api.ask(token, lambda api: api.chat_postMessage(channel=user, **payload), _refused)


def _letter(message: Message) -> Letter:
    """Return the letter to a Slack user. Another kind of ID could be a channel, so it is an error."""
    letter = message.letters[0] if message.letters else None
    if letter is None or letter.recipient.role is not Role.SLACK or not is_member_id(letter.recipient.address):
        raise DeliveryError(Reason.CONTACT_NOT_FOUND, f"the message names no Slack user: {_CORRECT}")
    return letter


def _refused(code: object, status: int, retry_after: float | None) -> DeliveryError:
    if isinstance(code, str) and code in _UNREACHABLE:
        return DeliveryError(Reason.CHANNEL_NOT_FOUND, f"Slack refused the message ({code}): {_UNREACHABLE[code]}")
    return refusal(code, status, retry_after)
