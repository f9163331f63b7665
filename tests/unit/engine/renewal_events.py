"""The events that a request may meet from outside, and the ways to hold it in each state until then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clientcert.errors import DeliveryError, KubeError, Reason, SourceError
from tests.builders import DAY
from tests.unit.engine.renewal_scripts import BEGINS, CA_SECRET, CERT_MANAGER, SCRIPTS, SMALL_KEY, CertManager
from tests.unit.engine.renewal_world import CERTIFICATE, CORE, POLICY, RENEWAL, World
from tests.unit.renewal.asking import CA, ENDS, issue
from tools.certificates import CertificateAuthority

SCRIPT = SCRIPTS["public key, CASecret, approved, S3, mail"]
NEXT_CA = CertificateAuthority.create("Next CA", organization="Example")
ANOTHER = issue(not_after=ENDS + 300 * DAY)
"""A certificate of the same consumer that somebody else has issued."""
TRUST = [{"name": "former-ca", "key": "tls.crt"}]
AWAY_SECONDS = 300
_SETTLED_SECONDS = 200.0
"""Longer than anything is retried after."""
_CA = f"{CORE}/secrets/client-ca"
_WRITE = f"PATCH {RENEWAL}/status"


# What happens.


def source_replaced(world: World) -> None:
    world.put_source(ANOTHER.certificate_pem)


def new_one_put_by_hand(world: World) -> None:
    """With `clientcert retrieve`."""
    if world.renewal.get("certificate"):
        world.put_source(world.renewal["certificate"].encode())


def rotate(world: World, authority: CertificateAuthority = NEXT_CA, name: str = "client-ca") -> None:
    pair = authority.identity
    world.put_secret(name, {"issuer": "allowed"}, tls_crt=pair.certificate_pem, tls_key=pair.private_key_pem)


def trust_the_former(world: World) -> None:
    world.put_secret("former-ca", {"issuer": "allowed"}, tls_crt=CA.identity.certificate_pem)
    world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], "trust": TRUST})


def ca_rotated_old_in_trust(world: World) -> None:
    trust_the_former(world)
    rotate(world)


def ca_rotated(world: World) -> None:
    rotate(world)


def other_issuer(world: World) -> None:
    """Another CA's Secret; the former one is in trust."""
    rotate(world, name="next-ca")
    trust_the_former(world)
    issuer = {"type": "CASecret", "caSecret": {"name": "next-ca"}}
    world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], "issuer": issuer})


def to_cert_manager(world: World) -> None:
    """The same CA, through cert-manager."""
    world.people.append(CertManager(world))
    world.edit(POLICY, renewal={**SMALL_KEY, **CERT_MANAGER})


def shorter(world: World) -> None:
    """Of certificates that are issued from now on."""
    world.edit(POLICY, renewal={**SMALL_KEY, **CA_SECRET, "validityDays": 90})


def renewal_removed(world: World, *, for_ever: bool = False) -> None:
    """For five minutes."""
    before = world.server.objects[POLICY]["spec"]["renewal"]
    world.edit(POLICY, renewal=None)
    if for_ever:
        return
    world.comes_back(AWAY_SECONDS, lambda: world.edit(POLICY, renewal=before))


def ca_away(world: World) -> None:
    """For five minutes."""
    labels, data = world.server.objects[_CA]["metadata"].get("labels"), world.server.objects[_CA]["data"]
    world.server.delete(_CA)

    def back() -> None:
        world.server.put(_CA, data=data)
        world.server.objects[_CA]["metadata"]["labels"] = labels or {"clientcert.dev/issuer": "allowed"}
        world.touch(_CA)

    world.comes_back(AWAY_SECONDS, back)


def certificate_deleted(world: World) -> None:
    world.server.delete(CERTIFICATE)


def certificate_recreated(world: World) -> None:
    spec = world.server.objects[CERTIFICATE]["spec"]
    world.server.delete(CERTIFICATE)
    world.server.put(CERTIFICATE, spec=spec)


def request_deleted(world: World) -> None:
    world.server.delete(RENEWAL)


def request_recreated(world: World) -> None:
    world.server.delete(RENEWAL)
    SCRIPT.ask(world)


def request_touched(world: World) -> None:
    """Each write of its status meets another version, once for each write."""
    touched = set[str]()

    def touch(what: str) -> None:
        version = world.server.objects.get(RENEWAL, {}).get("status")
        if what == _WRITE and str(version) not in touched:
            touched.add(str(version))
            world.touch(RENEWAL)

    world.before_write = touch


def answers_lost(world: World) -> None:
    """The answer to each write of its status is lost, once for each state of the request."""
    lost = set[str]()

    def lose(what: str) -> Exception | None:
        status = str(world.renewal)
        if what != _WRITE or status in lost:
            return None
        lost.add(status)
        return KubeError(Reason.API_UNAVAILABLE, "no answer", retryable=True)

    world.loses_answer = lose


def no_writes_after_the_mail(world: World) -> None:
    """For a minute after the certificate was mailed, the API server takes no status; the next try may be later."""
    refused_before, mailed = world.refuses, list[float]()
    away = KubeError(Reason.API_UNAVAILABLE, "no answer", status=503, retryable=True)
    world.away_seconds = AWAY_SECONDS

    def refuse(what: str) -> Exception | None:
        if any(mail.attachments for mail in world.mails):
            mailed.append(world.now().timestamp())
        if what == _WRITE and mailed and mailed[-1] - mailed[0] < 60:
            return away
        return refused_before(what)

    world.refuses = refuse


def contact_changed(world: World) -> None:
    world.edit(CERTIFICATE, contact={"technical": {"email": "kim@nhs.example"}})


# When it happens.


@dataclass(frozen=True)
class Held:
    """A request that is held in one state."""

    begin: Callable[[World], None]
    """Before it is made."""
    reached: Callable[[World], bool]
    release: Callable[[World], None]
    """Let it go on; what happens is between."""


def _nothing(_: World) -> None:
    pass


def _unlabelled(world: World) -> None:
    world.server.label(_CA)


def _labelled(world: World) -> None:
    if _CA in world.server.objects:
        world.server.label(_CA, issuer="allowed")
        world.touch(_CA)


def _refusing(part: str, error: Exception, when: Callable[[World], bool] = lambda _: True) -> Callable[[World], None]:
    def begin(world: World) -> None:
        world.people.append(world.approve)
        world.held = True
        world.refuses = lambda what: error if world.held and part in what and when(world) else None

    return begin


def _works(world: World) -> None:
    world.held = False


def _asks_people(world: World) -> None:
    world.people.append(world.approve)


def _is_planned(world: World) -> bool:
    return "issuance" in world.renewal and "certificate" not in world.renewal


def _labelled_and_asks(world: World) -> None:
    _labelled(world)
    _asks_people(world)


STATES: Mapping[str, Held] = {
    "Checking": Held(_nothing, lambda world: not world.processes, _asks_people),
    "Waiting": Held(_unlabelled, lambda world: world.state == "Waiting", _labelled_and_asks),
    "AwaitingApproval": Held(_nothing, lambda world: world.state == "AwaitingApproval", _asks_people),
    "Approved": Held(
        _refusing(_WRITE, KubeError(Reason.API_UNAVAILABLE, "no answer", status=503, retryable=True), _is_planned),
        _is_planned,
        _works,
    ),
    "Issued": Held(
        _refusing(
            "MAIL Delivery", DeliveryError(Reason.CHANNEL_UNAVAILABLE, "the mail server is away", retryable=True)
        ),
        lambda world: world.state == "Issued" and world.waits_for == "mail server",
        _works,
    ),
    "Delivered": Held(
        _refusing("PUT", SourceError(Reason.SOURCE_UNAVAILABLE, "the bucket is away", retryable=True)),
        lambda world: world.state == "Delivered" and world.waits_for == "source",
        _works,
    ),
}


async def happens(state: str, event: Callable[[World], None], *, restart: bool = False) -> World:
    """The world after this has happened to a request in this state; `restart`: and then the operator was killed.

    `world.before_release` is the state in which the request was before it was let go on.
    """
    world, held = World(BEGINS), STATES[state]
    SCRIPT.declare(world)
    held.begin(world)
    SCRIPT.ask(world)
    try:
        if not held.reached(world):
            await world.run_until(lambda: held.reached(world))
            await world.let_pass(3.0)
        event(world)
        if world.processes:
            await world.let_pass(8.0)
        world.before_release = world.state
        if restart and world.processes:
            await world.kill()
        held.release(world)
        await world.let_pass(world.away_seconds + _SETTLED_SECONDS)
    finally:
        await world.stop()
    return world
