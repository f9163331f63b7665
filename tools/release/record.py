"""The record of a release: everything published, with the digests that are signed."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Release:
    """One release; references are `name@sha256:…`."""

    version: str
    revision: str
    base: str
    image: str
    """The index over all platforms."""
    platforms: dict[str, str]
    """The image of each platform."""
    sboms: dict[str, str]
    """The file with the contents of each platform's image, below the directory of the release."""
    chart: str

    def references(self) -> list[str]:
        """All that is signed."""
        return [self.image, *self.platforms.values(), self.chart]

    def write(self, directory: Path) -> None:
        (directory / "release.json").write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, directory: Path) -> Self:
        return cls(**json.loads((directory / "release.json").read_text()))
