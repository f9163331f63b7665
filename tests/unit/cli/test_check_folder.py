"""`clientcert check`: which manifests a folder has, and what cannot be read in it."""

import json
import os
from pathlib import Path
from threading import Thread

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
DEEP = "a document is nested too deeply"


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
    (folder / "values.yaml").write_text("replicas: 2\n---\n- a list\n---\nkind: {image: kindest/node}\n---\n")
    (folder / "stack.yaml").write_text("Fn: !Sub [a, b]\nx: !!set {a}\nz: !!omap [a: 1]\nop: =\nk: !Ref x\n")
    (folder / "other.yaml").write_text("apiVersion: other.example/v1\nkind: CertificatePolicy\nmetadata: {name: x}\n")
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: chart\n")
    (folder / "README.md").write_text("{")
    (folder / "kustomization.yaml").write_text("resources: [nhs.yaml]\n")
    assert [each.key for each in sort(folder).manifests] == [ObjectKey("team", "nhs"), ObjectKey("other", "daily")]
    assert reasons(folder) == []
    assert read_folder(str(folder)).kustomizations == ("kustomization.yaml",)


def test_a_single_file(folder: Path) -> None:
    (folder / "other.yaml").write_text("[")
    [manifest] = sort(folder / "nhs.yaml").manifests
    assert (manifest.key.name, reasons(folder / "nhs.yaml")) == ("nhs", [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"a: [{SECRET_WORDS}\nb: 1\n", "it is not YAML in line 2"),
        (NHS + f"spec: {SECRET_WORDS}\n", "a key is there twice in line 5"),
        (NHS.replace("apiVersion", "version"), "a document has no apiVersion, or no kind"),
        (NHS.replace("kind", "kid"), "a document has no apiVersion, or no kind"),
        ("\x00", "it is not YAML"),
        (NHS + "more: &a [*a]\n", "it is not YAML in line 5"),
        (NHS + "more: .nan\n", "a document has a value that JSON does not have"),
        ("a: [" * 20_000, "a document is nested too deeply in line 1"),
        (NHS + "".join(f"a{n}: &a{n} {'[' * 60}{f'*a{n - 1}' if n else 1}{']' * 60}\n" for n in range(9)), DEEP),
        (NHS + "more: !!bool canary\n", "a value is not of the type of its tag in line 5"),
        (NHS + "more: !!int ''\n", "a value is not of the type of its tag in line 5"),
        (NHS + "more: !!timestamp canary\n", "a value is not of the type of its tag in line 5"),
        (NHS + "more: {<<: canary}\n", "a merge key has no mapping in line 5"),
        (NHS + "? [canary]\n: 1\n", "a key is no text in line 5"),
        (NHS + f"more: {'x' * 5_000_000}\n", "a document is larger than an object may be"),
        ('{"apiVersion": "v1", "a": 1, "a": 2}', "a key is there twice in line 1"),
        ('{"apiVersion": "clientcert.dev/v1alpha1", "kind": ["canary"]}', "a document has no apiVersion, or no kind"),
    ],
)
def test_a_file_that_cannot_be_used(folder: Path, text: str, words: str) -> None:
    """The message quotes nothing of it."""
    (folder / "nhs.yaml").write_text(text)
    [finding] = sort(folder).findings
    assert (finding.reason, finding.message) == ("ManifestUnreadable", words)


def test_a_document_that_cannot_be_read_hides_no_other_one(folder: Path) -> None:
    (folder / "nhs.yaml").write_text(f"a: [\n---\n{NHS}---\na: 1\na: 2\n---\n{NHS.replace('nhs', 'weather')}")
    found = sort(folder)
    assert [each.key.name for each in found.manifests] == ["nhs", "weather"]
    assert [each.message for each in found.findings] == ["it is not YAML in line 2", "a key is there twice in line 9"]


def test_merge_keys_as_kubectl_reads_them(folder: Path) -> None:
    """A merged key is no key that is there twice."""
    (folder / "nhs.yaml").write_text(
        "x: &a {p: 1}\nb: &b {<<: *a, p: 2}\napiVersion: v1\nkind: X\nspec:\n  <<: [*b, {p: 5, q: 4}]\n  r: 3\n"
    )
    [(_, document)] = read_folder(str(folder)).documents
    assert (document["b"], document["spec"]) == ({"p": 2}, {"p": 2, "q": 4, "r": 3})


def test_merged_keys_that_multiply(folder: Path) -> None:
    keys = ", ".join(f"k{number}: 1" for number in range(1000))
    (folder / "nhs.yaml").write_text(f"{NHS}a: &a {{{keys}}}\n" + "b:\n" + "- {<<: *a}\n" * 200)
    assert reasons(folder) == [("ManifestUnreadable", "nhs.yaml")]


def test_json_has_its_own_escapes(folder: Path) -> None:
    """As `kubectl get -o json` writes them, and several objects in a row."""
    (folder / "nhs.yaml").unlink()
    text = '{"apiVersion": "v1", "kind": "X", "a": "\\ud83d\\ude00 b\\/c"}'
    (folder / "all.json").write_text(f"{text}\n\t{text}")
    assert [each["a"] for _, each in read_folder(str(folder)).documents] == ["\U0001f600 b/c"] * 2


def test_text_in_utf_16(folder: Path) -> None:
    """As PowerShell writes it."""
    (folder / "nhs.yaml").write_text(NHS, encoding="utf-16")
    assert [each.key.name for each in sort(folder).manifests] == ["nhs"]


def test_a_list_is_as_large_as_it_is(folder: Path) -> None:
    """Each of its objects is measured alone."""
    item = {"apiVersion": "v1", "kind": "X", "a": "x" * 1_000_000}
    (folder / "all.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [item] * 9}))
    assert (len(read_folder(str(folder)).documents), reasons(folder)) == (10, [])


def test_lists_that_multiply(folder: Path) -> None:
    """A List in a List."""
    head = "{apiVersion: v1, kind: List, items: "
    lines = [f"a0: &a0 {head}[]}}", *(f"a{n}: &a{n} {head}[{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12))]
    (folder / "nhs.yaml").write_text("\n".join([*lines, "apiVersion: v1", "kind: List", "items: [*a11]"]))
    assert reasons(folder) == [("ManifestUnreadable", "nhs.yaml")]


def test_objects_that_multiply(folder: Path) -> None:
    """Each may be as large as it is; together they may not."""
    text = f"a: &a [{', '.join(['x' * 1000] * 1000)}]\napiVersion: v1\nkind: List\nitems:\n"
    (folder / "nhs.yaml").write_text(text + "- {apiVersion: v1, kind: X, a: *a}\n" * 200)
    assert reasons(folder) == [("ManifestUnreadable", "nhs.yaml")]


def test_the_output_of_another_process(tmp_path: Path) -> None:
    """`clientcert check <(helm template …)` has a pipe as its argument; in a folder a pipe is not waited for."""
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=(NHS,), daemon=True)
    writer.start()
    assert len(read_folder(str(pipe)).documents) == 1
    writer.join()
    assert reasons(tmp_path) == [("ManifestUnreadable", "pipe.yaml")]


def test_a_folder_that_cannot_be_read(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0)
    if os.access(folder / "closed", os.R_OK):
        pytest.skip("this user may read everything")
    assert reasons(folder) == [("ManifestUnreadable", "closed")]


def test_aliases_that_multiply_are_not_multiplied(folder: Path) -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (folder / "nhs.yaml").write_text(NHS + "\n".join(lines))
    assert reasons(folder) == [("ManifestUnreadable", "nhs.yaml")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("v1alpha1", "v1"), "KindUnknown"),
        (("clientcert.dev/v1alpha1", "clientcert.dev"), "KindUnknown"),
        (("clientcert.dev/v1alpha1", "v1alpha1"), "KindUnknown"),
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


def test_two_objects_whose_names_the_api_server_makes(folder: Path) -> None:
    (folder / "b.yaml").write_text(NHS.replace("name: nhs", "generateName: nhs-"))
    (folder / "c.yaml").write_text(NHS.replace("name: nhs", "generateName: nhs-"))
    assert (len(sort(folder).manifests), reasons(folder)) == (3, [])


@pytest.mark.parametrize(
    ("manifest", "facts"),
    [
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: s, labels: {a: b}}, data: {x: YQ==, z: ''}}",
            SecretFacts({"x": True, "z": False}, {"a": "b"}),
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
