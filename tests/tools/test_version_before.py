"""`make upgrade` compares with the version before: the newest tag that is not on this commit."""

import subprocess
from pathlib import Path

import pytest

from tests.upgrade.versions import reference_before


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(repository: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "tag.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)


def commit(repository: Path, *tags: str) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "--no-gpg-sign", "--message", "a change")
    for tag in tags:
        git(repository, "tag", tag)


def test_without_a_tag_it_is_this_commit(repository: Path) -> None:
    """And that is said."""
    reference, why = reference_before(repository, "")
    assert reference == "HEAD"
    assert why.startswith("there is no tag of a version before")


def test_the_newest_version_counts_and_not_the_newest_tag(repository: Path) -> None:
    for tag in ("v0.9.0", "v0.10.0", "v0.2.0", "chart-7"):
        commit(repository, tag)
    commit(repository)
    assert reference_before(repository, "")[0] == "v0.10.0"


def test_the_tag_of_this_commit_is_not_before_it(repository: Path) -> None:
    commit(repository, "v0.1.0")
    commit(repository, "v0.2.0")
    assert reference_before(repository, "")[0] == "v0.1.0"


def test_a_named_commit_wins(repository: Path) -> None:
    commit(repository, "v0.1.0")
    assert reference_before(repository, "HEAD^")[0] == "HEAD^"


def test_outside_of_a_checkout_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a git repository"):
        reference_before(tmp_path, "")
