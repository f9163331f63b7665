"""Finds Prometheus and promtool, and runs a Prometheus that scrapes operators and evaluates the shipped rules.

Both come from PATH, else from the cache, else from Debian's package `prometheus`, which is unpacked without root.
"""

from .binaries import PrometheusBinaries, PrometheusMissingError, find_or_unpack
from .rules import render_rules
from .server import PrometheusServer, Sample

__all__ = [
    "PrometheusBinaries",
    "PrometheusMissingError",
    "PrometheusServer",
    "Sample",
    "find_or_unpack",
    "render_rules",
]
