"""Prometheus and promtool are found where they are, and an absence is explained."""

import os
from pathlib import Path

import pytest

from tools.prometheus import PrometheusBinaries, PrometheusMissingError
from tools.prometheus.binaries import find_or_unpack

find = find_or_unpack.__wrapped__
"""Without the memory of an earlier call."""


def programs(directory: Path, *names: str) -> None:
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).touch(mode=0o755)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The directory of the cache, on a machine with nothing on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "clientcert/prometheus"


def test_in_path(cache: Path, tmp_path: Path) -> None:
    programs(tmp_path / "bin", "prometheus", "promtool")
    programs(cache, "prometheus", "promtool")
    assert find() == PrometheusBinaries(tmp_path / "bin/prometheus", tmp_path / "bin/promtool")


def test_in_the_cache(cache: Path) -> None:
    programs(cache, "prometheus", "promtool")
    assert find() == PrometheusBinaries(cache / "prometheus", cache / "promtool")


@pytest.mark.parametrize("there", ["prometheus", "promtool"])
def test_half_of_them_is_not_enough(cache: Path, tmp_path: Path, there: str) -> None:
    programs(tmp_path / "bin", there)
    with pytest.raises(PrometheusMissingError, match="this is no Debian to get them from"):
        find()


def test_the_words_of_apt_are_told(cache: Path, tmp_path: Path) -> None:
    """And nothing incomplete stays in the cache."""
    programs(tmp_path / "bin", "dpkg")
    apt = tmp_path / "bin/apt-get"
    apt.write_text("#!/bin/sh\necho 'E: no such package' >&2\nexit 100\n")
    apt.chmod(0o755)
    with pytest.raises(PrometheusMissingError, match="cannot be unpacked: apt-get: E: no such package"):
        find()
    assert os.listdir(cache) == []
