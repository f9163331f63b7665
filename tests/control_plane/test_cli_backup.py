"""`clientcert backup`, `restore` and `export`: against a real API server, with statuses as the operator writes them."""

import csv
import io
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.control_plane.renewal_people import MERGE, People
from tests.control_plane.team import Team
from tests.control_plane.test_canary import Canaries
from tests.control_plane.test_cli import Terminal
from tests.control_plane.test_cli_contacts import configmaps
from tests.docs.pages import blocks
from tests.scenarios import certificate_policy, certificate_store, client_certificate, secret
from tests.unit.cli.renewal_objects import CSR
from tools.control_plane import ApiError

ADDRESS = "canary.jo@nhs.example"
CONTACT = {"technical": {"name": "Jo Bloggs", "email": ADDRESS}}
CIPHERTEXT = "Q0FOQVJZLWNpcGhlcnRleHQ="
OLD, LATER = "2026-11-01T09:00:00Z", "2026-11-20T09:00:00Z"
KEPT = ("ClientCertificate", "CertificatePolicy", "CertificateStore", "CertificateRevocation")


def told(name: str, time: str, stage: int = 20) -> dict[str, Any]:
    """The part of a status about one channel."""
    channel = {"name": name, "fingerprintSHA256": "4af2".zfill(64), "stage": stage, "lastSentTime": time}
    return {"lastSentTime": time, "channels": [channel | {"problems": []}]}


def ready(time: str, generation: int = 1) -> dict[str, Any]:
    """A condition that has changed at this time."""
    known = {"type": "Ready", "status": "True", "reason": "Valid", "message": "", "lastTransitionTime": time}
    return known | {"observedGeneration": generation}


class Backups:
    """A namespace with an object of each kind, and the terminal of its administrator."""

    def __init__(self, team: Team, directory: Path) -> None:
        self.team, self.terminal, self.people = team, Terminal(team, directory), People(team, directory)

    def declare(self, canaries: Canaries) -> None:
        team = self.team
        policy = certificate_policy("team")
        policy["spec"]["contacts"] = {"directoryRef": {"name": "clients"}}
        listed = {"metadata": {"name": "clients", "labels": {"of": "team"}}, "data": {"nhs": f"technical: {ADDRESS}\n"}}
        team.api.request("POST", configmaps(team), listed)
        key = secret("nhs-cert", tls_crt=canaries.issued.certificate_pem, tls_key=canaries.key_pem)
        team.apply(key, policy, certificate_store("bucket", "a-bucket", "https://s3.example", "credentials"))
        self.people.declare("nhs", observedGeneration=2, conditions=[ready(OLD, 2)], alerts=told("team", LATER))
        team.apply(client_certificate("nhs", consumer="nhs", contact=CONTACT, policyRef={"name": "team"}))
        self.terminal.succeeds("silence", "nhs", "--until", "2099-12-24T00:00:00Z", "--reason", "moves")
        team.apply(client_certificate("new", contact=CONTACT))
        asked = {"clientcert.dev/test-alert": "once", "note": "kept"}
        self.change("nhs", {"metadata": {"annotations": asked}})
        self.write("team", {"conditions": [ready(OLD)], "digests": []}, "CertificatePolicy")
        self.write("bucket", {"conditions": [ready(OLD)], "objects": 7}, "CertificateStore")
        (self.terminal.directory / "nhs.csr").write_text(CSR)
        self.terminal.succeeds("renew", "nhs", "--csr", "nhs.csr")
        [request] = team.items("CertificateRenewal")
        self.people.record(request["metadata"]["name"], "Issued", ciphertext=CIPHERTEXT)
        self.terminal.succeeds("revoke", "nhs", "--reason", "CessationOfOperation", "--yes")

    def change(self, name: str, patch: dict[str, Any], kind: str = "ClientCertificate") -> None:
        self.team.api.request("PATCH", self.team.path(kind, name), patch, content_type=MERGE)

    def write(self, name: str, status: dict[str, Any], kind: str = "ClientCertificate") -> None:
        """Write a status, as the operator's user would."""
        path = self.team.path(kind, name) + "/status"
        self.team.api.request("PATCH", path, {"status": status}, content_type=MERGE)

    def delete_all(self) -> None:
        self.team.leave()
        with suppress(ApiError):  # it is gone already
            self.team.api.request("DELETE", configmaps(self.team, "clients"))

    @property
    def revocation(self) -> str:
        """The name of the CertificateRevocation."""
        [line] = [each for each in lines_of(self) if '"kind": "CertificateRevocation"' in each]
        return str(json.loads(line)["metadata"]["name"])

    def saved(self) -> list[dict[str, Any]]:
        """The lines of a backup."""
        return [json.loads(line) for line in self.terminal.succeeds("backup").splitlines()]

    def specs(self) -> dict[tuple[str, str], Any]:
        return {(kind, each["metadata"]["name"]): each["spec"] for kind in KEPT for each in self.team.items(kind)}


@pytest.fixture(scope="module")
def canaries(lasting_team: Team) -> Canaries:
    return Canaries(lasting_team.issue("nhs", days=20))


@pytest.fixture(scope="module")
def backups(lasting_team: Team, canaries: Canaries, tmp_path_factory: pytest.TempPathFactory) -> Backups:
    found = Backups(lasting_team, tmp_path_factory.mktemp("backup"))
    found.declare(canaries)
    found.terminal.succeeds("backup", "-o", "all.backup")
    return found


@pytest.fixture
def emptied(backups: Backups) -> Iterator[Backups]:
    """The namespace without our objects; afterwards it has all of them again."""
    backups.delete_all()
    yield backups
    backups.delete_all()
    backups.terminal.succeeds("restore", "all.backup")


def test_what_a_backup_holds(backups: Backups, canaries: Canaries) -> None:
    """Contacts with their addresses, and nothing of a Secret, a request or an encrypted key."""
    head, *objects, end = backups.saved()
    assert (head["format"], head["namespace"], end) == (
        "clientcert-backup/1",
        backups.team.namespace,
        {"end": len(objects)},
    )
    kinds = ["CertificatePolicy", "ConfigMap", "CertificateStore", "CertificateRevocation"]
    assert [each["kind"] for each in objects][:4] == kinds
    file = backups.terminal.directory / "all.backup"
    text = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert text.count(ADDRESS) == 3
    assert {piece for piece in (*canaries.pieces(), CIPHERTEXT, "CERTIFICATE REQUEST") if piece in text} == set()
    assert {name for each in objects for name in each["metadata"]} <= {
        "name", "namespace", "labels", "annotations", "generation"
    }  # fmt: skip


def test_it_is_the_same_each_time(backups: Backups) -> None:
    assert backups.saved()[1:] == backups.saved()[1:]


def test_the_page_shows_the_real_output(backups: Backups, tmp_path: Path) -> None:
    """But for numbers, and for lines about the other objects of this namespace."""
    saving, restoring, leaving = blocks(REPOSITORY / "docs/backup.md", "console")
    terminal = Terminal(backups.team, tmp_path)
    show(terminal, saving)
    backups.delete_all()
    show(terminal, restoring)
    show(terminal, leaving)


def show(terminal: Terminal, block: str) -> None:
    """Make the calls of a block, and find what the page shows."""
    for call in block.removeprefix("$ ").split("\n$ "):
        command, *shown = call.splitlines()
        program, *arguments = shlex.split(command)
        assert program == "clientcert"
        printed = terminal.succeeds(*arguments).replace(terminal.team.namespace, "integration")
        known = [*map(without_numbers, printed.splitlines())]
        assert [each for each in shown if without_numbers(each) not in known] == []


def without_numbers(line: str) -> str:
    return re.sub(r"\d+", "0", line)


def test_all_is_as_it_was(emptied: Backups) -> None:
    """But for the renewal, which is a record; the generation that a status is about is that of the new object."""
    saved = {(each["kind"], each["metadata"]["name"]): each for each in map(json.loads, lines_of(emptied)[1:-1])}
    printed = emptied.terminal.succeeds("restore", "all.backup").splitlines()
    assert printed[-1] == "1 CertificateRenewals are a record, and were not restored"
    assert f"{emptied.team.namespace} clientcertificate.clientcert.dev/nhs created, with its status" in printed
    assert f"{emptied.team.namespace} configmap/clients created" in printed
    assert emptied.specs() == {key: saved[key]["spec"] for key in emptied.specs()}
    assert len(emptied.specs()) == 5
    assert emptied.team.items("CertificateRenewal") == []
    nhs = emptied.team.get("ClientCertificate", "nhs")
    assert nhs["metadata"]["annotations"].keys() == {"note", "clientcert.dev/restored"}
    assert nhs["status"]["alerts"] == told("team", LATER)
    assert (nhs["metadata"]["generation"], nhs["status"]["observedGeneration"]) == (1, 0)
    assert "annotations" not in emptied.team.get("ClientCertificate", "new")["metadata"]
    assert emptied.team.status("bucket", "CertificateStore")["objects"] == 7
    [condition] = emptied.team.status("team", "CertificatePolicy")["conditions"]
    assert condition == ready(OLD)
    found = emptied.team.api.request("GET", configmaps(emptied.team, "clients"))
    assert (found["metadata"]["labels"], ADDRESS in found["data"]["nhs"]) == ({"of": "team"}, True)


def test_a_second_call_changes_nothing(emptied: Backups) -> None:
    emptied.terminal.succeeds("restore", "all.backup")
    before = emptied.team.versions()
    printed = emptied.terminal.succeeds("restore", "all.backup").splitlines()
    assert {each.rpartition(" ")[2] for each in printed[:-1]} == {"unchanged"}
    assert emptied.team.versions() == before


def test_from_standard_input_and_one_namespace(emptied: Backups) -> None:
    text = (emptied.terminal.directory / "all.backup").read_text()
    assert emptied.terminal.fails("restore", "all.backup", "-n", "another")[0] == 3
    ran = emptied.terminal.clientcert("restore", "-", "-n", emptied.team.namespace, typed=text)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(emptied.specs()) == 5


def test_a_dry_run_writes_nothing(emptied: Backups) -> None:
    for way in ("client", "server"):
        printed = emptied.terminal.succeeds("restore", "all.backup", f"--dry-run={way}")
        assert "clientcertificate.clientcert.dev/nhs created" in printed
        names = emptied.terminal.succeeds("restore", "all.backup", f"--dry-run={way}", "-o", "name").splitlines()
        assert "certificatestore.clientcert.dev/bucket" in names
    assert emptied.specs() == {}


class TestWhatExists:
    """It is never written over, but for a status that is older than the backup."""

    def test_a_later_status(self, backups: Backups) -> None:
        backups.write("nhs", {"alerts": told("team", "2026-11-25T09:00:00Z", 10)})
        assert "nhs unchanged" in backups.terminal.succeeds("restore", "all.backup")
        assert backups.team.channel("nhs", "team")["stage"] == 10

    def test_an_earlier_status(self, backups: Backups) -> None:
        """As after a restore of etcd; what the backup does not have is gone."""
        earlier = {"alerts": told("team", "2026-11-10T09:00:00Z", 30), "source": {"version": "1", "observedTime": OLD}}
        backups.write("nhs", earlier | {"conditions": [ready(OLD)]})
        printed = backups.terminal.succeeds("restore", "all.backup")
        assert "nhs exists, and its status is restored" in printed
        assert (backups.team.channel("nhs", "team")["stage"], "source" in backups.team.status("nhs")) == (20, False)

    def test_a_status_that_records_nothing_as_sent(self, backups: Backups) -> None:
        """As of an operator that only observes, after the manifests were applied: what was sent is added."""
        now = {"conditions": [ready("2026-11-28T09:00:00Z")], "alerts": None, "phase": "ExpiringSoon"}
        backups.write("nhs", now)
        assert "its status is restored" in backups.terminal.succeeds("restore", "all.backup")
        status = backups.team.status("nhs")
        assert (status["alerts"], status["phase"]) == (told("team", LATER), "ExpiringSoon")
        assert status["conditions"] == [ready("2026-11-28T09:00:00Z")]

    def test_another_spec(self, backups: Backups) -> None:
        """It is left as it is; the others are restored."""
        backups.team.delete("CertificateStore", "bucket")
        backups.change("nhs", {"spec": {"owner": "web", "contact": {"technical": {"name": "Sam Patel"}}}})
        ran = backups.terminal.clientcert("restore", "all.backup")
        said = f"ClientCertificate nhs in namespace {backups.team.namespace}: exists with another content"
        assert (ran.returncode, said in ran.stderr.splitlines()[0]) == (3, True)
        assert "certificatestore.clientcert.dev/bucket created, with its status" in ran.stdout
        assert backups.team.get("ClientCertificate", "nhs")["spec"]["contact"]["technical"]["name"] == "Sam Patel"
        backups.change("nhs", {"spec": {"contact": CONTACT}})
        assert "nhs unchanged" in backups.terminal.succeeds("restore", "all.backup")  # an owner alone is no difference
        backups.change("nhs", {"spec": {"owner": None}})


class TestRights:
    """Those of a person with the shipped roles."""

    def test_without_the_right_to_write_statuses_nothing_is_restored(self, emptied: Backups) -> None:
        """Else alerts would be repeated. With it, what needs something else that is missing is left out."""
        editor, file = emptied.people.terminal("authority"), str(emptied.terminal.directory / "all.backup")
        ran = editor.clientcert("restore", file)
        assert (ran.returncode, emptied.specs()) == (3, {})
        assert "have the ClusterRole clientcert-restorer bound to you" in ran.stderr
        emptied.people.bind("authority", "clientcert-restorer")
        ran = editor.clientcert("restore", file)
        assert set(emptied.specs()) == {("ClientCertificate", "new"), ("CertificateStore", "bucket")}
        *problems, last = ran.stderr.splitlines()
        assert [each.partition(" in namespace")[0].removeprefix("Error: ") for each in problems] == [
            "ConfigMap clients",
            "CertificatePolicy team",
            f"CertificateRevocation {emptied.revocation}",
            "ClientCertificate nhs",
        ]
        assert "ConfigMap clients, which it needs, was not restored" in problems[1]
        assert "CertificatePolicy team, which it needs, was not restored" in problems[3]
        assert (ran.returncode, last) == (3, "Error: 4 of 6 objects were not restored as in the backup")

    def test_without_a_client_list_there_is_no_backup(self, backups: Backups) -> None:
        """A part would be missing in it: no file is written, and what was printed has no last line."""
        onlooker = backups.people.terminal("onlooker")
        ran = onlooker.clientcert("backup")
        assert (ran.returncode, "ConfigMap clients" in ran.stderr, '"end"' in ran.stdout) == (3, True, False)
        assert onlooker.clientcert("backup", "-o", "some.backup").returncode == 3
        assert not (onlooker.directory / "some.backup").exists()


def lines_of(backups: Backups) -> list[str]:
    return (backups.terminal.directory / "all.backup").read_text().splitlines()


def test_a_namespace_that_is_missing(backups: Backups, tmp_path: Path) -> None:
    lines = [line.replace(backups.team.namespace, "no-such-place") for line in lines_of(backups)]
    (tmp_path / "moved.backup").write_text("\n".join(lines))
    ran = backups.terminal.clientcert("restore", str(tmp_path / "moved.backup"))
    assert (ran.returncode, ran.stdout.count("created")) == (3, 0)
    assert "there is no namespace no-such-place" in ran.stderr


def test_a_status_that_the_kind_does_not_allow(emptied: Backups, tmp_path: Path) -> None:
    """As one of another version: it is named, and all others are restored."""
    head, *objects, end = map(json.loads, lines_of(emptied))
    [nhs] = [each for each in objects if (each["kind"], each["metadata"]["name"]) == ("ClientCertificate", "nhs")]
    nhs["status"]["daysRemaining"] = "twenty"
    (tmp_path / "other.backup").write_text("\n".join(map(json.dumps, (head, *objects, end))))
    ran = emptied.terminal.clientcert("restore", str(tmp_path / "other.backup"))
    assert ran.returncode == 3
    first, last = ran.stderr.splitlines()
    assert "daysRemaining" in first
    assert "it was created, and its status was not restored: call again within 30 minutes" in first
    assert last == "Error: 1 of 6 objects were not restored as in the backup"
    assert len(emptied.specs()) == 5
    assert "It was restored, and its status is awaited" in emptied.terminal.succeeds("status", "nhs")


def test_a_file_that_was_cut_off(backups: Backups, tmp_path: Path) -> None:
    (tmp_path / "short.backup").write_text("\n".join(lines_of(backups)[:-1]))
    code, said = backups.terminal.fails("restore", str(tmp_path / "short.backup"))
    assert (code, "cut off" in said) == (3, True)


class TestExport:
    def test_kubectl_applies_it(self, backups: Backups, tmp_path: Path) -> None:
        """One file for each object, without what the cluster has added."""
        target = tmp_path / "out"
        backups.terminal.succeeds("export", str(target))
        listed = yaml.safe_load((target / "kustomization.yaml").read_text())["resources"]
        assert len(listed) == 6
        for name in listed:
            [found] = yaml.safe_load_all((target / name).read_text())
            assert set(found["metadata"]) <= {"name", "namespace", "labels", "annotations"}
            assert (found["metadata"].get("annotations") or {}).keys() <= {"note"}
        printed = backups.team.control_plane.kubectl("apply", "--dry-run=server", "-k", str(target))
        assert len(printed.splitlines()) == 6
        assert target.stat().st_mode & 0o777 == 0o700

    def test_the_registers(self, backups: Backups, canaries: Canaries, tmp_path: Path) -> None:
        """Addresses are in the one of certificates if they are asked for; keys are nowhere."""
        backups.terminal.succeeds("export", str(tmp_path / "out"))
        register = (tmp_path / "out/register.csv").read_text()
        rows = {each["name"]: each for each in csv.DictReader(io.StringIO(register))}
        assert (rows["nhs"]["consumer"], rows["nhs"]["serialNumber"]) == ("nhs", "4af2")
        assert rows["nhs"]["contacts"] == "Jo Bloggs (technical contact)"
        assert ADDRESS not in register
        backups.terminal.succeeds("export", str(tmp_path / "more"), "--contacts")
        assert ADDRESS in (tmp_path / "more/register.csv").read_text()
        every = "".join(each.read_text() for each in (tmp_path / "more").rglob("*") if each.is_file())
        assert {piece for piece in (*canaries.pieces(), CIPHERTEXT) if piece in every} == set()

    def test_a_directory_with_something_in_it(self, backups: Backups, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("")
        code, said = backups.terminal.fails("export", str(tmp_path))
        assert (code, "is no empty directory" in said, [*tmp_path.iterdir()]) == (3, True, [tmp_path / "mine"])
