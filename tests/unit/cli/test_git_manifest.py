"""Objects of a cluster as manifests for a repository."""

from typing import Any

import pytest
import yaml

from clientcert.cli.git_manifest import LAST_APPLIED, git_manifest, merged
from clientcert.cli.manifest_text import yaml_text
from tests.scenarios import client_certificate


def in_a_cluster(**metadata: Any) -> dict[str, Any]:
    """A ClientCertificate as the API server returns it."""
    found = client_certificate("nhs", consumer="nhs")
    of_the_server = {
        "uid": "0b5a3f3e-0001-4000-8000-000000000001",
        "resourceVersion": "17",
        "generation": 3,
        "creationTimestamp": "2026-11-22T09:00:00Z",
        "managedFields": [{"manager": "clientcert"}],
        "namespace": "integration",
    }
    found["metadata"] |= of_the_server | metadata
    return {"metadata": found.pop("metadata"), "status": {"phase": "Valid"}, **found}


class TestGitManifest:
    def test_what_a_person_would_write(self) -> None:
        """The same spec, and the metadata that people set; kind and name first."""
        found = in_a_cluster(labels={"team": "a"}, annotations={"note": "b"}, finalizers=["example.com/f"])
        manifest = git_manifest(found)
        assert list(manifest) == ["apiVersion", "kind", "metadata", "spec"]
        assert list(manifest["metadata"].items()) == [
            ("name", "nhs"),
            ("namespace", "integration"),
            ("labels", {"team": "a"}),
            ("annotations", {"note": "b"}),
            ("finalizers", ["example.com/f"]),
        ]
        assert manifest["spec"] == found["spec"]
        assert "status" in found

    @pytest.mark.parametrize(
        ("part", "note"),
        [
            ("annotations", LAST_APPLIED),
            ("annotations", "argocd.argoproj.io/tracking-id"),
            ("annotations", "argocd.argoproj.io/installation-id"),
            ("annotations", "meta.helm.sh/release-name"),
            ("annotations", "meta.helm.sh/release-namespace"),
            ("labels", "helm.toolkit.fluxcd.io/name"),
            ("labels", "helm.toolkit.fluxcd.io/namespace"),
            ("labels", "kustomize.toolkit.fluxcd.io/name"),
            ("labels", "kustomize.toolkit.fluxcd.io/namespace"),
            ("labels", "velero.io/restore-name"),
            ("labels", "velero.io/backup-name"),
        ],
    )
    def test_the_notes_of_who_has_applied_it(self, part: str, note: str) -> None:
        """They go, and what is beside them stays; nothing empty is left."""
        assert part not in git_manifest(in_a_cluster(**{part: {note: "x"}}))["metadata"]
        assert git_manifest(in_a_cluster(**{part: {note: "x", "kept": "y"}}))["metadata"][part] == {"kept": "y"}

    def test_an_owner(self) -> None:
        """It is named by a uid, which no other cluster has: there, the object would be deleted as an orphan."""
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "parent", "uid": "0b5a3f3e-0001"}
        assert "ownerReferences" not in git_manifest(in_a_cluster(ownerReferences=[owner]))["metadata"]

    def test_an_object_without_a_spec(self) -> None:
        found = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "clients"}, "data": {"nhs": "x"}}
        assert git_manifest(found) == found


@pytest.mark.parametrize(
    ("found", "patch", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({"a": "foo"}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch(found: Any, patch: Any, after: Any) -> None:
    """The examples of RFC 7386."""
    assert merged(found, patch) == after


@pytest.mark.parametrize(
    "text", ["a\nb\n", "a\n\nb", "  a\nb", "\na", "a\n\n", "a \nb", "a\tb\nc", "a\u2028b\nc", "4e2"]
)
def test_a_text_of_several_lines(text: str) -> None:
    """It is the same for a parser, and a block where that is possible."""
    printed = yaml_text({"text": text})
    assert yaml.safe_load(printed) == {"text": text}
    assert yaml_text({"text": "a\nb\n"}) == "text: |\n  a\n  b\n"
    assert yaml_text({"text": "4e2"}) == 'text: "4e2"\n'
