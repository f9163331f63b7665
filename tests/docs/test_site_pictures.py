"""The site of the documentation in a browser: it fits, and the browser has nothing to complain about.

`make browser` builds it first. `SITE_PICTURES=docs/site` writes the pictures anew.
"""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.docs.browser import NEEDS_CHROMIUM, Browser

BUILT = REPOSITORY / "build/site/html"
WIDE, NARROW, HEIGHT = 1280, 390, 1000

pytestmark = [*NEEDS_CHROMIUM]


class Quietly(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a server on loopback that has the site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quietly, directory=BUILT)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = Path(os.environ.get("SITE_PICTURES") or tmp_path_factory.mktemp("pictures"))
    directory.mkdir(exist_ok=True)
    return directory


@pytest.mark.parametrize(
    ("name", "page", "width", "dark"),
    [
        ("concepts", "concepts", WIDE, False),
        ("runbook", "runbook", WIDE, False),
        ("dark", "concepts", WIDE, True),
        ("narrow", "index", NARROW, False),
    ],
)
def test_a_page(browser: Browser, site: str, pictures: Path, name: str, page: str, width: int, dark: bool) -> None:
    """Nothing is wider than the window, nothing that the page loads is missing, and nothing is from elsewhere."""
    browser.open(f"{site}/{page}.html", width, dark=dark)
    loaded = browser.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert len(loaded) > 2
    assert [each for each in loaded if not each.startswith((f"{site}/", "data:"))] == []
    assert browser.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    light = "getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 127"
    assert browser.evaluate(light) is not dark
    assert browser.evaluate("Array.from(document.images).every(each => each.complete && each.naturalWidth > 0)")
    (pictures / f"{name}.png").write_bytes(browser.picture(width, HEIGHT))
    assert browser.complaints == []


def test_a_link_to_a_reason_shows_its_row(browser: Browser, site: str) -> None:
    browser.open(f"{site}/runbook.html", WIDE)
    browser.evaluate("location.hash = 'accessdenied'")
    assert browser.evaluate("document.querySelector(':target').innerText") == "AccessDenied"
