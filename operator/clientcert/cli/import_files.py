"""Finds the certificates in a directory."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from clientcert.api.discovery import KeyPattern
from clientcert.cli.cluster import Cluster, secrets_path
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.files import read_file
from clientcert.cli.import_candidate import Candidate, Findings, is_something_else, without_copies
from clientcert.cli.import_request import ImportRequest


@dataclass(frozen=True, slots=True)
class FileSearch:
    """What `clientcert import files` looks for."""

    directory: Path
    out: Path
    """Is not looked into."""
    pattern: KeyPattern | None
    password: str | None

    def find(self, cluster: Cluster, request: ImportRequest) -> Findings:
        """Look at every file below the directory. Raises AnswerIsNo and Failed."""
        read = [self._read(cluster.namespace, path, request) for path in self._paths()]
        found = [each for _, folder in groupby(read, _folder) for each in without_copies(list(folder))]
        return Findings(found, taken_secrets=frozenset(cluster.names(secrets_path)))

    def _paths(self) -> list[Path]:
        """All files, sorted, without hidden ones: in a mounted Secret, these are the versions behind its links."""
        return sorted(self._below(), key=lambda path: (path.parent.parts, path.name))

    def _below(self) -> Iterator[Path]:
        def fail(error: OSError) -> None:
            raise AnswerIsNo(f"a directory cannot be read ({type(error).__name__}): check its permissions") from None

        out = self.out.resolve()
        for folder, folders, files in os.walk(self.directory, onerror=fail):
            here = Path(folder)
            folders[:] = [each for each in folders if not each.startswith(".") and (here / each).resolve() != out]
            for name in files:
                if not name.startswith(".") and (here / name).is_file():
                    yield here / name

    def _read(self, namespace: str, path: Path, request: ImportRequest) -> Candidate:
        place = path.relative_to(self.directory).as_posix()
        candidate = Candidate(namespace, place, f"file {place}", self._name(path, place) or "")
        if not candidate.folder:
            return replace(candidate, left_out=f"it does not match {self.pattern}")
        read = candidate.read(lambda: read_file(str(path)), request.now, password=self.password)
        if is_something_else(read, place):
            words = read.problem.message if read.problem else "it is the certificate of a CA"
            return replace(read, left_out=words)
        return read

    def _name(self, path: Path, place: str) -> str | None:
        """The consumer by the place: what the pattern says, else the folder, else the file's name."""
        if self.pattern is not None:
            return self.pattern.folder(place)
        return path.parent.name if path.parent != self.directory else path.stem


def _folder(candidate: Candidate) -> str:
    return candidate.place.rpartition("/")[0]
