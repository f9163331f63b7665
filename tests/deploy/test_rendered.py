"""The files that `python -m tools.render_deploy` makes of the chart are up to date, and have the same objects."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from clientcert.versions import VERSION_KEY, version_in
from tests.deploy.audit import KUSTOMIZE, rendered
from tests.deploy.chart import NAMESPACE, RELEASE, loaded
from tests.deploy.schema import CRDS
from tools.control_plane import ControlPlane
from tools.helm import Helm
from tools.render_deploy import kustomizations
from tools.render_deploy.kinds import with_version
from tools.render_deploy.values_page import PAGE, page

OF_HELM_ALONE = {"helm.sh/chart", "app.kubernetes.io/managed-by"}
SETTINGS = {"ConfigMap", "Pod"}
"""Kinds that the chart alone has: its settings, and the pod of `helm test`."""


def test_every_rendered_file_is_up_to_date(helm: Helm) -> None:
    """If not, run `python -m tools.render_deploy`."""
    outdated = [path for path, text in kustomizations.rendered(helm).items() if path.read_text() != text]
    assert outdated == []


def test_the_kinds_have_the_version_of_the_operator() -> None:
    """If not, run `python -m tools.render_deploy`."""
    assert [path for path, text in with_version().items() if path.read_text() != text] == []
    for text in with_version("9.8.7").values():
        crd = yaml.safe_load(text)
        assert crd["metadata"]["labels"] == {VERSION_KEY: "9.8.7"}
        [version] = crd["spec"]["versions"]
        assert version_in(version["schema"]["openAPIV3Schema"]["title"]) == "9.8.7"


def test_the_page_of_the_values_is_up_to_date() -> None:
    """If not, run `python -m tools.render_deploy`."""
    assert PAGE.read_text() == page()


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """All objects but the namespace, without what helm alone needs."""
    found = {}
    for each in objects:
        metadata = each["metadata"]
        if each["kind"] in {"Namespace", *SETTINGS}:
            continue
        for labels in [metadata.get("labels", {})]:
            for name in OF_HELM_ALONE & labels.keys():
                del labels[name]
        if each["kind"] == "Deployment":
            each["spec"]["template"]["metadata"].pop("annotations", None)
        found[each["kind"], metadata.get("namespace", ""), metadata["name"]] = each
    return found


@pytest.mark.parametrize("overlay", ["base", "namespaced"])
def test_a_kustomization_has_the_objects_of_the_chart(control_plane: ControlPlane, helm: Helm, overlay: str) -> None:
    """Object by object. So the tests of a kustomization, also those of rights, are tests of the chart."""
    files = [KUSTOMIZE / "values.yaml", *([KUSTOMIZE / "namespaced/values.yaml"] if overlay == "namespaced" else [])]
    options = [argument for path in files for argument in ("--values", path)]
    chart = loaded(helm.template(*options, release=RELEASE, namespace=NAMESPACE))
    assert by_name(rendered(control_plane, KUSTOMIZE / overlay)) == by_name(chart)


def test_install_yaml_is_the_base(control_plane: ControlPlane) -> None:
    text = (KUSTOMIZE.parent / "install.yaml").read_text()
    documents = loaded(text)
    assert by_name(documents) == by_name(rendered(control_plane, KUSTOMIZE / "base"))
    assert documents[0]["kind"] == "Namespace"


@pytest.mark.parametrize("path", [KUSTOMIZE / "base", KUSTOMIZE / "namespaced"], ids=lambda path: path.name)
def test_removing_the_operator_removes_no_kind(control_plane: ControlPlane, path: Path) -> None:
    """`kubectl delete -k` deletes what the kustomization has. The kinds are a base of their own."""
    assert "CustomResourceDefinition" not in {each["kind"] for each in rendered(control_plane, path)}
    assert {each["kind"] for each in rendered(control_plane, CRDS)} == {"CustomResourceDefinition"}
