"""The API server's address and credentials; no repr shows the secrets of a kubeconfig."""

import base64
import os

import pytest
import yaml

from clientcert.errors import SettingsError
from clientcert.kube.kubeconfig import load_connection


def kubeconfig(path, user, **cluster):
    content = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
            {"name": "two", "context": {"cluster": "d", "user": "u"}},
        ],
        "clusters": [
            {"name": "c", "cluster": {"server": "https://one.example:6443/", **cluster}},
            {"name": "d", "cluster": {"server": "https://two.example"}},
        ],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


def load(path, context=""):
    return load_connection(cluster_host="", cluster_port="443", kubeconfig=path, context=context)


def test_the_current_context(tmp_path):
    ca = base64.b64encode(b"PEM").decode()
    path = kubeconfig(tmp_path / "config", {"token": "t0k3n"}, **{"certificate-authority-data": ca})
    found = load(path)
    assert (found.server, found.token, found.ca_pem) == ("https://one.example:6443", "t0k3n", "PEM")
    assert "t0k3n" not in repr(found)


def test_another_context(tmp_path):
    assert load(kubeconfig(tmp_path / "config", {"token": "t"}), "two").server == "https://two.example"


def test_the_first_of_several_files_wins(tmp_path):
    first = kubeconfig(tmp_path / "first", {"token": "first"})
    second = kubeconfig(tmp_path / "second", {"token": "second"})
    assert load(os.pathsep.join([first, second])).token == "first"


def test_files_beside_the_kubeconfig(tmp_path):
    """Paths are relative to the folder of the kubeconfig, as in kubectl."""
    (tmp_path / "token").write_text("from-file\n")
    assert load(kubeconfig(tmp_path / "config", {"tokenFile": "token"})).token == "from-file"


def test_a_credential_plugin(tmp_path):
    """A plugin of client.authentication.k8s.io, which managed clusters use, returns the credentials."""
    plugin = tmp_path / "plugin"
    plugin.write_text('#!/bin/sh\necho "{\\"status\\": {\\"token\\": \\"$WHO\\"}}"\n')
    plugin.chmod(0o755)
    user = {"exec": {"command": str(plugin), "env": [{"name": "WHO", "value": "jo"}]}}
    assert load(kubeconfig(tmp_path / "config", user)).token == "jo"


@pytest.mark.parametrize("context", ["three"])
def test_an_unknown_context_is_named(tmp_path, context):
    with pytest.raises(SettingsError, match="'three'"):
        load(kubeconfig(tmp_path / "config", {}), context)


@pytest.mark.parametrize("content", ["[", "contexts: 3", "current-context: one\ncontexts: [{name: one}]"])
def test_a_kubeconfig_that_cannot_be_used(tmp_path, content):
    (tmp_path / "config").write_text(content)
    with pytest.raises(SettingsError):
        load(str(tmp_path / "config"))


def test_no_cluster(tmp_path):
    with pytest.raises(SettingsError, match="KUBECONFIG"):
        load(str(tmp_path / "none"))
