"""Messages as Slack receives them: by bot token and by webhook, of the operator and of a tenant."""

import asyncio
from datetime import datetime, timedelta

import pytest

from clientcert.errors import Reason, SettingsError
from clientcert.lifecycle.assessment import unread
from clientcert.lifecycle.policy import Channel, Schedule
from clientcert.messages.message import Message
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.interface import Notifier, Receipt
from clientcert.notifiers.slack.channel import OwnSlack, SlackNotifier
from clientcert.own_secrets import OwnSecret
from tests.adapters.sample_messages import alert, closing, failure
from tests.adapters.slack_parts import (
    NOT_INTERPRETED,
    OWN_CHANNEL,
    SENTENCE,
    TEAM_CHANNEL,
    TENANT_TOKEN,
    Secrets,
    sending,
    to_own,
    to_team,
    to_webhook,
)
from tests.builders import DAY, NOW, certificate, policy
from tests.unit.messages.composing import composed
from tests.unit.messages.test_message import HOSTILE, hostile
from tools.slack_server import Fault, Posted, SlackServer

RUNBOOK = "https://runbooks.example/renew?a=1&amp;b=2"


class TestWithABotToken:
    async def test_an_alert_is_in_the_channel_and_its_details_are_in_its_thread(self, slack: SlackServer) -> None:
        """Nobody reads a reply in an old thread, so each alert is a message of its own."""
        async with sending(slack) as notifier:
            receipt = await notifier.notify(to_own(), alert())
        (posted,) = slack.in_channel(OWN_CHANNEL)
        (details,) = slack.replies(posted)
        assert posted.text == SENTENCE
        assert receipt == Receipt(f"{posted.channel_id}:{posted.ts}")
        assert "Look closer: kubectl describe clientcertificate nhs-prod --namespace integration" in details.text
        assert len(slack.messages) == 2

    async def test_the_content_of_an_alert(self, slack: SlackServer) -> None:
        """The sentence, every fact, the next step, and the runbook's link, in this order."""
        message = alert()
        async with sending(slack) as notifier:
            await notifier.notify(to_own(), message)
        texts = list(slack.in_channel(OWN_CHANNEL)[0].texts())
        facts = [f"{name}\n{value}" for name, value in message.shown(contact=True)]
        assert texts == [SENTENCE, *facts, message.next_step, f"<{RUNBOOK}|Runbook>"]

    @pytest.mark.parametrize(
        ("problem", "name", "headline"),
        [
            ("there is no Secret: create it", "nhs", None),
            ("there is no Secret: create it, " * 6, "nhs", "The certificate for nhs in prod is missing"),
            ("there is no Secret", "n" * 200, "The certificate for " + "n" * 129 + "…"),
        ],
    )
    async def test_a_long_sentence_has_a_headline(
        self, slack: SlackServer, problem: str, name: str, headline: str | None
    ) -> None:
        """A sentence that is too long for Slack's header is complete below it; a short one is not repeated."""
        message = composed(unread(Reason.SOURCE_NOT_FOUND, problem), consumer=name)
        async with sending(slack) as notifier:
            await notifier.notify(to_own(), message)
        header, section, *_ = slack.in_channel(OWN_CHANNEL)[0].blocks
        assert header["text"]["text"] == (headline or message.text)
        assert ("fields" in section) == (headline is None)
        assert headline is None or section["text"]["text"] == message.text

    async def test_a_closing_message_is_one_message_in_the_channel(self, slack: SlackServer) -> None:
        """It is in the channel, where the alerts were read, and not in an old thread."""
        async with sending(slack) as notifier:
            receipt = await notifier.notify(to_own(), closing())
        (posted,) = slack.messages
        assert posted.thread_ts == ""
        assert posted.text == "The certificate for nhs in prod was replaced by serial number bb, valid until 2027-12-27"
        assert receipt.thread_ref == f"{posted.channel_id}:{posted.ts}"

    async def test_a_tenants_token_posts_to_the_tenants_channel(self, slack: SlackServer) -> None:
        """The token comes from a Secret in the object's own namespace only."""
        secrets = Secrets({("integration", "slack", "token"): f"  {TENANT_TOKEN}\n"})
        async with sending(slack, secrets=secrets) as notifier:
            await notifier.notify(to_team(), alert())
        assert [each.channel for each in slack.messages] == [TEAM_CHANNEL, TEAM_CHANNEL]
        assert {call.headers["Authorization"] for call in slack.calls} == {f"Bearer {TENANT_TOKEN}"}
        assert [namespace for namespace, _ in secrets.asked] == ["integration"]

    async def test_a_channel_may_be_named_by_its_id(self, slack: SlackServer) -> None:
        """As Slack recommends, because names change."""
        identifier = next(key for key, name in slack.channels.items() if name == TEAM_CHANNEL)
        async with sending(slack) as notifier:
            await notifier.notify(to_team(identifier), alert())
        assert len(slack.in_channel(TEAM_CHANNEL)) == 1

    @pytest.mark.parametrize("name", ["", OWN_CHANNEL, OWN_CHANNEL.removeprefix("#")])
    async def test_the_operators_own_token_posts_to_its_own_channel(self, slack: SlackServer, name: str) -> None:
        """With and without its name in the policy."""
        async with sending(slack) as notifier:
            await notifier.notify(to_own(name), alert())
        assert len(slack.in_channel(OWN_CHANNEL)) == 1

    async def test_a_channel_without_an_address_is_the_operators_own(self, slack: SlackServer) -> None:
        """For example the channel of the default policy."""
        async with sending(slack) as notifier:
            await notifier.notify(Channel("default", "Slack", Schedule()), alert())
        assert len(slack.in_channel(OWN_CHANNEL)) == 1

    async def test_concurrent_alerts(self, slack: SlackServer) -> None:
        """One notifier serves all certificates; every alert has its own details."""
        async with sending(slack) as notifier:
            receipts = await asyncio.gather(*(notifier.notify(to_own(), alert()) for _ in range(50)))
        assert len({receipt.thread_ref for receipt in receipts}) == 50
        assert all(len(slack.replies(posted)) == 1 for posted in slack.in_channel(OWN_CHANNEL))


class TestWithAWebhook:
    async def test_the_details_are_folded_in(self, slack: SlackServer) -> None:
        """A webhook cannot post to a thread, so all is in one message."""
        async with sending(slack) as notifier:
            receipt = await notifier.notify(to_webhook(), alert())
        (posted,) = slack.messages
        assert (posted.via, posted.channel, posted.text) == ("webhook", TEAM_CHANNEL, SENTENCE)
        assert "Look closer: kubectl describe" in list(posted.texts())[-1]
        assert receipt == Receipt("")

    async def test_the_operators_own(self, slack: SlackServer) -> None:
        """Its address is the operator's choice; here it is listed only because it has no TLS."""
        own = OwnSlack(webhook_url=OwnSecret(slack.webhook_url(OWN_CHANNEL)))
        async with sending(slack, own) as notifier:
            await notifier.notify(to_own(), closing())
        assert [each.channel for each in slack.messages] == [OWN_CHANNEL]

    async def test_a_closing_message(self, slack: SlackServer) -> None:
        """One message, like any other."""
        async with sending(slack) as notifier:
            await notifier.notify(to_webhook(), closing())
        assert len(slack.messages) == 1


class TestRefusedSettings:
    @pytest.mark.parametrize("name", [TEAM_CHANNEL, "#<!channel>\n" + "x" * 500])
    async def test_the_operators_own_token_posts_nowhere_else(self, slack: SlackServer, name: str) -> None:
        """Otherwise any tenant could write to any channel of the workspace."""
        async with sending(slack) as notifier:
            error = await failure(notifier, to_own(name))
        assert (error.reason, error.retryable) == (Reason.CHANNEL_NOT_ALLOWED, False)
        assert "tokenSecretRef" in error.message
        assert len(error.message) < 250
        assert slack.calls == []

    async def test_an_operator_without_slack_says_what_to_set(self, slack: SlackServer) -> None:
        """The error names the setting."""
        async with sending(slack, OwnSlack()) as notifier:
            error = await failure(notifier, to_own())
        assert error.reason is Reason.TOKEN_NOT_FOUND
        assert "CLIENTCERT_SLACK_TOKEN" in error.message

    @pytest.mark.parametrize("value", ["", "two words", "xoxb-ünïcode", "xoxb-1\r\nX-Evil: 1", "x" * 2000])
    async def test_an_invalid_token_is_not_sent(self, slack: SlackServer, value: str) -> None:
        """It could add a header, or be another secret by mistake; so the error does not repeat it either."""
        async with sending(slack, secrets={"token": value}) as notifier:
            error = await failure(notifier, to_team())
        assert error.reason is Reason.TOKEN_REJECTED
        assert "key token of Secret slack holds no Slack token" in error.message
        assert not value or value not in error.message
        assert slack.calls == []

    async def test_an_invalid_token_of_the_operator_is_not_sent(self, slack: SlackServer) -> None:
        """The error names the setting."""
        async with sending(slack, OwnSlack(OWN_CHANNEL, OwnSecret("xoxb-1\nx"))) as notifier:
            error = await failure(notifier, to_own())
        assert error.reason is Reason.TOKEN_REJECTED
        assert error.message.startswith("the operator's setting CLIENTCERT_SLACK_TOKEN holds no Slack token")

    async def test_a_token_without_a_channel(self, slack: SlackServer) -> None:
        """The token alone names no channel."""
        async with sending(slack) as notifier:
            error = await failure(notifier, to_team(""))
        assert error.reason is Reason.CHANNEL_NOT_FOUND

    @pytest.mark.parametrize(
        "url",
        [
            "https://hooks.slack.com.evil.example/services/T/B/x",
            "https://hooks.slack.com@evil.example/services/T/B/x",
            "https://evil.example/hooks.slack.com/",
            "http://hooks.slack.com/services/T/B/x",
            "https://hooks.slack.com:8443/services/T/B/x",
            "https://169.254.169.254/latest/meta-data",
            "http://127.0.0.1:1/services/T/B/x",
            "https://kubernetes.default.svc/api",
            "file:///etc/passwd",
            "//hooks.slack.com/x",
            "https://hooks.slack.com/a b",
            "nothing",
            "",
        ],
    )
    async def test_a_webhook_has_slacks_host_or_a_listed_one(self, slack: SlackServer, url: str) -> None:
        """Any other address is refused before its name is resolved; the error does not repeat it, as it is secret."""
        async with sending(slack, secrets={"webhook": url}) as notifier:
            error = await failure(notifier, to_webhook())
        assert (error.reason, error.retryable) == (Reason.ENDPOINT_NOT_ALLOWED, False)
        assert "https://hooks.slack.com/" in error.message
        assert "evil" not in error.message
        assert "169.254" not in error.message

    async def test_the_host_of_a_listed_webhook_only(self, slack: SlackServer) -> None:
        """Without a listed host, the loopback server is refused."""
        async with sending(slack, allowed=(), api_url="https://slack.example/api/") as notifier:
            error = await failure(notifier, to_webhook())
        assert error.reason is Reason.ENDPOINT_NOT_ALLOWED
        assert slack.calls == []

    async def test_it_sends_only_while_it_is_open(self, slack: SlackServer) -> None:
        """Outside the block the SDK would open sessions of its own, with other rules."""
        async with sending(slack) as notifier:
            pass
        for channel in (to_own(), to_webhook()):
            with pytest.raises(RuntimeError, match="async with"):
                await notifier.notify(channel, alert())


class TestNothingIsInterpreted:
    """Typed text is shown unchanged: it mentions nobody, links nowhere and formats nothing."""

    @pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:24]))
    @pytest.mark.parametrize("left", [14 * DAY, -DAY])
    async def test_in_every_field_at_once(self, slack: SlackServer, value: str, left: timedelta) -> None:
        """By bot and by webhook, within all limits of Slack."""
        for posted in await self._sent(slack, self._hostile_message(value, NOW + left)):
            assert posted.mentions == ()
            assert posted.links in ((), (RUNBOOK,))
            assert "<!" not in posted.text
            for block in posted.blocks:
                assert only_plain_text(block), block

    async def test_the_text_itself_is_no_markup(self, slack: SlackServer) -> None:
        """`text` is for notifications: escaped, not parsed, without linked names and previews."""
        for posted in await self._sent(slack, self._hostile_message("<!channel> & *@here*", NOW + 14 * DAY)):
            if not posted.thread_ts:
                assert posted.text.startswith("The certificate for &lt;!channel&gt; &amp; *@here* in &lt;!channel&gt;")
            settings = {name: posted.payload[name] for name in posted.payload if name not in PAYLOAD}
            assert settings == NOT_INTERPRETED

    async def test_as_plain_text_as_well(self, slack: SlackServer) -> None:
        """A message that is sent again without blocks is not interpreted either."""
        message = self._hostile_message("<!channel> <https://evil.example|x>", NOW + 14 * DAY)
        slack.fail_next(Fault.error("invalid_blocks"))
        async with sending(slack) as notifier:
            await notifier.notify(to_own(), message)
        posted = slack.in_channel(OWN_CHANNEL)[0]
        assert posted.blocks == ()
        assert (posted.mentions, posted.links) == ((), ())

    @staticmethod
    def _hostile_message(value: str, not_after: datetime) -> Message:
        plan = policy(
            message=f"The certificate for {{name}} in {value}", runbook_url="https://runbooks.example/renew?a=1&b=2"
        )
        seen = certificate(not_after, common_name=value, issuer_dn=value, declared=value)
        return composed(seen, declared=hostile(value), plan=plan)

    @staticmethod
    async def _sent(slack: SlackServer, message: Message) -> list[Posted]:
        async with sending(slack) as notifier:
            await notifier.notify(to_own(), message)
            await notifier.notify(to_webhook(), message)
        assert [call.error for call in slack.calls] == ["", "", ""]
        return slack.messages


PAYLOAD = {"text", "blocks", "channel", "thread_ts"}


def only_plain_text(block: object) -> bool:
    """True if only the runbook's link is mrkdwn."""
    if isinstance(block, dict):
        if block.get("type") == "mrkdwn":
            return block["text"] == f"<{RUNBOOK}|Runbook>" and block["verbatim"] is True
        return all(only_plain_text(each) for each in block.values())
    return all(only_plain_text(each) for each in block) if isinstance(block, list) else True


def test_it_is_a_notifier() -> None:
    """The engine uses it through its interface only."""
    kept: type[Notifier] = SlackNotifier
    assert kept is SlackNotifier


class TestPlainHTTP:
    """The operator connects with TLS, except to hosts that its settings list."""

    @pytest.mark.parametrize(
        ("api_url", "webhook_url", "setting"),
        [
            ("http://slack.example/api/", "", "CLIENTCERT_SLACK_API_URL"),
            ("https://slack.example/api/", "http://slack.example/canary", "CLIENTCERT_SLACK_WEBHOOK_URL"),
            ("", "canary", "CLIENTCERT_SLACK_WEBHOOK_URL"),
        ],
    )
    def test_it_is_for_listed_hosts(self, api_url: str, webhook_url: str, setting: str) -> None:
        """The process ends before it sends a token in clear text; the error does not contain the webhook."""
        own = OwnSlack(webhook_url=OwnSecret(webhook_url))
        with pytest.raises(SettingsError, match=f"{setting} is not an https:// address") as error:
            SlackNotifier(own, api_url, Secrets().read, EgressPolicy(("other.example",)))
        assert "canary" not in str(error.value)

    def test_a_listed_one(self) -> None:
        """For example the user's own proxy."""
        SlackNotifier(OwnSlack(), "http://slack.example/api/", Secrets().read, EgressPolicy(("slack.example",)))
