"""Slack bot tokens: the operator's own, and those in Secrets of namespaces.

    tokens = SlackTokens(own_token, own_namespaces, read_secret)
    token = await tokens.read(namespace, token_ref)

An error never repeats a token.
"""

import re

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.notifiers.secret_value import ReadSecret, key_name, secret_value
from clientcert.notifiers.slack.web_api import SLACK
from clientcert.own_secrets import OwnSecret

OWN_TOKEN = "the operator's setting CLIENTCERT_SLACK_TOKEN"  # noqa: S105

_TOKEN = re.compile(r"[!-~]{1,1024}")


class SlackTokens:
    """The bot token of a namespace, or the operator's own if the settings allow that."""

    def __init__(self, own_token: OwnSecret, own_namespaces: frozenset[str], read_secret: ReadSecret) -> None:
        """The operator's own token may look up and write to the contacts of `own_namespaces` only."""
        self._own_token = own_token
        self._own_namespaces = own_namespaces
        self._read_secret = read_secret

    def __repr__(self) -> str:
        return f"SlackTokens({sorted(self._own_namespaces)})"

    def check(self, namespace: str, ref: SecretKeyRef | None) -> None:
        """Raise DeliveryError if the namespace needs a token of its own and names none."""
        if ref is None and namespace not in self._own_namespaces:
            raise DeliveryError(
                Reason.CHANNEL_NOT_ALLOWED,
                "the operator's own Slack token does not serve contacts of this namespace: name a token of your own in"
                " spec.contacts.slackTokenSecretRef of the CertificatePolicy, or have the operator's setting"
                " CLIENTCERT_SLACK_NAMESPACES list the namespace",
            )

    async def read(self, namespace: str, ref: SecretKeyRef | None) -> str:
        """Read the token. Raises DeliveryError, whose message never repeats an invalid token."""
        self.check(namespace, ref)
        if ref is not None:
            return await read_token(self._read_secret, namespace, ref)
        if not self._own_token:
            raise DeliveryError(
                Reason.TOKEN_NOT_FOUND,
                "the operator has no Slack token: name a token of your own in spec.contacts.slackTokenSecretRef of the"
                " CertificatePolicy, or set CLIENTCERT_SLACK_TOKEN",
            )
        return own_token(self._own_token)


def own_token(secret: OwnSecret) -> str:
    """The operator's own token. Raises DeliveryError."""
    token = secret.value
    check_token(token, OWN_TOKEN)
    return token


async def read_token(read_secret: ReadSecret, namespace: str, ref: SecretKeyRef) -> str:
    """Read a bot token from a Secret. Raises DeliveryError."""
    token = await secret_value(read_secret, SLACK, namespace, ref)
    check_token(token, key_name(ref))
    return token


def check_token(token: str, name: str) -> None:
    """Raise DeliveryError for a text that cannot be in a header; it is not repeated, as it may be another secret."""
    if not _TOKEN.fullmatch(token):
        raise DeliveryError(
            Reason.TOKEN_REJECTED, f"{name} holds no Slack token: put the bot token there, which begins with xoxb-"
        )
