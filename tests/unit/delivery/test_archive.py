"""Archives are the same for the same files, and no name in one leads outside of it or replaces another file."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.delivery.archive import safe_names, tar_gz

NASTY = [
    "../../etc/passwd", "/etc/shadow", "..", ".", "", ".bashrc", ".ssh/authorized_keys", "-rf", "--checkpoint=1",
    "client.key", "CLIENT.KEY", "client.key.", "nul", "NUL.txt", "com1", "a\nb", "a\0b", "tab\there", "$(reboot)",
    "`id`", "~", "C:\\Windows\\x", "a:b", "photo\u202egpj.exe", "\u00e9.txt", "e\u0301.txt",
    "x" * 300, "x" * 301, "api-key", "API-KEY", "api-key-2", "a b",
]  # fmt: skip


def test_names_of_secret_keys_stay_as_they_are() -> None:
    usual = ["api-key", "api_key.txt", "Config.json", "2026", "tls.crt"]
    assert safe_names(usual) == usual


def test_a_nasty_name_becomes_a_plain_one() -> None:
    assert safe_names(["../../etc/passwd", ".bashrc", "-rf", "nul", "", "a\nb"]) == [
        "_.._etc_passwd", "bashrc", "rf", "_nul", "extra", "a_b",
    ]  # fmt: skip


def test_names_that_differ_in_case_alone_are_numbered() -> None:
    """They are one file on Windows and macOS."""
    assert safe_names(["api-key", "API-KEY", "api-key-2", "api-key"]) == [
        "api-key", "API-KEY-2", "api-key-2-2", "api-key-3",
    ]  # fmt: skip


@given(st.lists(st.text() | st.sampled_from(NASTY), max_size=30))
def test_any_names_become_different_ones_that_are_safe(names: list[str]) -> None:
    safe = safe_names(names)
    assert len({each.lower() for each in safe}) == len(names)
    for each in safe:
        assert each.isascii()
        assert each.isprintable()
        assert not set(each) & set('/\\:*?"<>|$`~ ')
        assert each[0] not in ".-"
        assert each[-1] != "."
        assert 0 < len(each) < 100


def test_the_same_files_make_the_same_archive() -> None:
    files = {"client.key": b"key", "extras/api-key": b"x" * 10_000}
    assert tar_gz(files) == tar_gz(dict(files))
    assert tar_gz(files) != tar_gz({**files, "client.key": b"yek"})


def test_an_archive_says_nothing_about_where_it_was_made() -> None:
    with tarfile.open(fileobj=io.BytesIO(tar_gz({"client.key": b"key"}))) as archive:
        (entry,) = archive.getmembers()
    assert (entry.mode, entry.uid, entry.gid, entry.uname, entry.gname) == (0o600, 0, 0, "", "")


@pytest.mark.skipif(not Path("/bin/tar").exists(), reason="no tar on this machine")
def test_tar_unpacks_it_without_a_word(tmp_path: Path) -> None:
    """Also without the warning about an implausibly old time stamp, which GNU tar has for 1970."""
    (tmp_path / "client.tar.gz").write_bytes(tar_gz({"client.key": b"key", "extras/api-key": b"abc"}))
    ran = subprocess.run(["tar", "-xvzf", "client.tar.gz"], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert (ran.stdout, ran.stderr) == ("client.key\nextras/api-key\n", "")
    assert (tmp_path / "extras/api-key").read_bytes() == b"abc"
    assert (tmp_path / "client.key").stat().st_mode & 0o777 == 0o600
