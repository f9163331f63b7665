"""The directory of `clientcert import`: what it has written there before, and what people have.

Nothing outside it is written, nothing of other people is written over, and nothing is removed: a manifest that vanished
from a repository could have its object deleted, and with it the alerts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clientcert.api.client_certificate import parse_spec
from clientcert.api.kinds import API_VERSION, CLIENT_CERTIFICATE
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.manifest_text import WrittenText, documents, read_text, write_text
from clientcert.cli.table import printable
from clientcert.errors import ClientCertError
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey

KUSTOMIZATION = "kustomization.yaml"
_KUSTOMIZATIONS = (KUSTOMIZATION, "kustomization.yml", "Kustomization")
_ENDING = ".yaml"
_LARGEST_FILE = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A manifest that an import has written."""

    file_name: str
    origin: str
    """As in its first line."""
    is_changed: bool
    content: bytes = field(repr=False)
    key: ObjectKey
    """Of its ClientCertificate or CertificateStore."""
    spec: CertificateSpec | None
    """None for a CertificateStore."""

    @property
    def place(self) -> tuple[str, str, str]:
        """Namespace, environment (empty for a store) and origin."""
        return self.key.namespace, self.spec.environment if self.spec else "", self.origin


@dataclass(frozen=True, slots=True)
class ManifestDirectory:
    """What is in it."""

    path: Path
    own: Mapping[str, OwnFile]
    """By the name of the file."""
    by_place: Mapping[tuple[str, str, str], OwnFile]
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
                own[name] = _own(path, name, written, content)
        return cls(path, own, {each.place: each for each in own.values()}, frozenset(foreign), kustomization)

    def find(self, namespace: str, environment: str, origin: str) -> OwnFile | None:
        """The manifest that an earlier import has written about this place, for this environment (a store has none)."""
        return self.by_place.get((namespace, environment, ascii(origin)))

    def check_free(self, name: str) -> None:
        """Raise AnswerIsNo if a file of this name is not of an import."""
        if name in self.foreign:
            words = "is not of clientcert import: move it, or name another directory with --out"
            raise AnswerIsNo(f"{printable(str(self.path / name))} {words}; nothing was written")

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write the files that differ, and then the kustomization. Raises AnswerIsNo before anything is written."""
        for name in files:
            self.check_free(name)
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
        missing = next((name for name in files if name not in listed), None)
        if missing is not None:
            where, words = printable(str(self.path / KUSTOMIZATION)), "add it there, or remove the file"
            raise AnswerIsNo(f"{where} was changed, and has no resource {missing}: {words}; nothing was written")
        return False


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


def _own(path: Path, name: str, written: WrittenText, content: bytes) -> OwnFile:
    try:
        [found] = [each for each in documents(written.body) if each.get("apiVersion") == API_VERSION]
        key = ObjectKey(str(found["metadata"]["namespace"]), str(found["metadata"]["name"]))
        spec = parse_spec(found["spec"]) if found["kind"] == CLIENT_CERTIFICATE.name else None
    except (ClientCertError, ValueError, LookupError, TypeError):
        words = "was changed, and cannot be read any more: correct or remove it"
        raise AnswerIsNo(f"{printable(str(path / name))} {words}; nothing was written") from None
    return OwnFile(name, written.origin, written.is_changed, content, key, spec)


def _replace(directory: Path, name: str, content: bytes) -> None:
    """Write a file as a whole, or not at all; a link in its place is replaced, and not followed."""
    new = directory / f".{name}.new"
    new.unlink(missing_ok=True)
    with new.open("xb") as stream:
        stream.write(content)
    new.replace(directory / name)
