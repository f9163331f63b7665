"""The manifests that `clientcert import` writes: stable over runs, and inert whatever the place is called."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.api.client_certificate import parse_spec
from clientcert.cli.client_list_file import Row
from clientcert.cli.ignored_words import IgnoredWord
from clientcert.cli.import_candidate import Candidate
from clientcert.cli.import_plan import Planned, Planner, files_of, names_taken
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.import_stores import NewStore
from clientcert.cli.import_watched import Watched
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import Bucket, ObjectKey, Person, S3Source, SecretSource, Silence, SourceRef
from tools.certificates import CertificateAuthority

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
AUTHORITY = CertificateAuthority.create("Integration CA")
NHS = AUTHORITY.issue("nhs", BEGIN, END)
SILENCE = Silence(NOW + timedelta(days=90), "left")
REQUEST = ImportRequest(NOW, "prod", "daily", SILENCE)
NOTHING = Watched.among((), {})
HOSTILE = ("..", "../../etc", "a\nb", "x" * 1010, "\u202egpj", "- a: {b", "\x1b[2J", "'\"", "nhs\0", "C:\\x", "{{ x }}")


def in_bucket(folder: str, content: bytes = NHS.certificate_pem) -> Candidate:
    key = f"{folder}/client.pem"
    candidate = Candidate("team", key, f"s3 backup {key}", folder, source=S3Source("backup", key))
    return candidate.read(lambda: content, NOW)


def file(place: str, content: bytes) -> Candidate:
    name = place.partition("/")[0]
    return Candidate("team", place, f"file backup/{place}", name, group=name).read(lambda: content, NOW)


def secret(
    name: str, key: str = "tls.crt", *, namespace: str = "team", content: bytes = NHS.certificate_pem
) -> Candidate:
    source = SecretSource(name, key)
    candidate = Candidate(namespace, f"{name} {key}", f"secret {name} {key}", "", name, source)
    return candidate.read(lambda: content, NOW)


def run(
    path: Path,
    *candidates: Candidate,
    request: ImportRequest = REQUEST,
    watched: Watched = NOTHING,
    secrets: frozenset[str] = frozenset(),
    everywhere: bool = False,
) -> list[Planned]:
    """One run, with what it writes."""
    directory = ManifestDirectory.read(path).applied_in("team")
    names = names_taken(watched, directory, secrets)
    planned = Planner(request, watched, directory, names, everywhere=everywhere).plan(candidates)
    if files := files_of(planned):
        directory.write(files)
    return planned


def outcome(planned: list[Planned]) -> list[tuple[str, str]]:
    return [(each.result, each.name) for each in planned]


def objects(path: Path, name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((path / name).read_text()))


def watching(name: str, source: dict[str, Any], **status: Any) -> dict[str, Any]:
    spec = {"consumer": "nhs", "environment": "prod", "contact": {"lookup": ["Slack"]}, "source": source}
    return {"metadata": {"namespace": "team", "name": name}, "spec": spec, "status": status}


S3_NHS = {"type": "S3", "s3": {"storeRef": {"name": "backup"}, "key": "nhs/client.pem"}}
ANOTHER = {"type": "Secret", "secret": {"name": "another"}}


class TestStability:
    def test_the_same_again(self, tmp_path: Path) -> None:
        """Also when the objects were applied meanwhile: they are the directory's own."""
        assert outcome(run(tmp_path, in_bucket("nhs"), in_bucket("acme"))) == [
            ("new", "nhs-prod"),
            ("new", "acme-prod"),
        ]
        before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
        applied = Watched.among([watching("nhs-prod", S3_NHS)], {})
        again = run(tmp_path, in_bucket("nhs"), in_bucket("acme"), watched=applied)
        assert outcome(again) == [("unchanged", "nhs-prod"), ("unchanged", "acme-prod")]
        assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before

    def test_a_certificate_that_was_renewed_changes_nothing(self, tmp_path: Path) -> None:
        run(tmp_path, in_bucket("nhs"))
        renewed = AUTHORITY.issue("nhs", BEGIN, END + timedelta(days=365))
        assert outcome(run(tmp_path, in_bucket("nhs", renewed.certificate_pem))) == [("unchanged", "nhs-prod")]

    def test_a_file_that_somebody_has_changed(self, tmp_path: Path) -> None:
        run(tmp_path, in_bucket("nhs"))
        mine = (tmp_path / "nhs-prod.yaml").read_text() + "  owner: integration-team\n"
        (tmp_path / "nhs-prod.yaml").write_text(mine)
        assert outcome(run(tmp_path, in_bucket("nhs"))) == [("kept", "nhs-prod")]
        assert (tmp_path / "nhs-prod.yaml").read_text() == mine

    def test_a_silence_does_not_grow(self, tmp_path: Path) -> None:
        """The 90 days count from the first import, unless the call names an end."""
        ignored = replace(REQUEST, words=(IgnoredWord("prod", "nhs"),))
        run(tmp_path, in_bucket("nhs"), request=ignored)
        later = replace(ignored, silence=replace(SILENCE, until=SILENCE.until + timedelta(days=30)))
        assert outcome(run(tmp_path, in_bucket("nhs"), request=later)) == [("unchanged", "nhs-prod")]
        run(tmp_path, in_bucket("nhs"), request=replace(later, has_end=True))
        [found] = objects(tmp_path, "nhs-prod.yaml")
        assert found["spec"]["silence"] == {"until": "2027-03-22T09:00:00Z", "reason": "left"}

    def test_what_the_call_does_not_say(self, tmp_path: Path) -> None:
        """Without the lists, people, silence and policy stay."""
        row = Row(2, "nhs", Person("Jo Bloggs", "jo@nhs.example"), None)
        lists = replace(REQUEST, rows={"nhs": row}, words=(IgnoredWord("prod", "nhs"),))
        run(tmp_path, in_bucket("nhs"), request=lists)
        bare = replace(REQUEST, policy="", silence=replace(SILENCE, reason="other"))
        [again] = run(tmp_path, in_bucket("nhs"), request=bare)
        assert (again.result, again.silence) == ("unchanged", SILENCE)
        [listed] = run(tmp_path, in_bucket("nhs"), request=replace(bare, words=lists.words))
        assert listed.result == "unchanged"
        [emptied] = run(tmp_path, in_bucket("nhs"), request=replace(REQUEST, policy="weekly", rows={}, words=()))
        assert (emptied.result, emptied.changes) == ("changed", ("contact", "policy", "silence"))

    def test_a_file_that_is_another_one(self, tmp_path: Path) -> None:
        """Another certificate at the same place replaces the first only if it has the same name."""
        run(tmp_path, file("nhs/client.pem", NHS.certificate_pem))
        other = AUTHORITY.issue("acme", BEGIN, END).certificate_pem
        before = (tmp_path / "nhs-prod.yaml").read_bytes()
        [planned] = run(tmp_path, file("nhs/client.pem", other))
        assert (planned.result, planned.file) == ("unreadable", "nhs-prod.yaml")
        assert planned.words.endswith("remove that file")
        assert (tmp_path / "nhs-prod.yaml").read_bytes() == before
        renewed = AUTHORITY.issue("nhs", BEGIN, END + timedelta(days=365)).certificate_pem
        [planned] = run(tmp_path, file("nhs/client.pem", renewed))
        assert (planned.result, planned.changes) == ("changed", ("certificate",))

    def test_a_file_that_cannot_be_read_any_more(self, tmp_path: Path) -> None:
        """It is kept, and the others are written."""
        run(tmp_path, in_bucket("nhs"))
        (tmp_path / "nhs-prod.yaml").write_text(mine := (tmp_path / "nhs-prod.yaml").read_text() + "\n[")
        planned = run(tmp_path, in_bucket("nhs"), in_bucket("acme"))
        assert outcome(planned) == [("kept", ""), ("new", "acme-prod")]
        assert (tmp_path / "nhs-prod.yaml").read_text() == mine


class TestNames:
    def test_two_secrets_of_one_consumer(self, tmp_path: Path) -> None:
        first = run(tmp_path, secret("b"))
        both = run(tmp_path, secret("a"), secret("b"))
        assert outcome(first) == [("new", "nhs-prod")]
        assert outcome(both) == [("new", both[0].name), ("unchanged", "nhs-prod")]
        assert both[0].name.startswith("nhs-prod-")
        assert outcome(run(tmp_path, secret("a"), secret("b"))) == [
            ("unchanged", both[0].name),
            ("unchanged", "nhs-prod"),
        ]

    def test_a_name_that_another_object_has(self, tmp_path: Path) -> None:
        """To apply the manifest must not change that object."""
        [planned] = run(tmp_path, in_bucket("nhs"), watched=Watched.among([watching("nhs-prod", ANOTHER)], {}))
        assert planned.name.startswith("nhs-prod-")

    @pytest.mark.parametrize("folder", HOSTILE)
    def test_a_hostile_folder(self, tmp_path: Path, folder: str) -> None:
        """One file with a harmless name, in the directory, with one object whose texts are those of the bucket."""
        out = tmp_path / "out"
        [planned] = run(out, in_bucket(folder))
        assert planned.result == "new"
        assert {each.name for each in out.iterdir()} == {"kustomization.yaml", planned.file}
        assert planned.file == f"{planned.name}.yaml"
        assert planned.file.replace("-", "").replace(".", "").isalnum()
        [found] = objects(out, planned.file)
        assert found["spec"]["source"]["s3"]["key"] == f"{folder}/client.pem"
        assert parse_spec(found["spec"]).identity.fields
        assert [each.name for each in tmp_path.iterdir()] == ["out"]

    def test_files_of_two_namespaces(self, tmp_path: Path) -> None:
        """A namespace and a name with dots are not taken for another name."""
        one, two = (AUTHORITY.issue(each, BEGIN, END).certificate_pem for each in ("api.nhs.uk", "nhs.uk"))
        [first] = run(tmp_path, secret("s", namespace="default", content=one))
        [second] = run(tmp_path, secret("t", namespace="api", content=two), everywhere=True)
        [third] = run(tmp_path, secret("s", namespace="other", content=one))
        assert [each.result for each in (first, second, third)] == ["new"] * 3
        assert len({first.file, second.file, third.file}) == 3

    def test_a_store_with_the_same_name(self, tmp_path: Path) -> None:
        """It is an object of another kind."""
        store = NewStore(ObjectKey("team", "nhs-prod"), Bucket("backup", credentials_secret="s"))
        directory = ManifestDirectory.read(tmp_path).applied_in("team")
        directory.write(dict(store.plan(directory, names_taken(NOTHING, directory, ()))[0]))
        assert outcome(run(tmp_path, in_bucket("nhs"))) == [("new", "nhs-prod")]


class TestLeftOut:
    def test_what_an_object_watches_already(self, tmp_path: Path) -> None:
        [planned] = run(tmp_path, in_bucket("nhs"), watched=Watched.among([watching("mine", S3_NHS)], {}))
        assert (planned.result, planned.words) == ("left out", "ClientCertificate mine watches it")
        assert list(tmp_path.iterdir()) == []

    def test_what_a_file_watches_for_another_environment(self, tmp_path: Path) -> None:
        run(tmp_path, in_bucket("nhs"))
        [planned] = run(tmp_path, in_bucket("nhs"), request=replace(REQUEST, environment="dev"))
        assert planned.result == "left out"
        assert planned.words == "nhs-prod.yaml watches it, in environment prod: remove that file if that is wrong"

    def test_an_object_whose_spec_cannot_be_used(self, tmp_path: Path) -> None:
        """It watches nothing, and has its name."""
        broken = {"metadata": {"namespace": "team", "name": "nhs-prod"}, "spec": {}}
        assert run(tmp_path, in_bucket("nhs"), watched=Watched.among([broken], {}))[0].name.startswith("nhs-prod-")

    def test_copies_in_one_folder(self, tmp_path: Path) -> None:
        """One is imported, and stays the one: the first, unless another has an object already."""
        der, pem, p12 = (file(f"nhs/client.{each}", NHS.certificate_pem) for each in ("der", "pem", "p12"))
        words = "it is the same certificate as in nhs/client.pem"
        assert [each.words for each in run(tmp_path, pem, p12)] == ["", words]
        again = run(tmp_path, der, p12, pem)
        assert [(each.result, each.words) for each in again] == [
            ("left out", words),
            ("left out", words),
            ("unchanged", ""),
        ]

    def test_a_copy_of_what_is_watched(self, tmp_path: Path) -> None:
        old, new = secret("nhs", key="client.pem"), secret("nhs", key="client.crt")
        source = {"type": "Secret", "secret": {"name": "nhs", "key": "client.pem"}}
        planned = run(tmp_path, new, old, watched=Watched.among([watching("mine", source)], {}))
        assert [each.words for each in planned] == [
            "it is the same certificate as in nhs client.pem",
            "ClientCertificate mine watches it",
        ]

    def test_copies_of_two_consumers(self, tmp_path: Path) -> None:
        """Two files in one folder, of two consumers by their names."""
        files = [replace(file(f"{name}/c", NHS.certificate_pem), group=f"/{name}") for name in ("acme", "nhs")]
        assert [each.result for each in run(tmp_path, *files)] == ["new", "new"]

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        away = Candidate("team", "nhs/client.pem", "s3", problem=SourceError(Reason.ACCESS_DENIED, "no right"))
        planned = run(tmp_path, in_bucket("acme", b"\x00"), away)
        assert [each.result for each in planned] == ["unreadable", "unreadable"]
        assert planned[1].words == "AccessDenied: no right"
        assert planned[0].words.startswith("Empty: ")

    def test_what_cannot_be_read_and_is_watched_already(self, tmp_path: Path) -> None:
        """By an object, it is that object's to say so. By a manifest of the directory, the manifest stays."""
        [planned] = run(tmp_path, in_bucket("nhs", b""), watched=Watched.among([watching("mine", S3_NHS)], {}))
        assert (planned.result, planned.words) == ("left out", "ClientCertificate mine watches it")
        run(tmp_path, in_bucket("nhs"))
        [planned] = run(tmp_path, in_bucket("nhs", b""))
        assert (planned.result, planned.file) == ("unreadable", "nhs-prod.yaml")
        assert (tmp_path / "nhs-prod.yaml").exists()


class TestContent:
    def test_of_a_bucket(self, tmp_path: Path) -> None:
        row = Row(2, "nhs", Person("Jo Bloggs", "jo@nhs.example"), None)
        request = replace(REQUEST, rows={"nhs": row}, words=(IgnoredWord("preprod", "nhs"), IgnoredWord("prod", "nh")))
        run(tmp_path, in_bucket("nhs", AUTHORITY.issue("nhs-production", BEGIN, END).certificate_pem), request=request)
        [found] = objects(tmp_path, "nhs-prod.yaml")
        assert found == {
            "apiVersion": "clientcert.dev/v1alpha1",
            "kind": "ClientCertificate",
            "metadata": {"name": "nhs-prod", "namespace": "team"},
            "spec": {
                "consumer": "nhs",
                "environment": "prod",
                "contact": {"technical": {"name": "Jo Bloggs", "email": "jo@nhs.example"}},
                "source": S3_NHS,
                "identity": {"commonName": "nhs-production"},
                "policyRef": {"name": "daily"},
            },
        }

    def test_without_people_there_is_a_lookup(self, tmp_path: Path) -> None:
        run(tmp_path, in_bucket("nhs"), request=replace(REQUEST, policy="", rows={"nhs": Row(2, "nhs", note="a note")}))
        [found] = objects(tmp_path, "nhs-prod.yaml")
        assert found["spec"]["contact"] == {"lookup": ["Directory", "Slack"]}
        assert set(found["spec"]) == {"consumer", "environment", "contact", "source"}

    def test_of_a_file(self, tmp_path: Path) -> None:
        """A Secret with the certificate and its chain, and without the private key."""
        leaf = AUTHORITY.intermediate("Issuing CA").issue("nhs", BEGIN, END)
        content = leaf.private_key_pem + leaf.chain_pem
        taken = frozenset({"nhs-prod-certificate"})
        [usual] = run(tmp_path / "a", file("nhs/c.pem", content))
        [other] = run(tmp_path / "b", file("nhs/c.pem", content), secrets=taken)
        assert usual.name == "nhs-prod"
        assert other.name.startswith("nhs-prod-")
        secret, found = objects(tmp_path / "a", usual.file)
        reference: SourceRef = parse_spec(found["spec"]).source
        assert reference == SecretSource(secret["metadata"]["name"], "tls.crt")
        assert secret["metadata"] == {"name": "nhs-prod-certificate", "namespace": "team"}
        chain = leaf.certificate_pem + leaf.authorities[0].public_bytes(Encoding.PEM)
        assert base64.b64decode(secret["data"]["tls.crt"]) == chain
        assert b"PRIVATE" not in (tmp_path / "a" / usual.file).read_bytes()

    def test_a_certificate_that_an_object_has(self, tmp_path: Path) -> None:
        """A file is no source, so what counts is the certificate."""
        status = {"certificate": {"fingerprintSHA256": NHS.fingerprint_sha256}}
        watched = Watched.among([watching("mine", S3_NHS, **status)], {})
        [planned] = run(tmp_path, file("nhs/client.pem", NHS.certificate_pem), watched=watched)
        assert (planned.result, planned.words) == ("left out", "ClientCertificate mine has this certificate")
