"""`clientcert check`: which manifests a folder has, and what cannot be read in it."""

from pathlib import Path

import pytest

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cli.check.folder import read_folder
from clientcert.cli.check.known import SecretFacts
from clientcert.cli.check.manifests import Sorted, sort_documents
from clientcert.lifecycle.spec import ObjectKey

NHS = """\
apiVersion: clientcert.dev/v1alpha1
kind: ClientCertificate
metadata: {name: nhs}
spec: {vetting: {date: 2026-03-01}, sendAt: 10:30}
"""
SECRET_WORDS = "canary-7c1f"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nhs.yaml").write_text(NHS)
    return tmp_path


def sort(folder: Path) -> Sorted:
    read = read_folder(str(folder))
    found = sort_documents(read.documents, "team")
    return Sorted(found.manifests, found.declared, (*read.findings, *found.findings))


def reasons(folder: Path) -> list[tuple[str, str]]:
    return [(str(each.reason), each.subject.file) for each in sort(folder).findings]


def test_dates_and_times_stay_text(folder: Path) -> None:
    """As kubectl reads them."""
    [manifest] = sort(folder).manifests
    assert (manifest.kind, manifest.key, manifest.file) == (CLIENT_CERTIFICATE, ObjectKey("team", "nhs"), "nhs.yaml")
    assert manifest.content["spec"] == {"vetting": {"date": "2026-03-01"}, "sendAt": "10:30"}


def test_every_file_below_and_each_item_of_a_list(folder: Path) -> None:
    """Not what begins with a dot, and nothing that is no manifest."""
    (folder / "below").mkdir()
    (folder / "below/list.json").write_text(
        '{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "clientcert.dev/v1alpha1",'
        ' "kind": "CertificatePolicy", "metadata": {"name": "daily", "namespace": "other"}}]}'
    )
    (folder / ".git").mkdir()
    (folder / ".git/x.yaml").write_text("{")
    (folder / "values.yaml").write_text("replicas: 2\n---\n- a list\n---\n")
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: chart\n")
    (folder / "README.md").write_text("{")
    (folder / "kustomization.yaml").write_text("resources: [nhs.yaml]\n")
    assert [each.key for each in sort(folder).manifests] == [ObjectKey("team", "nhs"), ObjectKey("other", "daily")]
    assert reasons(folder) == []
    assert read_folder(str(folder)).kustomizations == ("kustomization.yaml",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"a: [{SECRET_WORDS}\nb: 1\n", "it is not YAML in line 2"),
        (NHS + f"spec: {SECRET_WORDS}\n", "a key is there twice in line 1"),
        (NHS.replace("apiVersion", "version"), "a document has no apiVersion, or no kind"),
        (NHS.replace("kind", "kid"), "a document has no apiVersion, or no kind"),
        ("\x00", "it is not YAML"),
        (NHS + "more: &a [*a]\n", "a document is larger than an object may be, or has a value that JSON does not have"),
        (NHS + "more: .nan\n", "a document is larger than an object may be, or has a value that JSON does not have"),
        ("x: !!python/object:os.system {}\n", "it is not YAML in line 1"),
    ],
)
def test_a_file_that_cannot_be_used(folder: Path, text: str, words: str) -> None:
    """The message quotes nothing of it."""
    (folder / "nhs.yaml").write_text(text)
    [finding] = sort(folder).findings
    assert (finding.reason, finding.message) == ("ManifestUnreadable", words)


def test_aliases_that_multiply_are_not_multiplied(folder: Path) -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (folder / "nhs.yaml").write_text(NHS + "\n".join(lines))
    assert reasons(folder) == [("ManifestUnreadable", "nhs.yaml")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("v1alpha1", "v1"), "KindUnknown"),
        (("ClientCertificate", "ClientCertificat"), "KindUnknown"),
        (("name: nhs", "name: NHS"), "Refused"),
        (("name: nhs", "name: ../../nodes"), "Refused"),
        (("name: nhs", "name: 12"), "Refused"),
        (("{name: nhs}", "{}"), "Refused"),
        (("{name: nhs}", "[nhs]"), "Refused"),
        (("name: nhs", "name: nhs, namespace: a/b"), "Refused"),
    ],
)
def test_a_manifest_that_no_kind_allows(folder: Path, change: tuple[str, str], reason: str) -> None:
    (folder / "nhs.yaml").write_text(NHS.replace(*change))
    assert reasons(folder) == [(reason, "nhs.yaml")]


def test_the_same_object_in_two_files(folder: Path) -> None:
    (folder / "b.yaml").write_text(NHS)
    [finding] = sort(folder).findings
    assert (finding.reason, finding.message) == ("DeclaredTwice", "it is declared in b.yaml, too")


@pytest.mark.parametrize(
    ("manifest", "facts"),
    [
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: s, labels: {a: b}}, data: {x: YQ==, y: ''}}",
            SecretFacts({"x": True, "y": False}, {"a": "b"}),
        ),
        ("{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {x: a}}", SecretFacts({"x": True}, {})),
        (
            (
                "{apiVersion: external-secrets.io/v1, kind: ExternalSecret, metadata: {name: e},"
                " spec: {target: {name: s}, data: [{secretKey: x}]}}"
            ),
            SecretFacts({"x": True}, None),
        ),
        (
            "{apiVersion: external-secrets.io/v1, kind: ExternalSecret, metadata: {name: s}, spec: {dataFrom: [{}]}}",
            SecretFacts(None, None),
        ),
        (
            (
                "{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, metadata: {name: s},"
                " spec: {encryptedData: {x: a}, template: {metadata: {labels: {a: b}}}}}"
            ),
            SecretFacts({"x": True}, {"a": "b"}),
        ),
        (
            "{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: c}, spec: {secretName: s}}",
            SecretFacts({"tls.crt": True, "tls.key": True, "ca.crt": True}, {}),
        ),
    ],
)
def test_secrets_that_the_folder_makes(folder: Path, manifest: str, facts: SecretFacts) -> None:
    """By itself, or by a controller."""
    (folder / "secret.yaml").write_text(manifest)
    assert sort(folder).declared.secrets == {ObjectKey("team", "s"): facts}
