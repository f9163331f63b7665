"""The state of the server: channels, tokens, users, messages, and the faults to come."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tools.slack_server.faults import Fault, FaultScript, RateLimit
from tools.slack_server.limits import complaint
from tools.slack_server.recording import Call, Posted
from tools.slack_server.rendering import render

TOKEN = "xoxb-loopback-token"
CHANNEL = "#integration-api-alerts"
SCOPES = {
    "chat.postMessage": "chat:write",
    "conversations.open": "im:write",
    "users.list": "users:read",
    "users.lookupByEmail": "users:read.email",
}
"""The scopes that each method requires of a token."""
ALL_SCOPES = frozenset(SCOPES.values())


@dataclass(frozen=True, slots=True)
class User:
    """A member of the workspace."""

    id: str
    name: str
    real_name: str = ""
    email: str = ""
    deleted: bool = False
    is_bot: bool = False
    display_name: str | None = None
    """None: the same as `name`."""
    is_stranger: bool = False
    """True for a member of another workspace, with which this one shares a channel."""
    is_restricted: bool = False
    """True for a guest."""

    def as_json(self, *, with_email: bool = True) -> dict[str, Any]:
        shown = self.name if self.display_name is None else self.display_name
        profile = {"real_name": self.real_name, "display_name": shown} | ({"email": self.email} if with_email else {})
        return {
            "id": self.id,
            "name": self.name,
            "real_name": self.real_name,
            "deleted": self.deleted,
            "is_bot": self.is_bot,
            "is_stranger": self.is_stranger,
            "is_restricted": self.is_restricted,
            "profile": profile,
        }


class RefusedError(Exception):
    """A call that Slack answers with an error code; for a webhook, with an HTTP status as well."""

    def __init__(self, code: str, status: int = 200, **more: str) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.more = more
        """Further fields of the answer."""


class Workspace:
    """One workspace with a few channels, and all that happened in it."""

    def __init__(
        self,
        *,
        channels: Iterable[str] = (CHANNEL,),
        tokens: Iterable[str] = (TOKEN,),
        users: Iterable[User] = (),
        scopes: Mapping[str, Iterable[str]] | None = None,
        messages_tab: bool = True,
        port: int = 0,
        delay: float = 0.0,
        on_message: Callable[[Posted], None] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.channels = {identity("C", with_hash(name)): with_hash(name) for name in channels}
        self.tokens = list(tokens)
        self.users = list(users)
        self.scopes = {token: frozenset(granted) for token, granted in (scopes or {}).items()}
        """The scopes of a token; a token that is not listed has all."""
        self.messages_tab = messages_tab
        """True if the app's settings let it write to members."""
        self.directs: dict[str, str] = {}
        """The IDs of direct conversations, with their members."""
        self.port = port
        """0: any free port, which is known after the start."""
        self.delay = delay
        """Seconds before every answer."""
        self.messages: list[Posted] = []
        """The accepted messages, in the order of arrival."""
        self.calls: list[Call] = []
        """All requests, accepted or refused."""
        self.clock = clock
        self.faults = FaultScript()
        self._limits: dict[str, RateLimit] = {}
        self._on_message = on_message
        self._changed = threading.Condition()

    def fail_next(self, *faults: Fault, place: str = "") -> None:
        """Set one of these faults for each of the next calls. A place is a channel, a method, or "" for any post."""
        self.faults.next(self.place(place), faults)

    def fail_always(self, fault: Fault, *, place: str = "") -> None:
        self.faults.always(self.place(place), fault)

    def fail_rate(self, share: float, fault: Fault, *, place: str = "", seed: int = 0) -> None:
        """Set a fault for a share of all calls, chosen by a seeded generator."""
        self.faults.rate(self.place(place), share, fault, seed)

    def limit(self, place: str, calls: int, seconds: float) -> None:
        """Limit the number of calls in so many seconds from now on, as Slack does for each method."""
        self._limits[self.place(place)] = RateLimit(calls, seconds)

    def meets(self, *places: str) -> Fault:
        """The fault of a call that concerns these places: one that is due, or that of an exceeded rate limit."""
        fault = self.faults.take(*places)
        if fault.fails:
            return fault
        limits = (self._limits[place].take(self.clock()) for place in places if place in self._limits)
        return next((limited for limited in limits if limited.fails), fault)

    def recover(self, place: str | None = None) -> None:
        """Remove the faults and limits of a place; without a place, all of them."""
        if place is None:
            self.faults.clear_all()
            self._limits.clear()
        else:
            self.faults.clear(self.place(place))
            self._limits.pop(self.place(place), None)

    def in_channel(self, channel: str = CHANNEL) -> list[Posted]:
        """The messages that people see in the channel: all but replies in threads."""
        return [each for each in self.messages if each.channel == with_hash(channel) and not each.thread_ts]

    def replies(self, message: Posted) -> list[Posted]:
        return [
            each for each in self.messages if each.thread_ts == message.ts and each.channel_id == message.channel_id
        ]

    def rendered(self, start: int = 0) -> str:
        """All messages from the `start`-th on in the form that people see, each with its thread."""
        shown = [render(each, self.replies(each)) for each in self.messages[start:] if not each.thread_ts]
        return "\n".join(shown)

    def wait_for(self, condition: Callable[["Workspace"], bool], seconds: float = 30.0) -> bool:
        """Block until the condition holds; it is checked after each message. From a coroutine: `asyncio.to_thread`."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), seconds)

    # The effects of calls.

    def authorise(self, token: str, method: str) -> None:
        if not token:
            raise RefusedError("not_authed")
        if token not in self.tokens:
            raise RefusedError("invalid_auth")
        needed = SCOPES.get(method, "")
        if needed and not self.may(token, needed):
            provided = ",".join(sorted(self.scopes[token]))
            raise RefusedError("missing_scope", needed=needed, provided=provided)

    def may(self, token: str, scope: str) -> bool:
        return scope in self.scopes.get(token, ALL_SCOPES)

    def find_channel(self, channel: object) -> str:
        """The ID of a channel or user that accepts messages."""
        names = {name: identifier for identifier, name in self.channels.items()}
        members = {user.id: user for user in self.users if not user.deleted}
        if isinstance(channel, str) and channel:
            if channel in self.channels or channel in self.directs:
                return channel
            if channel in members:
                return self.open_direct(members[channel])
            if with_hash(channel) in names:
                return names[with_hash(channel)]
        raise RefusedError("channel_not_found")

    def find_users(self, members: object) -> list[User]:
        """The members of a conversation to be opened, as `U1,U2`."""
        named = [each for each in members.split(",") if each] if isinstance(members, str) else []
        if not named:
            raise RefusedError("users_list_not_supplied")
        found = [user for user in self.users if user.id in named]
        if len(found) < len(named):
            raise RefusedError("user_not_found")
        if any(user.deleted for user in found):
            raise RefusedError("user_disabled")
        return found

    def open_direct(self, user: User) -> str:
        """The ID of the direct conversation with a member."""
        if user.is_bot:
            raise RefusedError("cannot_dm_bot")
        if not self.messages_tab:
            raise RefusedError("messages_tab_disabled")
        opened = identity("D", user.id)
        self.directs[opened] = user.id
        return opened

    def find_webhook(self, team: str, hook: str, secret: str) -> str:
        """The ID of the channel that this webhook posts to."""
        for identifier, name in self.channels.items():
            if (team, hook, secret) == webhook_parts(name):
                return identifier
        raise RefusedError("no_service", 404)

    def take(self, channel_id: str, payload: dict[str, Any], via: str) -> Posted:
        """Check a message as Slack does, and keep it."""
        error = complaint(payload)
        if error:
            raise RefusedError(error)
        thread = str(payload.get("thread_ts") or "")
        with self._changed:
            if thread and thread not in {each.ts for each in self.messages}:
                raise RefusedError("thread_not_found")
            now = self.clock()
            posted = Posted(
                time=now,
                channel=self.channels.get(channel_id) or self.directs.get(channel_id, channel_id),
                channel_id=channel_id,
                ts=f"{int(now.timestamp())}.{len(self.messages) + 1:06d}",
                thread_ts=thread,
                text=payload.get("text") or "",
                blocks=tuple(payload.get("blocks") or ()),
                via=via,
                payload=payload,
            )
            self.messages.append(posted)
            self._changed.notify_all()
        if self._on_message is not None:
            self._on_message(posted)
        return posted

    def place(self, place: str) -> str:
        """The name of a channel, whatever its written form; any other text unchanged."""
        place = self.channels.get(place) or self.directs.get(place, place)
        return with_hash(place) if place and with_hash(place) in self.channels.values() else place


def with_hash(channel: str) -> str:
    return channel if channel.startswith("#") else f"#{channel}"


def identity(prefix: str, name: str) -> str:
    """An ID in Slack's form, always the same for the same name."""
    return prefix + hashlib.sha256(name.encode()).hexdigest()[:10].upper()


def webhook_parts(channel: str) -> tuple[str, str, str]:
    """The parts after `/services/` in the address of this channel's webhook; the last part is its secret."""
    return identity("T", "team"), identity("B", channel), hashlib.sha256(f"hook {channel}".encode()).hexdigest()[:24]
