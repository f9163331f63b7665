"""The operator's own secrets follow their files; a file that is away for a moment changes nothing."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from clientcert.own_secrets import EVERY_SECONDS, OwnSecrets
from clientcert.settings import load_settings
from tests.mounted_secret import MountedSecret

LOGIN = ("smtp_username", "smtp_password")
CHANNEL = {"CLIENTCERT_SLACK_CHANNEL": "#a"}
CANARIES = ("canary-old", "canary-new")


@pytest.fixture
def mounted(tmp_path: Path) -> MountedSecret:
    found = MountedSecret(tmp_path / "secrets")
    found.swap(slack_token=f"{CANARIES[0]}\n")
    return found


@contextmanager
def followed(environment: Mapping[str, str]) -> Iterator[OwnSecrets]:
    secrets = OwnSecrets(load_settings({}, environment))
    following = asyncio.create_task(secrets.follow())
    try:
        yield secrets
        assert not following.done()
    finally:
        following.cancel()


async def a_while() -> None:
    await asyncio.sleep(EVERY_SECONDS * 1.5)


async def test_a_swapped_link_is_a_new_value(mounted: MountedSecret, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with followed(CHANNEL | mounted.variables("slack_token")) as secrets:
        token = secrets.of("slack_token")
        assert token.value == CANARIES[0]
        mounted.swap(slack_token=f"{CANARIES[1]}\n")
        await a_while()
        assert token.value == secrets.of("slack_token").value == CANARIES[1]
        await a_while()
    assert [record.getMessage() for record in caplog.records if record.name == "clientcert.own_secrets"] == [
        "The file of CLIENTCERT_SLACK_TOKEN_FILE has changed: its new value is used from now on"
    ]
    for canary in CANARIES:
        assert canary not in caplog.text + repr(token) + str(token) + repr(secrets)


@pytest.mark.parametrize("found", [{"slack_token": " \n"}, {"slack_token": b"\xff\xfe"}, {}])
async def test_a_file_that_holds_nothing_keeps_the_last_value(
    mounted: MountedSecret, caplog: pytest.LogCaptureFixture, found: Mapping[str, str | bytes]
) -> None:
    """Empty, not text, or away; said once, and once that it is over."""
    caplog.set_level(logging.INFO)
    with followed(CHANNEL | mounted.variables("slack_token")) as secrets:
        for _ in range(2):
            mounted.swap(**found)
            for _ in range(3):
                await a_while()
            assert secrets.of("slack_token").value == CANARIES[0]
            mounted.swap(slack_token=CANARIES[0])
            await a_while()
    kept = "is empty or cannot be read, so its last value is kept: put the secret there again"
    said = [record.getMessage().removeprefix("The file of CLIENTCERT_SLACK_TOKEN_FILE ") for record in caplog.records]
    assert [each for each in said if each != "holds its last value again"] == [kept, kept]
    assert said.count("holds its last value again") == 2


async def test_settings_without_a_file_stay_as_they_are() -> None:
    with followed(CHANNEL | {"CLIENTCERT_SLACK_TOKEN": "xoxb-1"}) as secrets:
        await a_while()
        assert secrets.of("slack_token").value == "xoxb-1"
        assert not secrets.of("heartbeat_url")


async def test_a_login_changes_as_a_whole(mounted: MountedSecret) -> None:
    """Never the old user name with the new password: some servers lock an account after a few wrong logins."""
    mounted.swap(smtp_username="user 0", smtp_password="password 0")
    with followed(mounted.variables(*LOGIN)) as secrets:
        for number in range(1, 20):
            mounted.swap(smtp_username=f"user {number}", smtp_password=f"password {number}")
            await a_while()
            assert [secrets.of(each).value for each in LOGIN] == [f"user {number}", f"password {number}"]
