"""The version of the checkout, which is written in several files."""

import re
import tomllib
from pathlib import Path

import yaml

from .errors import ReleaseError

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CHART = REPOSITORY / "deploy/helm/clientcert-operator"


def written_versions(repository: Path = REPOSITORY) -> dict[str, str]:
    """The version that each place names."""
    chart = yaml.safe_load((repository / "deploy/helm/clientcert-operator/Chart.yaml").read_text())
    label = re.search(r"^ARG VERSION=(\S+)$", (repository / "Dockerfile").read_text(), re.MULTILINE)
    heading = re.search(r"^## (\d\S*)", (repository / "CHANGELOG.md").read_text(), re.MULTILINE)
    return {
        "pyproject.toml, project.version": tomllib.loads((repository / "pyproject.toml").read_text())["project"][
            "version"
        ],
        "Chart.yaml, version": chart["version"],
        "Chart.yaml, appVersion": chart["appVersion"],
        "Dockerfile, VERSION": label[1] if label else "",
        "CHANGELOG.md, the newest heading": heading[1] if heading else "",
    }


def version_of(tag: str | None, repository: Path = REPOSITORY) -> str:
    """The version of the checkout. Raises ReleaseError unless all places agree, also with the tag, e.g. `v0.1.0`."""
    written = written_versions(repository)
    wanted = tag.removeprefix("v") if tag is not None else written["pyproject.toml, project.version"]
    wrong = [f"{place} has {version or 'none'}" for place, version in written.items() if version != wanted]
    if wrong:
        raise ReleaseError(f"the version is {wanted}, but {'; '.join(wrong)}: correct the files, or the tag")
    return wanted
