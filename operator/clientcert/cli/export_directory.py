"""The directory of `clientcert export`. It is there whole, or not at all."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Self

from clientcert.cli.backup_file import portable_manifest
from clientcert.cli.cluster import Object
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.manifest_directory import KUSTOMIZATION
from clientcert.cli.manifest_text import yaml_text
from clientcert.cli.table import printable

_LONGEST_STEM = 200
"""Characters of a file's name without its ending; file systems take 255, and a name of Kubernetes may have 253."""


class ExportDirectory:
    """A draft of it, beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._resources: list[str] = []

    @classmethod
    @contextmanager
    def draft(cls, directory: Path) -> Iterator[Self]:
        """Write the draft in the block; it becomes the directory afterwards. Raises AnswerIsNo."""
        where = printable(str(directory))
        try:
            if directory.is_symlink() or (directory.exists() and (not directory.is_dir() or any(directory.iterdir()))):
                raise AnswerIsNo(f"{where} exists, and is no empty directory: name a new one")
            directory.parent.mkdir(parents=True, exist_ok=True)
            path = Path(tempfile.mkdtemp(prefix=".clientcert-", dir=directory.parent))
            try:
                draft = cls(path)
                yield draft
                draft.write(KUSTOMIZATION, draft.kustomization())
                path.replace(directory)
            except BaseException:
                rmtree(path, ignore_errors=True)
                raise
        except OSError as error:
            raise AnswerIsNo(f"{where} cannot be written ({type(error).__name__}): name another one") from None

    @property
    def objects(self) -> int:
        """The number of manifests that were added."""
        return len(self._resources)

    def add(self, objects: Iterable[Object]) -> None:
        """Write the manifest of each object into the folder of its namespace."""
        for each in objects:
            if "deletionTimestamp" in each["metadata"]:
                continue
            name = f"{each['metadata']['namespace']}/{_file_name(each)}"
            self.write(name, yaml_text(portable_manifest(each)))
            self._resources.append(name)

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        file = self._path / name
        file.parent.mkdir(exist_ok=True)
        with file.open("xb") as stream:
            stream.write(text.encode())

    def kustomization(self) -> str:
        """The list of all manifests."""
        head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
        return yaml_text(head | {"resources": sorted(self._resources)})


def _file_name(found: Object) -> str:
    stem = f"{found['kind'].lower()}-{found['metadata']['name']}"
    if len(stem) > _LONGEST_STEM:
        digest = hashlib.sha256(stem.encode()).hexdigest()[:8]
        stem = f"{stem[:_LONGEST_STEM]}-{digest}"
    return f"{stem}.yaml"
