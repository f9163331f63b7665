"""The cost of ended requests: P12 measures it after all have been renewed."""

from dataclasses import dataclass

from bench import fleet
from bench.measures.restart import looked_at_all, versions
from bench.succession import NAMESPACES, RENEWALS, Place

_KB = 1000
"""In a MB."""
_COLLECTIONS = {"ClientCertificate": fleet.CERTIFICATES, "CertificateRenewal": RENEWALS, "Event": "/api/v1/events"}


@dataclass(frozen=True, slots=True)
class Ended:
    """The cost of the ended requests for a successor."""

    changed: int
    """Objects that it wrote, although nothing had changed."""
    mails: int
    resident: float
    """Its memory, in MB."""
    each: float
    """The same beyond that of another successor, after all requests were deleted, in KB for each of them."""


async def ended_requests(place: Place) -> Ended:
    """Restart over all the ended requests, and once more without them."""
    scene, mails = place.scene, len(place.mail.mails)
    scene.say("restarts with the ended requests, and without")
    before = await versions(scene, _COLLECTIONS)
    resident = await _resident(place)
    after = await versions(scene, _COLLECTIONS)
    mails = len(place.mail.mails) - mails
    for where in NAMESPACES:
        await scene.kubernetes.delete(f"/apis/{fleet.API_VERSION}/namespaces/{where}/certificaterenewals")
    without = await _resident(place)
    changed = sum(version != before.get(key) for key, version in after.items())
    found = Ended(changed, mails, resident, (resident - without) * _KB / place.size)
    scene.say(f"  {found}")
    return found


async def _resident(place: Place) -> float:
    """The memory of an operator that has reconciled everything, in MB."""
    async with place.scene.operator(env=place.settings, cores=place.cores) as run:
        await run.ready()
        await looked_at_all(run, place.size)
        return (await run.quiet_memory()).resident
