"""The one Chromium of the tests of pictures."""

from collections.abc import Iterator

import pytest

from tests.docs.browser import Browser, chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = chromium()
    assert program is not None
    with Browser.running(program, tmp_path_factory.mktemp("profile")) as running:
        yield running
