"""The finds of `clientcert import` in Secrets and in a directory: nothing called as a certificate is unlisted."""

import base64
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import AnswerIsNo, ApiError
from clientcert.cli.import_candidate import Candidate, Findings
from clientcert.cli.import_files import FileSearch
from clientcert.cli.import_plan import names_taken
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.import_secrets import SecretSearch
from clientcert.cli.import_stores import NewStore, known_stores
from clientcert.cli.import_watched import Watched
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.cli.manifest_text import write_text
from clientcert.lifecycle.spec import Bucket, ObjectKey, S3Source, Silence
from tools.certificates import CertificateAuthority

Answer = list[dict[str, Any]] | int
"""The items of a list, or the status of a refusal."""
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
AUTHORITY = CertificateAuthority.create("Integration CA")
NHS = AUTHORITY.issue("nhs", BEGIN, END)
CA = AUTHORITY.identity.certificate_pem
REQUEST = ImportRequest(NOW, "prod", "", Silence(END, "left"))


class Server:
    """An API server with lists by the last part of their path; a number is the status of a refusal."""

    def __init__(self, **lists: Answer) -> None:
        self._lists = lists

    def call(self, _method: str, path: str, **_: Any) -> dict[str, Any]:
        found = self._lists.get(path.rpartition("/")[2], 404)
        if isinstance(found, int):
            raise ApiError(found, b"{}")
        return {"items": found, "metadata": {}}


def cluster(**lists: Answer) -> Cluster:
    return Cluster(cast("Any", Server(**lists)), "team")


def secret(name: str, renewed_by: str = "", **content: bytes) -> dict[str, Any]:
    annotations = {"cert-manager.io/certificate-name": renewed_by} if renewed_by else {}
    data = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in content.items()}
    return {"metadata": {"namespace": "team", "name": name, "annotations": annotations}, "data": data}


def directory(path: Path) -> ManifestDirectory:
    return ManifestDirectory.read(path).applied_in("team")


def outcome(candidates: list[Candidate]) -> dict[str, str]:
    """The reason for which it is left out or cannot be read; empty for a certificate."""
    return {each.place: each.left_out or (each.problem.reason.value if each.problem else "") for each in candidates}


class TestSecrets:
    def found(self, path: Path, *secrets: dict[str, Any], certificates: Answer = 404) -> list[Candidate]:
        here = cluster(secrets=[*secrets], certificates=certificates)
        return SecretSearch("", everywhere=False).find(here, REQUEST, directory(path)).candidates

    def test_what_is_called_as_a_certificate_is_listed(self, tmp_path: Path) -> None:
        found = self.found(
            tmp_path,
            secret("only-ca", tls_crt=CA, text=b"any"),
            secret("only-key", tls_crt=NHS.private_key_pem, tls_key=NHS.private_key_pem),
            secret("request", tls_csr=NHS.csr_pem(), nhs_pem=b""),
        )
        assert [(place, re.split("[:;]", words)[0]) for place, words in outcome(found).items()] == [
            ("Secret only-ca, key tls.crt", "it is the certificate of a CA"),
            ("Secret only-key, key tls.crt", "this is a private key without a certificate"),
            ("Secret request, key nhs.pem", "Empty"),
        ]

    def test_what_cert_manager_renews(self, tmp_path: Path) -> None:
        """A Secret keeps the annotation when its Certificate, or cert-manager, is gone."""
        nhs = secret("nhs", "nhs", tls_crt=NHS.certificate_pem)
        place = "Secret nhs, key tls.crt"
        renewed = {place: "cert-manager renews it, by Certificate nhs"}
        certificate = {"metadata": {"name": "nhs"}}
        assert outcome(self.found(tmp_path, nhs, certificates=[certificate])) == renewed
        assert outcome(self.found(tmp_path, nhs, certificates=403)) == renewed
        assert outcome(self.found(tmp_path, nhs, certificates=[])) == {place: ""}
        assert outcome(self.found(tmp_path, nhs, certificates=404)) == {place: ""}

    def test_a_password(self, tmp_path: Path) -> None:
        """There is no option for it."""
        [found] = self.found(tmp_path, secret("nhs", client_p12=NHS.pkcs12("a password")))
        assert found.problem is not None
        assert "--password-file" not in found.problem.message

    def test_an_address_names_no_consumer(self, tmp_path: Path) -> None:
        issued = AUTHORITY.issue("jo@nhs.example", BEGIN, END)
        [found] = self.found(tmp_path, secret("nhs-cert", tls_crt=issued.certificate_pem))
        assert found.found is not None
        assert (found.found.name, found.found.consumer) == ("nhs-cert", "nhs-cert")
        assert found.found.identity == (("commonName", "jo@nhs.example"),)


class TestFiles:
    def find(self, path: Path, secrets: Answer = 403) -> Findings:
        search = FileSearch(path, path / "out", None, None)
        return search.find(cluster(secrets=secrets), REQUEST, directory(path / "out"))

    def test_two_directories(self, tmp_path: Path) -> None:
        """A manifest knows of which one its file is, however that is called."""
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "client.pem").write_bytes(NHS.certificate_pem)
        origins = {each: self.find(tmp_path / each).candidates[0].origin for each in ("a", "b", "b/../a")}
        assert origins == {"a": "file a/client.pem", "b": "file b/client.pem", "b/../a": "file a/client.pem"}

    def test_a_file_in_the_directory_itself(self, tmp_path: Path) -> None:
        """A hint, if its name does not seem to be a consumer."""
        (tmp_path / "nhs.pem").write_bytes(NHS.certificate_pem)
        assert self.find(tmp_path, secrets=[]).remarks == []
        (tmp_path / "client.pem").write_bytes(NHS.certificate_pem)
        [hint] = self.find(tmp_path, secrets=[]).remarks
        assert "such as client: if" in hint

    def test_without_the_right_to_list_secrets(self, tmp_path: Path) -> None:
        (tmp_path / "nhs.pem").write_bytes(NHS.certificate_pem)
        found = self.find(tmp_path)
        assert outcome(found.candidates) == {"nhs.pem": ""}
        assert found.remarks == [
            "You may not list Secrets: look whether one with the name of a new Secret exists already."
        ]

    def test_a_file_that_is_called_as_standard_input(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "-").write_bytes(NHS.certificate_pem)
        monkeypatch.chdir(tmp_path)
        [found] = self.find(Path()).candidates
        assert found.found is not None
        assert os.listdir() == ["-"]


class TestStores:
    def store(self, name: str = "backup", **s3: str) -> dict[str, Any]:
        return {"metadata": {"namespace": "team", "name": name}, "spec": {"s3": s3}}

    def write(self, path: Path, new: NewStore) -> str:
        """One run, with a certificate; the sentence about the store."""
        found = directory(path)
        written, words = new.plan(found, names_taken(Watched.among((), {}), found, ()))
        found.write({"nhs-prod.yaml": write_text("any", [{"a": "b"}]), **written})
        return words

    def test_of_two_namespaces(self, tmp_path: Path) -> None:
        """The same name, and a file of its own for each."""
        keys = [ObjectKey(each, "backup") for each in ("a", "b")]
        first, second = (NewStore(each, Bucket(each.namespace, credentials_secret="s")) for each in keys)
        self.write(tmp_path, first)
        before = (tmp_path / "certificatestore_backup.yaml").read_bytes()
        self.write(tmp_path, second)
        self.write(tmp_path, second)
        assert (tmp_path / "certificatestore_backup.yaml").read_bytes() == before
        assert directory(tmp_path).stores() == {first.key: first.bucket, second.key: second.bucket}

    def test_one_that_somebody_has_changed(self, tmp_path: Path) -> None:
        new = NewStore(ObjectKey("team", "backup"), Bucket("backup", credentials_secret="s"))
        assert "is written, too; it needs Secret s" in self.write(tmp_path, new)
        file = tmp_path / "certificatestore_backup.yaml"
        for change in ("    prefix: clients\n", "\n["):
            file.write_text(changed := file.read_text() + change)
            assert "somebody has changed certificatestore_backup.yaml" in self.write(tmp_path, new)
            assert file.read_text() == changed

    def test_what_is_known(self, tmp_path: Path) -> None:
        """A store that an earlier import has written counts before it is applied; then the applied one does."""
        self.write(tmp_path, NewStore(ObjectKey("team", "new"), Bucket("new", credentials_secret="s")))
        here = directory(tmp_path)
        applied, unusable = self.store(bucket="backup", prefix="clients/"), self.store("unusable")
        known = known_stores(cluster(certificatestores=[applied, unusable]), here, "backup")
        assert {key.name: each.name for key, each in known.items()} == {"new": "new", "backup": "backup"}
        assert known_stores(cluster(), here, "backup") == here.stores()
        with pytest.raises(AnswerIsNo, match="CertificateStore unusable: "):
            known_stores(cluster(certificatestores=[unusable]), here, "unusable")

    @pytest.mark.parametrize(
        ("endpoints", "are_same"),
        [
            (("", ""), True),
            (("https://minio.example/", "https://MinIO.example"), True),
            (("", "https://s3.eu-west-2.amazonaws.com"), True),
            (("", "https://bucket.vpce-1.s3.eu-west-2.vpce.amazonaws.com"), True),
            (("", "https://minio.example"), False),
            (("https://a.example", "https://amazonaws.com.a.example"), False),
        ],
    )
    def test_a_bucket_that_two_stores_have(self, endpoints: tuple[str, str], *, are_same: bool) -> None:
        """The one watches the source of the other, too."""
        stores = {
            ObjectKey("team", name): Bucket("backup", endpoint=endpoint)
            for name, endpoint in zip(("old", "new"), endpoints, strict=True)
        }
        source = {"type": "S3", "s3": {"storeRef": {"name": "old"}, "key": "nhs/client.pem"}}
        spec = {"consumer": "nhs", "environment": "prod", "contact": {}, "source": source}
        watched = Watched.among([{"metadata": {"namespace": "team", "name": "mine"}, "spec": spec}], stores)
        place = watched.place("team", S3Source("new", "nhs/client.pem"))
        assert watched.name_of(place) == ("mine" if are_same else None)
