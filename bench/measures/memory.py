"""P3: the memory for each certificate.

The resident set (VmRSS in /proc) of the operator's process after all statuses of a cold start are written, the process
has settled, and one scrape of /metrics is over. It is measured once with 1,000 Secret-sourced certificates and once, in
another process, with 10,000; the slope is the difference divided by the difference in the number of certificates. MB
and KB are decimal.
"""

from bench.cold_starts import first_cold_start
from bench.goals import Bound, Figure, Outcome
from bench.scene import Scene

GOAL = "slope ≤ 4.5 KB each from 1,000 to 10,000 certificates, total at 10,000 ≤ 120 MB"
_KB_PER_MB = 1000


async def measure(scene: Scene) -> Outcome:
    small = await first_cold_start(scene, scene.sizes.small)
    large = await first_cold_start(scene, scene.sizes.large)
    more = scene.sizes.large - scene.sizes.small
    grown = large.after_scrape.resident - small.after_scrape.resident
    at = f"{scene.sizes.large} certificates"
    return Outcome(
        GOAL,
        (
            Figure("slope", grown * _KB_PER_MB / more, "KB each", Bound.AT_MOST, 4.5),
            Figure(f"resident at {at}", large.after_scrape.resident, "MB", Bound.AT_MOST, 120),
        ),
        against="fixed limits",
        details={
            "residentAtSmallMB": round(small.after_scrape.resident, 1),
            "residentBeforeScrapeMB": round(large.settled.resident, 1),
            "peakMB": round(large.after_scrape.peak, 1),
            "scrapeMB": round(large.scrape.size / 1e6, 1),
            "scrapeSeconds": round(large.scrape.seconds, 2),
        },
    )
