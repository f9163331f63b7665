"""The number of calls that the API server has answered, by its own counters: two clients can be compared by it."""

import re
from collections.abc import Mapping, Sequence

from bench.kubernetes import Kubernetes

_SERIES = re.compile(r"^apiserver_request_total\{([^}]*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_COUNTED = (
    "LIST secrets",
    "LIST clientcertificates",
    "GET secrets",
    "PATCH clientcertificates/status",
    "POST events",
)

OF_RENEWALS = (
    "GET secrets",
    "GET certificaterenewals",
    "GET clientcertificates",
    "PATCH certificaterenewals/status",
    "PATCH clientcertificates/status",
    "POST events",
)

Calls = Mapping[str, int]
"""The number of calls by verb and resource, by default for the calls that a cold start consists of."""


async def calls_so_far(kubernetes: Kubernetes, counted: Sequence[str] = _COUNTED) -> Calls:
    """The calls of all clients since the start of the API server."""
    found = dict.fromkeys(counted, 0)
    for labels, count in _SERIES.findall(await kubernetes.text("/metrics")):
        call = _named(dict(_LABEL.findall(labels)))
        if call in found:
            found[call] += int(float(count))
    return found


def calls_between(before: Calls, after: Calls) -> Calls:
    """The calls between two counts."""
    return {call: after[call] - before[call] for call in after}


def _named(labels: Mapping[str, str]) -> str:
    resource = "/".join(labels[name] for name in ("resource", "subresource") if labels[name])
    return f"{labels['verb']} {resource}"
