"""The loopback server itself: it refuses what Slack refuses, so that the tests that use it are valid."""

import asyncio
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tools.slack_server import PASS, Fault, SlackServer, User, render

REPOSITORY = Path(__file__).resolve().parents[2]
USERS = [User(f"U{number:03}", f"user{number}", email=f"user{number}@gov.example") for number in range(250)]


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer(
        channels=["#alerts", "#other"], users=[*USERS, User("U999", "gone", deleted=True)]
    ) as server:
        yield server


def client(slack: SlackServer, token: str | None = None) -> AsyncWebClient:
    return AsyncWebClient(slack.token if token is None else token, base_url=slack.api_url, retry_handlers=[])


async def code(call: Any) -> str:
    """Slack's error code for a call, or "ok"."""
    try:
        await call
    except SlackApiError as error:
        return str(error.response["error"])
    return "ok"


class TestTheWebAPI:
    async def test_a_message_and_its_reply(self, slack: SlackServer) -> None:
        """With channel, timestamp and thread as in Slack."""
        answer = await client(slack).chat_postMessage(channel="alerts", text="hello")
        await client(slack).chat_postMessage(channel=answer["channel"], text="more", thread_ts=answer["ts"])
        (posted,) = slack.in_channel("#alerts")
        assert (posted.text, posted.channel_id, posted.ts) == ("hello", answer["channel"], answer["ts"])
        assert [reply.text for reply in slack.replies(posted)] == ["more"]

    @pytest.mark.parametrize(("token", "error"), [("", "not_authed"), ("xoxb-wrong", "invalid_auth")])
    async def test_tokens_are_checked(self, slack: SlackServer, token: str, error: str) -> None:
        """For every method."""
        for method in ("chat.postMessage", "auth.test", "users.list"):
            assert await code(client(slack, token).api_call(method, json={"channel": "#alerts", "text": "x"})) == error

    async def test_channels_are_known(self, slack: SlackServer) -> None:
        """By name, by ID, and a member for a direct message; nothing else."""
        for channel in ("#nowhere", "C0", "", "U999"):
            assert await code(client(slack).chat_postMessage(channel=channel, text="x")) == "channel_not_found"
        assert await code(client(slack).chat_postMessage(channel="U001", text="x")) == "ok"

    async def test_forms_are_understood(self, slack: SlackServer) -> None:
        """The Web API accepts forms with JSON inside as well as JSON."""
        fields = {"channel": "#alerts", "text": "x", "blocks": '[{"type": "divider"}]', "token": slack.token}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{slack.api_url}chat.postMessage", data=fields) as answer,
        ):
            assert (await answer.json())["ok"] is True
        assert slack.messages[0].blocks == ({"type": "divider"},)

    @pytest.mark.parametrize(
        ("payload", "error"),
        [
            ({"text": ""}, "no_text"),
            ({"text": "x" * 40_001}, "msg_too_long"),
            ({"text": "x", "blocks": [{"type": "divider"}] * 50}, "ok"),
            ({"text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
            ({"text": "x", "blocks": [{"type": "party"}]}, "invalid_blocks"),
            ({"text": "x", "blocks": "nothing"}, "invalid_blocks_format"),
            (
                {"text": "x", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
                "invalid_blocks",
            ),
            ({"text": "x", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
            ({"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}]}, "ok"),
            (
                {"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]},
                "invalid_blocks",
            ),
            (
                {"text": "x", "blocks": [{"type": "section", "text": {"type": "plain_text", "text": ""}}]},
                "invalid_blocks",
            ),
            ({"text": "x", "blocks": [{"type": "section"}]}, "invalid_blocks"),
            ({"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 10}]}, "ok"),
            (
                {"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}]},
                "invalid_blocks",
            ),
            (
                {"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}]},
                "invalid_blocks",
            ),
            ({"text": "x", "blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
            ({"text": "x", "thread_ts": "1.1"}, "thread_not_found"),
        ],
    )
    async def test_limits_are_kept(self, slack: SlackServer, payload: dict[str, Any], error: str) -> None:
        """The limits of Block Kit and of chat.postMessage, to the character."""
        assert await code(client(slack).api_call("chat.postMessage", json={"channel": "#alerts", **payload})) == error
        assert len(slack.messages) == (1 if error == "ok" else 0)

    async def test_users(self, slack: SlackServer) -> None:
        """By address, and all of them in pages."""
        answer = await client(slack).users_lookupByEmail(email="user7@gov.example")
        assert answer["user"]["id"] == "U007"
        assert await code(client(slack).users_lookupByEmail(email="nobody@gov.example")) == "users_not_found"
        pages = [page["members"] async for page in await client(slack).users_list(limit=100)]
        assert [len(page) for page in pages] == [100, 100, 51]
        assert (await client(slack).auth_test())["team"] == "loopback"


class TestUsersAndDirectMessages:
    async def test_a_cursor_is_opaque_and_continues_the_list(self, slack: SlackServer) -> None:
        """Pages have the requested length, at most 1,000; the last one has no cursor; an unknown cursor is refused."""
        first = await client(slack).users_list(limit=200)
        cursor = first["response_metadata"]["next_cursor"]
        assert not cursor.isdigit()
        last = await client(slack).users_list(limit=200, cursor=cursor)
        assert [len(page["members"]) for page in (first, last)] == [200, 51]
        assert last["response_metadata"]["next_cursor"] == ""
        assert len((await client(slack).users_list(limit=5000))["members"]) == 251
        for made_up in ("200", "x", "dXNlcjp4", "ZnJvZzoxMA=="):
            assert await code(client(slack).users_list(cursor=made_up)) == "invalid_cursor"

    @pytest.mark.parametrize(
        ("method", "asked", "scope"),
        [
            ("chat.postMessage", {"channel": "U001", "text": "x"}, "chat:write"),
            ("conversations.open", {"users": "U001"}, "im:write"),
            ("users.list", {}, "users:read"),
            ("users.lookupByEmail", {"email": "user1@gov.example"}, "users:read.email"),
        ],
    )
    async def test_each_method_has_its_scope(
        self, slack: SlackServer, method: str, asked: dict[str, str], scope: str
    ) -> None:
        """The error names the missing scope; with this scope alone the call succeeds."""
        slack.scopes[slack.token] = frozenset({"channels:read"})
        with pytest.raises(SlackApiError) as error:
            await client(slack).api_call(method, params=asked)
        said = error.value.response
        assert (said["error"], said["needed"], said["provided"]) == ("missing_scope", scope, "channels:read")
        slack.scopes[slack.token] = frozenset({scope})
        assert await code(client(slack).api_call(method, params=asked)) == "ok"

    async def test_addresses_need_a_scope(self, slack: SlackServer) -> None:
        """Without users:read.email a list has none."""
        assert all("email" in member["profile"] for member in (await client(slack).users_list())["members"])
        slack.scopes[slack.token] = frozenset({"users:read"})
        assert not any("email" in member["profile"] for member in (await client(slack).users_list())["members"])

    async def test_an_address_is_looked_up_in_any_case(self, slack: SlackServer) -> None:
        """And not for a former member."""
        slack.users.append(User("U998", "left", email="left@gov.example", deleted=True))
        assert (await client(slack).users_lookupByEmail(email="USER7@gov.example"))["user"]["id"] == "U007"
        assert await code(client(slack).users_lookupByEmail(email="left@gov.example")) == "users_not_found"

    async def test_a_message_to_a_member_opens_the_conversation(self, slack: SlackServer) -> None:
        """It is the conversation of conversations.open, and can be named from then on."""
        answer = await client(slack).chat_postMessage(channel="U001", text="first")
        opened = (await client(slack).conversations_open(users=["U001"]))["channel"]["id"]
        assert answer["channel"] == opened
        assert opened.startswith("D")
        assert await code(client(slack).chat_postMessage(channel=opened, text="second")) == "ok"
        assert [(posted.channel, posted.text) for posted in slack.messages] == [("U001", "first"), ("U001", "second")]

    @pytest.mark.parametrize(
        ("users", "error"),
        [
            ("", "users_list_not_supplied"),
            ("U404", "user_not_found"),
            ("U999", "user_disabled"),
            ("UBOT", "cannot_dm_bot"),
            ("U001,U002", "ok"),
        ],
    )
    async def test_recipients_of_a_conversation(self, slack: SlackServer, users: str, error: str) -> None:
        """Active members who are people."""
        slack.users.append(User("UBOT", "robot", is_bot=True))
        assert await code(client(slack).api_call("conversations.open", json={"users": users})) == error

    async def test_an_app_whose_messages_tab_is_off(self, slack: SlackServer) -> None:
        """It can write to channels, and not to people."""
        slack.messages_tab = False
        post = client(slack).chat_postMessage
        assert await code(post(channel="U001", text="x")) == "messages_tab_disabled"
        assert await code(post(channel="#alerts", text="x")) == "ok"

    async def test_a_rate_limit(self, slack: SlackServer) -> None:
        """The call after the limit gets Retry-After, and succeeds after that time."""
        slack.limit("users.list", 2, 1.0)
        codes = [await code(client(slack).users_list()) for _ in range(3)]
        assert codes == ["ok", "ok", "ratelimited"]
        assert await code(client(slack).auth_test()) == "ok"
        with pytest.raises(SlackApiError) as error:
            await client(slack).users_list()
        assert error.value.response.headers["Retry-After"] == "1"
        await asyncio.sleep(1.0)
        assert await code(client(slack).users_list()) == "ok"
        slack.recover("users.list")
        assert [await code(client(slack).users_list()) for _ in range(3)] == ["ok"] * 3


class TestRichText:
    @pytest.mark.parametrize(
        ("elements", "error"),
        [
            ([{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "ls"}]}], "ok"),
            ([], "invalid_blocks"),
            (None, "invalid_blocks"),
            (["ls"], "invalid_blocks"),
            ([{"type": "text", "text": "ls"}], "invalid_blocks"),
            ([{"type": "rich_text_preformatted", "elements": []}], "invalid_blocks"),
            ([{"type": "rich_text_preformatted", "elements": ["ls"]}], "invalid_blocks"),
            ([{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": ""}]}], "invalid_blocks"),
            ([{"type": "rich_text_section", "elements": [{"type": "text"}]}], "invalid_blocks"),
        ],
    )
    async def test_it_is_empty_at_no_level(self, slack: SlackServer, elements: object, error: str) -> None:
        """Otherwise Slack refuses the whole message."""
        asked = {"channel": "#alerts", "text": "x", "blocks": [{"type": "rich_text", "elements": elements}]}
        assert await code(client(slack).api_call("chat.postMessage", json=asked)) == error

    async def test_mentions_and_links_are_parts_of_it(self, slack: SlackServer) -> None:
        """A text in it is not searched for either, and is shown unchanged, escapes included."""
        parts: list[dict[str, str]] = [{"type": "text", "text": "<!channel> &lt; <https://x.example>"}]
        blocks = [{"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": parts}]}]
        await client(slack).chat_postMessage(channel="#alerts", text="x", blocks=blocks)
        parts += [{"type": "broadcast", "range": "here"}, {"type": "link", "url": "https://y.example"}]
        await client(slack).chat_postMessage(channel="#alerts", text="x", blocks=blocks)
        inert, loud = slack.messages
        assert (inert.mentions, inert.links) == ((), ())
        assert (loud.mentions, loud.links) == (("broadcast",), ("https://y.example",))
        assert list(inert.texts()) == ["<!channel> &lt; <https://x.example>"]
        assert "    <!channel> &lt; <https://x.example>" in slack.rendered()


class TestWebhooks:
    @pytest.mark.parametrize("form", [{"json": {"text": "x"}}, {"data": {"payload": '{"text": "x"}'}}])
    async def test_json_and_the_old_form(self, slack: SlackServer, form: dict[str, Any]) -> None:
        """Each gets "ok"."""
        async with aiohttp.ClientSession() as session, session.post(slack.webhook_url("#other"), **form) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        assert [posted.channel for posted in slack.messages] == ["#other"]

    async def test_its_secret_is_checked(self, slack: SlackServer) -> None:
        """The answer to a wrong secret is that of a revoked webhook."""
        guess = slack.webhook_url("#other")[:-1] + "x"
        async with aiohttp.ClientSession() as session, session.post(guess, json={"text": "x"}) as answer:
            assert (answer.status, await answer.text()) == (404, "no_service")

    async def test_limits_are_kept(self, slack: SlackServer) -> None:
        """With HTTP 400, as webhooks do."""
        async with aiohttp.ClientSession() as session, session.post(slack.webhook_url("#other"), json={}) as answer:
            assert (answer.status, await answer.text()) == (400, "no_text")


class TestFaults:
    async def test_in_order_and_by_channel(self, slack: SlackServer) -> None:
        """Each call gets the next fault; faults of a channel come before those for all."""
        slack.fail_next(Fault.error("fatal_error"))
        slack.fail_next(PASS, Fault.error("is_archived"), place="alerts")
        post = client(slack).chat_postMessage
        codes = [
            await code(post(channel=name, text="x")) for name in ("#alerts", "#alerts", "#other", "#other", "#alerts")
        ]
        assert codes == ["ok", "is_archived", "fatal_error", "ok", "ok"]
        assert [call.error for call in slack.calls] == ["", "is_archived", "fatal_error", "", ""]

    async def test_until_it_recovers(self, slack: SlackServer) -> None:
        """The failing channel keeps failing, and the others work."""
        slack.fail_always(Fault.http(503), place="#alerts")
        async with aiohttp.ClientSession() as session:
            for expected in (503, 503, 200):
                async with session.post(slack.webhook_url("#alerts"), json={"text": "x"}) as answer:
                    assert answer.status == expected
                if len(slack.calls) == 2:
                    slack.recover("#alerts")

    async def test_at_a_rate(self, slack: SlackServer) -> None:
        """A seeded share of all calls."""
        slack.fail_rate(0.3, Fault.rate_limited(2))
        codes = [await code(client(slack).chat_postMessage(channel="#alerts", text="x")) for _ in range(200)]
        assert 40 <= codes.count("ratelimited") <= 80
        assert len(slack.messages) == codes.count("ok")

    async def test_accepted_without_an_answer(self, slack: SlackServer) -> None:
        """The message was accepted, but the answer is lost."""
        slack.fail_next(Fault.cut_off().once_accepted())
        with pytest.raises(aiohttp.ClientError):
            await client(slack).chat_postMessage(channel="#alerts", text="x")
        assert [posted.text for posted in slack.messages] == ["x"]
        assert slack.calls[0].status == 0

    async def test_delays(self, slack: SlackServer) -> None:
        """Of one call, or of all."""
        slack.fail_next(Fault.slow(0.2))
        begun = asyncio.get_running_loop().time()
        await client(slack).chat_postMessage(channel="#alerts", text="x")
        assert asyncio.get_running_loop().time() - begun >= 0.2


class TestWhatPeopleSee:
    async def test_mentions_and_links_are_found(self, slack: SlackServer) -> None:
        """In text and mrkdwn, and not in plain text: the tests of injection rely on this."""
        link = {"type": "mrkdwn", "text": "<https://x.example|x> <!here> <@U1>"}
        plain = {"type": "plain_text", "text": "<!channel> <https://y.example>"}
        blocks = [{"type": "section", "text": plain}, {"type": "context", "elements": [link]}]
        await client(slack).chat_postMessage(channel="#alerts", text="<!channel> @here", blocks=blocks)
        await client(slack).chat_postMessage(channel="#alerts", text="@here", parse="full")
        first, second = slack.messages
        assert first.mentions == ("!channel", "!here", "@U1")
        assert first.links == ("https://x.example",)
        assert second.mentions == ("@here",)

    async def test_rendered(self, slack: SlackServer) -> None:
        """A message with its thread; entities and links as people see them."""
        blocks = [
            {"type": "header", "text": {"type": "plain_text", "text": "A &lt;b&gt; &amp; c"}},
            {"type": "section", "fields": [{"type": "plain_text", "text": f"{name}\n{name * 2}"} for name in "abc"]},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "<https://x.example|Runbook>"}]},
        ]
        answer = await client(slack).chat_postMessage(channel="#alerts", text="A", blocks=blocks)
        await client(slack).chat_postMessage(channel="#alerts", text="reply", thread_ts=answer["ts"])
        first, reply = slack.messages
        assert slack.rendered() == render(first, [reply])
        assert slack.rendered().split("\n")[1:] == [
            "  │ ** A <b> & c **",
            "  │",
            "  │ a                                             b",
            "  │ aa                                            bb",
            "  │ c",
            "  │ cc",
            "  │",
            "  │ Runbook (https://x.example)",
            "  └ in its thread:",
            "      │ reply",
            "",
        ]


class TestHowItRuns:
    def test_in_a_thread_of_its_own(self) -> None:
        """For callers without an event loop: a demo, a bench, a test that starts processes."""
        with SlackServer().start() as slack:
            request = urllib.request.Request(
                slack.webhook_url(), b'{"text": "x"}', {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request) as answer:
                assert answer.read() == b"ok"
            assert slack.wait_for(lambda server: len(server.messages) == 1, seconds=5)
            assert not slack.wait_for(lambda server: len(server.messages) == 2, seconds=0.05)
            with urllib.request.urlopen(slack.url) as shown:
                assert "#integration-api-alerts (webhook)" in shown.read().decode()

    def test_as_a_process_of_its_own(self) -> None:
        """It prints how to use it, and each message that arrives."""
        command = [sys.executable, "-m", "tools.slack_server", "--print", "--channel", "#mine"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
            assert process.stdout is not None
            said = [process.stdout.readline().strip() for _ in range(6)]
            assert said[3] == "CLIENTCERT_SLACK_CHANNEL=#mine"
            url = said[4].partition(": ")[2]
            request = urllib.request.Request(url, b'{"text": "hello"}', {"Content-Type": "application/json"})
            urllib.request.urlopen(request).close()
            shown = [process.stdout.readline().strip() for _ in range(2)]
            process.terminate()
        assert shown[0].startswith("#mine (webhook)")
        assert shown[1] == "│ hello"
