"""Look-ups of Slack users, by real calls of a server with Slack's pages, limits and errors."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from clientcert.errors import ClientCertError, DeliveryError, Reason, SettingsError
from clientcert.lifecycle.contacts import Recipient, Resolution, Role, SlackQuestion
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.slack.tokens import SlackTokens
from clientcert.notifiers.slack.user_directory import ANSWER_SECONDS, FAILURE_SECONDS, WAIT_SECONDS, SlackUsers
from clientcert.own_secrets import OwnSecret
from tests.adapters.slack_parts import TENANT_TOKEN, TOKEN_REF, Secrets, imposter
from tests.unit.messages.test_message import HOSTILE
from tests.virtual_time import forward
from tools.slack_server import PASS, Fault, SlackServer, User

OWN_TOKEN = "xoxb-canary-7f3a-own"
NAMESPACE = "integration"
NHS = "U0NHS"
PEOPLE = [
    User(NHS, "nhs.user", real_name="NHS", email="Team@nhs.example"),
    User("U0JO", "jbloggs7", real_name="Jo Bloggs", display_name="jo", email="jo@gov.example"),
    User("U0SAM", "sam", real_name="Sam Patel", display_name="patel_sam.dev"),
    User("W0GRID", "grid", real_name="Grid Lock"),
    User("U0TWO1", "two", real_name="Two"),
    User("U0TWO2", "another", real_name="Another", display_name="TWO"),
    User("U0GONE", "gone", email="gone@gov.example", deleted=True),
    User("U0BOT", "robot", email="robot@gov.example", is_bot=True),
    User("U0GUEST", "guest-of-others", is_stranger=True),
    User("U0INVITED", "invited", email="invited@elsewhere.example", is_restricted=True),
    User("USLACKBOT", "slackbot", real_name="Slackbot"),
    User("U0DASH", "-", real_name="_ ."),
]


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer(tokens=[OWN_TOKEN, TENANT_TOKEN], users=PEOPLE) as server:
        yield server


@asynccontextmanager
async def looking(
    slack: SlackServer,
    *,
    own_token: str = OWN_TOKEN,
    own_namespaces: frozenset[str] = frozenset({NAMESPACE}),
    secrets: Secrets | None = None,
    api_url: str = "",
    **bounds: Any,
) -> AsyncIterator[SlackUsers]:
    """The tenant's token is in a Secret of each of two namespaces."""
    kept = Secrets({(each, "slack", "token"): TENANT_TOKEN for each in (NAMESPACE, "another")})
    tokens = SlackTokens(OwnSecret(own_token), own_namespaces, (secrets or kept).read)
    url = api_url or slack.api_url
    async with SlackUsers(tokens, url, EgressPolicy((slack.host, "127.0.0.1")), **bounds) as users:
        yield users


async def find(users: SlackUsers, ref: SecretKeyRef | None = None, **question: str) -> Resolution:
    return await users.find(NAMESPACE, ref, SlackQuestion(**question))


async def failure(users: SlackUsers, ref: SecretKeyRef | None = None, **question: str) -> DeliveryError:
    """The error of a look-up that failed."""
    try:
        resolution = await find(users, ref, **question)
    except DeliveryError as error:
        return error
    raise AssertionError(f"it was answered: {resolution}")


def user_id(resolution: Resolution) -> str:
    """The ID of the user who was found; empty if there is none."""
    if not resolution.resolved:
        assert resolution.recipients == ()
        return ""
    (recipient,) = resolution.recipients
    assert (resolution.reason, recipient) == ("SlackUser", Recipient(Role.SLACK, recipient.address))
    return recipient.address


class TestByMemberID:
    async def test_it_needs_no_lookup(self, slack: SlackServer) -> None:
        """A member ID needs no look-up, so Slack is not asked."""
        async with looking(slack) as users:
            assert user_id(await find(users, member_id="U012AB3CD", email="jo@gov.example", name="nhs")) == "U012AB3CD"
        assert slack.calls == []

    @pytest.mark.parametrize("text", ["C012AB3CD", "#general", "@jo", "<!channel>", "u012ab3cd", "U1\n", "U" * 99])
    async def test_an_invalid_one_gets_no_letter(self, slack: SlackServer, text: str) -> None:
        """With a channel's ID the letter would be posted to the channel."""
        async with looking(slack) as users:
            resolution = await find(users, member_id=text)
        assert user_id(resolution) == ""
        assert resolution.reason == "SlackUserNotFound"
        assert "spec.contact.slack.memberID is not a member ID" in resolution.message
        assert text not in resolution.message


class TestByEmail:
    @pytest.mark.parametrize("email", ["jo@gov.example", "Jo@GOV.example"])
    async def test_the_user_with_that_address(self, slack: SlackServer, email: str) -> None:
        """In any case of letters; then the consumer's name does not matter."""
        async with looking(slack) as users:
            assert user_id(await find(users, email=email, name="nhs")) == "U0JO"
        assert [call.method for call in slack.calls] == ["users.lookupByEmail"]

    @pytest.mark.parametrize("email", ["nobody@gov.example", "gone@gov.example", "robot@gov.example", "no address"])
    async def test_no_other_user_is_a_fallback(self, slack: SlackServer, email: str) -> None:
        """An address without a user is a mistake to correct: the consumer's name is not tried instead."""
        async with looking(slack) as users:
            resolution = await find(users, email=email, name="nhs")
        assert user_id(resolution) == ""
        assert resolution.reason == "SlackUserNotFound"
        assert resolution.message == (
            "no Slack user has the address of spec.contact.slack.email: correct it, or name spec.contact.slack.memberID"
        )


class TestByName:
    @pytest.mark.parametrize(
        ("name", "member"),
        [
            ("nhs", NHS),
            ("NHS", NHS),
            ("nhs-user", NHS),
            ("jo-bloggs", "U0JO"),
            ("Jo Bloggs", "U0JO"),
            ("JO_BLOGGS", "U0JO"),
            ("jo.bloggs", "U0JO"),
            ("jo", "U0JO"),
            ("jbloggs7", "U0JO"),
            ("sam", "U0SAM"),
            ("patel-sam-dev", "U0SAM"),
            ("\uff4e\uff48\uff53", NHS),
            ("grid", "W0GRID"),
        ],
    )
    async def test_user_name_real_name_and_display_name(self, slack: SlackServer, name: str, member: str) -> None:
        """Without regard to case, to `-`, `_`, `.` and blanks, and to the width of letters."""
        async with looking(slack) as users:
            assert user_id(await find(users, name=name)) == member

    @pytest.mark.parametrize(
        "name", ["nh", "nhss", "jobloggs", "gone", "robot", "guest-of-others", "invited", "slackbot", "-", ""]
    )
    async def test_no_match(self, slack: SlackServer, name: str) -> None:
        """A part of a name does not match; former members, bots, and people of other workspaces are skipped."""
        async with looking(slack) as users:
            resolution = await find(users, name=name)
        assert user_id(resolution) == ""
        assert (resolution.reason, resolution.message) == (
            "SlackUserNotFound",
            "no Slack user has the consumer's name: name spec.contact.slack.memberID",
        )

    async def test_several_matches(self, slack: SlackServer) -> None:
        """The result is nobody rather than the wrong person; one user who has the name twice is still one."""
        async with looking(slack) as users:
            resolution = await find(users, name="two")
            assert user_id(await find(users, name="another")) == "U0TWO2"
        assert user_id(resolution) == ""
        assert (resolution.reason, resolution.message) == (
            "SlackUserAmbiguous",
            "several Slack users have the consumer's name: name spec.contact.slack.memberID",
        )

    async def test_on_all_pages(self, slack: SlackServer) -> None:
        """The last of 450 users is found, and a second user with a name of the first page."""
        slack.users += [User(f"U1{number:04}", f"user{number}") for number in range(438)]
        slack.users.append(User("U0LAST", "the last", display_name="nhs"))
        async with looking(slack) as users:
            assert user_id(await find(users, name="the-last")) == "U0LAST"
            assert (await find(users, name="nhs")).reason == "SlackUserAmbiguous"
        assert [call.method for call in slack.calls] == ["users.list"] * 3

    @pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name[:24]))
    async def test_any_name(self, slack: SlackServer, name: str) -> None:
        """A name is only compared: it is neither sent nor repeated in an error."""
        async with looking(slack) as users:
            resolution = await find(users, name=name)
        assert resolution.reason == "SlackUserNotFound"
        assert name not in resolution.message


class TestTheCache:
    async def test_one_list_for_all_who_ask(self, slack: SlackServer) -> None:
        """Also for concurrent look-ups, and from several namespaces with the operator's own token."""
        slack.fail_next(Fault.slow(0.2))
        async with looking(slack, own_namespaces=frozenset({NAMESPACE, "another"})) as users:
            questions = [users.find(each, None, SlackQuestion(name="nhs")) for each in [NAMESPACE, "another"] * 25]
            assert {user_id(each) for each in await asyncio.gather(*questions)} == {NHS}
            assert user_id(await find(users, name="jo")) == "U0JO"
        assert len(slack.calls) == 1

    async def test_one_look_up_of_an_address(self, slack: SlackServer) -> None:
        """With and without a user who has it."""
        async with looking(slack) as users:
            for email in ["jo@gov.example", "nobody@gov.example"]:
                answers = await asyncio.gather(*(find(users, email=email) for _ in range(20)))
                assert await find(users, email=email) == answers[0]
                assert len(set(answers)) == 1
        assert len(slack.calls) == 2

    async def test_each_token_has_its_own(self, slack: SlackServer) -> None:
        """A namespace never sees the answers for another namespace's token."""
        async with looking(slack) as users:
            for namespace in (NAMESPACE, "another"):
                assert user_id(await users.find(namespace, TOKEN_REF, SlackQuestion(name="nhs"))) == NHS
            await find(users, name="nhs")
        assert [call.headers["Authorization"] for call in slack.calls] == [
            f"Bearer {TENANT_TOKEN}",
            f"Bearer {TENANT_TOKEN}",
            f"Bearer {OWN_TOKEN}",
        ]

    async def test_answers_expire(self, slack: SlackServer) -> None:
        """A new user, and a user with a new address, is found later."""
        async with looking(slack) as users:
            assert (await find(users, name="new")).reason == "SlackUserNotFound"
            assert (await find(users, email="new@gov.example")).reason == "SlackUserNotFound"
            slack.users.append(User("U0NEW", "new", email="new@gov.example"))
            assert user_id(await find(users, name="new")) == ""
            forward(ANSWER_SECONDS + 1)
            assert user_id(await find(users, name="new")) == "U0NEW"
            assert user_id(await find(users, email="new@gov.example")) == "U0NEW"

    async def test_a_cached_answer_is_used_during_an_outage(self, slack: SlackServer) -> None:
        """A cached answer needs no call of Slack."""
        async with looking(slack) as users:
            await find(users, email="jo@gov.example")
            slack.fail_always(Fault.http(500))
            assert (await failure(users, email="sam@gov.example")).retryable
            assert user_id(await find(users, email="jo@gov.example")) == "U0JO"


class TestRefusals:
    @pytest.mark.parametrize(
        ("question", "granted", "scope"),
        [
            ({"name": "nhs"}, ["chat:write"], "users:read"),
            ({"email": "jo@gov.example"}, ["chat:write", "users:read"], "users:read.email"),
        ],
    )
    async def test_a_missing_scope_is_named(
        self, slack: SlackServer, question: dict[str, str], granted: list[str], scope: str
    ) -> None:
        """The message says what to do."""
        slack.scopes[OWN_TOKEN] = frozenset(granted)
        async with looking(slack) as users:
            resolution = await find(users, **question)
        assert user_id(resolution) == ""
        assert (resolution.reason, resolution.message) == (
            "SlackLookupRefused",
            f"Slack refused the look-up (missing_scope): give the Slack app the scope {scope}, and install it again",
        )

    async def test_each_kind_of_lookup_needs_only_its_scope(self, slack: SlackServer) -> None:
        """Without users:read.email, look-ups by name still work."""
        slack.scopes[OWN_TOKEN] = frozenset({"users:read"})
        async with looking(slack) as users:
            assert (await find(users, email="jo@gov.example")).reason == "SlackLookupRefused"
            assert user_id(await find(users, name="nhs")) == NHS

    @pytest.mark.parametrize("code", ["invalid_auth", "token_revoked", "account_inactive", "not_allowed_token_type"])
    @pytest.mark.parametrize("question", [{"name": "nhs"}, {"email": "jo@gov.example"}], ids=["name", "email"])
    async def test_a_token_that_slack_refuses(self, slack: SlackServer, code: str, question: dict[str, str]) -> None:
        """Slack is not asked again for a while, for any user."""
        slack.fail_always(Fault.error(code))
        async with looking(slack) as users:
            first, second = await find(users, **question), await find(users, **dict.fromkeys(question, "other"))
        assert first == second
        assert (first.reason, first.resolved) == ("SlackLookupRefused", False)
        assert first.message.startswith(f"Slack refused the look-up ({code}): ")
        assert len(slack.calls) == 1

    async def test_slack_is_asked_again_after_a_while(self, slack: SlackServer) -> None:
        """For example after the scope was added."""
        slack.fail_next(Fault.error("missing_scope"))
        async with looking(slack) as users:
            assert (await find(users, name="nhs")).reason == "SlackLookupRefused"
            forward(FAILURE_SECONDS + 1)
            assert user_id(await find(users, name="nhs")) == NHS

    @pytest.mark.parametrize("question", [{"member_id": NHS}, {"email": "jo@gov.example"}, {"name": "nhs"}])
    async def test_a_namespace_that_may_not_use_the_operators_own_token(
        self, slack: SlackServer, question: dict[str, str]
    ) -> None:
        """Otherwise any tenant could look up people of the workspace and write to them."""
        async with looking(slack, own_namespaces=frozenset({"another"})) as users:
            resolution = await find(users, **question)
            assert user_id(await find(users, TOKEN_REF, **question)) != ""
        assert (resolution.reason, resolution.resolved) == ("SlackNotAllowed", False)
        assert "spec.contacts.slackTokenSecretRef" in resolution.message
        assert not [call for call in slack.calls if OWN_TOKEN in call.headers["Authorization"]]

    async def test_an_operator_without_a_token(self, slack: SlackServer) -> None:
        """The error says what to set."""
        async with looking(slack, own_token="") as users:
            resolution = await find(users, name="nhs")
        assert resolution.reason == "SlackLookupRefused"
        assert "CLIENTCERT_SLACK_TOKEN" in resolution.message

    @pytest.mark.parametrize("value", ["two words", "xoxb-1\r\nX-Evil: 1", "x" * 2000])
    async def test_an_invalid_token_is_not_sent(self, slack: SlackServer, value: str) -> None:
        """The error does not repeat it either."""
        async with looking(slack, secrets=Secrets({(NAMESPACE, "slack", "token"): value})) as users:
            resolution = await find(users, TOKEN_REF, name="nhs")
        assert resolution.reason == "SlackLookupRefused"
        assert "key token of Secret slack holds no Slack token" in resolution.message
        assert value not in resolution.message
        assert slack.calls == []

    async def test_a_missing_secret(self, slack: SlackServer) -> None:
        """With the message of the read error, and after one read."""
        secrets = Secrets()
        async with looking(slack, secrets=secrets) as users:
            for _ in range(3):
                resolution = await find(users, TOKEN_REF, name="nhs")
        assert resolution.reason == "SlackLookupRefused"
        assert "there is no Secret slack with a key token" in resolution.message
        assert secrets.asked == [(NAMESPACE, TOKEN_REF)]


class TestTransientFailures:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault.http(500),
            Fault.http(503, "<html>" + "x" * 100_000),
            Fault.http(302, Location="/elsewhere"),
            Fault.http(200, "<html>hello</html>"),
            Fault.error("internal_error"),
            Fault.error("some_new_code"),
        ],
        ids=["500", "503", "redirect", "html", "internal", "new"],
    )
    @pytest.mark.parametrize("question", [{"name": "nhs"}, {"email": "jo@gov.example"}], ids=["name", "email"])
    async def test_it_is_retryable_after_a_pause(
        self, slack: SlackServer, fault: Fault, question: dict[str, str]
    ) -> None:
        """After a failure other certificates do not ask Slack again, and the error repeats nothing of the answer."""
        slack.fail_next(fault)
        async with looking(slack) as users:
            errors = [await failure(users, **question) for _ in range(5)]
            assert len(slack.calls) == 1
            forward(FAILURE_SECONDS + 1)
            assert user_id(await find(users, **question)) != ""
        assert {(error.reason, error.retryable) for error in errors} == {(Reason.CHANNEL_UNAVAILABLE, True)}
        assert len({error.message for error in errors}) == 1
        assert "html" not in errors[0].message

    async def test_a_connection_that_is_cut(self, slack: SlackServer) -> None:
        """At any moment."""
        slack.fail_always(Fault.cut_off())
        async with looking(slack) as users:
            error = await failure(users, name="nhs")
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert error.message == "Slack cannot be reached (ServerDisconnectedError)"

    @pytest.mark.parametrize(
        "answer",
        [
            {"ok": True},
            {"ok": True, "user": 17, "members": "x"},
            {"ok": True, "user": ["x"], "members": {"a": 1}},
        ],
    )
    @pytest.mark.parametrize("question", [{"name": "nhs"}, {"email": "jo@gov.example"}], ids=["name", "email"])
    async def test_an_answer_that_is_not_slacks(
        self, slack: SlackServer, answer: dict[str, Any], question: dict[str, str]
    ) -> None:
        """It does not count as "no such user"."""
        async with imposter(json.dumps(answer).encode()) as url, looking(slack, api_url=url) as users:
            error = await failure(users, **question)
        assert error.message == "the server at Slack's address gave an answer that is not Slack's"
        assert error.retryable

    async def test_retry_after_is_observed(self, slack: SlackServer) -> None:
        """No look-up with this token asks Slack before that time; after it, all of them continue."""
        slack.fail_next(Fault.rate_limited(1), place="users.lookupByEmail")
        async with looking(slack, failure_seconds=0.0) as users:
            first = asyncio.create_task(find(users, email="jo@gov.example"))
            while not slack.calls:
                await asyncio.sleep(0.01)
            second = asyncio.create_task(find(users, email="team@nhs.example"))
            await asyncio.sleep(0.8)
            assert [call.status for call in slack.calls] == [429]
            assert user_id(await second) == NHS
            await first
        assert [call.status for call in slack.calls] == [429, 200, 200]

    async def test_an_error_about_one_address_refuses_no_other(self, slack: SlackServer) -> None:
        """A code of Slack in a complete answer: the next look-up may succeed."""
        slack.fail_next(Fault.error("internal_error"), place="users.lookupByEmail")
        async with looking(slack) as users:
            assert (await failure(users, email="jo@gov.example")).retryable
            assert user_id(await find(users, email="team@nhs.example")) == NHS

    async def test_a_thousand_addresses_of_one_namespace_delay_no_other(self, slack: SlackServer) -> None:
        """All namespaces share the operator's own token, and Slack takes 0.2 s for each answer."""
        slack.delay = 0.2
        async with looking(slack, own_namespaces=frozenset({NAMESPACE, "hostile"})) as users:
            flood = [
                asyncio.create_task(users.find("hostile", None, SlackQuestion(email=f"jo@{number}.example")))
                for number in range(1_000)
            ]
            await asyncio.sleep(0.5)
            assert user_id(await find(users, email="team@nhs.example")) == NHS
            assert users.lookups.waiting_of("hostile") > 100  # it has waited for few of them
            for task in flood:
                task.cancel()
            results = await asyncio.gather(*flood, return_exceptions=True)
        assert sum(isinstance(each, DeliveryError) for each in results) > 700  # only so many of them may wait

    async def test_a_long_list_is_read_at_slacks_pace(self, slack: SlackServer) -> None:
        """Reading continues after the wait; look-ups meanwhile get a retryable error at once."""
        slack.users += [User(f"U1{number:04}", f"user{number}") for number in range(600)]
        slack.limit("users.list", 2, 1.0)
        async with looking(slack) as users:
            begun = asyncio.create_task(find(users, name="user599"))
            await asyncio.sleep(0.4)
            waiting = await failure(users, name="nhs")
            assert user_id(await begun) == "U10599"
            assert user_id(await find(users, name="nhs")) == NHS
        assert (waiting.reason, waiting.retryable) == (Reason.RATE_LIMITED, True)
        assert [call.status for call in slack.calls] == [200, 200, 429, 200, 200]

    async def test_a_failure_in_the_middle_gives_no_partial_list(self, slack: SlackServer) -> None:
        """A name on the missing page could make another one ambiguous."""
        slack.users += [User(f"U1{number:04}", f"user{number}") for number in range(600)]
        slack.fail_next(PASS, Fault.http(500), place="users.list")
        async with looking(slack) as users:
            assert (await failure(users, name="nhs")).reason is Reason.CHANNEL_UNAVAILABLE

    async def test_an_unavailable_api_server(self, slack: SlackServer) -> None:
        """It is no error of Slack's and is not cached: after recovery the next look-up succeeds."""
        away = ClientCertError(Reason.API_UNAVAILABLE, "the API server does not answer", retryable=True)
        secrets = Secrets({(NAMESPACE, "slack", "token"): TENANT_TOKEN}, error=away)
        async with looking(slack, secrets=secrets) as users:
            error = await failure(users, TOKEN_REF, name="nhs")
            secrets.error = None
            assert user_id(await find(users, TOKEN_REF, name="nhs")) == NHS
        assert (error.reason, error.retryable) == (Reason.API_UNAVAILABLE, True)

    async def test_a_lookup_has_a_time_limit(self, slack: SlackServer) -> None:
        """Without an answer from Slack the first look-up waits ten seconds, and the next ones do not wait."""
        slack.fail_always(Fault.slow(60))
        async with looking(slack) as users:
            begun = asyncio.get_running_loop().time()
            first = await failure(users, email="jo@gov.example")
            await asyncio.sleep(0.5)
            await failure(users, email="team@nhs.example")
            took = asyncio.get_running_loop().time() - begun
        assert (first.reason, first.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert took < WAIT_SECONDS + 2


class TestBounds:
    async def test_a_list_without_end(self, slack: SlackServer) -> None:
        """Reading stops at 100,000 users; the message says what to do, and other look-ups do not read again."""
        members = [{"id": f"U{number:06}", "name": f"n{number}"} for number in range(1000)]
        endless = {"ok": True, "members": members, "response_metadata": {"next_cursor": "more"}}
        async with imposter(json.dumps(endless).encode()) as url, looking(slack, api_url=url) as users:
            resolution = await retried_until_known(users, name="n1")
            assert await find(users, name="n1") == resolution
        assert (resolution.reason, resolution.message) == (
            "SlackLookupRefused",
            "there are too many users in Slack to look for a name: name spec.contact.slack.memberID",
        )

    async def test_a_list_that_is_too_long_is_not_read_again_soon(self, slack: SlackServer) -> None:
        """Not after a minute, as after other errors: the result would be the same each time."""
        async with looking(slack, failure_seconds=0.0, most_users=5) as users:
            reasons = {(await find(users, name=name)).reason for name in ("nhs", "jo", "nhs")}
        assert reasons == {"SlackLookupRefused"}
        assert len(slack.calls) == 1

    async def test_many_lists(self, slack: SlackServer) -> None:
        """If all lists together exceed the limit, the least recently used one is dropped and read again."""
        refs = [None, TOKEN_REF, SecretKeyRef("another", "token")]
        secrets = Secrets({(NAMESPACE, name, "token"): TENANT_TOKEN for name in ("slack", "another")})
        async with looking(slack, secrets=secrets, most_users=8) as users:
            for ref in [*refs, *reversed(refs)]:
                assert user_id(await find(users, ref, name="nhs")) == NHS
        asked = [call.headers["Authorization"].removeprefix("Bearer ") for call in slack.calls]
        assert asked == [OWN_TOKEN, TENANT_TOKEN, TENANT_TOKEN, OWN_TOKEN]

    async def test_many_addresses(self, slack: SlackServer) -> None:
        """The same for answers by address."""
        async with looking(slack, most_users=2) as users:
            for name in ("jo@gov.example", "one@x.example", "two@x.example", "two@x.example", "jo@gov.example"):
                await find(users, email=name)
        assert len(slack.calls) == 4

    async def test_pages_without_end(self, slack: SlackServer) -> None:
        """Even if the pages are empty."""
        endless = {"ok": True, "members": [], "response_metadata": {"next_cursor": "more"}}
        async with imposter(json.dumps(endless).encode()) as url, looking(slack, api_url=url) as users:
            assert (await retried_until_known(users, name="n1")).reason == "SlackLookupRefused"

    async def test_members_in_any_shape(self, slack: SlackServer) -> None:
        """Entries that are not members are skipped, and so are names longer than any consumer's."""
        members = [
            *(
                17,
                None,
                [],
                "U0X",
                {},
                {"id": 5},
                {"id": "<!channel>", "name": "n1"},
                {"id": "C0CHANNEL", "name": "n1"},
            ),
            {"id": "U0A", "name": ["n1"], "profile": 7, "real_name": None},
            {"id": "U0B", "name": "n" * 100_000, "profile": {"display_name": "n1", "real_name": {}}},
        ]
        answer = {"ok": True, "members": members, "response_metadata": None}
        async with imposter(json.dumps(answer).encode()) as url, looking(slack, api_url=url) as users:
            assert user_id(await find(users, name="n1")) == "U0B"
            assert user_id(await find(users, name="n" * 100_000)) == ""

    async def test_the_cached_fields_of_members(self, slack: SlackServer) -> None:
        """Names and IDs only; no addresses, and nothing else of the profiles."""
        async with looking(slack) as users:
            await find(users, name="nhs")
            (place,) = users._lists.keys_in_use()
            kept = users._lists.latest(place) or {}
        assert "jo bloggs" in kept
        assert "@" not in repr(kept)


async def retried_until_known(users: SlackUsers, **question: str) -> Resolution:
    """The answer, after as many tries as it needs."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await find(users, **question)
            except DeliveryError as error:
                assert error.retryable  # noqa: PT017 - the question is asked until it is answered
                await asyncio.sleep(0.1)


class TestNothingIsRevealed:
    @pytest.mark.parametrize(
        "fault",
        [PASS, Fault.error("users_not_found"), Fault.error("invalid_auth"), Fault.http(500), Fault.cut_off()],
        ids=["found", "unknown", "auth", "500", "cut"],
    )
    @pytest.mark.parametrize("ref", [None, TOKEN_REF], ids=["own", "tenant"])
    async def test_no_token_and_no_address(
        self, slack: SlackServer, fault: Fault, ref: SecretKeyRef | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In no log at any level, no error, no condition and no repr."""
        caplog.set_level(logging.DEBUG)
        slack.fail_next(fault)
        async with looking(slack) as users:
            try:
                said = (await find(users, ref, email="jo@gov.example")).message
            except DeliveryError as error:
                said = repr(error)
            said += repr(users) + repr(vars(users))
        for text in (said, caplog.text):
            assert "canary-7f3a" not in text
            assert "jo@gov" not in text
            assert "U0JO" not in text

    async def test_proxy_variables_are_not_obeyed(self, slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """The SDK would send the token through a proxy that the environment names."""
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        async with looking(slack) as users:
            assert user_id(await find(users, name="nhs")) == NHS

    def test_plain_http_is_for_listed_hosts(self) -> None:
        """The process ends before it sends a token in clear text."""
        tokens = SlackTokens(OwnSecret(OWN_TOKEN), frozenset(), Secrets().read)
        with pytest.raises(SettingsError, match="CLIENTCERT_SLACK_API_URL is not an https:// address"):
            SlackUsers(tokens, "http://slack.example/api/", EgressPolicy(("other.example",)))

    async def test_a_stop_cancels_lookups(self, slack: SlackServer) -> None:
        """It does not wait for a list."""
        slack.fail_always(Fault.slow(60))
        async with looking(slack) as users:
            asked = asyncio.create_task(find(users, name="nhs"))
            await asyncio.sleep(0.1)
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < 5
        with pytest.raises(asyncio.CancelledError):
            await asked
