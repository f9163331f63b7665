"""Apprise: Teams, PagerDuty, Opsgenie, Discord and more, through a library that is an optional extra.

    notifier = AppriseNotifier(read_secret, egress, load_apprise)

Apprise makes its own connections: to addresses that `egress` has not checked, and it reads files if a URL asks for
that. So only services and parameters whose code was reviewed are allowed: services with a host that is fixed in
Apprise, and a few with a host of the user's choice, if the operator's settings list that host.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.messages.digest import Digest, and_more, that_fit
from clientcert.messages.message import Message
from clientcert.messages.text import sanitize_line, truncate
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.deadline import deadline, unavailable, unreached
from clientcert.notifiers.http.url_caller import url_address
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.notifiers.secret_value import ReadSecret, key_name, secret_value

MESSAGE_SECONDS = 1.0
"""The interval of Slack, since these services publish no rate limit."""
LONGEST_TITLE, LONGEST_BODY, LONGEST_LINK = 200, 1700, 500
"""Accepted by all services in one message; Discord takes 2,000 characters for title and body."""
_MORE = 40
"""Characters that are reserved for the number of certificates that are not shown."""

FIXED_HOSTS = frozenset(
    {
        "discord",
        "gchat",
        "ilert",
        "incidentio",
        "jira",
        "opsgenie",
        "pagerduty",
        "pagertree",
        "pover",
        "signl4",
        "splunk",
        "squadcast",
        "tgram",
        "victorops",
        "webex",
        "wxteams",
        "zoom",
    }
)
"""Schemas whose host is fixed in Apprise's code."""
TEAMS = frozenset({"workflow", "workflows"})
TEAMS_HOSTS = (".logic.azure.com", ".environment.api.powerplatform.com")
"""Domains in which only Microsoft creates names."""
OWN_HOSTS = {"json": 80, "jsons": 443, "xml": 80, "xmls": 443, "form": 80, "forms": 443, "gotify": 80, "gotifys": 443}
"""Schemas that connect only to the host and port in their URL, with their default ports."""
PARAMETERS = frozenset(
    {"avatar", "class", "component", "group", "pa", "priority", "region", "route", "silent", "sound"}
)
"""Parameters that are plain words. Others name templates (files and URLs) or hosts, or switch checks off."""

_RECEIVER = "the service behind Apprise"
_URL = re.compile(r"(?P<schema>[a-z0-9]{1,32})://(?P<rest>[!#-;=?-\[\]_a-z~]{1,2000})")
_PARAMETER = re.compile(r"(?P<name>[a-z]{1,32})=[\w%.,:+-]*", re.ASCII)
_INERT = str.maketrans("<>@", "\u2039\u203a\uff20")

Library: TypeAlias = Any
"""The module `apprise`. It is an optional extra, so its types cannot be imported here."""


def load_apprise() -> Library:
    """Import the library and silence its log, which repeats URLs, messages and answers. Raises ImportError."""
    import apprise

    for name in ("apprise", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return apprise


class AppriseNotifier:
    """Sends plain text through Apprise."""

    def __init__(self, read_secret: ReadSecret, egress: EgressPolicy, library: Callable[[], Library]) -> None:
        """`library` is `load_apprise`; it is called at the first message, in a thread."""
        self._read_secret = read_secret
        self._egress = egress
        self._library = library

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace:  # noqa: ARG002
        """Each URL has a limit of its own."""
        return Pace((channel.type, namespace, channel.address), MESSAGE_SECONDS)

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        """As in the interface. Apprise returns only success or failure, so every failure is retried."""
        return await self._send(
            message.object_key.namespace, channel, *title_and_body(message), is_done=message.is_done
        )

    async def notify_digest(self, channel: Channel, digest: Digest) -> Receipt:
        """As in the interface."""
        return await self._send(digest.namespace, channel, *title_and_body_of_many(digest), is_done=False)

    async def _send(self, namespace: str, channel: Channel, title: str, body: str, *, is_done: bool) -> Receipt:
        ref = url_address(channel).url_ref
        async with deadline(_RECEIVER):
            url = await secret_value(self._read_secret, _RECEIVER, namespace, ref)
            schema = _check(url, ref)
            try:
                apprise, service = await asyncio.to_thread(self._service, url)
            except ImportError:
                raise DeliveryError(
                    Reason.CHANNEL_NOT_SUPPORTED,
                    "the operator was installed without Apprise: install its extra, clientcert-operator[apprise]",
                ) from None
            if service is None:
                words = f"{key_name(ref)} holds no URL that Apprise can parse: see its page about {schema}://"
                raise DeliveryError(Reason.CHANNEL_NOT_FOUND, words)
            await self._check_host(schema, service, ref)
            await _hand_over(apprise, service, title, body, is_done=is_done)
        return Receipt()

    def _service(self, url: str) -> tuple[Library, Any]:
        """Return Apprise, and the service that it parsed from the URL; None if it cannot parse the URL."""
        apprise = self._library()
        asset = apprise.AppriseAsset(
            app_id="clientcert-operator",
            storage_mode="memory",
            http_redirects=False,
            interpret_emojis=False,
            pgp_autogen=False,
            pem_autogen=False,
        )
        return apprise, apprise.Apprise.instantiate(url, asset=asset)

    async def _check_host(self, schema: str, service: Any, ref: SecretKeyRef) -> None:
        """Check the host that Apprise parsed from the URL, since another parser could find another host in it."""
        if schema in FIXED_HOSTS:
            return
        host, port = str(service.host or ""), service.port or OWN_HOSTS.get(schema, 443)
        try:
            if self._egress.lists(f"https://{host}:{port}"):
                return
            if schema in TEAMS and port == 443 and host.lower().endswith(TEAMS_HOSTS):
                await self._egress.resolve(host, port)
                return
        except ClientCertError:
            pass
        except OSError as error:
            raise unreached(_RECEIVER, error) from None
        raise DeliveryError(
            Reason.ENDPOINT_NOT_ALLOWED,
            f"the host in {key_name(ref)} is not allowed for {schema}://: add it, with its port, to"
            " CLIENTCERT_ALLOWED_HOSTS in the operator's settings",
        )


def title_and_body(message: Message) -> tuple[str, str]:
    """Plain text without the contact, and without characters of a mention or of markup."""
    about = message.about
    facts = "\n".join(f"{name}: {value}" for name, value in message.shown(contact=False))
    body = "\n\n".join((message.text, message.next_step, facts)).translate(_INERT)
    tail = _tail(message.runbook_url)
    title = message.text if message.test else f"{about.consumer} in {about.environment}: {message.reason}"
    return sanitize_line(title, LONGEST_TITLE).translate(_INERT), truncate(body, LONGEST_BODY - len(tail)) + tail


def title_and_body_of_many(digest: Digest) -> tuple[str, str]:
    """The same for a digest: a line for each of the most urgent certificates, and the number of the others."""
    tail = f"\n\n{digest.next_step}".translate(_INERT) + _tail(digest.runbook_url)
    items = [f"- {line.text}".translate(_INERT) for line in digest.lines]
    shown = that_fit(items, LONGEST_BODY - len(tail) - _MORE)
    body = "\n".join([*shown, *and_more(digest, len(shown))]) + tail
    return sanitize_line(digest.text, LONGEST_TITLE).translate(_INERT), body


def _tail(runbook_url: str) -> str:
    return f"\n\n{runbook_url}" if 0 < len(runbook_url) <= LONGEST_LINK else ""


async def _hand_over(apprise: Library, service: Any, title: str, body: str, *, is_done: bool) -> None:
    kinds = apprise.NotifyType
    services = apprise.Apprise()
    services.add(service)
    if not await services.async_notify(
        title=title,
        body=body,
        body_format=apprise.NotifyFormat.TEXT,
        notify_type=kinds.SUCCESS if is_done else kinds.WARNING,
    ):
        raise unavailable(
            f"{_RECEIVER} did not take the message: check the channel's URL, and the settings of the service"
        )


def _check(url: str, ref: SecretKeyRef) -> str:
    """Return the schema of an allowed URL; raises DeliveryError, whose message repeats nothing of the URL."""
    found = _URL.fullmatch(url)
    schema = found["schema"] if found else ""
    if found is None or schema not in FIXED_HOSTS | TEAMS | set(OWN_HOSTS):
        raise DeliveryError(
            Reason.ENDPOINT_NOT_ALLOWED,
            f"{key_name(ref)} holds no URL of a service that is allowed for Apprise:"
            " docs/webhooks.md lists the allowed services and the beginnings of their URLs",
        )
    _, _, parameters = found["rest"].partition("?")
    for parameter in parameters.split("&") if parameters else ():
        named = _PARAMETER.fullmatch(parameter)
        if named is None or named["name"] not in PARAMETERS:
            raise DeliveryError(
                Reason.ENDPOINT_NOT_ALLOWED,
                f"the URL in {key_name(ref)} has a parameter that is not allowed:"
                " docs/webhooks.md lists the allowed parameters",
            )
    return schema
