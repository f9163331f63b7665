"""The places of the repository's pages on the site, and the links between them."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tools.site.kinds_page import kinds_page
from tools.site.markdown import in_our_dialect, outside_of_blocks, with_anchors
from tools.site.verbs_page import verbs_page

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS, FILES, STYLE = "docs", "files", "site.css"
PLACES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "deploy/helm/clientcert-operator/README.md": "values.md",
    "deploy/examples": "examples.md",
}
"""Pages that are not in `docs/`, and a directory of which a page is made."""
MADE: dict[str, Callable[[], str]] = {"kinds.md": kinds_page, "verbs.md": verbs_page}
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


def lay_out(directory: Path) -> None:
    """Write the pages, and each file of the repository that they link to, into a new directory."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(REPOSITORY / DOCS, directory)
    shutil.copy(Path(__file__).with_name(STYLE), directory)
    for page in sorted(directory.rglob("*.md")):
        _write(page, page.read_text(), f"{DOCS}/{page.relative_to(directory)}", directory)
    for source, place in PLACES.items():
        text = _examples(REPOSITORY / source) if (REPOSITORY / source).is_dir() else (REPOSITORY / source).read_text()
        _write(directory / place, text, source, directory)
    for place, make in MADE.items():
        _write(directory / place, make(), f"{DOCS}/{place}", directory)


def place_of(path: str) -> str:
    """The place of a file of the repository on the site."""
    if path in PLACES:
        return PLACES[path]
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    return f"{FILES}/{path}" if PurePosixPath(path).suffix else f"{FILES}/{path}.txt"


def _write(page: Path, text: str, source: str, directory: Path) -> None:
    """One page, whose links are those of `source`, a path in the repository."""

    def place(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = os.path.normpath(f"{PurePosixPath(source).parent}/{target}")
        there = directory / place_of(path)
        if place_of(path).startswith(FILES):
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / path, there)
        return f"{os.path.relpath(there, page.parent)}{anchor}"

    linked = outside_of_blocks(text, lambda prose: _LINK.sub(place, prose))
    page.write_text(with_anchors(in_our_dialect(linked)))


def _examples(directory: Path) -> str:
    """A page with each manifest of a directory."""
    manifests = ((path.name, path.read_text()) for path in sorted(directory.glob("*.yaml")))
    shown = (f"## {name}\n\n```yaml\n{text.rstrip()}\n```\n" for name, text in manifests)
    return "\n".join(["# Examples\n\nEach manifest has one subject, and is applied by a test.\n", *shown])
