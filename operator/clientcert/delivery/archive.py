"""Archives (`.tar.gz`) of files for a consumer, who unpacks them on any system, next to other files."""

import gzip
import io
import re
import tarfile
from collections.abc import Iterable, Mapping

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
"""Names that Windows takes for devices, with any extension."""
_LONGEST_NAME = 80
_MODIFIED = 315_532_800
"""1980-01-01: the same files make the same archive, and no program warns of so old a date."""


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    """Pack files by path, in this order, readable by their owner alone. The same files make the same octets."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(content), 0o600, _MODIFIED
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def safe_names(names: Iterable[str]) -> list[str]:
    """One file name for each name, which stays in its folder, is not hidden, and is a different one on any system."""
    found: list[str] = []
    taken: set[str] = set()
    for name in map(_safe_name, names):
        number, chosen = 1, name
        while chosen.lower() in taken:
            number += 1
            chosen = f"{name}-{number}"
        taken.add(chosen.lower())
        found.append(chosen)
    return found


def _safe_name(name: str) -> str:
    safe = _UNSAFE.sub("_", name)[:_LONGEST_NAME].lstrip(".-").rstrip(".") or "extra"
    return f"_{safe}" if _DEVICE.fullmatch(safe) else safe
