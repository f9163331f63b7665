"""The operator's own secrets change in their files while it runs: the next message uses the new one."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clientcert.errors import DeliveryError, Reason
from clientcert.heartbeat import Heartbeat
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.email.notifier import EmailNotifier
from clientcert.notifiers.slack.channel import OwnSlack
from clientcert.notifiers.slack.tokens import SlackTokens
from clientcert.own_secrets import OwnSecrets
from clientcert.settings import load_settings
from tests.adapters.mail_parts import LOGIN, message_to, settings, to_contact
from tests.adapters.sample_messages import alert
from tests.adapters.slack_parts import OWN_CHANNEL, Secrets, sending, to_own, workspace
from tests.adapters.web_receiver import WebReceiver
from tests.mounted_secret import MountedSecret
from tools.mail_server import LoopbackMailServer

SOON = 0.02
NEW_LOGIN = (LOGIN[0], "canary-the-new-password")


@pytest.fixture
def mounted(tmp_path: Path) -> MountedSecret:
    return MountedSecret(tmp_path)


@asynccontextmanager
async def following(mounted: MountedSecret, *keys: str, **more: str) -> AsyncIterator[OwnSecrets]:
    secrets = OwnSecrets(load_settings({}, mounted.variables(*keys) | more), SOON)
    task = asyncio.create_task(secrets.follow())
    yield secrets
    task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_slack_refuses_the_old_token(mounted: MountedSecret) -> None:
    slack, new = workspace(), "xoxb-canary-the-new-one"
    mounted.swap(slack_token=slack.token)
    async with following(mounted, "slack_token", CLIENTCERT_SLACK_CHANNEL=OWN_CHANNEL) as secrets:
        token = secrets.of("slack_token")
        tokens = SlackTokens(token, frozenset({"integration"}), Secrets().read)
        with slack.start():
            async with sending(slack, OwnSlack(OWN_CHANNEL, token)) as notifier:
                await notifier.notify(to_own(), alert())
                slack.tokens[:] = [new]
                with pytest.raises(DeliveryError) as refused:
                    await notifier.notify(to_own(), alert())
                mounted.swap(slack_token=new)
                await until(lambda: token.value == new)
                await notifier.notify(to_own(), alert())
                assert await tokens.read("integration", None) == new
            assert refused.value.reason is Reason.TOKEN_REJECTED
            assert len(slack.in_channel(OWN_CHANNEL)) == 2


async def test_a_webhook_that_is_not_https_is_never_called(mounted: MountedSecret) -> None:
    """At the start it would have ended the process."""
    slack = workspace()
    with slack.start():
        mounted.swap(slack_webhook_url=slack.webhook_url(OWN_CHANNEL))
        async with following(mounted, "slack_webhook_url") as secrets:
            url = secrets.of("slack_webhook_url")
            async with sending(slack, OwnSlack(webhook_url=url)) as notifier:
                await notifier.notify(to_own(), alert())
                mounted.swap(slack_webhook_url="http://slack.example/canary")
                await until(lambda: "canary" in url.value)
                with pytest.raises(DeliveryError, match="CLIENTCERT_SLACK_WEBHOOK_URL is not an https") as refused:
                    await notifier.notify(to_own(), alert())
        assert (refused.value.reason, "canary" in refused.value.message) == (Reason.ENDPOINT_NOT_ALLOWED, False)
        assert len(slack.in_channel(OWN_CHANNEL)) == 1


async def test_a_mail_server_wants_another_password(mounted: MountedSecret) -> None:
    """The new login is tried by one mail alone, until it was accepted."""
    keys = ("smtp_username", "smtp_password")
    mounted.swap(**dict(zip(keys, LOGIN, strict=True)))
    async with following(mounted, *keys) as secrets:
        login = {key.removeprefix("smtp_"): secrets.of(key) for key in keys}
        with (
            LoopbackMailServer(tls="starttls", login=LOGIN) as old,
            LoopbackMailServer(tls="starttls", login=NEW_LOGIN, port=0) as new,
        ):
            before = EmailNotifier(dataclasses.replace(settings(old), **login), old.tls_context())
            after = EmailNotifier(dataclasses.replace(settings(new), **login), new.tls_context())
            await before.notify(to_contact(), message_to())
            with pytest.raises(DeliveryError) as refused:
                await after.notify(to_contact(), message_to())
            mounted.swap(**dict(zip(keys, NEW_LOGIN, strict=True)))
            await until(lambda: login["password"].value == NEW_LOGIN[1])
            with pytest.raises(DeliveryError):
                await before.notify(to_contact(), message_to())
            await asyncio.gather(*(after.notify(to_contact(), message_to()) for _ in range(3)))
            assert refused.value.reason is Reason.MAIL_LOGIN_REJECTED
            assert (len(old.mails), len(new.mails)) == (1, 3)
            assert "canary" not in repr(settings(new))


async def test_the_heartbeat_goes_to_another_url(mounted: MountedSecret) -> None:
    async with WebReceiver().running() as first, WebReceiver().running() as second:
        mounted.swap(heartbeat_url=first.url)
        async with following(mounted, "heartbeat_url") as secrets:
            url, outcomes = secrets.of("heartbeat_url"), list[str]()
            egress = EgressPolicy([first.host, second.host])
            beating = asyncio.create_task(Heartbeat(url, egress, lambda: True, SOON, outcomes.append).run())
            await until(lambda: bool(first.calls))
            mounted.swap(heartbeat_url=second.url)
            await until(lambda: bool(second.calls))
            mounted.swap(heartbeat_url="http://elsewhere.example/")
            await until(lambda: "failed" in outcomes)
            assert not beating.done()
            beating.cancel()
