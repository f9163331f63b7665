"""Events from outside, in each state of a request: each has the outcome that the states' table documents.

Never is more than one certificate recorded for a request, and none is handed out that is not recorded.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest
from cryptography import x509

from clientcert.pki.pem import read_blocks
from tests.builders import DAY
from tests.unit.engine import renewal_events as events
from tests.unit.engine.renewal_events import NEXT_CA, SCRIPT, STATES, happens
from tests.unit.engine.renewal_scripts import SCRIPTS, faults
from tests.unit.engine.renewal_world import CERTIFICATE_REQUESTS, World
from tests.unit.renewal.asking import CA

BEFORE = ("Checking", "Waiting", "AwaitingApproval", "Approved")
"""The states in which nothing is signed yet; in Approved the write-ahead is recorded."""
SIGNED = ("Issued", "Delivered")


class Outcome(NamedTuple):
    """The end of a request."""

    state: str
    condition: str
    reason: str
    """Of this condition."""
    certificates: int = 0
    mails: int = 0
    """With the certificate."""


DONE = Outcome("Done", "Stored", "Stored", 1, 1)
REPLACED = Outcome("Done", "Stored", "SourceChanged", 1, 1)
"""Somebody else has replaced the old one in the source, after the new one was signed."""
GONE = Outcome("", "", "")


def refused(reason: str, condition: str = "Accepted") -> Outcome:
    return Outcome("Refused", condition, reason)


def ended(condition: str, reason: str, certificates: int = 0, mails: int = 0) -> Outcome:
    return Outcome("Ended", condition, reason, certificates, mails)


def each(before: Outcome, after: Outcome = DONE, **others: Outcome) -> Mapping[str, Outcome]:
    """The outcome in states before the signature, after it, and where it differs."""
    return dict.fromkeys(BEFORE, before) | dict.fromkeys(SIGNED, after) | others


OUTCOMES: Mapping[Callable[[World], None], Mapping[str, Outcome]] = {
    events.source_replaced: each(
        refused("NotCurrent"),
        REPLACED,
        AwaitingApproval=ended("Issued", "NotCurrent"),
        Approved=ended("Issued", "NotCurrent"),
    ),
    events.new_one_put_by_hand: each(DONE),
    events.ca_rotated_old_in_trust: each(DONE),
    events.ca_rotated: each(refused("NotIssuedByUs")),
    events.ca_away: each(DONE),
    events.other_issuer: each(DONE),
    events.to_cert_manager: each(DONE),
    events.shorter: each(DONE),
    events.renewal_removed: each(DONE),
    events.certificate_deleted: each(
        ended("Accepted", "CertificateGone"),
        AwaitingApproval=ended("Issued", "CertificateGone"),
        Approved=ended("Issued", "CertificateGone"),
        Issued=ended("Delivered", "CertificateGone", 1),
        Delivered=ended("Stored", "CertificateGone", 1, 1),
    ),
    # Before it is accepted, a request is about the name alone.
    events.certificate_recreated: each(
        DONE,
        AwaitingApproval=ended("Issued", "CertificateGone"),
        Approved=ended("Issued", "CertificateGone"),
        Issued=ended("Delivered", "CertificateGone", 1),
        Delivered=ended("Stored", "CertificateGone", 1, 1),
    ),
    events.request_deleted: each(GONE, Issued=GONE._replace(certificates=1), Delivered=Outcome("", "", "", 1, 1)),
    # The second one of this name is another request, and gets a certificate of its own.
    events.request_recreated: each(
        DONE, Issued=DONE._replace(certificates=2), Delivered=DONE._replace(certificates=2, mails=2)
    ),
    events.request_touched: each(DONE),
    events.answers_lost: each(DONE),
    events.no_writes_after_the_mail: each(DONE),
    events.contact_changed: each(
        refused("EmailsChanged"),
        Approved=refused("ContactChanged", "Approved"),
        Issued=Outcome("Issued", "Delivered", "ContactChanged", 1),
    ),
}


def outcome(world: World, condition: str) -> Outcome:
    mailed = sum(bool(mail.attachments) for mail in world.mails)
    return Outcome(world.state, condition, world.conditions.get(condition, ""), len(world.certificates), mailed)


def leaf(world: World) -> x509.Certificate:
    return x509.load_pem_x509_certificate(world.certificates[-1].encode())


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", OUTCOMES, ids=lambda event: event.__name__)
async def test_in_each_state(event: Callable[[World], None], state: str) -> None:
    """It ends as documented, and what is handed out is what is recorded."""
    world, expected = await happens(state, event), OUTCOMES[event][state]
    assert outcome(world, expected.condition) == expected
    recorded = {read_blocks(each.encode())[0].der for each in world.certificates}
    for mail in world.mails:
        files = {file.name: file.content for file in mail.attachments}
        assert not files or read_blocks(files["client.pem"])[0].der in recorded
    if expected == DONE:
        assert faults(world, SCRIPT) == []


@pytest.mark.parametrize("state", BEFORE)
async def test_before_the_signature_the_new_ca_signs(state: str) -> None:
    """The write-ahead for the former one is made anew."""
    for event in (events.ca_rotated_old_in_trust, events.other_issuer):
        world = await happens(state, event)
        leaf(world).verify_directly_issued_by(NEXT_CA.identity.certificate)
        assert len(world.write_aheads) == (2 if state == "Approved" else 1)


@pytest.mark.parametrize("state", SIGNED)
async def test_after_the_signature_the_recorded_one_is_handed_out(state: str) -> None:
    """A new CA, and another validity, are for the next request."""
    for event in (events.ca_rotated_old_in_trust, events.shorter):
        world = await happens(state, event)
        leaf(world).verify_directly_issued_by(CA.identity.certificate)
        assert leaf(world).not_valid_after_utc > world.now() + 300 * DAY


@pytest.mark.parametrize("state", BEFORE)
async def test_before_the_signature_the_policys_validity_counts(state: str) -> None:
    """Also where another one was written ahead."""
    world = await happens(state, events.shorter)
    assert world.now() + 89 * DAY < leaf(world).not_valid_after_utc < world.now() + 90 * DAY


@pytest.mark.parametrize("state", STATES)
async def test_a_deleted_certificate_ends_its_request_at_once(state: str) -> None:
    """Nobody has to decide about it first."""
    world = await happens(state, events.certificate_deleted)
    assert world.before_release == ("" if state == "Checking" else "Approved" if state == "Approved" else "Ended")


async def test_a_policy_without_a_renewal_mails_nothing() -> None:
    """It says no more how the certificate is delivered: `type: None` may have been there."""
    world = await happens("Issued", lambda world: events.renewal_removed(world, for_ever=True))
    assert outcome(world, "Delivered") == Outcome("Issued", "Delivered", "LeftForRetrieval", 1)


async def test_a_request_that_is_known_before_its_certificate() -> None:
    """Each kind has a watch of its own, so its ClientCertificate is asked for before the request ends."""
    world = World(events.BEGINS)
    script = SCRIPTS["public key, CASecret, approved, S3, mail"]
    await world.let_pass(1.0)
    world.process.hides("clientcertificates")
    script.declare(world)
    script.ask(world)
    script.take_part(world)
    await world.run_until(lambda: world.state == "Done" and not world.waits_for)
    await world.stop()
    assert faults(world, script) == []


async def test_an_object_of_cert_manager_that_asks_for_something_else() -> None:
    """The request waits until it is deleted; it is planned anew once in each try, not again and again."""
    world, script = World(events.BEGINS), SCRIPTS["public key, CertManager, S3, mail"]
    script.declare(world)
    script.ask(world)
    script.take_part(world)

    def alter(what: str) -> None:
        if what.startswith("POST") and "certificaterequests" in what:
            planned = world.renewal["issuance"]["requestRef"]["name"]
            world.server.put(f"{CERTIFICATE_REQUESTS}/{planned}", spec={"request": ""}, status={"conditions": []})

    world.before_write = alter
    await world.run_until(lambda: world.conditions.get("Issued") == "IssuanceChanged")
    await world.let_pass(180.0)
    assert (world.state, world.waits_for, world.certificates) == ("Approved", "issuer", [])
    assert len(world.write_aheads) < 20
    world.before_write = lambda _: None
    for path in [each for each in world.server.objects if each.startswith(CERTIFICATE_REQUESTS)]:
        world.server.delete(path)
    await world.run_until(lambda: world.state == "Done")
    await world.stop()
    assert faults(world, script) == []
