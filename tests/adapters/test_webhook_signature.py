"""Signatures, verified in two ways: by the example in docs/webhooks.md, and by an independent implementation here."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import pytest

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.notifiers.http.standard_webhooks import signed_headers, signing_keys
from tests.adapters.sample_messages import alert, failure
from tests.adapters.web_receiver import KEY, OLDER_KEY, SENT, Call, Vault, calling, to_webhook
from tests.conftest import REPOSITORY
from tests.docs.pages import blocks

PAGE = REPOSITORY / "docs/webhooks.md"
SHORT = "whsec_" + base64.b64encode(b"x" * 23).decode()
LONG = "whsec_" + base64.b64encode(b"x" * 65).decode()
OTHER = "whsec_" + base64.b64encode(b"y" * 32).decode()


async def received(signing: str) -> Call:
    async with calling(vault=Vault(signing=signing)) as (notifier, receiver):
        await notifier.notify(to_webhook(), alert())
    return receiver.calls[0]


def lower(call: Call) -> dict[str, str]:
    return {name.lower(): value for name, value in call.headers.items()}


def signed_by(call: Call, secret: str) -> bool:
    """Section "Verifying webhook authenticity" of the specification, with HMAC written out."""
    headers = lower(call)
    key = base64.b64decode(secret[6:]).ljust(64, b"\0")
    text = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + call.body
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + text).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()
    versions = [each.partition(",") for each in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and base64.b64decode(signature) == outer for version, _, signature in versions)


@pytest.fixture
def verify() -> Callable[..., None]:
    """The example in docs/webhooks.md."""
    (code,) = blocks(PAGE, "python")
    names: dict[str, Callable[..., None]] = {}
    exec(code, names)
    return names["verify"]


class TestTheSignature:
    async def test_id_time_and_body(self) -> None:
        """The id is the event's own, and the time is the time of sending in whole seconds."""
        call = await received(KEY)
        headers = lower(call)
        assert headers["webhook-id"] == call.json["id"]
        assert headers["webhook-timestamp"] == str(int(SENT.timestamp()))
        assert signed_by(call, KEY)
        assert not signed_by(call, OTHER)

    async def test_the_vector_of_standard_webhooks(self) -> None:
        """The test vector of Standard Webhooks' own libraries."""
        from datetime import UTC, datetime

        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        keys = signing_keys(secret, SecretKeyRef("hooks", "signing"))
        sent = datetime.fromtimestamp(1614265330, UTC)
        headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", sent, b'{"test": 2432232314}', keys)
        assert headers == {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        }

    async def test_without_a_key_there_is_no_signature(self) -> None:
        """The id is still present."""
        async with calling() as (notifier, receiver):
            await notifier.notify(to_webhook(signed=False), alert())
        headers = lower(receiver.calls[0])
        assert "webhook-signature" not in headers
        assert headers["webhook-id"] == receiver.calls[0].json["id"]

    async def test_with_two_keys_there_are_two_signatures(self) -> None:
        """A receiver that knows one of the keys accepts the call, so keys can be rotated."""
        call = await received(f"{KEY}\n{OLDER_KEY}\n")
        assert signed_by(call, KEY)
        assert signed_by(call, OLDER_KEY)
        assert not signed_by(call, OTHER)
        assert len(lower(call)["webhook-signature"].split(" ")) == 2


class TestTheExampleOfThePage:
    @pytest.mark.parametrize("secret", [KEY, OLDER_KEY])
    async def test_it_accepts_our_calls(self, verify: Callable[..., None], secret: str) -> None:
        """With either key while both are in the Secret."""
        call = await received(f"{OLDER_KEY} {KEY}")
        assert verify(secret, lower(call), call.body, SENT.timestamp() + 1) is None

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda secret, headers, body, now: (secret, headers, body + b" ", now), "another"),
            (lambda secret, headers, body, now: (OTHER, headers, body, now), "another"),
            (lambda secret, headers, body, now: (secret, headers | {"webhook-id": "other"}, body, now), "another"),
            (
                lambda secret, headers, body, now: (
                    secret,
                    headers | {"webhook-timestamp": str(int(now) + 60)},
                    body,
                    now,
                ),
                "another",
            ),
            (lambda secret, headers, body, now: (secret, headers, body, now + 301), "not sent now"),
        ],
        ids=["body", "key", "id", "time", "old"],
    )
    async def test_it_refuses_any_other_call(
        self, verify: Callable[..., None], change: Callable[..., object], words: str
    ) -> None:
        """Not a call with any other part, nor a later replay."""
        call = await received(KEY)
        arguments = change(KEY, lower(call), call.body, SENT.timestamp())
        with pytest.raises(ValueError, match=words):
            verify(*arguments)

    async def test_its_body_has_the_fields_that_we_send(self) -> None:
        """The page has exactly the fields that are sent."""
        (example,) = (json.loads(block) for block in blocks(PAGE, "json"))
        event = (await received(KEY)).json
        assert list(example) == list(event)
        assert list(example["data"]) == list(event["data"])


class TestUnusableKeys:
    @pytest.mark.parametrize(
        "value",
        [
            "",
            "canary-9e1c",
            KEY.removeprefix("whsec_"),
            "whsec_",
            "whsec_not/base64!",
            KEY.rstrip("=") + "*",
            SHORT,
            LONG,
            f"{KEY} canary-9e1c",
            " ".join([KEY] * 6),
            "whsec_" + "é" * 40,
        ],
    )
    async def test_nothing_is_sent(self, value: str) -> None:
        """Not even unsigned, which the receiver would refuse; and the error repeats nothing of the value."""
        async with calling(vault=Vault(signing=value)) as (notifier, receiver):
            error = await failure(notifier, to_webhook())
        assert receiver.calls == []
        assert (error.reason, error.retryable) == (Reason.TOKEN_REJECTED, False)
        assert error.message.startswith("key signing of Secret hooks ")
        assert "canary" not in error.message

    def test_the_message_says_how_to_create_one(self) -> None:
        with pytest.raises(DeliveryError) as raised:
            signing_keys(SHORT, SecretKeyRef("hooks", "signing"))
        assert "24 to 64 random bytes" in raised.value.message

    def test_the_independent_verification_is_correct(self) -> None:
        """The independent verification above is checked against Python's own."""
        key = base64.b64decode(KEY[6:])
        call = Call("POST", "/", {"webhook-id": "a", "webhook-timestamp": "1"}, b"{}")
        signature = base64.b64encode(hmac.new(key, b"a.1.{}", "sha256").digest()).decode()
        assert signed_by(
            Call(call.method, call.path, {**call.headers, "webhook-signature": f"v1,{signature}"}, b"{}"), KEY
        )
