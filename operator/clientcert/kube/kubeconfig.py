"""Address and credentials of the API server: from the pod's own ServiceAccount, or from kubeconfig files.

For the operator and for the verbs. The readers of the official client are not used, because importing it takes more
memory than all of the operator's own code.
"""

import base64
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import SubprocessError
from typing import Any
from urllib.parse import quote

import yaml

from clientcert.errors import SettingsError

_CERTIFICATES = re.compile("-----BEGIN CERTIFICATE-----[!-~\\s]+?-----END CERTIFICATE-----")
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_EXEC_SECONDS, _LOGIN_SECONDS = 30, 300
"""For a credential plugin, and for one that may ask the user."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One API server and the credentials for it. The repr shows the server only; PEM texts are held in memory."""

    server: str
    ca_pem: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    certificate_pem: str = field(default="", repr=False)
    private_key_pem: str = field(default="", repr=False)
    insecure: bool = False
    namespace: str = ""
    """The namespace of the context, or of the pod; empty if it names none."""
    tls_server_name: str = ""
    """The name in the server's certificate, if it is not that of the address. Only the verbs use it."""
    proxy_url: str = field(default="", repr=False)
    """The kubeconfig's proxy for this cluster. Only the verbs use it."""
    impersonated: tuple[tuple[str, str], ...] = ()
    """The headers of impersonation that the kubeconfig asks for. The operator refuses them."""
    in_pod: bool = False
    """True for the ServiceAccount of the pod."""

    def ssl_context(self) -> ssl.SSLContext:
        """The TLS context of a client; it trusts only the kubeconfig's CA, if there is one. Raises ssl.SSLError."""
        authorities = "\n".join(_CERTIFICATES.findall(self.ca_pem))  # text between them need not be ASCII
        if self.ca_pem and not authorities:
            raise ssl.SSLError("the CA of the kubeconfig has no certificate")
        context = ssl.create_default_context(cadata=authorities or None)
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


def load_connection(
    *, cluster_host: str, cluster_port: str, kubeconfig: str, context: str, may_ask: bool = True
) -> Connection:
    """Read the files of the ServiceAccount, else the kubeconfig; at each call again, because tokens are rotated.

    `cluster_host` is empty outside of a pod. With `may_ask`, a credential plugin may ask a user at a terminal. Raises
    SettingsError if neither exists, or it cannot be parsed.
    """
    if not context and cluster_host and (SERVICE_ACCOUNT / "token").exists():
        return _of_the_pod(cluster_host, cluster_port)
    files = [path for path in _files(kubeconfig) if path.exists()]
    if not files:
        missing = f"there is no file {kubeconfig}" if kubeconfig else "not in a pod, and no kubeconfig (set KUBECONFIG)"
        raise SettingsError(f"no cluster to connect to: {missing}")
    try:
        return _from_kubeconfig(files, context, may_ask=may_ask)
    except yaml.YAMLError as error:  # its words would show a line of the file, perhaps with a token
        raise SettingsError("the kubeconfig cannot be used: it is not YAML") from error
    except (KeyError, TypeError, AttributeError, ValueError, OSError, SubprocessError) as error:
        raise SettingsError(f"the kubeconfig cannot be used: {type(error).__name__} {error}") from error


def usual_kubeconfig() -> str:
    """The path of the kubeconfig that is read if none is named."""
    return os.path.expanduser("~/.kube/config")  # noqa: PTH111 - pathlib fails for a user without a home


def context_names(kubeconfig: str) -> list[str]:
    """The contexts of these files; raises what makes a kubeconfig unusable."""
    merged = _merge([path for path in _files(kubeconfig) if path.exists()])[0]
    return sorted(merged["contexts"])


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
            namespace=own_namespace(),
            in_pod=True,
        )
    except OSError as error:
        raise SettingsError(f"the ServiceAccount's files cannot be read: {type(error).__name__}") from error


def _files(kubeconfig: str) -> list[Path]:
    named = (kubeconfig or usual_kubeconfig()).split(os.pathsep)
    return [Path(os.path.expanduser(path)) for path in named if path]  # noqa: PTH111


def _merge(files: list[Path]) -> tuple[dict[str, dict[str, Any]], str]:
    """Contexts, clusters and users of all files, by name, each with the folder of its file; and the current context."""
    merged: dict[str, dict[str, Any]] = {"contexts": {}, "clusters": {}, "users": {}}
    current = ""
    for path in files:
        content = yaml.safe_load(path.read_text()) or {}
        current = current or content.get("current-context") or ""
        for kind, singular in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
            for item in content.get(kind) or []:
                merged[kind].setdefault(item["name"], (item.get(singular) or {}, path.parent))
    return merged, current


def _from_kubeconfig(files: list[Path], context: str, *, may_ask: bool) -> Connection:
    merged, current = _merge(files)
    current = context or current
    if current not in merged["contexts"]:
        raise SettingsError(f"the kubeconfig has no context {current!r}")
    chosen, _ = merged["contexts"][current]
    cluster, cluster_folder = merged["clusters"][chosen["cluster"]]
    user, user_folder = merged["users"][chosen["user"]] if chosen.get("user") else ({}, cluster_folder)
    if "auth-provider" in user:
        raise SettingsError("the kubeconfig cannot be used: its user has an auth-provider; use a plugin (exec) instead")
    impersonated = _impersonated(user)
    if "exec" in user:
        user = _exec_credential(_Plugin(user["exec"], user_folder, may_ask), cluster, cluster_folder)
    return Connection(
        server=cluster["server"].rstrip("/"),
        ca_pem=_pem(cluster, "certificate-authority", cluster_folder),
        token=user.get("token") or _text(user.get("tokenFile"), user_folder).strip(),
        certificate_pem=_pem(user, "client-certificate", user_folder),
        private_key_pem=_pem(user, "client-key", user_folder),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        namespace=chosen.get("namespace") or "",
        tls_server_name=cluster.get("tls-server-name") or "",
        proxy_url=cluster.get("proxy-url") or "",
        impersonated=impersonated,
    )


def _impersonated(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    named = [("Impersonate-User", user.get("as")), ("Impersonate-Uid", user.get("as-uid"))]
    named += [("Impersonate-Group", each) for each in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        named += [(f"Impersonate-Extra-{quote(key, safe='')}", each) for each in values]
    return tuple((header, value) for header, value in named if value)


@dataclass(frozen=True, slots=True)
class _Plugin:
    """A credential plugin of the kubeconfig."""

    entry: Mapping[str, Any]
    folder: Path
    may_ask: bool

    @property
    def is_interactive(self) -> bool:
        """True if it may ask the user."""
        at_a_terminal = sys.stdin is not None and sys.stdin.isatty()
        return self.may_ask and at_a_terminal and self.entry.get("interactiveMode") != "Never"

    @property
    def command(self) -> str:
        """A path is relative to the folder of the kubeconfig."""
        name: str = self.entry["command"]
        return str(self.folder / name) if os.sep in name else name


def _exec_credential(plugin: _Plugin, cluster: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Run a credential plugin (client.authentication.k8s.io ExecCredential), as kubectl does.

    What it asks the user is shown: its standard error is that of this process.
    """
    entry = plugin.entry
    spec: dict[str, Any] = {"interactive": plugin.is_interactive}
    if entry.get("provideClusterInfo"):
        spec["cluster"] = _cluster_info(cluster, folder)
    version = entry.get("apiVersion") or "client.authentication.k8s.io/v1"
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    extra = {item["name"]: item["value"] for item in entry.get("env") or []}
    try:
        answer = subprocess.run(
            [plugin.command, *(entry.get("args") or [])],
            env={**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(info), **extra},
            stdin=None if plugin.is_interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if plugin.may_ask else subprocess.DEVNULL,
            check=True,
            timeout=_LOGIN_SECONDS if plugin.is_interactive else _EXEC_SECONDS,
        )
    except FileNotFoundError:
        hint = " ".join(str(entry.get("installHint") or "").split())
        words = f"the kubeconfig cannot be used: its credential plugin {entry['command']} is not installed"
        raise SettingsError(f"{words}. {hint}" if hint else words) from None
    status = json.loads(answer.stdout)["status"]
    return {
        "token": status.get("token", ""),
        "client-certificate-data": _base64(status.get("clientCertificateData", "")),
        "client-key-data": _base64(status.get("clientKeyData", "")),
    }


def _cluster_info(cluster: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The cluster, as a plugin is told of it."""
    copied = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
    found = {name: cluster[name] for name in copied if name in cluster}
    if authority := _pem(cluster, "certificate-authority", folder):
        found["certificate-authority-data"] = _base64(authority)
    for each in cluster.get("extensions") or ():
        if each["name"] == "client.authentication.k8s.io/exec":
            found["config"] = each["extension"]
    return found


def _pem(entry: Mapping[str, Any], name: str, folder: Path) -> str:
    encoded = entry.get(f"{name}-data")
    return base64.b64decode(encoded).decode() if encoded else _text(entry.get(name), folder)


def _text(path: str | None, folder: Path) -> str:
    return (folder / path).read_text() if path else ""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
