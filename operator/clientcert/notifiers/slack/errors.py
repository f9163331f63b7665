"""What Slack's refusals mean, and what the reader should do about each.

The codes are those of https://docs.slack.dev/reference/methods/chat.postMessage and of incoming webhooks. Only
codes that look like one are ever repeated; nothing else of an answer is.
"""

import re

from clientcert.errors import DeliveryError, Reason
from clientcert.notifiers.deadline import unavailable

_CODE = re.compile(r"[a-z_]{1,64}")

_RENEW = "put a token or webhook that is in force into the Secret, or into the operator's own settings"
_SCOPE = "give the Slack app the scope {scope}, and install it again"
_INVITE = "check the channel's name, and invite the Slack app to it (/invite @the-app)"
_ARCHIVED = "the channel is archived: take it out of the archive, or name another one"
_RESTRICTED = "only some people may post to this channel: allow the Slack app to, or name another one"
_REPORT = "this is a fault of the operator: please report it"

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
    404: (Reason.CHANNEL_NOT_FOUND, "it does not know the webhook any more: make a new one, or check the address"),
    410: (Reason.CHANNEL_NOT_FOUND, "it does not know the webhook any more: make a new one, or check the address"),
}
"""Refusals without a code that we know: a webhook's, or those of something in front of Slack."""


def refusal(
    code: object, status: int, retry_after: float | None, *, what: str = "message", scope: str = "chat:write"
) -> DeliveryError:
    """The error for an answer that is not a success: its error code if it had one, its HTTP status and its Retry-After.

    `what` was asked of Slack, and needs the `scope`. `retry_after` is in seconds.
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
        return unavailable(f"Slack could not take the {what} ({named or f'HTTP status {status}'})")
    if status in _BY_STATUS:
        reason, advice = _BY_STATUS[status]
        return DeliveryError(reason, f"Slack refused the {what} (HTTP status {status}): {advice}")
    if 300 <= status < 400:
        return unavailable("what should be Slack answered with a redirect, which is not followed: check its address")
    if named:
        return unavailable(f"Slack refused the {what} ({named}): see what its documentation says about that")
    return unavailable(f"what should be Slack gave an answer that is not Slack's (HTTP status {status})")
