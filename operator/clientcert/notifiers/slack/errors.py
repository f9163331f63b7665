"""Slack's errors: a reason for each, and what the reader should do.

The codes are those of https://docs.slack.dev/reference/methods/chat.postMessage and of incoming webhooks. Of an answer
only a well-formed code is repeated in an error.
"""

import re

from clientcert.errors import DeliveryError, Reason
from clientcert.notifiers.deadline import unavailable

_CODE = re.compile(r"[a-z_]{1,64}")

_RENEW = "put a valid token or webhook into the Secret, or into the operator's own settings"
_SCOPE = "give the Slack app the scope {scope}, and install it again"
_INVITE = "check the channel's name, and invite the Slack app to it (/invite @the-app)"
_ARCHIVED = "the channel is archived: unarchive it, or name another one"
_RESTRICTED = "only some people may post to this channel: allow the Slack app to, or name another one"
_REPORT = "this is a bug of the operator: please report it"

_MEANINGS: dict[str, tuple[Reason, str]] = {
    "access_denied": (Reason.TOKEN_REJECTED, _RENEW),
    "account_inactive": (Reason.TOKEN_REJECTED, _RENEW),
    "action_prohibited": (Reason.TOKEN_REJECTED, _RENEW),
    "ekm_access_denied": (Reason.TOKEN_REJECTED, _RENEW),
    "enterprise_is_restricted": (Reason.TOKEN_REJECTED, _RENEW),
    "invalid_auth": (Reason.TOKEN_REJECTED, _RENEW),
    "invalid_token": (Reason.TOKEN_REJECTED, _RENEW),
    "no_active_hooks": (Reason.TOKEN_REJECTED, _RENEW),
    "no_service": (Reason.TOKEN_REJECTED, _RENEW),
    "no_team": (Reason.TOKEN_REJECTED, _RENEW),
    "not_authed": (Reason.TOKEN_REJECTED, _RENEW),
    "org_login_required": (Reason.TOKEN_REJECTED, _RENEW),
    "team_access_not_granted": (Reason.TOKEN_REJECTED, _RENEW),
    "team_disabled": (Reason.TOKEN_REJECTED, _RENEW),
    "token_expired": (Reason.TOKEN_REJECTED, _RENEW),
    "token_revoked": (Reason.TOKEN_REJECTED, _RENEW),
    "missing_scope": (Reason.TOKEN_REJECTED, _SCOPE),
    "no_permission": (Reason.TOKEN_REJECTED, _SCOPE),
    "not_allowed_token_type": (Reason.TOKEN_REJECTED, _SCOPE),
    "cannot_dm_bot": (Reason.CHANNEL_NOT_FOUND, _INVITE),
    "channel_not_found": (Reason.CHANNEL_NOT_FOUND, _INVITE),
    "invalid_channel": (Reason.CHANNEL_NOT_FOUND, _INVITE),
    "messages_tab_disabled": (Reason.CHANNEL_NOT_FOUND, _INVITE),
    "not_in_channel": (Reason.CHANNEL_NOT_FOUND, _INVITE),
    "user_disabled": (Reason.CHANNEL_NOT_FOUND, _INVITE),
    "user_not_found": (Reason.CHANNEL_NOT_FOUND, _INVITE),
    "channel_is_archived": (Reason.CHANNEL_NOT_FOUND, _ARCHIVED),
    "is_archived": (Reason.CHANNEL_NOT_FOUND, _ARCHIVED),
    "posting_to_general_channel_denied": (Reason.CHANNEL_NOT_FOUND, _RESTRICTED),
    "restricted_action": (Reason.CHANNEL_NOT_FOUND, _RESTRICTED),
    "restricted_action_non_threadable_channel": (Reason.CHANNEL_NOT_FOUND, _RESTRICTED),
    "restricted_action_read_only_channel": (Reason.CHANNEL_NOT_FOUND, _RESTRICTED),
    "restricted_action_thread_only_channel": (Reason.CHANNEL_NOT_FOUND, _RESTRICTED),
    "attachment_payload_limit_exceeded": (Reason.MESSAGE_REFUSED, _REPORT),
    "invalid_arg_name": (Reason.MESSAGE_REFUSED, _REPORT),
    "invalid_arguments": (Reason.MESSAGE_REFUSED, _REPORT),
    "invalid_blocks": (Reason.MESSAGE_REFUSED, _REPORT),
    "invalid_blocks_format": (Reason.MESSAGE_REFUSED, _REPORT),
    "invalid_json": (Reason.MESSAGE_REFUSED, _REPORT),
    "invalid_payload": (Reason.MESSAGE_REFUSED, _REPORT),
    "json_not_object": (Reason.MESSAGE_REFUSED, _REPORT),
    "msg_blocks_too_long": (Reason.MESSAGE_REFUSED, _REPORT),
    "msg_too_long": (Reason.MESSAGE_REFUSED, _REPORT),
    "no_text": (Reason.MESSAGE_REFUSED, _REPORT),
    "too_many_attachments": (Reason.MESSAGE_REFUSED, _REPORT),
}
_RATE = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_PASSING = frozenset(
    {"internal_error", "service_unavailable", "fatal_error", "request_timeout", "team_added_to_org", "accesslimited"}
)
_BY_STATUS = {
    400: (Reason.MESSAGE_REFUSED, _REPORT),
    413: (Reason.MESSAGE_REFUSED, _REPORT),
    401: (Reason.TOKEN_REJECTED, _RENEW),
    403: (Reason.TOKEN_REJECTED, _RENEW),
    404: (Reason.CHANNEL_NOT_FOUND, "the webhook does not exist any more: create a new one, or check the address"),
    410: (Reason.CHANNEL_NOT_FOUND, "the webhook does not exist any more: create a new one, or check the address"),
}
"""For answers without a known code: from a webhook, or from a proxy before Slack."""


def refusal(
    code: object, status: int, retry_after: float | None, *, what: str = "message", scope: str = "chat:write"
) -> DeliveryError:
    """The error for an answer that is not a success, by its error code, its HTTP status and its Retry-After in seconds.

    `what` is the subject of the error, and `scope` is the permission that the call needs.
    """
    named = code if isinstance(code, str) and _CODE.fullmatch(code) else ""
    if status == 429 or named in _RATE:
        return DeliveryError(
            Reason.RATE_LIMITED,
            f"Slack asked to wait before the next {what}",
            retryable=True,
            retry_after=retry_after,
        )
    if named in _MEANINGS:
        reason, advice = _MEANINGS[named]
        return DeliveryError(reason, f"Slack refused the {what} ({named}): {advice.format(scope=scope)}")
    if status >= 500 or named in _PASSING:
        # An answer with a code of Slack may be about this message alone.
        answered = status < 500 and named in _PASSING
        return unavailable(f"Slack could not take the {what} ({named or f'HTTP status {status}'})", answered=answered)
    if status in _BY_STATUS:
        reason, advice = _BY_STATUS[status]
        return DeliveryError(reason, f"Slack refused the {what} (HTTP status {status}): {advice}")
    if 300 <= status < 400:
        return unavailable(
            "the server at Slack's address answered with a redirect, which is not followed: check the address"
        )
    if named:
        return unavailable(f"Slack refused the {what} ({named}): see Slack's documentation of this code")
    return unavailable(f"the server at Slack's address gave an answer that is not Slack's (HTTP status {status})")
