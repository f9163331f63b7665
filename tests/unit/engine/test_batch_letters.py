"""Host certificates of one batch are one letter to whoever asked for them, and to nobody else."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.alerting.grouping import GROUP_WAIT_SECONDS
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import DAY, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, EngineHarness, until

OPS, DEV = "ops@host.example", "dev@host.example"
HOSTS = ("first", "second", "third")
ELSEWHERE = "another-team"


def requested_by(address: str) -> dict[str, Any]:
    return {"contact": {"requester": {"email": address}}}


def declare(whole: EngineHarness, name: str, days: float, **spec: Any) -> None:
    whole.hand_out(name, days=days, **{"profile": "Host", "batch": "spring"} | spec)


def sent(whole: EngineHarness) -> list[tuple[str, list[str]]]:
    """To whom each letter went, and of which certificates it tells."""
    return sorted(
        (letter.recipient.address, [name for name in HOSTS if f"{name} in prod" in str(letter.parts)])
        for letter in whole.post.letters
    )


@pytest.mark.parametrize(
    ("specs", "letters"),
    [
        pytest.param([requested_by(OPS)] * 3, [(OPS, list(HOSTS))], id="one requester"),
        pytest.param(
            [requested_by(OPS), requested_by(DEV), requested_by(OPS)],
            [(DEV, ["second"]), (OPS, ["first", "third"])],
            id="two requesters",
        ),
        pytest.param(
            [requested_by(OPS), requested_by(OPS) | {"namespace": ELSEWHERE}, requested_by(OPS)],
            [(OPS, ["first", "third"]), (OPS, ["second"])],
            id="two namespaces",
        ),
        pytest.param(
            [requested_by(OPS), requested_by(OPS) | {"batch": "autumn"}, requested_by(OPS) | {"profile": "Client"}],
            [(OPS, ["first"]), (OPS, ["second"])],
            id="two batches, and one of none",
        ),
        pytest.param(
            [
                requested_by(OPS),
                requested_by(OPS) | {"silence": {"until": "2027-06-01T00:00:00Z", "reason": "it goes"}},
                requested_by(OPS),
            ],
            [(OPS, ["first", "third"])],
            id="one silenced",
        ),
    ],
)
async def test_who_reads_of_what(specs: list[dict[str, Any]], letters: list[tuple[str, list[str]]]) -> None:
    """A letter tells its requester of what they asked for, in one namespace; whether it is due now or in months."""
    whole = EngineHarness()
    whole.policy(CONSUMER)
    whole.policy(CONSUMER, namespace=ELSEWHERE)
    for name, days, spec in zip(HOSTS, (20, 25, 28), specs, strict=True):
        declare(whole, name, days, **spec)
    async with whole.running():
        await until(lambda: len(whole.post.letters) >= len(letters))
        await whole.quiet()
    assert sent(whole) == letters


async def test_where_nobody_has_asked_each_contact_reads_of_their_own() -> None:
    """A batch without a requester is no letter for all: it would tell one consumer of the others'."""
    whole = EngineHarness()
    whole.policy(CONSUMER)
    for number, name in enumerate(HOSTS):
        declare(whole, name, 20, contact={"technical": {"email": f"{number}@host.example"}})
    async with whole.running():
        await until(lambda: len(whole.post.letters) == len(HOSTS))
        await whole.quiet()
    told = {letter.recipient.address: str((letter.subject, letter.parts)) for letter in whole.post.letters}
    assert sorted(told) == [f"{number}@host.example" for number in range(len(HOSTS))]
    for number, name in enumerate(HOSTS):
        text = told[f"{number}@host.example"]
        assert [other for other in HOSTS if other in text] == [name]
        assert "spring" not in text


async def test_the_letter_comes_also_when_the_first_that_is_due_is_deleted() -> None:
    """While it is being reconciled just before the letter; the letter is about all that are left."""
    whole = EngineHarness()
    whole.policy(CONSUMER)
    for name, days in zip(HOSTS, (20, 25, 200), strict=True):
        declare(whole, name, days, **requested_by(OPS))
    gate = whole.secrets.gates["first"] = asyncio.Event()
    gate.set()
    async with whole.running():
        await until(lambda: whole.groups.waiting == 2)
        gate.clear()
        whole.cache.reread(ObjectKey(NAMESPACE, "first"))
        await until(lambda: whole.queue.depth == 1)
        whole.delete("first")
        gate.set()
        await until(lambda: whole.post.letters)
        await whole.quiet()
    assert sent(whole) == [(OPS, ["second", "third"])]


async def test_what_is_not_due_has_not_failed_when_the_letter_has() -> None:
    """It owes nothing yet: no condition of it says otherwise, and it is not looked at for that again and again."""
    whole = EngineHarness()
    whole.policy(CONSUMER)
    for name, days in zip(HOSTS, (20, 200, 300), strict=True):
        declare(whole, name, days, **requested_by(OPS))
    whole.post.answer = lambda _: DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the requester")
    async with whole.running():
        await until(lambda: whole.condition("first", "AlertsDelivered") == ("False", "RecipientRefused"))
        await whole.quiet()
        for name in HOSTS[1:]:
            assert not whole.failures(name)
            assert whole.condition(name, "AlertsDelivered") == ("True", "Delivered")
        whole.delete("first")
        await whole.later(61 * SECOND)
        whole.reconciled.clear()
        await asyncio.sleep(60)
        assert whole.reconciled == []
        await whole.later(171 * DAY)
        assert whole.condition("second", "AlertsDelivered") == ("False", "RecipientRefused")


async def test_there_is_no_other_letter_when_the_policy_begins_later() -> None:
    """A letter about each would be the same hundreds of times."""
    whole = EngineHarness()
    whole.policy(CONSUMER)
    for name in HOSTS:
        declare(whole, name, 20, **requested_by(OPS))
    async with whole.running():
        await until(lambda: whole.post.letters)
        await whole.quiet()
        whole.policy({**CONSUMER, "startDaysBefore": 25})
        await whole.quiet()
        await whole.later(DAY)
    assert sent(whole) == [(OPS, list(HOSTS))]


async def test_it_waits_for_those_that_are_declared_one_after_the_other() -> None:
    """Whether they are due now or in months: one letter is about all."""
    whole = EngineHarness()
    whole.policy(CONSUMER)
    async with whole.running():
        for name, days in zip(HOSTS, (20, 200, 300), strict=True):
            declare(whole, name, days, **requested_by(OPS))
            await asyncio.sleep(1.5 * GROUP_WAIT_SECONDS)  # longer than others wait, and not as long as a batch does
        assert whole.post.letters == []
        await until(lambda: whole.post.letters)
        await whole.quiet()
    assert sent(whole) == [(OPS, list(HOSTS))]


async def test_whoever_has_a_new_certificate_is_not_in_it() -> None:
    """It would be asked for once more, and not when its own last month comes."""
    whole = EngineHarness()
    whole.policy(CONSUMER)
    for name, days in zip(HOSTS, (60, 50, 55), strict=True):
        declare(whole, name, days, **requested_by(OPS))
    async with whole.running():
        await whole.quiet()
        whole.put("second", days=365)
        await whole.quiet()
        await whole.later(31 * DAY)
        await until(lambda: whole.post.letters)
        assert sent(whole) == [(OPS, ["first", "third"])]
        await whole.later(310 * DAY)
        await until(lambda: len(whole.post.letters) == 2)
    assert sent(whole) == [(OPS, ["first", "third"]), (OPS, ["second"])]


async def test_of_one_alone_it_is_a_letter_as_any_other() -> None:
    whole = EngineHarness()
    whole.policy(CONSUMER)
    declare(whole, "first", 20, **requested_by(OPS))
    async with whole.running():
        await until(lambda: whole.post.letters)
    [letter] = whole.post.letters
    assert letter.subject.startswith("Action needed: certificate for first in prod expires on ")


async def test_a_repeat_after_a_crash_is_the_same_letter() -> None:
    """In whatever order the objects are listed, also where they end in the same second."""
    lives = []
    for order in (HOSTS, HOSTS[::-1]):
        whole = EngineHarness()
        whole.policy(CONSUMER)
        if lives:
            whole.secrets.held.update(lives[0].secrets.held)
        for name in order:
            if not lives:
                whole.put(name, days=10)
            whole.declare(name, profile="Host", batch="spring", **requested_by(OPS))
        async with whole.running():
            await until(lambda whole=whole: whole.post.letters)
        lives.append(whole)
    first, again = (whole.post.letters[0] for whole in lives)
    assert (first.key, first.thread, first.parts) == (again.key, again.thread, again.parts)


async def test_one_that_no_letter_can_be_about_is_done_with() -> None:
    """Not looked at again and again: a certificate that never was valid has no date that could be told."""
    whole = EngineHarness()
    whole.policy(CONSUMER)
    whole.put("first", days=20)
    held = whole.secrets.held["first"]
    whole.secrets.held["first"] = replace(held, body=never_valid(held.body))
    whole.declare("first", profile="Host", batch="spring", **requested_by(OPS))
    async with whole.running():
        await until(lambda: whole.reconciled)
        await whole.quiet()
        looks = len(whole.reconciled)
        await asyncio.sleep(8 * GROUP_WAIT_SECONDS)
        assert len(whole.reconciled) == looks
    assert whole.post.letters == []


def never_valid(pem: bytes) -> bytes:
    """The same certificate, whose notBefore is made later than its notAfter; nobody looks at the signature."""
    found = x509.load_pem_x509_certificate(pem)
    der = found.public_bytes(Encoding.DER)
    dates = found.not_valid_before_utc, found.not_valid_after_utc
    begins, ends = (date.strftime("%y%m%d%H%M%SZ").encode() for date in dates)
    assert (der.count(begins), der.count(ends)) == (1, 1)
    swapped = der.replace(begins, b"*").replace(ends, begins).replace(b"*", ends)
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(swapped) + b"-----END CERTIFICATE-----\n"
