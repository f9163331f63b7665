"""The API server's address and credentials; no repr shows the secrets of a kubeconfig."""

import base64
import json
import os
import ssl

import pytest
import yaml

from clientcert.errors import SettingsError
from clientcert.kube.kubeconfig import Connection, load_connection
from tools.certificates import CertificateAuthority


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
    with pytest.raises(SettingsError, match="there is no file"):
        load(str(tmp_path / "none"))


def test_client_certificates_beside_the_kubeconfig_and_in_it(tmp_path):
    (tmp_path / "client.pem").write_text("CERTIFICATE")
    data = base64.b64encode(b"KEY").decode()
    found = load(kubeconfig(tmp_path / "config", {"client-certificate": "client.pem", "client-key-data": data}))
    assert (found.certificate_pem, found.private_key_pem) == ("CERTIFICATE", "KEY")
    assert "KEY" not in repr(found)


def test_a_context_without_a_user(tmp_path):
    path = tmp_path / "config"
    kubeconfig(path, {})
    content = yaml.safe_load(path.read_text())
    del content["contexts"][0]["context"]["user"]
    path.write_text(yaml.safe_dump(content))
    assert load(str(path)).token == ""


def test_the_namespace_of_the_context(tmp_path):
    path = tmp_path / "config"
    kubeconfig(path, {}, **{"tls-server-name": "kubernetes", "proxy-url": "http://proxy.example"})
    content = yaml.safe_load(path.read_text())
    content["contexts"][0]["context"]["namespace"] = "team"
    path.write_text(yaml.safe_dump(content))
    found = load(str(path))
    assert (found.namespace, found.tls_server_name, found.proxy_url) == ("team", "kubernetes", "http://proxy.example")


def test_an_auth_provider_is_refused_in_words(tmp_path):
    with pytest.raises(SettingsError, match="use a plugin"):
        load(kubeconfig(tmp_path / "config", {"auth-provider": {"name": "oidc"}}))


def test_impersonation(tmp_path):
    user = {"as": "jo", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": {"example.org/scope": ["x"]}}
    assert load(kubeconfig(tmp_path / "config", user)).impersonated == (
        ("Impersonate-User", "jo"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-example.org%2Fscope", "x"),
    )


def test_a_plugin_beside_the_kubeconfig_that_is_told_of_the_cluster(tmp_path, monkeypatch):
    """Its path is relative to the folder of the kubeconfig, wherever one stands."""
    (tmp_path / "bin").mkdir()
    plugin = tmp_path / "bin" / "login"
    plugin.write_text(
        '#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" > "$SEEN"\necho "{\\"status\\": {\\"token\\": \\"t\\"}}"\n'
    )
    plugin.chmod(0o755)
    seen = tmp_path / "seen"
    entry = {"command": "./bin/login", "provideClusterInfo": True, "env": [{"name": "SEEN", "value": str(seen)}]}
    extensions = [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "us"}}]
    cluster = {"certificate-authority-data": base64.b64encode(b"PEM").decode(), "extensions": extensions}
    monkeypatch.chdir("/")
    assert load(kubeconfig(tmp_path / "config", {"exec": entry}, **cluster)).token == "t"
    assert json.loads(seen.read_text())["spec"]["cluster"] == {
        "server": "https://one.example:6443/",
        "certificate-authority-data": base64.b64encode(b"PEM").decode(),
        "config": {"audience": "us"},
    }


@pytest.mark.parametrize("text", ["é\n{}", "{}# ünd\n"])
def test_words_beside_the_certificate_of_a_ca(text):
    """openssl writes names there, which need not be ASCII."""
    pem = CertificateAuthority.create().identity.certificate_pem.decode()
    context = Connection("https://one.example", ca_pem=text.format(pem)).ssl_context()
    assert len(context.get_ca_certs()) == 1


def test_a_ca_without_a_certificate_trusts_nobody():
    with pytest.raises(ssl.SSLError):
        Connection("https://one.example", ca_pem="no PEM").ssl_context()
