"""Host certificates of one batch share one letter to their requester, and to nobody else."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.alerting.groups import GROUP_WAIT_SECONDS
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import DAY, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, EngineHarness, until

OPS, DEV = "ops@host.example", "dev@host.example"
HOSTS = ("first", "second", "third")
ELSEWHERE = "another-team"


def requested_by(address: str) -> dict[str, Any]:
    return {"contact": {"requester": {"email": address}}}


def declare(harness: EngineHarness, name: str, days: float, **spec: Any) -> None:
    harness.hand_out(name, days=days, **{"profile": "Host", "batch": "spring"} | spec)


def sent(harness: EngineHarness) -> list[tuple[str, list[str]]]:
    """The recipient of each letter, and the certificates in it."""
    return sorted(
        (letter.recipient.address, [name for name in HOSTS if f"{name} in prod" in str(letter.parts)])
        for letter in harness.mail.letters
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
async def test_each_requester_gets_one_letter_about_their_certificates(
    specs: list[dict[str, Any]], letters: list[tuple[str, list[str]]]
) -> None:
    """A letter lists its requester's certificates in one namespace, whether they are due now or in months."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    harness.policy(CONSUMER, namespace=ELSEWHERE)
    for name, days, spec in zip(HOSTS, (20, 25, 28), specs, strict=True):
        declare(harness, name, days, **spec)
    async with harness.running():
        await until(lambda: len(harness.mail.letters) >= len(letters))
        await harness.until_idle()
    assert sent(harness) == letters


async def test_without_a_requester_each_contact_gets_an_own_letter() -> None:
    """A batch without a requester has no common letter: it would tell one consumer about the others."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    for number, name in enumerate(HOSTS):
        declare(harness, name, 20, contact={"technical": {"email": f"{number}@host.example"}})
    async with harness.running():
        await until(lambda: len(harness.mail.letters) == len(HOSTS))
        await harness.until_idle()
    texts = {letter.recipient.address: str((letter.subject, letter.parts)) for letter in harness.mail.letters}
    assert sorted(texts) == [f"{number}@host.example" for number in range(len(HOSTS))]
    for number, name in enumerate(HOSTS):
        text = texts[f"{number}@host.example"]
        assert [other for other in HOSTS if other in text] == [name]
        assert "spring" not in text


async def test_the_letter_is_sent_although_its_first_certificate_is_deleted() -> None:
    """Its deletion happens during a reconcile, just before the letter; the letter lists the remaining ones."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    for name, days in zip(HOSTS, (20, 25, 200), strict=True):
        declare(harness, name, days, **requested_by(OPS))
    gate = harness.secrets.gates["first"] = asyncio.Event()
    gate.set()
    async with harness.running():
        await until(lambda: harness.groups.waiting == 2)
        gate.clear()
        harness.cache.reread(ObjectKey(NAMESPACE, "first"))
        await until(lambda: harness.queue.depth == 1)
        harness.delete("first")
        gate.set()
        await until(lambda: harness.mail.letters)
        await harness.until_idle()
    assert sent(harness) == [(OPS, ["second", "third"])]


async def test_a_failed_letter_is_no_failure_of_a_certificate_that_is_not_due() -> None:
    """Nothing is due for it yet, so no condition reports a failure, and it is not reconciled again and again."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    for name, days in zip(HOSTS, (20, 200, 300), strict=True):
        declare(harness, name, days, **requested_by(OPS))
    harness.mail.answer = lambda _: DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the requester")
    async with harness.running():
        await until(lambda: harness.condition("first", "AlertsDelivered") == ("False", "RecipientRefused"))
        await harness.until_idle()
        for name in HOSTS[1:]:
            assert not harness.failures(name)
            assert harness.condition(name, "AlertsDelivered") == ("True", "Delivered")
        harness.delete("first")
        await harness.advance(61 * SECOND)
        harness.reconciled.clear()
        await asyncio.sleep(60)
        assert harness.reconciled == []
        await harness.advance(171 * DAY)
        assert harness.condition("second", "AlertsDelivered") == ("False", "RecipientRefused")


async def test_a_later_start_in_the_policy_causes_no_second_letter() -> None:
    """A letter about each certificate would repeat the same hundreds of times."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    for name in HOSTS:
        declare(harness, name, 20, **requested_by(OPS))
    async with harness.running():
        await until(lambda: harness.mail.letters)
        await harness.until_idle()
        harness.policy({**CONSUMER, "startDaysBefore": 25})
        await harness.until_idle()
        await harness.advance(DAY)
    assert sent(harness) == [(OPS, list(HOSTS))]


async def test_the_letter_waits_while_certificates_of_the_batch_are_declared() -> None:
    """One letter is about all, whether they are due now or in months."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    async with harness.running():
        for name, days in zip(HOSTS, (20, 200, 300), strict=True):
            declare(harness, name, days, **requested_by(OPS))
            await asyncio.sleep(
                1.5 * GROUP_WAIT_SECONDS
            )  # longer than the wait of other groups, shorter than that of a batch
        assert harness.mail.letters == []
        await until(lambda: harness.mail.letters)
        await harness.until_idle()
    assert sent(harness) == [(OPS, list(HOSTS))]


async def test_a_renewed_certificate_is_not_in_the_letter() -> None:
    """Otherwise it would be requested again now, and not in its own last month."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    for name, days in zip(HOSTS, (60, 50, 55), strict=True):
        declare(harness, name, days, **requested_by(OPS))
    async with harness.running():
        await harness.until_idle()
        harness.put("second", days=365)
        await harness.until_idle()
        await harness.advance(31 * DAY)
        await until(lambda: harness.mail.letters)
        assert sent(harness) == [(OPS, ["first", "third"])]
        await harness.advance(310 * DAY)
        await until(lambda: len(harness.mail.letters) == 2)
    assert sent(harness) == [(OPS, ["first", "third"]), (OPS, ["second"])]


async def test_a_batch_of_one_certificate_gets_the_usual_letter() -> None:
    harness = EngineHarness()
    harness.policy(CONSUMER)
    declare(harness, "first", 20, **requested_by(OPS))
    async with harness.running():
        await until(lambda: harness.mail.letters)
    [letter] = harness.mail.letters
    assert letter.subject.startswith("Action needed: certificate for first in prod expires on ")


async def test_a_repeat_after_a_crash_is_the_same_letter() -> None:
    """Also if the objects are listed in another order, or expire in the same second."""
    runs = []
    for order in (HOSTS, HOSTS[::-1]):
        harness = EngineHarness()
        harness.policy(CONSUMER)
        if runs:
            harness.secrets.held.update(runs[0].secrets.held)
        for name in order:
            if not runs:
                harness.put(name, days=10)
            harness.declare(name, profile="Host", batch="spring", **requested_by(OPS))
        async with harness.running():
            await until(lambda harness=harness: harness.mail.letters)
        runs.append(harness)
    first, again = (harness.mail.letters[0] for harness in runs)
    assert (first.key, first.thread, first.parts) == (again.key, again.thread, again.parts)


async def test_a_certificate_without_valid_dates_needs_no_letter() -> None:
    """A certificate that was never valid has no date to report, so it is not reconciled again and again."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    harness.put("first", days=20)
    held = harness.secrets.held["first"]
    harness.secrets.held["first"] = replace(held, body=never_valid(held.body))
    harness.declare("first", profile="Host", batch="spring", **requested_by(OPS))
    async with harness.running():
        await until(lambda: harness.reconciled)
        await harness.until_idle()
        reconciles = len(harness.reconciled)
        await asyncio.sleep(8 * GROUP_WAIT_SECONDS)
        assert len(harness.reconciled) == reconciles
    assert harness.mail.letters == []


def never_valid(pem: bytes) -> bytes:
    """The same certificate with notBefore after notAfter; the signature is not checked."""
    found = x509.load_pem_x509_certificate(pem)
    der = found.public_bytes(Encoding.DER)
    dates = found.not_valid_before_utc, found.not_valid_after_utc
    begins, ends = (date.strftime("%y%m%d%H%M%SZ").encode() for date in dates)
    assert (der.count(begins), der.count(ends)) == (1, 1)
    swapped = der.replace(begins, b"*").replace(ends, begins).replace(b"*", ends)
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(swapped) + b"-----END CERTIFICATE-----\n"
