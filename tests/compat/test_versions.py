"""README, pages, chart and `make compat` name the same oldest version of Kubernetes."""

import re
from pathlib import Path

import pytest
import yaml

from tests.compat.suite import PATHS
from tests.conftest import REPOSITORY
from tests.docs.pages import PAGES
from tools.control_plane import ControlPlaneError
from tools.control_plane.components import MINIMUM_KUBECTL, OLDEST_KUBERNETES_VERSION
from tools.control_plane.kubernetes_versions import complete_version
from tools.helm import CHART, Helm, HelmError

MINOR = OLDEST_KUBERNETES_VERSION.rpartition(".")[0]
NAMED = re.compile(r"Kubernetes[ |]+v?(1\.\d+)(?:\.\d+)? (?:or|and) newer")


def named(page: Path) -> list[str]:
    return NAMED.findall(" ".join(page.read_text().split()))


def test_every_page_names_the_version_that_is_tested() -> None:
    pages = {path.relative_to(REPOSITORY).as_posix(): named(path) for path in (*PAGES, CHART / "README.md")}
    found = {path: versions for path, versions in pages.items() if versions}
    assert {"README.md", "docs/install.md", "docs/upgrade.md"} < found.keys()
    assert CHART.relative_to(REPOSITORY).as_posix() + "/README.md" in found
    assert {version for versions in found.values() for version in versions} == {MINOR}


def test_the_chart_has_the_version_that_is_tested() -> None:
    """With `-0`, because a provider of clusters adds a suffix, which is a pre-release for Helm."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={OLDEST_KUBERNETES_VERSION}-0"


def test_the_chart_refuses_an_older_one(helm: Helm) -> None:
    older = f"1.{int(MINOR.partition('.')[2]) - 1}.99"
    with pytest.raises(HelmError, match="incompatible with Kubernetes"):
        helm.template("--kube-version", older, release="r", namespace="n")
    for accepted in (OLDEST_KUBERNETES_VERSION, f"{OLDEST_KUBERNETES_VERSION}-gke.1"):
        assert "kind: Deployment" in helm.template("--kube-version", accepted, release="r", namespace="n")


def test_kubectl_is_not_older() -> None:
    assert tuple(map(int, MINOR.split("."))) == MINIMUM_KUBECTL


def test_every_path_of_the_suite_exists() -> None:
    assert [path for path in PATHS if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("text", ["1.30", "v1.30", "1.30.x", "2.0.0", "latest", "v1.30.0-rc.1", "../1.30.0"])
def test_a_version_has_three_parts(text: str) -> None:
    with pytest.raises(ControlPlaneError, match=r"is not a version of Kubernetes with three parts, such as v1\.30\.0"):
        complete_version(text)
    assert complete_version("v1.31.2") == complete_version("1.31.2") == "1.31.2"
