"""`clientcert report` in a browser: with and without scripts, on a narrow screen, in the dark and on paper.

Without Chromium on the PATH nothing is tested. `REPORT_PICTURES=docs/report` writes the pictures of docs/cli.md anew;
the printed page among them needs pdftoppm.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from clientcert.cli.report_html import Heading, as_html
from tests.docs.browser import NEEDS_CHROMIUM, Browser
from tests.unit.cli.report_objects import fleet, four, reported

WIDE, NARROW = 1280, 390
MANY = 10_000
LONGEST_SECONDS = 60.0
"""To show and to sort 10,000 certificates: about ten on two cores with nothing else to do, more beside other tests."""

pytestmark = [*NEEDS_CHROMIUM]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = Path(os.environ.get("REPORT_PICTURES") or tmp_path_factory.mktemp("pictures"))
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four certificates of one namespace."""
    return write(tmp_path_factory.mktemp("small"), four())


def write(directory: Path, objects: list[dict[str, Any]], *, everywhere: bool = False) -> Path:
    """The page of these certificates, as a file."""
    path = directory / "report.html"
    scope = "All namespaces" if everywhere else "Namespace integration"
    path.write_text(as_html(reported(objects), Heading("Client certificates", scope, everywhere, contacts=False)))
    return path


def pages(paper: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", paper))


def names(browser: Browser) -> list[str]:
    """Of the table of all certificates, in its order."""
    shown: list[str] = browser.evaluate("Array.from(document.querySelectorAll('#all tbody th'), e => e.textContent)")
    return shown


def click(browser: Browser, heading: str) -> None:
    """Click a heading of this table."""
    script = (
        f"Array.from(document.querySelectorAll('#all thead button')).find(e => e.innerText === {heading!r}).click()"
    )
    browser.evaluate(script)


def overflow(browser: Browser) -> int:
    """The width of the page beyond that of its window."""
    return int(browser.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def test_four_certificates(browser: Browser, small: Path, pictures: Path) -> None:
    """The browser refuses nothing of the page, and it fits."""
    browser.open(small, WIDE)
    (pictures / "four.png").write_bytes(browser.picture(WIDE, 2000))
    assert browser.complaints == []
    assert overflow(browser) == 0
    assert browser.evaluate("getComputedStyle(document.querySelector('.e0')).fill") == "rgb(10, 95, 160)"


def test_a_click_sorts(browser: Browser, small: Path) -> None:
    """By words or numbers; a second click sorts in reverse, and what has no value stays last."""
    browser.open(small, WIDE)
    assert names(browser) == ["court-lists-preprod", "nhs-prod", "weather-prod", "tribunals-test"]
    click(browser, "Days")
    assert names(browser) == ["weather-prod", "nhs-prod", "court-lists-preprod", "tribunals-test"]
    click(browser, "Certificate")
    assert names(browser) == ["court-lists-preprod", "nhs-prod", "tribunals-test", "weather-prod"]
    sorted_by = "document.querySelector('#all [aria-sort]').innerText"
    assert browser.evaluate(sorted_by).startswith("Certificate")


def test_no_script_is_needed(browser: Browser, small: Path) -> None:
    """The same is shown."""
    browser.open(small, WIDE)
    text = "document.body.innerText"
    with_scripts = browser.evaluate(text)
    browser.open(small, WIDE, scripts=False)
    assert browser.evaluate("document.querySelectorAll('button').length") == 0
    assert browser.evaluate(text) == with_scripts


def test_a_narrow_screen(browser: Browser, small: Path, pictures: Path) -> None:
    """Nothing is wider than the screen but tables that are moved sideways."""
    browser.open(small, NARROW)
    assert overflow(browser) == 0
    (pictures / "narrow.png").write_bytes(browser.picture(NARROW, 2600))


def test_in_the_dark(browser: Browser, small: Path, pictures: Path) -> None:
    browser.open(small, WIDE, dark=True)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    (pictures / "dark.png").write_bytes(browser.picture(WIDE, 2000))


def test_on_paper(browser: Browser, small: Path, pictures: Path) -> None:
    """Four certificates are on two pages, in the colours of the day."""
    browser.open(small, WIDE, dark=True)
    paper = browser.printed()
    assert pages(paper) == 2
    if shutil.which("pdftoppm"):
        command = ["pdftoppm", "-png", "-r", "90", "-singlefile", "-", "printed"]
        subprocess.run(command, input=paper, cwd=pictures, check=True)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext on this machine")
def test_each_page_has_the_headings(browser: Browser, tmp_path: Path) -> None:
    browser.open(write(tmp_path, fleet(150), everywhere=True), WIDE)
    paper = browser.printed()
    text = subprocess.run(["pdftotext", "-layout", "-", "-"], input=paper, capture_output=True, check=True).stdout
    assert pages(paper) > 5
    assert text.count(b"Environment") >= pages(paper)


def test_ten_thousand_certificates(browser: Browser, pictures: Path, tmp_path: Path) -> None:
    """They are shown and sorted in some seconds."""
    page = write(tmp_path, fleet(MANY), everywhere=True)
    began = time.monotonic()
    browser.open(page, WIDE)
    assert len(names(browser)) == MANY
    click(browser, "Days")
    (pictures / "fleet.png").write_bytes(browser.picture(WIDE, 1500))
    assert time.monotonic() - began < LONGEST_SECONDS
    assert (browser.complaints, overflow(browser)) == ([], 0)
