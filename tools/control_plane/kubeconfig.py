"""Writes kubeconfig files for one control plane; the user's kubeconfig is neither read nor written."""

import base64
import json
from pathlib import Path


def write_kubeconfig(path: Path, *, url: str, ca_path: Path, user: str, token: str, namespace: str = "default") -> Path:
    """Write one cluster, one user and one context, readable by the owner alone; as JSON, which is valid YAML."""
    authority = base64.b64encode(ca_path.read_bytes()).decode()
    name = "clientcert-control-plane"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": namespace}}],
        "current-context": name,
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path
