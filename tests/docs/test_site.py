"""The site of the documentation: all pages are in its order, every link leads somewhere, and nothing is from elsewhere.

`make test` looks at the pages as they are laid out for Zensical; `make site` builds them, and looks at the result.
"""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientcert.errors import Reason
from tests.conftest import REPOSITORY
from tests.docs.pages import anchors, blocks, links, section
from tools.prometheus.rules import RULES
from tools.site.layout import lay_out

CONFIGURATION = REPOSITORY / "zensical.toml"
BUILT = REPOSITORY / "build/site/html"
ZENSICAL = REPOSITORY / "build/site/venv/bin/zensical"
LOADS = {"src", "srcset", "data", "poster", "background"}
"""Attributes that make a browser fetch something; of `link` it is `href`."""
ELSEWHERE = re.compile(r"^(?:https?:)?//")
_RULE = re.compile(r"^ +- alert: (\w+)$", re.MULTILINE)
_ANCHOR = re.compile(r'id="([\w.-]+)"')
_FROM_CSS = re.compile(r"""(?:url\(|@import)\s*["']?\s*(?:https?:)?//""")


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site") / "pages"
    lay_out(directory)
    return directory


def pages_in(entries: list[Any]) -> Iterator[str]:
    """The files of a navigation, in its order."""
    for entry in entries:
        for value in entry.values():
            yield from pages_in(value) if isinstance(value, list) else [value]


def configuration() -> Any:
    return tomllib.loads(CONFIGURATION.read_text())["project"]


def rules() -> list[str]:
    """The names of all rules for Prometheus."""
    found = _RULE.findall(RULES.read_text())
    assert len(found) > 10
    return found


def anchors_of(page: Path) -> set[str]:
    return anchors(page) | set(_ANCHOR.findall(page.read_text()))


def test_every_page_is_in_the_navigation_once(laid_out: Path) -> None:
    there = [str(page.relative_to(laid_out)) for page in laid_out.rglob("*.md")]
    assert sorted(pages_in(configuration()["nav"])) == sorted(there)


def test_each_link_between_the_pages_leads_somewhere(laid_out: Path) -> None:
    """To a page of the site, one of its headings or rows, or a file that is on the site, too."""
    for page in laid_out.rglob("*.md"):
        inside = [link.partition("#") for link in links(page) if "://" not in link]
        targets = [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in inside]
        assert [path for path, _ in targets if not path.is_file() or not path.is_relative_to(laid_out)] == []
        assert [each for each in targets if each[1] and each[1] not in anchors_of(each[0])] == []


def test_the_runbook_has_an_anchor_for_each_reason_and_rule(laid_out: Path) -> None:
    known = anchors_of(laid_out / "runbook.md")
    assert sorted(reason.value for reason in Reason if reason.value.lower() not in known) == []
    assert sorted(name for name in rules() if name.lower() not in known) == []


def test_no_anchor_is_there_twice(laid_out: Path) -> None:
    for page in laid_out.rglob("*.md"):
        found = [*_ANCHOR.findall(page.read_text()), *anchors(page)]
        assert sorted({each for each in found if found.count(each) > 1}) == []


def test_every_field_of_a_spec_is_on_the_page_of_the_kinds(laid_out: Path) -> None:
    page = laid_out / "kinds.md"
    for manifest in sorted((REPOSITORY / "crds").glob("*s.yaml")):
        spec = yaml.safe_load(manifest.read_text())["spec"]
        fields = spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        text = section(page, f"## {spec['names']['kind']}")
        assert [name for name in fields if f">spec.<wbr>{name}</code>" not in text] == []


def test_each_default_of_the_kinds_is_shown_as_a_manifest_has_it(laid_out: Path) -> None:
    """Not as Python writes it, where False is a word and an empty string nothing."""
    shown = set(re.findall(r"Default: `(.*?)`\.", (laid_out / "kinds.md").read_text()))
    assert {"false", '""', '["Team"]', "tls.crt", "30"} <= shown
    assert [each for each in shown if each in {"", "True", "False", "None"} or "'" in each] == []


def test_each_verb_has_the_help_that_it_prints(laid_out: Path) -> None:
    """docs/cli.md has it for most verbs, and test_reference.py compares that with the program."""
    shown = blocks(laid_out / "verbs.md", "console")
    of_the_page = [block for block in blocks(REPOSITORY / "docs/cli.md", "console") if block.startswith("Usage: ")]
    assert len(of_the_page) > 10
    assert [block for block in of_the_page if block not in shown] == []


def test_nothing_is_asked_of_other_servers() -> None:
    """The theme would load its fonts from there, and `extra_*` can name anything."""
    assert configuration()["theme"]["font"] is False
    assert [key for key in configuration() if key.startswith("extra") and key != "extra_css"] == []
    assert [address for address in configuration()["extra_css"] if ELSEWHERE.match(address)] == []


class Loads(HTMLParser):
    """The addresses that a browser fetches for a page, and the anchors in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors.add(found.get("id") or "")
        loading = LOADS | {"href"} if tag == "link" else LOADS
        self.addresses += [value or "" for name, value in attrs if name in loading]


@pytest.mark.site
def test_the_built_site_loads_nothing_from_elsewhere() -> None:
    pages = sorted(BUILT.rglob("*.html"))
    assert len(pages) > 30
    assert [(page.name, each) for page in pages for each in Loads(page).addresses if ELSEWHERE.match(each)] == []
    styles = sorted(BUILT.rglob("*.css"))
    assert styles
    assert [each.name for each in (*styles, *pages) if _FROM_CSS.search(each.read_text())] == []


@pytest.mark.parametrize("style", ["@import'https://a.example'", '@import url("//a.example")', "a{b:url( http://c)}"])
def test_a_style_from_elsewhere_is_seen(style: str) -> None:
    """Also one that was made short."""
    assert _FROM_CSS.search(style)


@pytest.mark.site
def test_the_anchors_of_the_runbook_are_built() -> None:
    built = Loads(BUILT / "runbook.html").anchors
    assert sorted({each.lower() for each in (*Reason, *rules())} - built) == []


@pytest.mark.site
@pytest.mark.parametrize(
    ("link", "words"),
    [("[there](nowhere.md)", "page does not exist"), ("[there](install.md#nowhere)", "anchor does not exist")],
)
def test_a_broken_link_fails_the_build(tmp_path: Path, link: str, words: str) -> None:
    shutil.copytree(REPOSITORY / "build/site/pages", tmp_path / "build/site/pages")
    shutil.copy(CONFIGURATION, tmp_path)
    with (tmp_path / "build/site/pages/concepts.md").open("a") as page:
        page.write(f"\n{link}\n")
    ran = subprocess.run([ZENSICAL, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert words in ran.stderr
