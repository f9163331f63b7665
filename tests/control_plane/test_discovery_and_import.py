"""`clientcert import s3` beside discovery in the same bucket: never two ClientCertificates for one source."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.control_plane.buckets import STORE, Backup
from tests.control_plane.discovering import CREATE, ENVIRONMENT, Discovering
from tests.control_plane.operators import Operator
from tests.control_plane.test_cli import Terminal
from tests.control_plane.waiting import eventually
from tests.scenarios import Manifest

FOLDERS = ("nhs", "NHS England", "renamed", "0o17")


@pytest.fixture
def found(backup: Backup) -> Discovering:
    found = Discovering(backup)
    found.prepare(CREATE)
    found.upload("nhs", "NHS England", "0o17")
    backup.upload("renamed", backup.team.issue("other", days=100))
    return found


@pytest.fixture
def terminal(found: Discovering, tmp_path: Path) -> Terminal:
    """A person with AWS credentials and a kubeconfig."""
    server = found.backup.server
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(f"[default]\nregion = {server.region}\n")
    keys = f"aws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    (tmp_path / ".aws/credentials").write_text(f"[default]\n{keys}")
    return Terminal(found.backup.team, tmp_path)


def run_import(found: Discovering, terminal: Terminal, directory: str) -> dict[str, Manifest]:
    """The manifests of one import, by name."""
    options = ("--store", STORE, "--environment", ENVIRONMENT, "--out", directory)
    terminal.clientcert("import", "s3", found.backup.bucket, *options, now=found.backup.team.began)
    files = (terminal.directory / directory).glob("*.yaml")
    written = [yaml.safe_load(each.read_text()) for each in files if each.name != "kustomization.yaml"]
    return {each["metadata"]["name"]: each for each in written}


def apply(found: Discovering, terminal: Terminal, directory: str, *options: str) -> None:
    found.backup.team.control_plane.kubectl("apply", "-k", terminal.directory / directory, *options)


def declared(found: Discovering) -> dict[str, Any]:
    """The specs, without the default that the API server adds."""
    specs = {name: dict(each["spec"]) for name, each in found.objects().items()}
    return {name: {field: spec[field] for field in spec if field != "profile"} for name, spec in specs.items()}


@pytest.mark.parametrize("options", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_manifests_of_an_import_take_over_what_discovery_has_made(
    found: Discovering, terminal: Terminal, operator: Operator, options: tuple[str, ...]
) -> None:
    """They have the same names and the same specs, so nothing changes. An import after it has nothing to write."""
    found.backup.declare_store()
    written = run_import(found, terminal, "before")
    assert len(written) == len(FOLDERS)
    found.discover(mode="Create")
    eventually(found.names, set(written))
    assert declared(found) == {name: each["spec"] for name, each in written.items()}
    uids = {name: each["metadata"]["uid"] for name, each in found.objects().items()}
    apply(found, terminal, "before", *options)
    after = found.objects()
    assert {name: each["metadata"]["uid"] for name, each in after.items()} == uids
    assert {each["metadata"]["generation"] for each in after.values()} == {1}
    assert run_import(found, terminal, "after") == {}


def test_discovery_makes_nothing_for_what_was_imported(
    found: Discovering, terminal: Terminal, operator: Operator
) -> None:
    found.backup.declare_store()
    written = run_import(found, terminal, "first")
    apply(found, terminal, "first")
    found.upload("later")
    found.discover(mode="Create")
    eventually(found.names, {*written, "later-prod"})
    eventually(found.says, ("True", "Discovered"))
    assert found.names() == {*written, "later-prod"}


def test_both_at_the_same_time(found: Discovering, terminal: Terminal, operator: Operator) -> None:
    """Whoever is first, there is one object for each source."""
    found.backup.declare_store()
    names = [f"consumer-{number:02}" for number in range(40)]
    found.upload(*names)
    written = run_import(found, terminal, "first")
    found.discover(mode="Create")
    apply(found, terminal, "first", "--server-side", "--force-conflicts")
    eventually(found.says, ("True", "Discovered"))
    sources = [each["spec"]["source"]["s3"]["key"] for each in found.objects().values()]
    assert len(sources) == len(set(sources)) == len(FOLDERS) + len(names)
    assert found.names() == set(written)
