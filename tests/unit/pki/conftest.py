"""Programs that write certificate files; a test that needs one is skipped if it is not installed."""

import shutil

import pytest


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} on this machine")
    return path


@pytest.fixture
def openssl() -> str:
    return _program("openssl")


@pytest.fixture
def keytool() -> str:
    return _program("keytool")
