"""People whom the cluster knows by client certificates that kube-controller-manager has signed for them."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.control_plane.renewal_scene import sign_csr
from tests.control_plane.waiting import until
from tools.certificates import make_private_key
from tools.control_plane import ControlPlane
from tools.control_plane.kubeconfig import write_kubeconfig

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SIGNER = "kubernetes.io/kube-apiserver-client"
SIGNING_SECONDS = 60.0


@dataclass(frozen=True)
class Person:
    """Somebody at their own machine, with a kubeconfig."""

    name: str
    """The user name, which is the common name of the certificate."""
    directory: Path

    def clientcert(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        kubeconfig = str(self.directory / "kubeconfig")
        return subprocess.run(
            [sys.executable, "-m", "clientcert", *arguments],
            env={"PATH": os.defpath, "HOME": str(self.directory), "KUBECONFIG": kubeconfig},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def succeeds(self, *arguments: str) -> str:
        """The output of a call that must succeed without a complaint."""
        ran = self.clientcert(*arguments)
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout


def enrol(control_plane: ControlPlane, namespace: str, name: str, directory: Path) -> Person:
    """Make a key, have its CSR approved and signed, and write the kubeconfig; the person has no right yet."""
    private_key = make_private_key("ec")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = sign_csr(x509.CertificateSigningRequestBuilder().subject_name(subject), private_key)
    spec = {"request": _base64(csr.encode()), "signerName": SIGNER, "usages": ["client auth"]}
    kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    request = f"{namespace}-{name}"
    control_plane.api.request("POST", REQUESTS, {**kind, "metadata": {"name": request}, "spec": spec})
    control_plane.kubectl("certificate", "approve", request)
    signed = until(lambda: _signed(control_plane, request), seconds=SIGNING_SECONDS)
    directory.mkdir()
    path = write_kubeconfig(
        directory / "kubeconfig",
        url=control_plane.url,
        ca_path=control_plane.ca_path,
        user=name,
        token="",
        namespace=namespace,
    )
    key = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    config: dict[str, Any] = json.loads(path.read_text())
    config["users"][0]["user"] = {"client-certificate-data": signed, "client-key-data": _base64(key)}
    path.write_text(json.dumps(config))
    return Person(name, directory)


def _signed(control_plane: ControlPlane, request: str) -> str:
    """The certificate in base64; empty until it is there."""
    status: dict[str, str] = control_plane.api.request("GET", f"{REQUESTS}/{request}").get("status", {})
    return status.get("certificate", "")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
