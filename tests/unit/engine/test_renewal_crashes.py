"""A process may be killed before or after any write or send of a renewal: the next one goes on.

One certificate is recorded and handed out, and only mails in flight are repeated. Here is a selection;
`tests/faults/test_renewal_crashes.py` has every point, every pair of them, and the real servers.
"""

import pytest

from tests.unit.engine.renewal_scripts import SCRIPTS, renew
from tests.unit.engine.renewal_world import REFUSED, SIDES, Kill

ALERTS = ("/clientcertificates/", "/certificatepolicies/", "/events")
"""Writes and sends that have nothing to do with the request."""


@pytest.mark.parametrize("name", SCRIPTS)
async def test_undisturbed(name: str) -> None:
    """The script comes to its end, and nothing is written ahead, recorded or sent twice."""
    world, faults = await renew(SCRIPTS[name])
    assert (faults, len(world.write_aheads)) == ([], 1)
    assert len({each.key for each in world.mails}) == len(world.mails)


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_kill_at_each_write_about_the_request(name: str) -> None:
    """Before each, and after each that hands something out: a mail about it, the source, a CertificateRequest."""
    undisturbed, _ = await renew(SCRIPTS[name])
    writes = [(number, what) for number, what in enumerate(undisturbed.writes, start=1) if _is_about_the_request(what)]
    points = [Kill(number, "before") for number, _ in writes]
    points += [Kill(number, "after") for number, what in writes if "certificaterenewals" not in what]
    assert len(points) >= 9
    for point in points:
        world, faults = await renew(SCRIPTS[name], [point])
        assert (world.killed, faults) == (1, []), (point, undisturbed.writes[point.number - 1])


def _is_about_the_request(what: str) -> bool:
    return what not in {"MAIL ", "POST"} and REFUSED not in what and not any(part in what for part in ALERTS)


async def test_a_kill_of_each_process_in_a_row() -> None:
    """Ten processes, each killed a write or two after it has begun: the eleventh brings it to its end."""
    for side in SIDES:
        world, faults = await renew(SCRIPTS["public key, CASecret, approved, S3, mail"], [Kill(4, side)] * 10)
        assert (world.killed >= 4, faults) == (True, []), side
