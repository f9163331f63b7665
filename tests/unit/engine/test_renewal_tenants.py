"""People who can edit, or ask, but not approve: nothing of what they do misleads those who approve."""

from base64 import encodebytes
from collections.abc import AsyncIterator, Mapping
from random import Random
from time import thread_time
from typing import Any

import pytest

from clientcert.pki.certificate_fields import public_key_info
from clientcert.pki.key_request import read_request
from clientcert.pki.pem import read_blocks
from clientcert.pki.pem_writer import pem
from clientcert.pki.public_keys import key_hash
from tests.machine_speed import here
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import CERTIFICATE, OURS, POLICY, World
from tests.unit.renewal.asking import CSR, CURRENT, NEW_KEY, csr_pem
from tools.certificates import make_private_key

SCRIPT = SCRIPTS["public key, CASecret, approved, S3, mail"]
FORGED = csr_pem(make_private_key())
"""A CSR by a key that nobody has approved."""
FORGED_KEY, CURRENT_KEY = read_request(FORGED.encode()).key_hash, key_hash(public_key_info(CURRENT.certificate_der))
EVE = {"technical": {"email": "jo@nhs.example"}, "business": {"email": "eve@elsewhere.example"}}
_SOON = 10.0
_ALERTS = 1
"""About the certificate itself, in the team's channel."""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World(BEGINS)
    SCRIPT.declare(found)
    await found.let_pass(_SOON)
    yield found
    await found.stop()


def ask(world: World, name: str, **what: Any) -> str:
    """Make a request; returns its path."""
    path, serial = f"{OURS}/certificaterenewals/{name}", CURRENT.serial_number_hex
    fields = {"certificateRef": {"name": "nhs"}, "serialNumber": serial, "requestedBy": "sam"}
    world.server.put(path, spec={**fields, **what})
    return path


def decide(world: World, path: str, decision: str) -> None:
    hashes = {each: status(world, path).get(each, "") for each in ("keyHash", "recipientHash")}
    world.edit(path, approval={"decision": decision, "by": "alex", **hashes})


def status(world: World, path: str) -> Mapping[str, Any]:
    return world.server.objects[path].get("status") or {}


async def test_a_change_is_not_hidden_by_another_policy(world: World) -> None:
    """Under a policy without a renewal, or a missing one, it stays known what was declared at the first look."""
    world.edit(CERTIFICATE, policyRef={"name": "plain"})
    await world.let_pass(_SOON)
    world.edit(CERTIFICATE, contact=EVE)
    await world.let_pass(_SOON)
    world.edit(CERTIFICATE, policyRef={"name": "team"})
    await world.let_pass(_SOON)
    assert status(world, ask(world, "nhs-1", csr=FORGED)) == {}
    await world.let_pass(_SOON)
    assert (world.state, world.renewal.get("changed")) == ("AwaitingApproval", ["contact"])


@pytest.mark.parametrize("way", ["denied", "open", "refused"])
async def test_a_csr_that_nobody_approved_is_not_reused(world: World, way: str) -> None:
    """Else whoever may ask plants a key, and it is certified with all others the next time that all are renewed."""
    mode = {"mode": "Reissue"} if way == "refused" else {}
    planted = ask(world, "planted", csr=FORGED, **mode)
    await world.let_pass(_SOON)
    if way == "denied":
        decide(world, planted, "Deny")
        await world.let_pass(_SOON)
    expected = {"denied": "Denied", "open": "AwaitingApproval", "refused": "Refused"}
    assert status(world, planted).get("state") == expected[way]
    reused = ask(world, "nhs-1", reuse=True)
    await world.let_pass(_SOON)
    assert status(world, reused)["keyHash"] == CURRENT_KEY != FORGED_KEY


async def test_the_csr_of_the_last_certificate_is_reused(world: World) -> None:
    """A request that was denied since does not take its place."""
    world.edit(POLICY, renewal={**SCRIPT.policy, "opensDaysAfterIssue": 0})
    first = ask(world, "first", csr=CSR)
    await world.let_pass(_SOON)
    decide(world, first, "Approve")
    await world.run_until(lambda: status(world, first).get("state") == "Done")
    serial = status(world, first)["issuance"]["serialNumber"]
    planted = ask(world, "planted", serialNumber=serial, csr=FORGED)
    decide(world, planted, "Deny")
    await world.let_pass(_SOON)
    assert status(world, planted).get("state") == "Denied"
    reused = ask(world, "nhs-1", reuse=True, serialNumber=serial)
    await world.let_pass(_SOON)
    decide(world, reused, "Approve")
    await world.run_until(lambda: status(world, reused).get("state") == "Done")
    assert status(world, reused)["issuance"]["request"] == CSR


async def done(world: World, name: str, **what: Any) -> str:
    """Ask, approve and wait for the end; returns the serial number of the new certificate."""
    path = ask(world, name, **what)
    await world.run_until(lambda: status(world, path).get("state") == "AwaitingApproval")
    decide(world, path, "Approve")
    await world.run_until(lambda: status(world, path).get("state") == "Done")
    return str(status(world, path)["issuance"]["serialNumber"])


@pytest.mark.parametrize("beside", ["", FORGED], ids=["the CSR of an earlier request", "a newer CSR"])
async def test_a_key_that_was_replaced_does_not_come_back(world: World, beside: str) -> None:
    """After a request by public key, the key that the operator made is the one that `reuse` means."""
    world.edit(POLICY, renewal={**SCRIPT.policy, "opensDaysAfterIssue": 0})
    first = await done(world, "first", csr=CSR)
    assert world.bucket["nhs/client.csr"][0] == CSR.encode()
    serial = await done(world, "second", serialNumber=first, **SCRIPT.request())
    if beside:
        world.put_object("nhs/client.csr", beside.encode())
    for name in ("third", "fourth"):
        der = read_blocks(world.source)[0].der
        assert der is not None
        serial = await done(world, name, serialNumber=serial, reuse=True)
        assert status(world, f"{OURS}/certificaterenewals/{name}")["keyHash"] == key_hash(public_key_info(der))


async def test_the_csr_that_the_operator_made_is_reused() -> None:
    """cert-manager signs nothing else, and it is by the current key."""
    world, script = World(BEGINS), SCRIPTS["public key, CertManager, S3, mail"]
    script.declare(world)
    world.edit(POLICY, renewal={**script.policy, "opensDaysAfterIssue": 0})
    script.take_part(world)
    serial = await done(world, "first", **script.request())
    await done(world, "second", serialNumber=serial, reuse=True)
    issuances = [status(world, f"{OURS}/certificaterenewals/{name}")["issuance"] for name in ("first", "second")]
    assert issuances[0]["request"] == issuances[1]["request"]
    await world.stop()


@pytest.mark.parametrize(
    ("field", "label", "content"),
    [
        ("csr", "CERTIFICATE REQUEST", public_key_info(CURRENT.certificate_der)),
        ("csr", "CERTIFICATE REQUEST", CURRENT.certificate_der),
        ("publicKey", "PUBLIC KEY", read_request(CSR.encode()).csr_der),
    ],
    ids=["a public key as CSR", "a certificate as CSR", "a CSR as public key"],
)
async def test_a_field_holds_what_it_is_for(world: World, field: str, label: str, content: bytes) -> None:
    """The schema sees the label alone: else a key is certified that nobody has proved to have."""
    await world.let_pass(_SOON)
    path = ask(world, "nhs-1", **{field: pem(label, content)})
    await world.let_pass(_SOON)
    assert (world.state, world.conditions["Accepted"]) == ("Refused", "NotARequest")
    assert [each["name"] for each in status(world, path)["checks"] if not each["passed"]] == ["PossessionProved"]


async def test_client_csr_holds_a_csr(world: World) -> None:
    """The certificate of anybody, or a public key, is no proof that the consumer has its key."""
    world.put_object("nhs/client.csr", CURRENT.certificate_pem)
    path = ask(world, "nhs-1", reuse=True)
    await world.let_pass(_SOON)
    assert (world.state, world.conditions["Accepted"]) == ("Refused", "NotARequest")
    refused = next(each for each in status(world, path)["checks"] if not each["passed"])
    assert refused["message"].startswith("client.csr beside the source cannot be used: this is a public key or a cert")


async def test_a_later_refusal_does_not_stop_a_reissue() -> None:
    """It needs a vetting since the refusals before it: else whoever may ask stops every one with a wrong request."""
    world = World(BEGINS.replace(hour=23, minute=59))
    SCRIPT.declare(world)
    world.edit(CERTIFICATE, vetting={"date": f"{BEGINS:%Y-%m-%d}", "by": "alex"})
    wrong = ask(world, "wrong", csr=csr_pem(NEW_KEY, subject=(("CN", "another"),)))
    await world.let_pass(_SOON)
    reissue = ask(world, "nhs-1", csr=CSR, mode="Reissue")
    await world.let_pass(120)
    again = ask(world, "wrong-2", csr=csr_pem(NEW_KEY, subject=(("CN", "another"),)))
    await world.let_pass(_SOON)
    assert [status(world, each).get("state") for each in (wrong, again)] == ["Refused", "Refused"]
    decide(world, reissue, "Approve")
    await world.let_pass(_SOON * 2)
    await world.stop()
    assert world.state in {"Issued", "Done"}, (world.state, world.renewal["checks"])


async def test_what_takes_long_to_read_holds_up_nobody(world: World) -> None:
    """A large `client.csr`, and proofs of 64 KiB: whoever may ask, or write the source, chooses their content."""
    noise = Random(1).randbytes(1024 * 1024)
    world.put_object("nhs/client.csr", noise)
    lines = encodebytes((b"BEGIN PRIVATE KEY aaaa " * 2050)[:47_000]).decode()
    cms = f"-----BEGIN CMS-----\n{lines}-----END CMS-----\n"
    before = thread_time()
    asked = [ask(world, f"reuse-{number}", reuse=True) for number in range(2)]
    asked += [ask(world, f"proof-{number}", csr=CSR, proof={"type": "CMS", "cms": cms}) for number in range(4)]
    await world.let_pass(_SOON)
    assert {status(world, each).get("state") for each in asked} == {"Refused"}
    assert thread_time() - before < here(0.8)


def receipts(world: World) -> int:
    return sum(each.notice.startswith("Receipt") for each in world.mails)


async def test_many_requests_about_one_certificate_are_not_all_told(world: World) -> None:
    """The three oldest that wait for approval are; the next one once one of them was decided."""
    asked = [ask(world, f"flood-{number:02}", csr=CSR) for number in range(10)]
    await world.let_pass(6 * _SOON)
    assert {status(world, each).get("state") for each in asked} == {"AwaitingApproval"}
    assert (receipts(world), len(world.posts)) == (3, 3 + _ALERTS)
    decide(world, asked[0], "Deny")
    await world.let_pass(6 * _SOON)
    assert receipts(world) == 4
    decide(world, asked[9], "Approve")
    await world.run_until(lambda: status(world, asked[9]).get("delivery"))
    assert sum(bool(each.attachments) for each in world.mails) == 1
