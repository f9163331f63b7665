"""No private key, password or token is in any log, status, Event, metric, traceback or message."""

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.control_plane.operators import Operators
from tests.control_plane.team import OUR_KINDS, Team
from tests.scenarios import (
    certificate_policy,
    certificate_store,
    in_secret,
    in_store,
    secret,
    slack_channel,
    slack_webhook,
    store_credentials,
)
from tools.certificates import Issued

PIECE = 12
"""This many characters of a secret in a row are a leak; no other text has them by chance."""


class Canaries:
    """Secrets, and the pieces of text that would reveal each of them."""

    def __init__(self, issued: Issued) -> None:
        self.issued = issued
        self.password = f"pw-{secrets.token_urlsafe(24)}"
        self.token = f"xoxb-{secrets.token_urlsafe(30)}"
        self.secret_key = secrets.token_urlsafe(30)
        self.webhook = f"https://127.0.0.1:1/services/T0/B0/{secrets.token_urlsafe(24)}"
        self.key_pem = issued.private_key_pem.decode()

    def pieces(self) -> Iterator[str]:
        """Every form of the secrets that must not appear: text, hex, numbers, and base64 as in a Secret that
        was read.
        """
        key = self.issued.private_key
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        number = key.private_numbers().private_value
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        secret_part = base64.b64encode(der[: der.index(number.to_bytes(32, "big")) + 32]).decode()[-40:-4]
        plain = (self.password, self.token[5:], self.secret_key, self.webhook.rpartition("/")[2])
        # A PEM has the secret part in two lines; the other lines are the same for every key, or public.
        begins, ends = self.key_pem.index(secret_part[:PIECE]), self.key_pem.index(secret_part[-PIECE:]) + PIECE
        contents = [*(text.encode() for text in plain), number.to_bytes(32, "big")]
        contents.append(self.key_pem[begins:ends].encode())
        in_base64 = (text for content in contents for text in anywhere_in_base64(content))
        for text in (*plain, f"{number:064x}", str(number), secret_part, *in_base64):
            yield from (text[start : start + PIECE] for start in range(len(text) - PIECE + 1))


def anywhere_in_base64(content: bytes) -> Iterator[str]:
    """The part of the content's base64 that does not depend on its neighbours; one for each of the three alignments."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + content).decode()
        yield encoded[4 if before else 0 : (before + len(content)) // 3 * 4]


def declare_everything(team: Team) -> Canaries:
    """Put the key, the token and the passwords into every field that people use for them, right or wrong."""
    canaries = Canaries(team.issue("nhs", days=20))
    pem, key, token = canaries.issued.certificate_pem, canaries.issued.private_key_pem, canaries.token.encode()
    broken_key = key.replace(b"\n", b"", 1)
    contents = {
        "beside-its-key": key + pem,
        "key-only": key,
        "broken-key": broken_key,
        "half-a-key": key[: len(key) // 2],
        "key-as-certificate": key.replace(b"PRIVATE KEY", b"CERTIFICATE"),
        "key-as-der": canaries.issued.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "key-in-json": json.dumps({"key": key.decode(), "token": canaries.token}).encode(),
        "key-with-literal-newlines": key.replace(b"\n", b"\\n"),
        "key-in-utf-16": key.decode().encode("utf-16"),
        "key-as-base64": base64.b64encode(key),
        "token-as-certificate": token,
        "keystore": canaries.issued.pkcs12(canaries.password),
        "open-keystore": canaries.issued.pkcs12(None),
        "java-keystore": canaries.issued.jks(canaries.password),
        "cut-off-keystore": canaries.issued.pkcs12(canaries.password)[:-50],
    }
    for name, content in contents.items():
        team.put(name, content)
        policy = _policy(team, name)
        team.apply(secret(f"{name}-password", right=canaries.password, wrong=f"{canaries.password}!", key=key))
        for way in ("right", "wrong", "key"):
            reference = {"name": f"{name}-password", "key": way}
            source = in_secret(f"{name}-cert", password=reference)
            team.declare(f"{name}-{way}", consumer=team.consumer("nhs"), source=source, policyRef=policy)
        team.declare(name, consumer=team.consumer("nhs"), source=in_secret(f"{name}-cert"), policyRef=policy)
    declare_channels_and_stores(team, canaries)
    return canaries


def _policy(team: Team, name: str) -> dict[str, str]:
    """A policy with its own webhook: in a shared channel, each message would wait for the one before it."""
    hook = secret(f"{name}-hook", url=team.slack.webhook_url("#team"))
    team.apply(hook, certificate_policy(name, slack_webhook("team", f"{name}-hook")))
    return {"name": name}


def declare_channels_and_stores(team: Team, canaries: Canaries) -> None:
    """Tokens that Slack refuses, a private key as a token, invalid webhooks, wrong credentials."""
    team.apply(
        secret("slack", token=canaries.token, url=canaries.webhook),
        secret("wrong", token=canaries.key_pem, url=canaries.token),
        certificate_policy(
            "all",
            slack_channel("token", "#team", "slack"),
            slack_channel("key-as-token", "#team", "wrong"),
            slack_webhook("webhook", "slack"),
            slack_webhook("token-as-webhook", "wrong"),
        ),
        store_credentials("backup-credentials", canaries.token, canaries.secret_key),
        store_credentials("wrong-credentials", canaries.key_pem, canaries.key_pem),
        certificate_store("backup", "backup-bucket", team.slack.url, "backup-credentials"),
        certificate_store("wrong", "backup-bucket", team.slack.url, "wrong-credentials"),
    )
    team.declare("nhs", source=in_secret("beside-its-key-cert"), policyRef={"name": "all"})
    for store in ("backup", "wrong"):
        team.declare(f"in-{store}", consumer=team.consumer("nhs"), source=in_store(store, "nhs/client.pem"))


@contextmanager
def everything_seen(team: Team, operators: Operators) -> Iterator[dict[str, str]]:
    """Every output of the operator, by its kind, after it has reconciled everything."""
    with operators.running(team.namespace, settings={"CLIENTCERT_LOG_LEVEL": "debug"}) as operator:
        operator.settle(reconciles=len(team.items("ClientCertificate")))
        yield {
            "log": operator.process.log_text(),
            "metrics": operator.get("/metrics")[1],
            "statuses": json.dumps([item.get("status") for kind in OUR_KINDS for item in team.items(kind)]),
            "Events": json.dumps(team.items("Event")),
            "Slack": json.dumps([message.payload for message in team.slack.messages]),
        }


def test_no_secret_is_seen_anywhere(team: Team, operators: Operators) -> None:
    """No piece of any secret, although each was read, and most of them were the wrong content."""
    canaries = declare_everything(team)
    with everything_seen(team, operators) as seen:
        leaks = {(where, piece) for where, text in seen.items() for piece in set(canaries.pieces()) if piece in text}
    assert leaks == set()
    assert team.condition("beside-its-key", "Ready") == ("True", "ExpiringSoon")
    assert team.condition("keystore-right", "Ready") == ("True", "ExpiringSoon")
    assert team.condition("key-only", "Ready") == ("False", "PrivateKeyOnly")


@pytest.mark.parametrize("where", ["pem", "hex", "number", "token"])
def test_the_canaries_are_found_where_they_are(where: str, team: Team) -> None:
    """The check itself: a log that contains them is detected."""
    canaries = Canaries(team.issue("nhs", days=20))
    key = canaries.issued.private_key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value
    texts = {"pem": canaries.key_pem.replace("\n", ""), "hex": f"0x{number:x}", "number": repr(number)}
    text = texts.get(where, f"token={canaries.token!r}")
    assert any(piece in text for piece in canaries.pieces())


@pytest.mark.parametrize("before", ["", "-", "--"])
@pytest.mark.parametrize("what", ["pem", "password", "token", "credential", "webhook"])
def test_the_canaries_are_found_in_a_raw_secret(what: str, before: str, team: Team) -> None:
    """In the API server's form: JSON with base64, at any position in the value."""
    canaries = Canaries(team.issue("nhs", days=20))
    texts = {"pem": canaries.key_pem, "password": canaries.password, "token": canaries.token}
    texts |= {"credential": canaries.secret_key, "webhook": canaries.webhook}
    team.apply(secret("raw", value=before + texts[what]))
    raw = json.dumps(team.get("Secret", "raw"))
    assert any(piece in raw for piece in canaries.pieces())
