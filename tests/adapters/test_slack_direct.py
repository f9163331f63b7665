"""Letters to a Slack user: their form, Slack's refusals, and the token that sends them."""

import asyncio
import html
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from clientcert.errors import ClientCertError, DeliveryError, Reason, SettingsError
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel, EmailAddress, Schedule
from clientcert.lifecycle.spec import ObjectKey, SecretKeyRef
from clientcert.messages.letter import Letter, Part, PartKind, Writer
from clientcert.messages.message import Message
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.deadline import ALERT_SECONDS
from clientcert.notifiers.interface import Notifier, Receipt
from clientcert.notifiers.slack.direct_message import SlackDirectNotifier
from clientcert.notifiers.slack.tokens import SlackTokens
from clientcert.own_secrets import OwnSecret
from tests.adapters.sample_messages import alert
from tests.adapters.sample_messages import failure as error_of
from tests.adapters.slack_parts import NOT_INTERPRETED, TENANT_TOKEN, TOKEN_REF, Secrets, imposter
from tests.unit.messages.test_message import HOSTILE
from tools.slack_server import PASS, Fault, Posted, SlackServer, User

OWN_TOKEN = "xoxb-canary-7f3a-own"
JO = "U012AB3CD"
COMMAND = "openssl rsa -in key.pem -pubout > 'a & b.pem' 2>&1 <<< *x* `y` :smile: @here"
PARTS = (
    Part(PartKind.PARAGRAPH, "Hello"),
    Part(PartKind.PARAGRAPH, "The certificate for nhs & co <prod> is due to expire."),
    Part(PartKind.HEADING, "Generate a key"),
    Part(PartKind.COMMAND, COMMAND),
    Part(PartKind.PARAGRAPH, "Keep both keys."),
)
SUBJECT = "Action needed: the client certificate for nhs expires on 2026-12-06"
WRITER = Writer(EmailAddress(), "integration-team")
TO_CONTACT = Channel("consumer", "Email", Schedule(), EmailAddress())


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    users = [User(JO, "jo"), User("U0GONE", "gone", deleted=True), User("U0BOT", "robot", is_bot=True)]
    async with SlackServer(tokens=[OWN_TOKEN, TENANT_TOKEN], users=users) as server:
        yield server


@asynccontextmanager
async def sending(
    slack: SlackServer,
    *,
    ref: SecretKeyRef | None = None,
    own: tuple[str, ...] = (OWN_TOKEN, "integration"),
    secrets: Secrets | None = None,
    api_url: str = "",
) -> AsyncIterator[SlackDirectNotifier]:
    """A notifier for policies that name the token `ref`; `own` is the operator's own token and its namespaces."""
    kept = secrets or Secrets({("integration", "slack", "token"): TENANT_TOKEN})
    tokens = SlackTokens(OwnSecret(own[0]), frozenset(own[1:]), kept.read)
    refs = {ObjectKey("integration", "nhs-prod"): ref}
    url = api_url or slack.api_url
    async with SlackDirectNotifier(tokens, refs.__getitem__, url, EgressPolicy((slack.host, "127.0.0.1"))) as notifier:
        yield notifier


def letter(*parts: Part, to: str = JO, role: Role = Role.SLACK, subject: str = SUBJECT) -> Letter:
    return Letter(Recipient(role, to, "Jo Bloggs"), subject, parts or PARTS, WRITER, "thread", "key")


def message(*letters: Letter) -> Message:
    return replace(alert(), letters=letters or (letter(),))


async def failure(notifier: SlackDirectNotifier, what: Message | None = None) -> DeliveryError:
    """The error of a letter that could not be sent."""
    return await error_of(notifier, TO_CONTACT, what or message())


async def sent(slack: SlackServer, what: Letter) -> Posted:
    """The letter as it arrived, in its first form."""
    async with sending(slack) as notifier:
        await notifier.notify(TO_CONTACT, message(what))
    assert [call.error for call in slack.calls] == [""]
    (posted,) = slack.messages
    return posted


class TestTheMessage:
    async def test_a_letter_is_a_direct_message(self, slack: SlackServer) -> None:
        """Subject, paragraphs, headings and commands in their order; the subject is for notifications."""
        posted = await sent(slack, letter())
        assert (posted.channel, posted.via, posted.thread_ts) == (JO, "chat.postMessage", "")
        assert posted.text == SUBJECT
        assert [html.unescape(text) for text in posted.texts()] == [SUBJECT, *(part.text for part in PARTS)]
        assert [block["type"] for block in posted.blocks] == [
            *("header", "section", "section", "header", "rich_text", "section")
        ]

    async def test_a_command_is_copied_as_it_is(self, slack: SlackServer) -> None:
        """Rich text is shown unchanged: an escape or a typographic quotation mark would make a wrong command."""
        posted = await sent(slack, letter(Part(PartKind.COMMAND, COMMAND)))
        assert posted.blocks[1]["elements"] == [
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": COMMAND}]}
        ]
        assert f"    {COMMAND}" in slack.rendered()

    async def test_each_reminder_is_a_message_of_its_own(self, slack: SlackServer) -> None:
        """Nobody reads a reply in an old thread; and no reference to a person's messages goes into a status."""
        async with sending(slack) as notifier:
            receipts = [await notifier.notify(TO_CONTACT, message()) for _ in range(2)]
        assert receipts == [Receipt(), Receipt()]
        assert [posted.thread_ts for posted in slack.messages] == ["", ""]

    async def test_the_first_letter_alone(self, slack: SlackServer) -> None:
        """The others are fallbacks; the caller decides about these."""
        async with sending(slack) as notifier:
            await notifier.notify(TO_CONTACT, message(letter(), letter(to="jo@nhs.example", role=Role.TECHNICAL)))
        assert [posted.channel for posted in slack.messages] == [JO]

    async def test_blank_parts_are_left_out(self, slack: SlackServer) -> None:
        """Slack refuses a block without text, and with it the whole letter."""
        blank = [Part(kind, text) for kind in PartKind for text in ("", "  ")]
        posted = await sent(slack, letter(*blank, Part(PartKind.PARAGRAPH, "Hello")))
        assert list(posted.texts()) == [SUBJECT, "Hello"]


class TestLimits:
    """The limits of Block Kit, which the server enforces. No part of a letter is lost to them."""

    @pytest.mark.parametrize("text", ["word " * 1200, "x" * 6000, "&" * 2000, "<" + "a b" * 1999])
    @pytest.mark.parametrize("kind", list(PartKind))
    async def test_a_long_part_takes_several_blocks(self, slack: SlackServer, kind: PartKind, text: str) -> None:
        """Split between words, if there are any."""
        posted = await sent(slack, letter(Part(kind, text)))
        texts = [html.unescape(each) for each in posted.texts()][2 if kind is PartKind.HEADING else 1 :]
        assert len(texts) > 1 or kind is PartKind.COMMAND
        assert "".join(texts).replace(" ", "") == text.replace(" ", "")
        if kind is PartKind.PARAGRAPH and text.startswith("word"):
            assert all(each.split() == ["word"] * len(each.split()) for each in texts)

    async def test_a_long_subject_stands_whole_below_the_header(self, slack: SlackServer) -> None:
        """As the sentence of an alert does."""
        subject = "the certificate for " + "n" * 230
        header, whole, *_ = (await sent(slack, letter(subject=subject))).blocks
        assert header["text"]["text"] == subject[:149] + "…"
        assert whole["text"]["text"] == subject

    @pytest.mark.parametrize(
        "parts",
        [
            [Part(PartKind.PARAGRAPH, f"paragraph {number}") for number in range(60)],
            [*PARTS * 3, *[PARTS[0]] * 40],
            [Part(PartKind.PARAGRAPH, "x" * 2900), Part(PartKind.COMMAND, COMMAND)] * 5,
        ],
        ids=["paragraphs", "mixed", "long"],
    )
    async def test_a_letter_with_too_many_blocks_is_sent_as_plain_text(
        self, slack: SlackServer, parts: list[Part]
    ) -> None:
        """Every part of it arrives, commands included."""
        posted = await sent(slack, letter(*parts))
        assert posted.blocks == ()
        assert html.unescape(posted.text).split("\n\n") == [SUBJECT, *(part.text for part in parts)]

    async def test_huge_input(self, slack: SlackServer) -> None:
        """A letter that is longer than any message is truncated, not refused."""
        posted = await sent(slack, letter(*[Part(PartKind.PARAGRAPH, "&" * 4000)] * 100))
        assert len(posted.text) <= 40_000
        assert posted.text.endswith("&amp;…")


class TestNothingIsInterpreted:
    """Typed text is shown unchanged: it mentions nobody, links nowhere and formats nothing."""

    @pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:24]))
    async def test_in_every_part_at_once(self, slack: SlackServer, value: str) -> None:
        """Even without sanitizing before."""
        parts = [Part(kind, text) for kind in PartKind for text in (value, f"for {value} in")]
        posted = await sent(slack, letter(*parts, subject=value))
        self._check(posted)
        for block in posted.blocks:
            assert kinds_in(block) <= INERT, block
            assert block["type"] == "rich_text" or not set(block["text"]["text"]) & set("<>"), block

    @pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:24]))
    async def test_as_plain_text_as_well(self, slack: SlackServer, value: str) -> None:
        """A letter that is sent again without blocks is not interpreted either."""
        slack.fail_next(Fault.error("invalid_blocks"))
        async with sending(slack) as notifier:
            await notifier.notify(TO_CONTACT, message(letter(*(Part(kind, value) for kind in PartKind))))
        (posted,) = slack.messages
        assert posted.blocks == ()
        self._check(posted)

    @staticmethod
    def _check(posted: Posted) -> None:
        assert (posted.mentions, posted.links) == ((), ())
        assert not set(posted.text) & set("<>")
        settings = {name: posted.payload[name] for name in posted.payload if name not in {"text", "blocks", "channel"}}
        assert settings == NOT_INTERPRETED


INERT = {"header", "section", "plain_text", "rich_text", "rich_text_preformatted", "text"}


def kinds_in(value: Any) -> set[str]:
    """All types of blocks, elements and texts."""
    if isinstance(value, dict):
        own = {value["type"]} if "type" in value else set()
        return own.union(*(kinds_in(each) for each in value.values()))
    return set().union(*(kinds_in(each) for each in value)) if isinstance(value, list) else set()


class TestRecipients:
    @pytest.mark.parametrize(
        "address",
        ["", "C012AB3CD", "#integration-api-alerts", "<!channel>", "@jo", f"{JO},U0OTHER", f"{JO}\n", "jo@gov.example"],
    )
    async def test_members_and_nothing_else(self, slack: SlackServer, address: str) -> None:
        """Everybody would read a person's letter in a channel."""
        async with sending(slack) as notifier:
            error = await failure(notifier, message(letter(to=address)))
        assert (error.reason, error.retryable) == (Reason.CONTACT_NOT_FOUND, False)
        assert "spec.contact.slack" in error.message
        assert not address or address not in error.message
        assert slack.calls == []

    @pytest.mark.parametrize("role", [role for role in Role if role is not Role.SLACK])
    async def test_contacts_of_another_kind_are_not(self, slack: SlackServer, role: Role) -> None:
        """They get a mail."""
        async with sending(slack) as notifier:
            assert (await failure(notifier, message(letter(role=role)))).reason is Reason.CONTACT_NOT_FOUND

    async def test_a_message_without_letters(self, slack: SlackServer) -> None:
        """There is no recipient."""
        async with sending(slack) as notifier:
            assert (await failure(notifier, alert())).reason is Reason.CONTACT_NOT_FOUND


class TestTokens:
    async def test_the_one_that_the_policy_names(self, slack: SlackServer) -> None:
        """From a Secret in the object's own namespace."""
        secrets = Secrets({("integration", "slack", "token"): f" {TENANT_TOKEN}\n"})
        async with sending(slack, ref=TOKEN_REF, secrets=secrets, own=(OWN_TOKEN,)) as notifier:
            await notifier.notify(TO_CONTACT, message())
        assert [call.headers["Authorization"] for call in slack.calls] == [f"Bearer {TENANT_TOKEN}"]
        assert secrets.asked == [("integration", TOKEN_REF)]

    async def test_the_operators_own_where_the_settings_allow_it(self, slack: SlackServer) -> None:
        """And in no other namespace: otherwise any tenant could write to everybody."""
        async with sending(slack) as notifier, sending(slack, own=(OWN_TOKEN, "other")) as strict:
            await notifier.notify(TO_CONTACT, message())
            error = await failure(strict)
        assert [call.headers["Authorization"] for call in slack.calls] == [f"Bearer {OWN_TOKEN}"]
        assert (error.reason, error.retryable) == (Reason.CHANNEL_NOT_ALLOWED, False)
        assert "spec.contacts.slackTokenSecretRef" in error.message

    async def test_an_operator_without_a_token(self, slack: SlackServer) -> None:
        """The error says what to set."""
        async with sending(slack, own=("", "integration")) as notifier:
            error = await failure(notifier)
        assert error.reason is Reason.TOKEN_NOT_FOUND
        assert "CLIENTCERT_SLACK_TOKEN" in error.message

    @pytest.mark.parametrize("value", ["", "two words", "xoxb-1\r\nX-Evil: 1", "x" * 2000])
    async def test_an_invalid_token_is_not_sent(self, slack: SlackServer, value: str) -> None:
        """The error does not repeat it."""
        secrets = Secrets({("integration", "slack", "token"): value})
        async with sending(slack, ref=TOKEN_REF, secrets=secrets) as notifier:
            error = await failure(notifier)
        assert error.reason is Reason.TOKEN_REJECTED
        assert "key token of Secret slack holds no Slack token" in error.message
        assert not value or value not in error.message
        assert slack.calls == []

    async def test_a_missing_and_an_unreadable_secret(self, slack: SlackServer) -> None:
        """The first error is permanent, the second is not."""
        away = ClientCertError(Reason.API_UNAVAILABLE, "the API server does not answer", retryable=True)
        reasons = []
        for secrets in (Secrets(), Secrets(error=away)):
            async with sending(slack, ref=TOKEN_REF, secrets=secrets) as notifier:
                error = await failure(notifier)
            reasons.append((error.reason, error.retryable))
        assert reasons == [(Reason.TOKEN_NOT_FOUND, False), (Reason.API_UNAVAILABLE, True)]

    def test_plain_http_is_for_listed_hosts(self) -> None:
        """The process ends before it sends a token in clear text."""
        tokens = SlackTokens(OwnSecret(OWN_TOKEN), frozenset(), Secrets().read)
        with pytest.raises(SettingsError, match="CLIENTCERT_SLACK_API_URL is not an https:// address"):
            SlackDirectNotifier(tokens, lambda _: None, "http://slack.example/api/", EgressPolicy())


CORRECT = "correct spec.contact.slack: it must name a person who is an active member of the workspace"


class TestRefusals:
    @pytest.mark.parametrize(
        ("member", "code"),
        [("U0NOBODY", "channel_not_found"), ("U0GONE", "channel_not_found"), ("U0BOT", "cannot_dm_bot")],
    )
    async def test_an_unknown_member(self, slack: SlackServer, member: str, code: str) -> None:
        """The error of the workspace itself; it is permanent, and its message is about a person."""
        async with sending(slack) as notifier:
            error = await failure(notifier, message(letter(to=member)))
        assert (error.reason, error.retryable) == (Reason.CHANNEL_NOT_FOUND, False)
        assert error.message == f"Slack refused the message ({code}): {CORRECT}"

    async def test_an_app_without_direct_messages(self, slack: SlackServer) -> None:
        """A switch in the app's settings that is easily missed."""
        slack.messages_tab = False
        async with sending(slack) as notifier:
            error = await failure(notifier)
        assert error.reason is Reason.CHANNEL_NOT_FOUND
        assert error.message == (
            "Slack refused the message (messages_tab_disabled):"
            " allow the Slack app to write to people: turn on its Messages Tab, under App Home"
        )

    async def test_a_missing_scope(self, slack: SlackServer) -> None:
        """The error names it."""
        slack.scopes[OWN_TOKEN] = frozenset({"users:read", "im:write"})
        async with sending(slack) as notifier:
            error = await failure(notifier)
        assert (error.reason, error.retryable) == (Reason.TOKEN_REJECTED, False)
        assert "the scope chat:write" in error.message

    async def test_chat_write_is_enough(self, slack: SlackServer) -> None:
        """A member's ID opens the conversation, without another call."""
        slack.scopes[OWN_TOKEN] = frozenset({"chat:write"})
        async with sending(slack) as notifier:
            await notifier.notify(TO_CONTACT, message())
        assert [call.method for call in slack.calls] == ["chat.postMessage"]

    @pytest.mark.parametrize("code", ["invalid_auth", "token_revoked", "account_inactive"])
    async def test_a_token_that_slack_refuses(self, slack: SlackServer, code: str) -> None:
        """Permanent."""
        slack.fail_next(Fault.error(code))
        async with sending(slack) as notifier:
            error = await failure(notifier)
        assert (error.reason, error.retryable) == (Reason.TOKEN_REJECTED, False)
        assert f"({code})" in error.message

    @pytest.mark.parametrize("code", ["invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"])
    async def test_a_letter_with_refused_blocks_is_sent_again_as_plain_text(
        self, slack: SlackServer, code: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No letter and no command in it is lost to its formatting."""
        slack.fail_next(Fault.error(code))
        async with sending(slack) as notifier:
            await notifier.notify(TO_CONTACT, message())
        (posted,) = slack.messages
        assert posted.blocks == ()
        assert html.unescape(posted.text).split("\n\n") == [SUBJECT, *(part.text for part in PARTS)]
        (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert line.startswith("integration/nhs-prod: sent again as plain text: ")

    async def test_in_plain_text_too(self, slack: SlackServer) -> None:
        """Then it is a bug of ours, and permanent."""
        slack.fail_always(Fault.error("invalid_arguments"))
        async with sending(slack) as notifier:
            error = await failure(notifier)
        assert (error.reason, error.retryable) == (Reason.MESSAGE_REFUSED, False)
        assert len(slack.calls) == 2


class TestTransientFailures:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault.http(500),
            Fault.http(302, Location="/elsewhere"),
            Fault.http(200, "<html>hello</html>"),
            Fault.cut_off(),
            Fault.error("internal_error"),
            Fault.error("some_new_code"),
        ],
        ids=["500", "redirect", "html", "cut", "internal", "new"],
    )
    async def test_it_is_retryable(self, slack: SlackServer, fault: Fault) -> None:
        """By the engine: the notifier makes a call once, since Slack may have accepted it."""
        slack.fail_next(fault)
        async with sending(slack) as notifier:
            error = await failure(notifier)
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert "html" not in error.message
        assert len(slack.calls) == 1

    @pytest.mark.parametrize("body", ["[]", "null", "{", "", "{}", '"ok"'])
    async def test_an_answer_that_is_not_slacks(self, slack: SlackServer, body: str) -> None:
        """It does not count as success."""
        async with imposter(body.encode()) as url, sending(slack, api_url=url) as notifier:
            error = await failure(notifier)
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)

    async def test_a_limit_of_slacks(self, slack: SlackServer) -> None:
        """The second message in a second is refused, and Retry-After is in the error."""
        slack.limit(JO, 1, 1.0)
        async with sending(slack) as notifier:
            await notifier.notify(TO_CONTACT, message())
            error = await failure(notifier)
        assert (error.reason, error.retryable, error.retry_after) == (Reason.RATE_LIMITED, True, 1)

    async def test_a_send_has_a_time_limit(self, slack: SlackServer) -> None:
        """Ten seconds, the Secret included."""

        class Stuck(Secrets):
            async def read(self, namespace: str, ref: SecretKeyRef) -> str:
                await asyncio.sleep(60)
                return ""

        slack.fail_always(Fault.slow(60))
        begun = asyncio.get_running_loop().time()
        async with sending(slack) as notifier, sending(slack, ref=TOKEN_REF, secrets=Stuck()) as stuck:
            errors = await asyncio.gather(failure(notifier), failure(stuck))
            took = asyncio.get_running_loop().time() - begun
        assert {error.message for error in errors} == {"Slack did not answer within 10 seconds"}
        assert took < ALERT_SECONDS + 2

    def test_the_pace(self) -> None:
        """One message a second to all users of a channel, since the user is not known yet."""
        tokens = SlackTokens(OwnSecret(), frozenset(), Secrets().read)
        notifier = SlackDirectNotifier(tokens, lambda _: None, "", EgressPolicy())
        one = notifier.pace("integration", TO_CONTACT, MessageKind.ALERT)
        assert one.seconds == 1.0
        assert one == notifier.pace("integration", TO_CONTACT, MessageKind.CLOSING)
        assert one.limit_key != notifier.pace("another", TO_CONTACT, MessageKind.ALERT).limit_key


class TestNothingIsRevealed:
    @pytest.mark.parametrize(
        "fault",
        [
            PASS,
            *map(Fault.error, ("invalid_auth", "channel_not_found", "invalid_blocks")),
            Fault.http(500),
            Fault.cut_off(),
        ],
        ids=["sent", "auth", "unknown", "blocks", "500", "cut"],
    )
    @pytest.mark.parametrize("ref", [None, TOKEN_REF], ids=["own", "tenant"])
    async def test_no_token_and_no_person(
        self, slack: SlackServer, fault: Fault, ref: SecretKeyRef | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In no log at any level, no error and no repr."""
        caplog.set_level(logging.DEBUG)
        slack.fail_next(fault)
        said = ""
        async with sending(slack, ref=ref) as notifier:
            try:
                said += repr(await notifier.notify(TO_CONTACT, message()))
            except DeliveryError as error:
                said += repr(error)
            said += repr(notifier) + repr(vars(notifier))
        for text in (said, caplog.text):
            assert "canary-7f3a" not in text
            assert JO not in text
            assert "Bloggs" not in text

    async def test_proxy_variables_are_not_obeyed(self, slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """The SDK would send the token through a proxy that the environment names."""
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        async with sending(slack) as notifier:
            await notifier.notify(TO_CONTACT, message())
        assert len(slack.messages) == 1

    async def test_it_sends_only_while_it_is_open(self, slack: SlackServer) -> None:
        """Outside the block the SDK would open sessions of its own, with other rules."""
        async with sending(slack) as notifier:
            pass
        with pytest.raises(RuntimeError, match="async with"):
            await notifier.notify(TO_CONTACT, message())


def test_it_is_a_notifier() -> None:
    """The engine uses it through its interface only."""
    kept: type[Notifier] = SlackDirectNotifier
    assert kept is SlackDirectNotifier
