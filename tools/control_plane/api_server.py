"""A real Kubernetes API on this machine, without controllers (see the docstring of the package)."""

import os
import subprocess
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .api_client import ApiClient
from .binaries import Binaries, find_or_build
from .errors import ApiError, ControlPlaneError
from .kubeconfig import write_kubeconfig
from .process import ChildProcess
from .servers import start_etcd, start_kube_apiserver

_ESTABLISHED_SECONDS = 30.0
_ONE_DAY_SECONDS = 24 * 60 * 60
# It stops within two seconds; a longer time means that a client keeps its connection open.
_STOP_SECONDS = 20.0

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class ControlPlane:
    """A running API server, and access to it as its administrator.

    A context manager: at its end everything is stopped.
    """

    url: str
    directory: Path
    kubeconfig: Path
    ca_path: Path
    admin_token: str
    binaries: Binaries
    api: ApiClient
    etcd: ChildProcess
    kube_apiserver: ChildProcess

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        binaries: Binaries | None = None,
        etcd_arguments: Sequence[str] = (),
        kube_apiserver_arguments: Sequence[str] = (),
        with_controllers: bool = False,
    ) -> Self:
        """Start it in a new directory, which gets state, credentials and log files.

        Returns when the API server is ready, after about three seconds. Raises ControlPlaneError with the end of the
        log if it does not become ready. `with_controllers`: the caller starts kube-controller-manager (tools/node).
        """
        # Not imported at the top of the file: `build` runs before the library for this is installed.
        from .credentials import write_credentials

        binaries = binaries or find_or_build()
        directory = directory.resolve()
        if (directory / "etcd").exists():
            raise ControlPlaneError(f"{directory} holds the state of another control plane: give a new directory.")
        directory.mkdir(parents=True, exist_ok=True)
        credentials = write_credentials(directory / "credentials")
        etcd, etcd_url = start_etcd(binaries.etcd, directory, etcd_arguments)
        try:
            kube_apiserver, url, api = start_kube_apiserver(
                binaries.kube_apiserver,
                etcd_url,
                credentials,
                kube_apiserver_arguments,
                with_controllers=with_controllers,
            )
        except BaseException as error:
            has_ended = etcd.returncode is not None  # then kube-apiserver only tells what follows from it
            etcd.stop()
            if has_ended and isinstance(error, ControlPlaneError):
                raise ControlPlaneError(etcd.last_words()) from error
            raise
        ca_path, token = credentials.ca_certificate, credentials.admin_token
        kubeconfig = directory / "kubeconfig"
        write_kubeconfig(kubeconfig, url=url, ca_path=ca_path, user="admin", token=token)
        return cls(url, directory, kubeconfig, ca_path, token, binaries, api, etcd, kube_apiserver)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop kube-apiserver, then etcd: without etcd, kube-apiserver would run on for minutes and hold its port."""
        self.kube_apiserver.stop(timeout=_STOP_SECONDS)
        self.etcd.stop()

    @property
    def version(self) -> str:
        """The version of Kubernetes that the API server reports, without its `v`."""
        return str(self.api.request("GET", "/version")["gitVersion"]).removeprefix("v")

    def kubectl(
        self,
        *arguments: str | Path,
        input: str | None = None,  # noqa: A002  # as subprocess calls it
        timeout: float = 120,
    ) -> str:
        """Run kubectl as the administrator and return its output.

        Raises ControlPlaneError with its standard error if it fails or takes longer than `timeout` seconds.
        """
        own: list[str | Path] = ["--kubeconfig", self.kubeconfig, "--cache-dir", self.directory / "kubectl-cache"]
        command = [self.binaries.kubectl, *own, *arguments]
        # Independent of the user's settings: no KUBECONFIG, no proxy, no files of the home directory.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)}
        called = f"kubectl {' '.join(map(str, arguments))}"
        try:
            answer = subprocess.run(
                command,
                input=input or "",
                capture_output=True,
                text=True,
                env=environment,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ControlPlaneError(f"`{called}` took longer than {timeout:g} s") from error
        if answer.returncode != 0:
            raise ControlPlaneError(f"`{called}` exited with {answer.returncode}: {answer.stderr.strip()}")
        return answer.stdout

    def apply_kustomize(self, *paths: Path) -> str:
        """`kubectl apply -k` for each, then wait until every CustomResourceDefinition is served."""
        output = "".join(self.kubectl("apply", "-k", path) for path in paths)
        deadline = time.monotonic() + _ESTABLISHED_SECONDS
        while unserved := self._unserved_resources():
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"still not served: {', '.join(unserved)}; see {self.kube_apiserver.log_path}")
            time.sleep(0.05)
        return output

    def _unserved_resources(self) -> list[str]:
        """The collections of all CRDs that cannot be listed yet, which takes a moment after the creation of a CRD."""
        unserved = []
        for crd in self.api.request("GET", _CRDS)["items"]:
            spec = crd["spec"]
            for version in (version["name"] for version in spec["versions"] if version["served"]):
                path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
                try:
                    self.api.request("GET", f"{path}?limit=1")
                except ApiError:
                    unserved.append(path)
        return unserved

    def create_namespace(self, name: str) -> None:
        """Create an empty namespace: without a controller it has no `default` ServiceAccount either."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.api.request("POST", "/api/v1/namespaces", namespace)

    def service_account_kubeconfig(
        self, namespace: str, name: str, path: Path, *, expiration_seconds: int = _ONE_DAY_SECONDS
    ) -> Path:
        """Write a kubeconfig that authenticates as an existing ServiceAccount, with a token from the API server."""
        account = f"/api/v1/namespaces/{urllib.parse.quote(namespace)}/serviceaccounts/{urllib.parse.quote(name)}"
        request: dict[str, Any] = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": expiration_seconds},
        }
        token = self.api.request("POST", f"{account}/token", request)["status"]["token"]
        user = f"system:serviceaccount:{namespace}:{name}"
        return write_kubeconfig(path, url=self.url, ca_path=self.ca_path, user=user, token=token, namespace=namespace)
