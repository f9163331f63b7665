"""The CPU time of the servers, by which the time of a cold start is explained: two clients share them and the cores."""

import os
from collections.abc import Mapping

from bench.operator_run import cpu_seconds
from tools.control_plane import ControlPlane

ServersCpu = Mapping[str, float]
"""Seconds of user and system time by server."""


def cpu_so_far(control_plane: ControlPlane) -> ServersCpu:
    """Since the start of each server. `bench` is this process, with its watch of all certificates."""
    return {
        "apiServer": cpu_seconds(control_plane.kube_apiserver.pid),
        "etcd": cpu_seconds(control_plane.etcd.pid),
        "bench": cpu_seconds(os.getpid()),
    }


def cpu_between(before: ServersCpu, after: ServersCpu) -> ServersCpu:
    """The seconds between two readings."""
    return {server: round(after[server] - before[server], 1) for server in after}
