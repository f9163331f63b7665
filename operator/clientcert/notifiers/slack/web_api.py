"""Calls of Slack's Web API, for all modules that use it."""

import logging
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from clientcert.errors import ClientCertError, DeliveryError, SettingsError
from clientcert.fair_queueing import FairSemaphore
from clientcert.network.egress import EgressPolicy
from clientcert.network.proxy import Proxy
from clientcert.network.retry_after import parse_retry_after
from clientcert.notifiers.deadline import ALERT_SECONDS, unavailable, unreached
from clientcert.notifiers.slack.errors import refusal

SLACK = "Slack"
"""The subject of errors."""
SLACK_API_URL = "https://slack.com/api/"
LONGEST_WAIT = 3600.0
"""Seconds; the cap of Retry-After. Slack asks for less."""
CALLS_AT_ONCE = 64
"""With all tokens; one token alone has half of them."""
MESSAGE_SECONDS = 1.0
"""Slack accepts one message a second in a channel."""

_sdk_log = logging.getLogger(f"{__name__}.sdk")
_sdk_log.setLevel(logging.CRITICAL)  # at debug level it logs bodies with people's addresses

Refusal: TypeAlias = Callable[[object, int, float | None], DeliveryError]
"""Makes an error of Slack's code, the HTTP status, and the seconds that Slack asks to wait."""
Call: TypeAlias = Callable[[AsyncWebClient], Awaitable[AsyncSlackResponse]]


class _Client(AsyncWebClient):
    """Makes each call once, and ignores the proxies that the environment names."""

    def __init__(self, token: str, url: str, session: aiohttp.ClientSession) -> None:
        super().__init__(token, base_url=url, session=session, retry_handlers=[], logger=_sdk_log)
        self.proxy = None


class SlackWebApi:
    """Calls over one session, between `open` and `close`."""

    def __init__(self, url: str, egress: EgressPolicy) -> None:
        """Raises SettingsError for a `url` that is neither https nor of a listed host."""
        check_tls("CLIENTCERT_SLACK_API_URL", url, egress)
        self._url = url or SLACK_API_URL
        self._proxy = egress.proxy
        self._calls = FairSemaphore(CALLS_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Open the session, from within the event loop."""
        self._session = _session(self._proxy)

    async def close(self) -> None:
        """Close the session; calls in progress fail."""
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session, also for the webhook in the operator's settings."""
        if self._session is None or self._session.closed:  # the SDK would open a session of its own
            raise RuntimeError("a notifier sends only within its `async with` block")
        return self._session

    async def ask(self, token: str, call: Call, refused: Refusal = refusal) -> dict[str, Any]:
        """Make a call when it is the token's turn, once. Raises DeliveryError; `refused` makes it of Slack's error."""
        try:
            async with self._calls.slot(str(hash(token))):
                answer = (await call(_Client(token, self._url, self.session))).data
        except SlackApiError as error:
            raise _refused(error.response, refused) from None
        except (aiohttp.ClientError, OSError) as error:  # some of these are ValueErrors as well
            raise unreached(SLACK, error) from None
        except (SlackClientError, AttributeError, TypeError, ValueError):
            # The SDK's errors for an answer that is not a JSON object.
            raise not_slack() from None
        if not isinstance(answer, dict):
            raise not_slack()
        return answer


def check_tls(setting: str, url: str, egress: EgressPolicy) -> None:
    """Raise SettingsError for an address that is neither https nor of a listed host."""
    try:
        if not url or url.lower().startswith("https://") or egress.lists(url):
            return
    except ClientCertError:
        pass  # it is not a URL
    raise SettingsError(f"{setting} is not an https:// address: give one, or add its host to CLIENTCERT_ALLOWED_HOSTS")


def not_slack() -> DeliveryError:
    """The error for an answer with HTTP status 200 that Slack does not give."""
    return unavailable("the server at Slack's address gave an answer that is not Slack's")


def _refused(answer: Any, refused: Refusal) -> DeliveryError:
    """The error from the SDK's response, or from aiohttp's if the SDK could not parse it."""
    data = getattr(answer, "data", None)
    status = getattr(answer, "status_code", None) or getattr(answer, "status", None) or 0
    retry_after = parse_retry_after(answer.headers, LONGEST_WAIT)
    return refused(data.get("error") if isinstance(data, dict) else "", status, retry_after)


def _session(proxy: Proxy) -> aiohttp.ClientSession:
    """A session without cookies and redirects, and with a time limit."""
    refuse_redirects = aiohttp.TraceConfig()
    refuse_redirects.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),  # in its pool, new calls may overtake a waiting one
        timeout=aiohttp.ClientTimeout(total=ALERT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        request_class=proxy.request_class(),
        trace_configs=[refuse_redirects],
    )


async def _refuse_redirect(_session: aiohttp.ClientSession, _context: SimpleNamespace, _answer: object) -> None:
    raise refusal("", 302, None)
