"""Links, paths and manifests on the pages are valid."""

import getpass
import re
import socket
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.docs.pages import PAGES, anchors, blocks, links, name_of
from tools.control_plane import ControlPlane

WITH_FOREIGN_KINDS = "gitops.md"
"""test_gitops.py is about its snippets."""
MANIFESTS = [page for page in PAGES if blocks(page, "yaml") and page.name != WITH_FOREIGN_KINDS]
PATHS = re.compile(r"`((?:operator/clientcert|crds|deploy|docs|tests|bench|tools|requirements|\.ci)/[\w./\-]*)`")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    inside = [link for link in links(page) if "://" not in link]
    targets = [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in map(_split, inside)]
    assert [path for path, _ in targets if not path.exists()] == []
    assert [(path.name, anchor) for path, anchor in targets if anchor and anchor not in anchors(path)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_path_that_is_named_exists(page: Path) -> None:
    assert [path for path in PATHS.findall(page.read_text()) if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("page", MANIFESTS, ids=name_of)
def test_the_api_server_accepts_every_manifest(control_plane: ControlPlane, namespace: str, page: Path) -> None:
    """With strict validation, so that no field is misspelt."""
    for block in blocks(page, "yaml"):
        answer = control_plane.kubectl("apply", "-n", namespace, "--dry-run=server", "-f", "-", input=block)
        assert answer.count("(server dry run)") == len([*yaml.safe_load_all(block)])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_the_machine_where_it_was_written(page: Path) -> None:
    text = page.read_text()
    assert [
        word for word in (f"/home/{getpass.getuser()}", socket.gethostname(), "/work/", "/root/") if word in text
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_prose_keeps_to_lines_of_120_characters(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def _split(link: str) -> tuple[str, str, str]:
    return link.partition("#")
