"""Many requests at once, in the world of `renewal_world.py`: each about a certificate of its own.

world = World(BEGINS)
declare(world, 30, notify=["ra@gov.example"])
await world.run_until(lambda: told(world, "Waiting/team") == 30)
"""

from collections.abc import Iterable
from typing import Any

from tests.builders import DAY
from tests.simulation.api_server import NAMESPACE, Body
from tests.unit.engine.renewal_scripts import BEGINS, CA_SECRET
from tests.unit.engine.renewal_world import OURS, POLICY, World
from tests.unit.renewal.asking import CA, CSR, issue, make_private_key

TEAM = {"name": "team", "type": "Slack", "slack": {"channel": "#team"}}
RA = "ra@gov.example"
_CURRENT_KEY = make_private_key()


def declare(
    world: World, count: int, *, channels: Iterable[Any] = (TEAM,), namespace: str = NAMESPACE, **policy: Any
) -> None:
    """A policy, so many certificates that end one after another, and a request about each.

    `group` is that of the alerts; other keywords are fields of `spec.renewal`.
    """
    pair = CA.identity
    key, certificate = pair.private_key_pem, pair.certificate_pem
    world.put_secret("client-ca", {"issuer": "allowed"}, namespace=namespace, tls_crt=certificate, tls_key=key)
    # No alert about a certificate is due: only the requests are told.
    alerts = {"channels": list(channels), "startDaysBefore": 1, "group": policy.pop("group", "Auto")}
    world.server.put(_in(POLICY, namespace), spec={"alerts": alerts, "renewal": {**CA_SECRET, **policy}})
    for number in range(count):
        declare_one(world, number, namespace)


def declare_one(world: World, number: int, namespace: str = NAMESPACE) -> None:
    """One certificate, and a request about it."""
    ends = BEGINS + 60 * DAY + number * DAY / 100
    current = issue(private_key=_CURRENT_KEY, not_after=ends)
    world.put_secret(f"cert-{number:04}", namespace=namespace, tls_crt=current.certificate_pem)
    world.server.put(
        _in(f"{OURS}/clientcertificates/{name_of(number)}", namespace),
        spec={
            "consumer": "nhs",
            "environment": name_of(number),
            "contact": {"technical": {"email": "jo@nhs.example"}},
            "source": {"type": "Secret", "secret": {"name": f"cert-{number:04}"}},
            "policyRef": {"name": "team"},
        },
    )
    fields = {"certificateRef": {"name": name_of(number)}, "serialNumber": current.serial_number_hex}
    world.server.put(path_of(number, namespace), spec={**fields, "requestedBy": "sam", "csr": CSR})


def name_of(number: int) -> str:
    return f"site-{number:04}"


def path_of(number: int, namespace: str = NAMESPACE) -> str:
    """The path of the request."""
    return _in(f"{OURS}/certificaterenewals/request-{number:04}", namespace)


def status(world: World, number: int, namespace: str = NAMESPACE) -> Body:
    return world.server.objects.get(path_of(number, namespace), {}).get("status") or {}


def requests(world: World) -> list[Body]:
    """The statuses of all requests."""
    found = [body for path, body in world.server.objects.items() if "/certificaterenewals/" in path]
    return [body.get("status") or {} for body in found]


def told(world: World, notice: str) -> int:
    """The number of requests whose status records this notice; the hash of an address may be left out."""
    return sum(any(each["name"].startswith(notice) for each in one.get("notices") or ()) for one in requests(world))


def decide(world: World, number: int, decision: str) -> None:
    hashes = {each: status(world, number).get(each, "") for each in ("keyHash", "recipientHash")}
    world.edit(path_of(number), approval={"decision": decision, "by": "alex", **hashes})


def _in(path: str, namespace: str) -> str:
    """The same path in another namespace."""
    return path.replace(f"/namespaces/{NAMESPACE}/", f"/namespaces/{namespace}/")
