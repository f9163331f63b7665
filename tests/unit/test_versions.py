"""Versions: their order, and which parts of an installation differ."""

import pytest

from clientcert.versions import Skew, skew, skew_of_all, version_in


@pytest.mark.parametrize(
    ("found", "own", "expected"),
    [
        ("0.1.0", "0.1.0", Skew.NONE),
        (None, "0.1.0", Skew.NONE),
        ("", "0.1.0", Skew.OLDER),
        ("0.1", "0.1.0", Skew.NONE),
        ("v0.1.0", "0.1.0", Skew.NONE),
        ("0.9.0", "0.10.0", Skew.OLDER),
        ("0.10.0", "0.9.9", Skew.NEWER),
        ("1.0.0", "0.99.99", Skew.NEWER),
        ("0.2.0-rc.1", "0.2.0rc1", Skew.NONE),
        ("0.2.0rc1", "0.2.0", Skew.OLDER),
        ("0.2.0rc10", "0.2.0rc9", Skew.NEWER),
        ("0.2.0-beta.3", "0.2.0-rc.1", Skew.OLDER),
        ("0.2.0rc1", "0.1.9", Skew.NEWER),
        ("0.1.0+build.7", "0.1.0", Skew.NONE),
        ("main", "0.1.0", Skew.OLDER),
        ("0.1.0", "main", Skew.NEWER),
        ("main", "main", Skew.NONE),
        ("9" * 5000, "0.1.0", Skew.NEWER),
    ],
)
def test_a_version_is_older_the_same_or_newer(found: str | None, own: str, expected: Skew) -> None:
    assert skew(found, own) is expected


def test_one_older_part_of_many_counts() -> None:
    """Its fields are missing, whatever else is newer."""
    assert skew_of_all(["0.1.0", "0.3.0", "0.2.0"], "0.2.0") is Skew.OLDER
    assert skew_of_all(["0.2.0", "0.3.0"], "0.2.0") is Skew.NEWER
    assert skew_of_all(["0.2.0", "0.2.0"], "0.2.0") is Skew.NONE
    assert skew_of_all([], "0.2.0") is Skew.NONE


@pytest.mark.parametrize(
    ("title", "version"),
    [("clientcert-operator/0.2.0", "0.2.0"), ("", ""), ("ClientCertificate", ""), ("another/0.2.0", "")],
)
def test_the_title_of_a_schema_has_the_version(title: str, version: str) -> None:
    assert version_in(title) == version
