"""The whole path counts: alerts follow the certificate of the chain that ends first, and end when it is renewed."""

from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from tests.builders import CREATED, DAY, HOUR, NOW
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness
from tools.certificates import CertificateAuthority, make_private_key

ROOT, KEY = CertificateAuthority.create("Root CA"), make_private_key("ec")


class Chain:
    """A leaf and its issuing CA, whose certificate can be renewed with the same key."""

    def __init__(self, *, leaf: float, issuer: float) -> None:
        """Days that are left."""
        self.issuing = ROOT.intermediate("Issuing CA", not_before=CREATED, not_after=_in(issuer))
        self.leaf = self.issuing.issue("nhs", CREATED, _in(leaf), private_key=KEY)

    def renew_leaf(self, days: float) -> None:
        self.leaf = self.issuing.issue("nhs", CREATED, _in(days), private_key=KEY)

    def renew_issuer(self, days: float) -> None:
        """The same name and key, another certificate."""
        key = self.issuing.identity.private_key
        renewed = ROOT.intermediate("Issuing CA", not_before=CREATED, not_after=_in(days), private_key=key)
        self.issuing = renewed

    @property
    def pem(self) -> bytes:
        return self.leaf.certificate_pem + self.issuing.identity.certificate.public_bytes(Encoding.PEM)

    @property
    def leaf_alone(self) -> bytes:
        return self.leaf.certificate_pem


def _in(days: float) -> datetime:
    return NOW + days * DAY + HOUR


async def handed_out(harness: EngineHarness, chain: Chain, content: bytes | None = None) -> None:
    harness.put_pem("nhs", content or chain.pem)
    harness.declare("nhs")
    await harness.until_idle()


async def put(harness: EngineHarness, content: bytes) -> None:
    harness.put_pem("nhs", content)
    await harness.until_idle()


def told(harness: EngineHarness) -> tuple[str, int | None, str]:
    """The last message to the team's channel: its certificate, stage, and the leaf if that is another."""
    [entry] = [each for each in harness.record("nhs").status.channels if each.name == "team"]
    return entry.fingerprint_sha256, entry.stage, entry.leaf_fingerprint_sha256


def texts(harness: EngineHarness) -> list[str]:
    """The sentences in the Events, oldest first; they are those of the team's channel."""
    return [event["message"] for event in harness.api.created]


def watched() -> EngineHarness:
    made = EngineHarness()
    made.policy(TEAM)
    return made


def status(harness: EngineHarness) -> dict[str, Any]:
    return harness.api.statuses[-1][1]


async def test_an_issuer_that_ends_first_is_alerted_about_and_closed() -> None:
    """Watched, alerted, repaired, closed: the leaf is the same all the time."""
    harness = watched()
    chain = Chain(leaf=300, issuer=5)
    async with harness.running():
        await handed_out(harness, chain)
        assert told(harness) == (chain.issuing.identity.fingerprint_sha256, 6, chain.leaf.fingerprint_sha256)
        written = status(harness)
        assert (written["phase"], written["daysRemaining"]) == ("ExpiringSoon", 5)
        assert written["certificate"]["notAfter"] == f"{chain.leaf.not_after:%Y-%m-%dT%H:%M:%SZ}"
        assert written["expires"] == {
            "time": f"{chain.issuing.identity.not_after:%Y-%m-%dT%H:%M:%SZ}",
            "subjectDN": "CN=Issuing CA",
            "serialNumber": chain.issuing.identity.serial_number_hex,
            "fingerprintSHA256": chain.issuing.identity.fingerprint_sha256,
        }
        assert "its issuing certificate Issuing CA, in the same file, ends first" in texts(harness)[-1]
        chain.renew_issuer(900)
        await put(harness, chain.pem)
        assert told(harness) == (chain.leaf.fingerprint_sha256, None, "")
        written = status(harness)
        assert (written["phase"], written["daysRemaining"], written["history"]) == ("Valid", 300, None)
        assert written["expires"]["fingerprintSHA256"] == chain.leaf.fingerprint_sha256
        assert any("has a new chain, valid until" in text for text in texts(harness))
        assert len(harness.slack.notified) == 2
        await harness.advance(30 * DAY)
        assert len(harness.slack.notified) == 2


class Pair:
    """Two certificates of one consumer with keys of two algorithms; both may be in use."""

    def __init__(self) -> None:
        self.leaf = ROOT.issue("nhs", CREATED, _in(300))
        self.other = ROOT.issue("nhs", CREATED - DAY, _in(5), key="rsa")

    @property
    def pem(self) -> bytes:
        return b"".join(each.certificate_pem + each.private_key_pem for each in (self.leaf, self.other))


NO_LONGER = (
    "does not depend on its other certificate any more: that was renewed or removed, or has expired. "
    "Check that nhs does not use that one."
)


async def test_another_certificate_in_use_that_ends_first() -> None:
    """It is alerted about; its removal is closed, with words about it."""
    harness, pair = watched(), Pair()
    async with harness.running():
        harness.put_pem("nhs", pair.pem)
        harness.declare("nhs")
        await harness.until_idle()
        assert told(harness) == (pair.other.fingerprint_sha256, 6, pair.leaf.fingerprint_sha256)
        assert (status(harness)["phase"], status(harness)["daysRemaining"]) == ("ExpiringSoon", 5)
        assert f"its other certificate with serial number {pair.other.serial_number_hex}" in texts(harness)[-1]
        await put(harness, pair.leaf.certificate_pem)
        assert told(harness) == (pair.leaf.fingerprint_sha256, None, "")
        assert (status(harness)["phase"], status(harness)["daysRemaining"]) == ("Valid", 300)
        assert any(NO_LONGER in text for text in texts(harness))
        assert not any("new chain" in text for text in texts(harness))


async def test_another_certificate_in_use_that_expires() -> None:
    """From then on it does not count. The source is read again without a change of the Secret."""
    harness, pair = watched(), Pair()
    async with harness.running():
        harness.put_pem("nhs", pair.pem)
        harness.declare("nhs")
        await harness.until_idle()
        await harness.advance(5 * DAY)
        assert status(harness)["phase"] == "ExpiringSoon"
        await harness.advance(2 * HOUR)
        assert status(harness)["phase"] == "Valid"
        assert status(harness)["certificate"]["serialNumber"] == pair.leaf.serial_number_hex
        assert any(NO_LONGER in text for text in texts(harness))


async def test_a_restart_says_nothing_again() -> None:
    """The record in the status is enough, before and after the repair."""
    harness = watched()
    chain = Chain(leaf=300, issuer=5)
    async with harness.running():
        await handed_out(harness, chain)
        for _ in range(2):
            before = len(harness.api.statuses), len(harness.slack.notified)
            harness.reload("nhs")
            await harness.until_idle()
            assert (len(harness.api.statuses), len(harness.slack.notified)) == before
            chain.renew_issuer(900)
            await put(harness, chain.pem)


async def test_a_chain_that_becomes_worse_is_no_closing_message() -> None:
    """The team knows the leaf's date; a chain that ends before it is added: its date is told at once."""
    harness = watched()
    chain = Chain(leaf=20, issuer=5)
    async with harness.running():
        await handed_out(harness, chain, chain.leaf_alone)
        assert told(harness)[:2] == (chain.leaf.fingerprint_sha256, 21)
        await put(harness, chain.pem)
        assert told(harness) == (chain.issuing.identity.fingerprint_sha256, 6, chain.leaf.fingerprint_sha256)
        assert len(harness.slack.notified) == 2
        assert not any("new chain" in text for text in texts(harness))
        chain.renew_issuer(900)
        await put(harness, chain.pem)
        assert told(harness)[:2] == (chain.leaf.fingerprint_sha256, 21)  # closed, and the leaf's own date is near
        assert len(harness.slack.notified) == 4
        assert any("has a new chain" in text for text in texts(harness))


async def test_an_expired_issuer_that_is_added_later() -> None:
    """Under a leaf that nobody was told about."""
    harness = watched()
    chain = Chain(leaf=300, issuer=-2)
    async with harness.running():
        await handed_out(harness, chain, chain.leaf_alone)
        assert harness.slack.notified == []
        await put(harness, chain.pem)
        assert status(harness)["phase"] == "Expired"
        assert harness.condition("nhs", "Ready") == ("False", "Expired")
        assert told(harness)[:2] == (chain.issuing.identity.fingerprint_sha256, -2)
        assert "stopped working on 2026-11-20" in texts(harness)[-1]


async def test_leaf_and_chain_change_at_once() -> None:
    """One closing message, about the new certificate; the old one is in the history."""
    harness = watched()
    chain = Chain(leaf=300, issuer=5)
    old = chain.leaf
    async with harness.running():
        await handed_out(harness, chain)
        chain.renew_issuer(900)
        chain.renew_leaf(365)
        await put(harness, chain.pem)
        assert told(harness) == (chain.leaf.fingerprint_sha256, None, "")
        assert len(harness.slack.notified) == 2
        words = f"was replaced by serial number {chain.leaf.serial_number_hex}, valid until"
        assert any(words in text for text in texts(harness))
        assert [each["serialNumber"] for each in status(harness)["history"]] == [old.serial_number_hex]


async def test_a_new_leaf_below_the_same_issuer_closes_nothing() -> None:
    """The trouble is the issuer, which is still there: its alerts continue, and the replacement is recorded."""
    harness = watched()
    chain = Chain(leaf=300, issuer=5)
    async with harness.running():
        await handed_out(harness, chain)
        chain.renew_leaf(365)
        await put(harness, chain.pem)
        assert told(harness)[:2] == (chain.issuing.identity.fingerprint_sha256, 6)
        assert len(harness.slack.notified) == 1
        assert status(harness)["certificate"]["serialNumber"] == chain.leaf.serial_number_hex
        assert len(status(harness)["history"]) == 1
        await harness.advance(DAY)
        assert told(harness)[1:] == (5, chain.leaf.fingerprint_sha256)
        chain.renew_issuer(900)
        await put(harness, chain.pem)
        assert told(harness) == (chain.leaf.fingerprint_sha256, None, "")


async def test_a_new_leaf_below_an_issuer_that_ends_first() -> None:
    """The alerts about the old leaf are closed, with the date that counts; those about the issuer begin."""
    harness = watched()
    chain = Chain(leaf=3, issuer=10)
    async with harness.running():
        await handed_out(harness, chain)
        assert told(harness)[:2] == (chain.leaf.fingerprint_sha256, 4)
        chain.renew_leaf(365)
        await put(harness, chain.pem)
        assert told(harness)[:2] == (chain.issuing.identity.fingerprint_sha256, 11)
        assert len(harness.slack.notified) == 3
        assert any("valid until 2026-12-02, the end of its issuing certificate" in text for text in texts(harness))


async def test_a_new_leaf_below_an_expired_issuer_is_no_replacement() -> None:
    """It cannot be used (rule 5): the alerts about the old one continue, and a condition says what to fix."""
    harness = watched()
    chain, broken = Chain(leaf=3, issuer=900), Chain(leaf=365, issuer=-1)
    async with harness.running():
        await handed_out(harness, chain)
        await put(harness, broken.pem)
        assert harness.condition("nhs", "Ready") == ("False", "Expired")
        assert status(harness)["certificate"]["fingerprintSHA256"] == chain.leaf.fingerprint_sha256
        assert told(harness)[:2] == (chain.leaf.fingerprint_sha256, 4)
        broken.renew_issuer(900)
        await put(harness, broken.pem)
        assert told(harness) == (broken.leaf.fingerprint_sha256, None, "")


async def test_stages_and_days_follow_the_issuer() -> None:
    """Every day, before and after it has expired, until it is renewed."""
    harness = watched()
    chain = Chain(leaf=300, issuer=2)
    async with harness.running():
        await handed_out(harness, chain)
        days = []
        for _ in range(4):
            days.append((told(harness)[1], status(harness)["daysRemaining"], status(harness)["phase"]))
            await harness.advance(DAY)
        assert days == [(3, 2, "ExpiringSoon"), (2, 1, "ExpiringSoon"), (0, 0, "ExpiringSoon"), (-1, -1, "Expired")]


async def test_the_letters_ask_for_no_new_key() -> None:
    """The consumer needs a new intermediate; the closing letter says that it is there."""
    harness = watched()
    harness.policy(TEAM, CONSUMER)
    chain = Chain(leaf=300, issuer=5)
    async with harness.running():
        await handed_out(harness, chain)
        chain.renew_issuer(900)
        await put(harness, chain.pem)
    alert, closing = (" ".join(part.text for part in letter.parts) for letter in harness.mail.letters)
    assert "openssl" not in alert
    assert "its issuing certificate Issuing CA, which ends first" in alert
    assert "You need no new key" in alert
    assert "has a new chain, valid until 2027-09-18" in closing


async def test_many_certificates_of_one_issuer_are_one_digest() -> None:
    """All of them end with their issuer."""
    harness = watched()
    chain = Chain(leaf=300, issuer=5)
    async with harness.running():
        for number in range(25):
            name = f"c{number:02d}"
            leaf = chain.issuing.issue(name, CREATED, _in(300), private_key=KEY)
            harness.put_pem(name, leaf.certificate_pem + chain.issuing.identity.certificate_pem)
            harness.declare(name)
        await harness.until_idle()
        await harness.let_pass(timedelta(minutes=2))
    [digest] = harness.slack.notified
    assert len(digest) == 25
    again = len(harness.slack.notified)
    async with harness.running():
        for number in range(25):
            harness.reload(f"c{number:02d}")
        await harness.until_idle()
    assert len(harness.slack.notified) == again
