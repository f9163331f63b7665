"""Sends a message again as plain text if Slack refuses its form, so that none is lost to its formatting."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from clientcert.errors import DeliveryError, Reason

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


async def post_with_plain_fallback(
    subject: str,
    post: Callable[[dict[str, Any]], Awaitable[_Answer]],
    payload: dict[str, Any],
    plain_payload: dict[str, Any],
) -> _Answer:
    """Post `payload`; if Slack refuses its form, log that about `subject`, and post `plain_payload`."""
    try:
        return await post(payload)
    except DeliveryError as error:
        if error.reason is not Reason.MESSAGE_REFUSED:
            raise
        _log.warning("%s: sent again as plain text: %s", subject, error.message)
    return await post(plain_payload)
