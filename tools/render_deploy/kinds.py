"""The version in the manifests of the kinds: a label for people, and the title of the schema for programs.

The title is in the OpenAPI document of the API server, so it is read without a right to CustomResourceDefinitions.
"""

import re
from pathlib import Path

import yaml

from clientcert import __version__
from clientcert.versions import TITLE_PREFIX, VERSION_KEY

CRDS = Path(__file__).resolve().parents[2] / "crds"
_LABEL = re.compile(rf"^    {re.escape(VERSION_KEY)}: .*$", re.MULTILINE)
_TITLE = re.compile(rf"^          title: {re.escape(TITLE_PREFIX)}.*$", re.MULTILINE)


def with_version(version: str = __version__) -> dict[Path, str]:
    """The content of each manifest, with this version in both places. Raises ValueError if one of them is missing."""
    return {path: _with_version(path.read_text(), path.name, version) for path in _manifests()}


def _manifests() -> list[Path]:
    return [CRDS / name for name in yaml.safe_load((CRDS / "kustomization.yaml").read_text())["resources"]]


def _with_version(text: str, name: str, version: str) -> str:
    text, labels = _LABEL.subn(f'    {VERSION_KEY}: "{version}"', text)
    text, titles = _TITLE.subn(f"          title: {TITLE_PREFIX}{version}", text)
    if (labels, titles) != (1, 1):
        raise ValueError(f"{name} needs one label {VERSION_KEY}, and one title {TITLE_PREFIX}… of its schema")
    return text
