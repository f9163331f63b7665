"""A retirement that cannot be carried out waits, keeps nothing for longer, and is over with the old certificate."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from clientcert.errors import CertificateError, KubeError, Reason, SourceError
from clientcert.lifecycle.renewal.source_problems import NO_CERTIFICATE, UNREADABLE
from tests.builders import DAY, HOUR
from tests.unit.engine.renewal_events import SCRIPT
from tests.unit.engine.renewal_world import POLICY, RENEWAL, STORE_KEY, World
from tests.unit.renewal.asking import CURRENT, ENDS

_BEFORE_ITS_END = 60 * DAY
"""More days than an encrypted key is kept."""
_FORBIDDEN = KubeError(Reason.FORBIDDEN, "no", status=403)


async def announced() -> World:
    """A request that is done, whose old certificate is to be retired within a day."""
    world = World(ENDS - _BEFORE_ITS_END)
    SCRIPT.declare(world)
    renewal = {**world.server.objects[POLICY]["spec"]["renewal"], "opensDaysAfterIssue": 0, "retireAfterDays": 1}
    world.edit(POLICY, renewal=renewal)
    SCRIPT.ask(world)
    world.people.append(world.approve)
    await world.run_until(lambda: world.state == "Done" and not world.waits_for)
    await world.run_until(lambda: world.condition("Retired") == ("False", "Announced"))
    return world


async def after(world: World, moment: timedelta) -> None:
    """So long after the request was made."""
    world.set_clock(ENDS - _BEFORE_ITS_END + moment - world.now())
    await world.let_pass(20.0)


def revocations(world: World) -> list[str]:
    return [path for path in world.server.objects if "certificaterevocations" in path]


def unreadable(reason: Reason) -> Exception:
    kind = SourceError if reason in UNREADABLE | NO_CERTIFICATE else CertificateError
    return kind(reason, "nobody can say what it holds")


def not_bound(world: World) -> None:
    world.refuses = lambda what: _FORBIDDEN if what.startswith("POST") and "certificaterevocations" in what else None


def set_back(world: World) -> None:
    world.put_source(CURRENT.certificate_pem)


def access_denied(world: World) -> None:
    world.unreadable = unreadable(Reason.ACCESS_DENIED)


@pytest.mark.parametrize("obstacle", [not_bound, set_back, access_denied])
async def test_it_keeps_neither_key_nor_record_for_longer(obstacle: Callable[[World], None]) -> None:
    """Nor does it go on for ever: what has ended need not be revoked."""
    world = await announced()
    obstacle(world)
    await after(world, 2 * DAY)
    for moment, ciphertext, reason in (
        (30 * DAY - HOUR, True, world.conditions["Retired"]),
        (30 * DAY + HOUR, False, world.conditions["Retired"]),
        (_BEFORE_ITS_END + HOUR, False, "Ended"),
    ):
        await after(world, moment)
        assert (bool(world.renewal.get("ciphertext")), world.conditions["Retired"]) == (ciphertext, reason)
    world.refuses, world.unreadable = lambda _: None, None
    await after(world, 400 * DAY - HOUR)
    assert (world.condition("Retired"), revocations(world)) == (("True", "Ended"), [])
    await after(world, 400 * DAY + HOUR)
    await world.stop()
    assert RENEWAL not in world.server.objects


@pytest.mark.parametrize(
    "reason",
    [
        Reason.ACCESS_DENIED,
        Reason.CREDENTIALS_INVALID,
        Reason.BUCKET_NOT_FOUND,
        Reason.PASSWORD_INCORRECT,
        Reason.PASSWORD_NOT_FOUND,
        Reason.UNSUPPORTED_FORMAT,
        Reason.INVALID_CERTIFICATE,
        Reason.TOO_LARGE,
    ],
)
async def test_it_waits_while_nobody_can_say_what_is_in_use(reason: Reason) -> None:
    """The source may have been set back to the old certificate, and its consumer is not cut off."""
    world = await announced()
    renewed = world.source
    set_back(world)
    await world.let_pass(10.0)
    world.unreadable = unreadable(reason)
    await after(world, 2 * DAY)
    assert (world.condition("Retired"), revocations(world)) == (("False", "Announced"), [])
    world.unreadable = None
    world.put_source(renewed)
    await after(world, 2 * DAY + 2 * HOUR)
    await world.stop()
    assert (world.condition("Retired"), len(revocations(world))) == (("True", "Retired"), 1)


@pytest.mark.parametrize("content", [None, b"", b"PLACEHOLDER"], ids=["deleted", "empty", "placeholder"])
async def test_a_source_without_a_certificate_does_not_hold_the_old_one(content: bytes | None) -> None:
    world = await announced()
    if content is None:
        del world.bucket[STORE_KEY]
    else:
        world.put_source(content)
    await after(world, 2 * DAY)
    await world.stop()
    assert (world.condition("Retired"), len(revocations(world))) == (("True", "Retired"), 1)


def test_what_could_not_be_read_is_never_taken_for_nothing() -> None:
    assert NO_CERTIFICATE.isdisjoint(UNREADABLE)
