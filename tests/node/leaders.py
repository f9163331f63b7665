"""The times at which two replicas lead at once, by the words of each, which are read again and again."""

import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations

from tools.control_plane import ApiClient

PODS = "/api/v1/namespaces/{}/pods?labelSelector=app.kubernetes.io%2Fname%3Dclientcert-operator"
EVERY_SECONDS = 0.2

Term = tuple[float, float]
"""The first and the last moment at which a replica said without a break that it leads."""


@dataclass
class Sightings:
    """For each pod when it was asked, and whether it led."""

    of_pod: dict[str, list[tuple[float, bool]]] = field(default_factory=lambda: defaultdict(list))

    def terms(self, pod: str) -> list[Term]:
        terms: list[Term] = []
        led_before = False
        for moment, leads in list(self.of_pod[pod]):
            if leads:
                terms.append((terms.pop()[0] if led_before else moment, moment))
            led_before = leads
        return terms

    def leaders(self) -> set[str]:
        return {pod for pod in list(self.of_pod) if self.terms(pod)}

    def overlaps(self) -> list[tuple[str, str]]:
        """The pairs that led at the same time."""
        return [
            (one, other)
            for one, other in combinations(sorted(self.of_pod), 2)
            for first in self.terms(one)
            for second in self.terms(other)
            if max(first[0], second[0]) <= min(first[1], second[1])
        ]


@contextmanager
def watched_leaders(api: ApiClient, namespace: str) -> Iterator[Sightings]:
    """Ask all pods meanwhile, directly and not through a Service."""
    sightings, stop = Sightings(), threading.Event()

    def ask() -> None:
        while not stop.wait(EVERY_SECONDS):
            for pod in api.request("GET", PODS.format(namespace))["items"]:
                address = pod["status"].get("podIP")
                if address and (leads := _leads(address)) is not None:
                    sightings.of_pod[pod["metadata"]["name"]].append((time.monotonic(), leads))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield sightings
    finally:
        stop.set()
        thread.join()


def _leads(address: str) -> bool | None:
    """None if it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{address}:8080/metrics", timeout=2) as response:
            return b"\nclientcert_leader 1" in response.read()
    except OSError:
        return None
