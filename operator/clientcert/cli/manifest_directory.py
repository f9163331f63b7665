"""The directory of `clientcert import`: what it has written there before, and what people have.

Nothing outside it is written, nothing of other people is written over, and nothing is removed: a manifest that vanished
from a repository could have its object deleted, and with it the alerts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.manifest_text import WrittenText, documents, read_text, write_text
from clientcert.cli.own_manifest import OwnFile, Place, read_own
from clientcert.cli.table import printable
from clientcert.lifecycle.spec import Bucket, ObjectKey

KUSTOMIZATION = "kustomization.yaml"
_KUSTOMIZATIONS = (KUSTOMIZATION, "kustomization.yml", "Kustomization")
_ENDING = ".yaml"
_LARGEST_FILE = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ManifestDirectory:
    """The content of a directory of manifests."""

    path: Path
    own: Mapping[str, OwnFile]
    """By the name of the file."""
    by_place: Mapping[Place, OwnFile]
    """The same, by what they are about."""
    foreign: frozenset[str]
    kustomization: WrittenText | None
    """None if there is none yet."""

    @classmethod
    def read(cls, path: Path) -> "ManifestDirectory":
        """Read it; it need not exist. Raises AnswerIsNo if it cannot be used."""
        own: dict[str, OwnFile] = {}
        foreign = set()
        kustomization = None
        for name, written, content in _written_files(path):
            if name in _KUSTOMIZATIONS:
                if written is None or name != KUSTOMIZATION:
                    words = "is not of clientcert import: name another directory with --out, and add that to it"
                    raise AnswerIsNo(f"{printable(str(path / name))} {words}")
                kustomization = written
            elif written is None:
                foreign.add(name)
            else:
                own[name] = read_own(name, written, content)
        return cls(path, own, _by_place(own), frozenset(foreign), kustomization)

    def applied_in(self, namespace: str) -> "ManifestDirectory":
        """The same, applied in this namespace: it is that of each object whose manifest names none."""
        own = {name: each.applied_in(namespace) for name, each in self.own.items()}
        return replace(self, own=own, by_place=_by_place(own))

    def find(self, namespace: str, environment: str, origin: str) -> OwnFile | None:
        """The manifest that an earlier import has written about this place, for this environment (a store has none).

        One that cannot be read any more is about the place that its first line names.
        """
        place = Place(namespace, environment, ascii(origin))
        return self.by_place.get(place) or self.by_place.get(Place("", "", place.origin))

    def stores(self) -> dict[ObjectKey, Bucket]:
        """The CertificateStores in it."""
        return {each.key: each.bucket for each in self.own.values() if each.key and each.bucket}

    def _check_free(self, name: str, content: bytes) -> None:
        """Raise AnswerIsNo if a file of this name is of a person."""
        is_changed = name in self.own and self.own[name].is_changed and not self._holds(name, content)
        if name in self.foreign or is_changed:
            what = "was changed" if is_changed else "is not of clientcert import"
            words = f"{what}: move it, or name another directory with --out"
            raise AnswerIsNo(f"{printable(str(self.path / name))} {words}; nothing was written")

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write the files that differ, and then the kustomization. Raises AnswerIsNo before anything is written."""
        for name, content in files.items():
            self._check_free(name, content)
        changed = {name: content for name, content in files.items() if not self._holds(name, content)}
        if self._may_write_kustomization(files):
            changed[KUSTOMIZATION] = _kustomization(sorted({*files, *self.own}))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name, content in changed.items():
                _replace(self.path, name, content)
        except OSError as error:
            words = f"cannot be written ({type(error).__name__}): name another directory with --out"
            raise AnswerIsNo(f"{printable(str(self.path))} {words}") from None

    def _holds(self, name: str, content: bytes) -> bool:
        return name in self.own and self.own[name].content == content

    def _may_write_kustomization(self, files: Iterable[str]) -> bool:
        """False if somebody has changed it, and it has all files; raises AnswerIsNo if it has not."""
        if self.kustomization is None or not self.kustomization.is_changed:
            return True
        listed = _resources(self.kustomization)
        if missing := sorted(name for name in files if name not in listed):
            where, words = printable(str(self.path / KUSTOMIZATION)), "add what is missing, or remove the file"
            lines = [f"{where} was changed, and lacks resources: {words}; nothing was written. They are:", *missing]
            raise AnswerIsNo("\n".join(lines))
        return False


def _by_place(own: Mapping[str, OwnFile]) -> dict[Place, OwnFile]:
    return {each.place: each for each in own.values()}


def _kustomization(resources: Iterable[str]) -> bytes:
    content = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": list(resources)}
    return write_text("", [content])


def _resources(kustomization: WrittenText) -> frozenset[str]:
    try:
        return frozenset(map(str, documents(kustomization.body)[0]["resources"]))
    except (ValueError, LookupError, TypeError):
        return frozenset()


def _written_files(path: Path) -> Iterator[tuple[str, WrittenText | None, bytes]]:
    """Each file of the directory in order, and what an import has written in it; None if it is of somebody else."""
    try:
        for each in sorted(path.iterdir()) if path.exists() or path.is_symlink() else ():
            is_plain = each.is_file() and not each.is_symlink() and each.stat().st_size <= _LARGEST_FILE
            content = each.read_bytes() if is_plain and each.suffix == _ENDING else b""
            yield each.name, read_text(content), content
    except OSError as error:
        words = f"cannot be read ({type(error).__name__}): name another directory with --out"
        raise AnswerIsNo(f"{printable(str(path))} {words}") from None


def _replace(directory: Path, name: str, content: bytes) -> None:
    """Write a file as a whole, or not at all; a link in its place is replaced, and not followed."""
    new = directory / f".{name}.new"
    new.unlink(missing_ok=True)
    with new.open("xb") as stream:
        stream.write(content)
    new.replace(directory / name)
