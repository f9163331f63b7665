"""Finds the certificates in a directory."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from clientcert.api.discovery import KeyPattern
from clientcert.cli.cluster import Cluster, secrets_path
from clientcert.cli.errors import AnswerIsNo, Forbidden
from clientcert.cli.files import read_file
from clientcert.cli.import_candidate import Candidate, Findings
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.cli.table import printable


@dataclass(frozen=True, slots=True)
class FileSearch:
    """The search of `clientcert import files`."""

    directory: Path
    out: Path
    """Is not looked into."""
    pattern: KeyPattern | None
    password: str | None

    def find(self, cluster: Cluster, request: ImportRequest, directory: ManifestDirectory) -> Findings:
        """Look at every file below the directory. Raises AnswerIsNo and Failed."""
        del directory
        found = [self._read(cluster.namespace, path, request) for path in self._paths()]
        remarks = self._remarks(found)
        try:
            taken = frozenset(cluster.names(secrets_path))
        except Forbidden:
            taken = frozenset()
            remarks.append("You may not list Secrets: look whether one with the name of a new Secret exists already.")
        return Findings(found, remarks, taken_secrets=taken)

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
        name, folder = self._name(path, place) or "", place.rpartition("/")[0]
        origin = f"file {self._directory_name()}/{place}"
        candidate = Candidate(namespace, place, origin, name, group=f"{folder}/{name}")
        if not name:
            return replace(candidate, left_out=f"it does not match {self.pattern}")
        absolute = str(path.absolute())  # a file may be called `-`
        read = candidate.read(lambda: read_file(absolute), request.now, password=self.password)
        return read.unless_something_else(place)

    def _directory_name(self) -> str:
        """A part of each origin, because two directories may have a file of the same name. Links are not followed."""
        found = self.directory.absolute()
        return found.resolve().name if ".." in found.parts else found.name

    def _name(self, path: Path, place: str) -> str | None:
        """The consumer by the place: what the pattern says, else the folder, else the file's name."""
        if self.pattern is not None:
            return self.pattern.folder(place)
        return path.parent.name if path.parent != self.directory else path.stem

    def _remarks(self, found: list[Candidate]) -> list[str]:
        """A hint if the names of files seem to be no consumers."""
        here = [each for each in found if each.found and each.found.identity and "/" not in each.place]
        if self.pattern is not None or not here:
            return []
        where, name = printable(self._directory_name()), printable(here[0].folder)
        words = f"if {where} is the consumer, name the directory above it"
        return [f"Files in {where} itself name their consumers, such as {name}: {words}."]
