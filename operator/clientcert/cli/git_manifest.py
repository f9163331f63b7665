"""Objects of a cluster as manifests for a repository. Pure."""

from typing import Any

from clientcert.api.restored import BY_VELERO, RESTORED

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OF_THE_SERVER = frozenset(
    {
        "managedFields",
        "resourceVersion",
        "uid",
        "creationTimestamp",
        "generation",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    }
)
"""Metadata that the API server alone writes."""
_OF_APPLIERS = {
    "annotations": frozenset(
        {
            LAST_APPLIED,
            RESTORED,
            "argocd.argoproj.io/tracking-id",
            "argocd.argoproj.io/installation-id",
            "meta.helm.sh/release-name",
            "meta.helm.sh/release-namespace",
        }
    ),
    "labels": frozenset(
        {
            "kustomize.toolkit.fluxcd.io/name",
            "kustomize.toolkit.fluxcd.io/namespace",
            "helm.toolkit.fluxcd.io/name",
            "helm.toolkit.fluxcd.io/namespace",
            BY_VELERO,
            "velero.io/backup-name",
        }
    ),
}
"""Notes of kubectl, Argo CD, Flux, Helm, Velero and `clientcert restore` about an object that they have applied.

Each writes them again.
"""
_FIRST = ("name", "namespace", "labels", "annotations")


def git_manifest(found: dict[str, Any]) -> dict[str, Any]:
    """The object as a person would write it: without status, and without what the cluster adds to its metadata.

    Fields are in the order of the API server, so that two manifests differ in what they say alone.
    """
    left_out = OF_THE_SERVER | {"ownerReferences"}  # they name an object by its uid in this cluster
    metadata = {name: value for name, value in found["metadata"].items() if name not in left_out}
    for part, notes in _OF_APPLIERS.items():
        if kept := {name: value for name, value in (metadata.pop(part, None) or {}).items() if name not in notes}:
            metadata[part] = kept
    ordered = {name: metadata.pop(name) for name in _FIRST if name in metadata}
    head = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": ordered | metadata}
    return head | {name: _sorted(found[name]) for name in sorted(found) if name not in {*head, "status"}}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def merged(found: Any, patch: Any) -> Any:
    """The value after a JSON merge patch (RFC 7386). Both stay unchanged."""
    if not isinstance(patch, dict):
        return patch
    before = found if isinstance(found, dict) else {}
    gone = {name for name, value in patch.items() if value is None}
    changed = {name: merged(before.get(name), value) for name, value in patch.items() if value is not None}
    return {name: value for name, value in before.items() if name not in gone} | changed
