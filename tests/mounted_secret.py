"""A directory with the keys of a Secret, as kubelet mounts and updates it."""

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path


@dataclass
class MountedSecret:
    """`swap` changes all keys at once: kubelet replaces a symbolic link, and no file that is open changes."""

    directory: Path
    _versions: "count[int]" = field(default_factory=count)

    def swap(self, **values: str | bytes) -> None:
        version = self.directory / f"..version-{next(self._versions)}"
        version.mkdir(parents=True)
        for key, value in values.items():
            (version / key).write_bytes(value.encode() if isinstance(value, str) else value)
            link = self.directory / key
            if not link.is_symlink():
                link.symlink_to(Path("..data") / key)
        new = self.directory / "..data_tmp"
        new.symlink_to(version.name)
        new.replace(self.directory / "..data")

    def path(self, key: str) -> Path:
        return self.directory / key

    def variables(self, *keys: str) -> dict[str, str]:
        """The setting `…_FILE` of each key, which is named as the setting."""
        return {f"CLIENTCERT_{key.upper()}_FILE": str(self.path(key)) for key in keys}
