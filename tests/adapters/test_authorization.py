"""If the policy names one, a call has the header Authorization; its value is in no error."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.policy import Channel, Schedule, UrlAddress
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.http.alertmanager import AlertmanagerNotifier
from clientcert.notifiers.http.webhook import WebhookNotifier
from clientcert.notifiers.interface import Notifier
from tests.adapters.sample_messages import alert, failure
from tests.adapters.web_receiver import AUTHORIZATION_REF, SENT, URL_REF, Vault, WebReceiver

TOKEN = "canary-9e1c"
Calling = Callable[[str], AbstractAsyncContextManager[tuple[Notifier, WebReceiver]]]


@pytest.fixture(params=[WebhookNotifier, AlertmanagerNotifier])
def calling(request: pytest.FixtureRequest) -> Calling:
    @asynccontextmanager
    async def with_authorization(value: str) -> AsyncIterator[tuple[Notifier, WebReceiver]]:
        async with WebReceiver().running() as receiver:
            vault = Vault(url=f"http://{receiver.host}", authorization=value)
            async with request.param(vault.read, EgressPolicy([receiver.host]), lambda: SENT) as notifier:
                yield notifier, receiver

    return with_authorization


def authorization_header() -> Channel:
    return Channel("team", "Webhook", Schedule(), UrlAddress(URL_REF, authorization_ref=AUTHORIZATION_REF))


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"Basic {TOKEN}==\n", f'Custom id="1", token="{TOKEN}"'])
async def test_it_is_sent_as_the_secret_has_it(calling: Calling, value: str) -> None:
    """Without the line break that an editor adds."""
    async with calling(value) as (notifier, receiver):
        await notifier.notify(authorization_header(), alert())
    assert [call.headers["Authorization"] for call in receiver.calls] == [value.strip()]


async def test_without_one_there_is_no_such_header(calling: Calling) -> None:
    """With any content of the Secret."""
    async with calling(f"Bearer {TOKEN}") as (notifier, receiver):
        await notifier.notify(Channel("team", "Webhook", Schedule(), UrlAddress(URL_REF)), alert())
    assert "Authorization" not in receiver.calls[0].headers


@pytest.mark.parametrize(
    "value", [TOKEN, "", f"Bearer {TOKEN}\r\nX-Injected: 1", f"Bearer é{TOKEN}", "Bearer " + 9000 * "x"]
)
async def test_an_invalid_value_is_refused_before_any_call(calling: Calling, value: str) -> None:
    """A token alone, another header, or a text that no header can contain."""
    async with calling(value) as (notifier, receiver):
        error = await failure(notifier, authorization_header())
    assert (error.reason, error.retryable, receiver.calls) == (Reason.TOKEN_REJECTED, False, [])
    assert "key authorization of Secret hooks must hold the whole value of the header Authorization" in error.message
    assert TOKEN not in error.message


async def test_it_is_not_sent_to_the_target_of_a_redirect(calling: Calling) -> None:
    """No redirect is followed at all."""
    async with calling(f"Bearer {TOKEN}") as (notifier, receiver):
        receiver.always(307, Location=f"http://{receiver.host}/elsewhere")
        error = await failure(notifier, authorization_header())
    assert (error.reason, len(receiver.calls)) == (Reason.MESSAGE_REFUSED, 1)
