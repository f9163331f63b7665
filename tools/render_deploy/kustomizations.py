"""The kustomizations and `install.yaml`, rendered by helm: the chart is the only source."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from tools.helm import Helm

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
KUSTOMIZE = DEPLOY / "kustomize"
NAMESPACE, RELEASE = "clientcert-system", "clientcert-operator"
_HEADER = "# Rendered from deploy/helm/clientcert-operator by `python -m tools.render_deploy`: change it there.\n"
_DOCUMENT = re.compile(r"^---\n# Source: clientcert-operator/templates/(\S+)\n", re.MULTILINE)
_OF_HELM_ALONE = re.compile(r"^ +(?:helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)
_CHECKSUM = re.compile(r"^ +annotations:\n +#.*\n +checksum/settings: .*\n", re.MULTILINE)
_BASE = {
    "base/rbac.yaml": "rbac.yaml",
    "base/user-roles.yaml": "user-roles.yaml",
    "base/admission.yaml": "admission.yaml",
    "base/deployment.yaml": "deployment.yaml",
    "base/service.yaml": "service.yaml",
    "base/poddisruptionbudget.yaml": "poddisruptionbudget.yaml",
    "optional/roles.yaml": "optional-roles.yaml",
}
"""By file of deploy/kustomize: the template that it is made of. Settings are objects of the user."""


def rendered(helm: Helm) -> dict[Path, str]:
    """The content of each file."""
    everywhere = _by_template(helm, KUSTOMIZE / "values.yaml")
    some = _by_template(helm, KUSTOMIZE / "values.yaml", KUSTOMIZE / "namespaced/values.yaml")
    files = {KUSTOMIZE / name: _HEADER + _joined(everywhere[template]) for name, template in _BASE.items()}
    files[KUSTOMIZE / "namespaced/operator.yaml"] = _HEADER + _whole(some)
    files[DEPLOY / "install.yaml"] = _HEADER + _whole(everywhere)
    return files


def _by_template(helm: Helm, *values: Path) -> dict[str, list[str]]:
    """The documents of each template, in helm's order, without what helm alone needs."""
    options = [argument for path in values for argument in ("--values", path)]
    text = helm.template(*options, release=RELEASE, namespace=NAMESPACE)
    parts = _DOCUMENT.split(text)[1:]
    documents: dict[str, list[str]] = {}
    for template, document in zip(parts[::2], parts[1::2], strict=True):
        plain = _CHECKSUM.sub("", _OF_HELM_ALONE.sub("", document)).strip() + "\n"
        if yaml.safe_load(plain):
            documents.setdefault(template, []).append(plain)
    return documents


def _whole(documents: Mapping[str, Iterable[str]]) -> str:
    """The namespace, and all objects in the order in which they may be applied."""
    namespace = (KUSTOMIZE / "base/namespace.yaml").read_text()
    return _joined([namespace, *(each for template in _BASE.values() for each in documents[template])])


def _joined(documents: Iterable[str]) -> str:
    return "---\n".join(documents)
