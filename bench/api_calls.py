"""How many calls the API server has answered, by its own counters: shows that two clients have done the same."""

import re
from collections.abc import Mapping

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

Calls = Mapping[str, int]
"""By verb and resource, of those that a cold start consists of."""


async def calls_so_far(kubernetes: Kubernetes) -> Calls:
    """Since the API server was started, whoever has called."""
    found = dict.fromkeys(_COUNTED, 0)
    for labels, count in _SERIES.findall(await kubernetes.text("/metrics")):
        call = _named(dict(_LABEL.findall(labels)))
        if call in found:
            found[call] += int(float(count))
    return found


def calls_between(before: Calls, after: Calls) -> Calls:
    """What was called after one count and before the other."""
    return {call: after[call] - before[call] for call in after}


def _named(labels: Mapping[str, str]) -> str:
    resource = "/".join(labels[name] for name in ("resource", "subresource") if labels[name])
    return f"{labels['verb']} {resource}"
