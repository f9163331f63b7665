"""Address and credentials of the API server: from the pod's own ServiceAccount, or from kubeconfig files.

The readers of the official client are not used, because importing it takes more memory than all of the operator's own
code.
"""

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

import yaml

from clientcert.errors import SettingsError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_EXEC_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Connection:
    """One API server and the credentials for it. The repr shows the server only; PEM texts are held in memory."""

    server: str
    ca_pem: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    certificate_pem: str = field(default="", repr=False)
    private_key_pem: str = field(default="", repr=False)
    insecure: bool = False

    def ssl_context(self) -> ssl.SSLContext:
        """The TLS context of a client; it trusts only the kubeconfig's CA, if there is one."""
        context = ssl.create_default_context(cadata=self.ca_pem or None)
        if self.certificate_pem:
            # The ssl module reads a client certificate only from a file, which exists for this call alone.
            with tempfile.NamedTemporaryFile(mode="w", suffix=".pem") as file:
                file.write(self.certificate_pem + "\n" + self.private_key_pem)
                file.flush()
                context.load_cert_chain(file.name)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def load_connection(*, cluster_host: str, cluster_port: str, kubeconfig: str, context: str) -> Connection:
    """Read the files of the ServiceAccount, else the kubeconfig; at each call again, because tokens are rotated.

    `cluster_host` is empty outside of a pod. Raises SettingsError if neither exists, or it cannot be parsed.
    """
    if not context and cluster_host and (SERVICE_ACCOUNT / "token").exists():
        return _of_the_pod(cluster_host, cluster_port)
    paths = kubeconfig or str(Path("~/.kube/config").expanduser())
    files = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    files = [path for path in files if path.exists()]
    if not files:
        raise SettingsError("no cluster to connect to: not in a pod, and no kubeconfig (set KUBECONFIG)")
    try:
        return _from_kubeconfig(files, context)
    except (KeyError, TypeError, AttributeError, ValueError, OSError, yaml.YAMLError, SubprocessError) as error:
        raise SettingsError(f"the kubeconfig cannot be used: {type(error).__name__} {error}") from error


def own_namespace() -> str:
    """The pod's namespace; empty outside of a pod."""
    path = SERVICE_ACCOUNT / "namespace"
    return path.read_text().strip() if path.exists() else ""


def _of_the_pod(host: str, port: str) -> Connection:
    try:
        return Connection(
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            ca_pem=(SERVICE_ACCOUNT / "ca.crt").read_text(),
            token=(SERVICE_ACCOUNT / "token").read_text().strip(),
        )
    except OSError as error:
        raise SettingsError(f"the ServiceAccount's files cannot be read: {type(error).__name__}") from error


def _from_kubeconfig(files: list[Path], context: str) -> Connection:
    merged: dict[str, dict[str, Any]] = {"contexts": {}, "clusters": {}, "users": {}}
    current = context
    for path in files:
        content = yaml.safe_load(path.read_text()) or {}
        current = current or content.get("current-context") or ""
        for kind, singular in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
            for item in content.get(kind) or []:
                merged[kind].setdefault(item["name"], (item.get(singular) or {}, path.parent))
    if current not in merged["contexts"]:
        raise SettingsError(f"the kubeconfig has no context {current!r}")
    chosen, _ = merged["contexts"][current]
    cluster, cluster_folder = merged["clusters"][chosen["cluster"]]
    user, user_folder = merged["users"][chosen["user"]]
    user = _exec_credential(user["exec"]) if "exec" in user else user
    return Connection(
        server=cluster["server"].rstrip("/"),
        ca_pem=_pem(cluster, "certificate-authority", cluster_folder),
        token=user.get("token") or _text(user.get("tokenFile"), user_folder).strip(),
        certificate_pem=_pem(user, "client-certificate", user_folder),
        private_key_pem=_pem(user, "client-key", user_folder),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


def _exec_credential(plugin: Mapping[str, Any]) -> dict[str, str]:
    """Run a credential plugin (client.authentication.k8s.io ExecCredential), as kubectl does."""
    extra = {item["name"]: item["value"] for item in plugin.get("env") or []}
    answer = subprocess.run(
        [plugin["command"], *(plugin.get("args") or [])],
        env={**os.environ, **extra},
        capture_output=True,
        check=True,
        timeout=_EXEC_TIMEOUT_SECONDS,
    )
    status = json.loads(answer.stdout)["status"]
    return {
        "token": status.get("token", ""),
        "client-certificate-data": _base64(status.get("clientCertificateData", "")),
        "client-key-data": _base64(status.get("clientKeyData", "")),
    }


def _pem(entry: Mapping[str, Any], name: str, folder: Path) -> str:
    encoded = entry.get(f"{name}-data")
    return base64.b64decode(encoded).decode() if encoded else _text(entry.get(name), folder)


def _text(path: str | None, folder: Path) -> str:
    return (folder / path).read_text() if path else ""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
