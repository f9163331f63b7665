"""Starts etcd and kube-apiserver: their flags, and the conditions for being ready."""

import http.client
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .api_client import ApiClient
from .process import ChildProcess, free_port, on_free_ports

if TYPE_CHECKING:  # it needs a library that is not installed yet when `build` runs
    from .credentials import Credentials

_START_SECONDS = 60.0
_ETCD_QUOTA_BYTES = 8_000_000_000


def _launch(name: str, binary: Path, directory: Path, arguments: Sequence[str]) -> ChildProcess:
    """Start it without the user's environment, from which etcd reads each flag, too, and Go reads proxies."""
    environment = {"PATH": os.defpath, "HOME": str(directory)}
    log_path = directory / f"{name}.log"
    return ChildProcess.start([binary, *arguments], log_path=log_path, env=environment, cwd=directory)


def start_etcd(binary: Path, directory: Path, extra_arguments: Sequence[str] = ()) -> tuple[ChildProcess, str]:
    """Start etcd and wait until it is healthy; returns the process, and the URL for clients.

    The wait is necessary: kube-apiserver would otherwise connect to any process that has the port.
    """

    def start() -> tuple[ChildProcess, str]:
        client_port, peer_port = free_port(), free_port()
        client_url, peer_url = (f"http://127.0.0.1:{port}" for port in (client_port, peer_port))
        arguments = [
            f"--data-dir={directory / 'etcd'}",
            f"--listen-client-urls={client_url}",
            f"--advertise-client-urls={client_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",  # after a crash of the machine the data is not needed
            f"--quota-backend-bytes={_ETCD_QUOTA_BYTES}",
            "--heartbeat-interval=20",  # a cluster of one elects itself: by default it takes most of a second
            "--election-timeout=100",
            "--log-level=warn",
        ]
        process = _launch("etcd", binary, directory, [*arguments, *extra_arguments])
        process.wait_until(lambda: answers(client_port, "/health", 200), _START_SECONDS)
        return process, client_url

    return on_free_ports(start)


def start_kube_apiserver(
    binary: Path,
    etcd_url: str,
    credentials: "Credentials",
    extra_arguments: Sequence[str] = (),
    *,
    with_controllers: bool = False,
) -> tuple[ChildProcess, str, ApiClient]:
    """Start kube-apiserver and wait until it is ready; returns the process, its URL and an administrator's client.

    Its log is beside the directory of the credentials. `with_controllers`: they will be started, too.
    """
    directory = credentials.directory.parent

    def start() -> tuple[ChildProcess, str, ApiClient]:
        port = free_port()
        url = f"https://127.0.0.1:{port}"
        arguments = [
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--advertise-address=127.0.0.1",  # by default it searches for a network, which a machine may not have
            "--endpoint-reconciler-type=none",  # the default refuses that address, and nothing here uses its endpoints
            f"--cert-dir={credentials.directory}",
            f"--tls-cert-file={credentials.server_certificate}",
            f"--tls-private-key-file={credentials.server_key}",
            f"--token-auth-file={credentials.tokens}",
            f"--service-account-key-file={credentials.service_account_key}",
            f"--service-account-signing-key-file={credentials.service_account_key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
        ]
        if with_controllers:
            arguments.append(f"--client-ca-file={credentials.ca_certificate}")  # with which one of them signs
        else:
            arguments.append("--disable-admission-plugins=ServiceAccount")  # it waits for one of them
        process = _launch("kube-apiserver", binary, directory, [*arguments, *extra_arguments])
        api = ApiClient(url, credentials.ca_certificate, credentials.admin_token)
        process.wait_until(api.is_ready, _START_SECONDS)
        return process, url, api

    return on_free_ports(start)


def answers(port: int, path: str, status: int | None = None) -> bool:
    """True if a plain HTTP server on 127.0.0.1 answers, with this status if one is given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        found = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return status is None or found == status
