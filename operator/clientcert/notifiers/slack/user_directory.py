"""Looks up a Slack user: by member ID, by e-mail address, or by the consumer's name if only one member has it.

    tokens = SlackTokens(own_token, own_namespaces, read_secret)
    async with SlackUsers(tokens, api_url, egress) as users:
        resolution = await users.find(namespace, token_ref, question)

Answers are cached for an hour, for all certificates together; of a member only the ID and the folded names are kept.
After an error Slack is not asked again for a minute. Look-ups by address wait for as long as Slack's Retry-After says,
and for their turn: a namespace with thousands of addresses does not use up the limit of all.
"""

import asyncio
import re
import unicodedata
from collections.abc import Hashable
from functools import partial
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

from clientcert.errors import DeliveryError, Reason
from clientcert.fair_queueing import FairSemaphore
from clientcert.lifecycle.contacts import Recipient, Resolution, Role, SlackQuestion
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.network.egress import EgressPolicy
from clientcert.network.single_flight import Load, SingleFlightCache
from clientcert.notifiers.deadline import deadline, unavailable
from clientcert.notifiers.slack.errors import refusal
from clientcert.notifiers.slack.member_id import is_member_id
from clientcert.notifiers.slack.tokens import SlackTokens
from clientcert.notifiers.slack.web_api import SLACK, Call, Refusal, SlackWebApi, not_slack

ANSWER_SECONDS = 3600.0
"""The lifetime of the list of users, and of an answer for an e-mail address."""
FAILURE_SECONDS = 60.0
WAIT_SECONDS = 10.0
"""The longest time for which a caller waits; reading a long list goes on in the background."""
MOST_USERS = 100_000
"""The largest list that is searched for a name; it also limits the size of all cached lists."""

LOOKUPS_AT_ONCE = 4
"""Slack allows about one a second."""
MOST_WAITING = 200
"""Look-ups by address of one namespace that wait for their turn; others fail for now."""
_PAGE = 200  # Slack advises against more
_MOST_PAGES = 1_000
_NAMES_A_USER = 4
_UNSAID_WAIT = 30.0
_LONGEST_NAME = 253
_SLACKBOT = "USLACKBOT"  # Slack does not mark it as a bot
_GUEST = ("is_restricted", "is_ultra_restricted")
"""Guests are outsiders, whose names prove nothing: they are found by ID or address only."""
_SEVERAL = ""
_SEPARATORS = re.compile(r"[-_.\s]+")

_BY_LIST, _BY_EMAIL = "users:read", "users:read.email"
"""The two look-up methods, named by the scope that each needs."""
_UNKNOWN_CODES = frozenset({"users_not_found", "user_not_found", "user_not_visible", "invalid_email"})
_NAME_ID = "name spec.contact.slack.memberID"
_FOUND = "the Slack user is written to directly"
_NOT_FOUND = Resolution("SlackUserNotFound", f"no Slack user has the consumer's name: {_NAME_ID}")
_AMBIGUOUS = Resolution("SlackUserAmbiguous", f"several Slack users have the consumer's name: {_NAME_ID}")
_NO_SUCH_ADDRESS = Resolution(
    "SlackUserNotFound", f"no Slack user has the address of spec.contact.slack.email: correct it, or {_NAME_ID}"
)
_NO_ID = Resolution(
    "SlackUserNotFound", "spec.contact.slack.memberID is not a member ID: copy it from the member's profile in Slack"
)

_Key = TypeVar("_Key", bound=Hashable)
_Answer = TypeVar("_Answer")
_Names: TypeAlias = dict[str, str]
"""Member IDs by folded name; `_SEVERAL` if more than one member has the name."""


class _TokenKey(NamedTuple):
    """Identifies a token: a Secret in a namespace; without both it is the operator's own."""

    namespace: str
    ref: SecretKeyRef | None


class SlackUsers:
    """Looks up users, over a session that lasts as long as the `async with` block."""

    def __init__(
        self,
        tokens: SlackTokens,
        api_url: str,
        egress: EgressPolicy,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        failure_seconds: float = FAILURE_SECONDS,
        most_users: int = MOST_USERS,
    ) -> None:
        """Raises SettingsError for an `api_url` that is neither https nor of a listed host."""
        self._tokens = tokens
        self._api = SlackWebApi(api_url, egress)
        self._answer_seconds = answer_seconds
        self._failure_seconds = failure_seconds
        self._most_users = most_users
        self._lists: SingleFlightCache[_TokenKey, _Names] = SingleFlightCache(_NAMES_A_USER * most_users, len)
        self._members: SingleFlightCache[tuple[_TokenKey, str], str] = SingleFlightCache(most_users, lambda _: 1)
        self.lookups = FairSemaphore(LOOKUPS_AT_ONCE)
        """By address."""
        self._pauses: dict[_TokenKey, float] = {}
        """The end of the time for which Slack asked not to look addresses up, on the loop's clock."""
        self._refusals: dict[tuple[_TokenKey, str], tuple[float, DeliveryError]] = {}

    async def __aenter__(self) -> Self:
        self._api.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._lists.close()
        await self._members.close()
        await self._api.close()

    async def find(self, namespace: str, token_ref: SecretKeyRef | None, question: SlackQuestion) -> Resolution:
        """Return the member who matches the question, or the reason why there is none.

        Raises a retryable DeliveryError for a transient failure; it never waits longer than WAIT_SECONDS.
        """
        try:
            self._tokens.check(namespace, token_ref)
            if question.member_id:
                return _found_user(question.member_id) if is_member_id(question.member_id) else _NO_ID
            token_key = _TokenKey(namespace, token_ref) if token_ref is not None else _TokenKey("", None)
            if question.email:
                found = await self._by_email(token_key, namespace, question.email)
                return _found_user(found) if found else _NO_SUCH_ADDRESS
            member = (await self._names(token_key, namespace)).get(fold(question.name))
        except DeliveryError as error:
            if error.retryable:
                raise
            not_allowed = error.reason is Reason.CHANNEL_NOT_ALLOWED
            return Resolution("SlackNotAllowed" if not_allowed else "SlackLookupRefused", error.message)
        if member is None:
            return _NOT_FOUND
        return _AMBIGUOUS if member == _SEVERAL else _found_user(member)

    async def _by_email(self, token_key: _TokenKey, namespace: str, email: str) -> str:
        """Return the member's ID; empty if there is none."""
        load = partial(self._looked_up, token_key, namespace, email)
        self._check_refusal(token_key, _about(email))
        return await self._cached(self._members, (token_key, email.casefold()), (token_key, _BY_EMAIL), load)

    async def _names(self, token_key: _TokenKey, namespace: str) -> _Names:
        return await self._cached(
            self._lists, token_key, (token_key, _BY_LIST), partial(self._listed, token_key, namespace)
        )

    async def _cached(
        self,
        cache: SingleFlightCache[_Key, _Answer],
        key: _Key,
        method: tuple[_TokenKey, str],
        load: Load[_Answer],
    ) -> _Answer:
        """Return the cached answer; without one, raise the last error while it counts, or load the answer."""
        known = cache.fresh(key)
        if known is not None:
            return known
        self._check_refusal(*method)
        try:
            return await cache.get(key, load, WAIT_SECONDS)
        except TimeoutError:
            raise unavailable("Slack has not answered the look-up yet") from None

    async def _looked_up(self, token_key: _TokenKey, namespace: str, email: str) -> tuple[str, float]:
        if self.lookups.waiting_of(namespace) >= MOST_WAITING:
            raise unavailable("many look-ups of this namespace wait for Slack: this one is retried")
        try:
            async with self.lookups.slot(namespace):
                answer = await self._member_of(token_key, namespace, email)
        except DeliveryError as error:
            if error.reason is Reason.CONTACT_NOT_FOUND:
                return "", self._failure_seconds
            # A complete answer with an error is about this address alone.
            raise self._refused(token_key, _about(email) if error.answered else _BY_EMAIL, error) from None
        if not isinstance(answer.get("user"), dict):
            raise self._refused(token_key, _BY_EMAIL, not_slack())
        member = _member_id(answer["user"])
        return member, self._answer_seconds if member else self._failure_seconds

    async def _member_of(self, token_key: _TokenKey, namespace: str, email: str) -> dict[str, Any]:
        """Ask, and wait as often as Slack asks to; nobody asks with this token meanwhile."""
        while True:
            left = self._pauses.get(token_key, 0.0) - _now()
            if left > 0:
                await asyncio.sleep(left)
                continue
            token = await self._tokens.read(namespace, token_key.ref)
            try:
                return await self._ask(token, _BY_EMAIL, lambda api: api.users_lookupByEmail(email=email))
            except DeliveryError as error:
                if error.reason is not Reason.RATE_LIMITED:
                    raise
                now = _now()
                self._pauses = {key: until for key, until in self._pauses.items() if until > now}
                self._pauses[token_key] = now + (error.retry_after or _UNSAID_WAIT)

    async def _listed(self, token_key: _TokenKey, namespace: str) -> tuple[_Names, float]:
        names: _Names = {}
        cursor, users = "", 0
        try:
            token = await self._tokens.read(namespace, token_key.ref)
            for _ in range(_MOST_PAGES):
                answer = await self._page(token_key, token, cursor)
                users += _add(names, answer.get("members"))
                if users > self._most_users:
                    break
                cursor = _next(answer)
                if not cursor:
                    return names, self._answer_seconds
            raise DeliveryError(Reason.TOO_LARGE, f"there are too many users in Slack to look for a name: {_NAME_ID}")
        except DeliveryError as error:
            raise self._refused(token_key, _BY_LIST, error) from None

    async def _page(self, token_key: _TokenKey, token: str, cursor: str) -> dict[str, Any]:
        """Read one page, and wait as often as Slack asks to; other callers get the same error meanwhile."""
        while True:
            try:
                return await self._ask(token, _BY_LIST, lambda api: api.users_list(limit=_PAGE, cursor=cursor or None))
            except DeliveryError as error:
                if error.reason is not Reason.RATE_LIMITED:
                    raise
                wait = error.retry_after or _UNSAID_WAIT
                self._refusals[token_key, _BY_LIST] = (_now() + wait, error)
            await asyncio.sleep(wait)

    async def _ask(self, token: str, scope: str, call: Call) -> dict[str, Any]:
        async with deadline(SLACK):
            return await self._api.ask(token, call, _wording(scope))

    def _refused(self, token_key: _TokenKey, scope: str, error: DeliveryError) -> DeliveryError:
        """Keep the error for all callers of this method or address, unless it is a failure of the API server."""
        if error.reason is not Reason.API_UNAVAILABLE:
            seconds = self._answer_seconds if error.reason is Reason.TOO_LARGE else self._failure_seconds
            now = _now()
            self._refusals = {key: kept for key, kept in self._refusals.items() if kept[0] > now}
            self._refusals[token_key, scope] = (now + (error.retry_after or seconds), error)
        return error

    def _check_refusal(self, token_key: _TokenKey, scope: str) -> None:
        until, error = self._refusals.get((token_key, scope), (0.0, None))
        left = until - _now()
        if error is not None and left > 0:
            retry_after = left if error.retryable else None
            raise DeliveryError(error.reason, error.message, retryable=error.retryable, retry_after=retry_after)


def fold(name: str) -> str:
    """Make names equal that people take for the same: `Jo.Bloggs`, `jo-bloggs` and `Jo Bloggs`."""
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _add(names: _Names, members: object) -> int:
    """Add the names of a page's members to `names`; return the number of members."""
    if not isinstance(members, list):
        raise not_slack()
    count = 0
    for member in members:
        identifier = _member_id(member)
        if not identifier:
            continue
        count += 1
        if any(member.get(mark) for mark in _GUEST):
            continue
        profile = member.get("profile")
        profile = profile if isinstance(profile, dict) else {}
        known_as = (member.get("name"), member.get("real_name"), profile.get("real_name"), profile.get("display_name"))
        for name in {fold(each) for each in known_as if isinstance(each, str) and len(each) <= _LONGEST_NAME} - {""}:
            names[name] = identifier if names.get(name, identifier) == identifier else _SEVERAL
    return count


def _member_id(member: object) -> str:
    """The member's ID; empty for former members, bots, and members of other workspaces."""
    if not isinstance(member, dict) or any(member.get(mark) for mark in ("deleted", "is_bot", "is_stranger")):
        return ""
    identifier = member.get("id")
    known = isinstance(identifier, str) and is_member_id(identifier) and identifier != _SLACKBOT
    return identifier if known and isinstance(identifier, str) else ""


def _next(answer: dict[str, Any]) -> str:
    metadata = answer.get("response_metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else ""
    return cursor if isinstance(cursor, str) else ""


def _wording(scope: str) -> Refusal:
    """Make errors about look-ups from Slack's errors."""

    def refused(code: object, status: int, retry_after: float | None) -> DeliveryError:
        if isinstance(code, str) and code in _UNKNOWN_CODES:
            return DeliveryError(Reason.CONTACT_NOT_FOUND, "there is no such user")
        return refusal(code, status, retry_after, what="look-up", scope=scope)

    return refused


def _found_user(member_id: str) -> Resolution:
    return Resolution("SlackUser", _FOUND, (Recipient(Role.SLACK, member_id),))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _about(email: str) -> str:
    return f"{_BY_EMAIL} {email.casefold()}"
