"""One namespace fills a place that all share; another has an alert that is due, which must not wait behind that.

The places are the operator's own Slack channel, its mail server, and the processes that open containers.
"""

import time

import pytest

from tests.control_plane.bad_inputs import SLOW
from tests.control_plane.operators import OWN_CHANNEL
from tests.control_plane.waiting import until
from tests.faults.arrivals import CONSUMER
from tests.faults.hostile import Hostile
from tests.faults.scenario import PATIENCE_SECONDS, POLICY, World, row
from tests.scenarios import Manifest, certificate_policy, client_certificate, in_secret, secret, slack_channel
from tools.mail_server import LoopbackMailServer

OWN = "operator"
TO_CONSUMER = {"name": CONSUMER, "type": "Email", "email": {"recipients": "Contact"}}
GREYLISTED = "450 4.7.1 Greylisted, try again later"
PASSWORD = "correct horse"
ALERTED_WITHIN = 60.0
LETTER_WITHIN = 10.0


def flood(world: World, hostile: Hostile, count: int, channel: Manifest) -> None:
    """This many certificates that have expired, each with a message of its own in the channel."""
    expired = world.issue("flood", days=0)
    hostile.creates(
        [
            secret("flood", **{"tls.crt": expired.certificate_pem}),
            certificate_policy(POLICY, channel, group="Never"),
        ]
    )
    hostile.creates(
        client_certificate(
            f"flood-{number}",
            consumer=world.team.consumer("flood"),
            source=in_secret("flood"),
            policyRef={"name": POLICY},
            contact={"technical": {"email": f"jo@grey{number}.example"}},
        )
        for number in range(count)
    )


def elapsed(world: World, name: str, within: float, **declared: object) -> float:
    """Hand a certificate out, and return the seconds until its alert was delivered and recorded."""
    began = time.monotonic()
    world.hand_out(name, days=14, **declared)  # type: ignore[arg-type]
    world.is_fixed()
    world.all_is_delivered(within=within)
    return time.monotonic() - began


@pytest.mark.slow
@row(9, "hostile: 1000 more urgent alerts of one namespace wait for the operator's own Slack channel")
def test_a_thousand_alerts_in_the_shared_channel(world: World, hostile: Hostile, record_property) -> None:
    own = slack_channel(OWN, OWN_CHANNEL)
    world.policy(own)
    flood(world, hostile, 1_000, own)
    world.operator_starts(everywhere=True)
    until(lambda: world.operator.metric("clientcert_waiting", place="Slack"), lambda count: count > 950, 120)
    late = elapsed(world, "victim", ALERTED_WITHIN, channels=(OWN,))
    print(f"the alert after {late:.1f} s")
    assert world.operator.metric("clientcert_waiting", place="Slack") > 800
    record_property("late", round(late, 1))


@pytest.mark.slow
@row(11, "hostile: 100 letters of one namespace to greylisting recipients")
def test_a_hundred_greylisted_letters(
    world: World, hostile: Hostile, mail: LoopbackMailServer, record_property
) -> None:
    for number in range(100):
        mail.answer("RCPT", GREYLISTED, address=f"jo@grey{number}.example")
    world.policy(TO_CONSUMER)
    flood(world, hostile, 100, TO_CONSUMER)
    world.operator_starts(everywhere=True)
    until(lambda: world.operator.metric("clientcert_waiting", place="Email"), lambda count: count > 80, 120)
    late = [
        elapsed(world, f"victim{number}", LETTER_WITHIN, channels=(CONSUMER,), contact=contact(number))
        for number in range(5)
    ]
    print(f"the letters after {late} s")
    assert mail.commands.count("RCPT") < 100  # the greylisted ones are not tried again and again
    record_property("late", round(max(late), 1))


@pytest.mark.slow
@row(14, "hostile: 40 containers of one namespace that take too much processor time")
def test_containers_that_take_long(world: World, hostile: Hostile, record_property) -> None:
    issued = world.issue("flood", days=100)
    assert SLOW.make is not None
    slow = SLOW.make(world.team, issued)
    hostile.creates([secret("password", password=SLOW.password or "")])
    hostile.creates(secret(f"slow-{number}", **{"client.p12": slow}) for number in range(40))
    reference = {"name": "password", "key": "password"}
    hostile.creates(
        client_certificate(f"slow-{number}", source=in_secret(f"slow-{number}", "client.p12", reference))
        for number in range(40)
    )
    world.operator_starts(everywhere=True)
    until(lambda: world.operator.metric("clientcert_waiting", place="containers"), lambda count: count > 20, 60)
    began = time.monotonic()
    victim = world.issue("victim", days=14)
    world.team.apply(
        secret("container", **{"client.p12": victim.pkcs12(PASSWORD)}), secret("password", password=PASSWORD)
    )
    world.declare("victim", victim, source=in_secret("container", "client.p12", reference))
    world.is_fixed()
    world.all_is_delivered(within=PATIENCE_SECONDS)
    print(f"the alert after {time.monotonic() - began:.1f} s")
    record_property("late", round(time.monotonic() - began, 1))


def contact(number: int) -> Manifest:
    return {"technical": {"name": "Jo Bloggs", "email": f"jo@nhs{number}.example"}}
