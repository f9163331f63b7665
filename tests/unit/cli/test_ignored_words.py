"""The ignore list of a cron script: every form in which people keep one, and no word that is dropped unseen."""

import pytest

from clientcert.cli.ignored_words import IgnoredWord, read_ignored

SEED = """# consumers that left
IGNORED_CERTIFICATES=(
  "preprod/pmcphee"   # until the summer
  'dev/sleach5', prod/nhs;
)
"""
LINE = 'ignore="dev/sleach5 dev/bmadley dev/mryall preprod/pmcphee"'
"""As it is in the script that many come from."""


def words(text: str) -> list[str]:
    found, problems = read_ignored(text.encode())
    assert problems == []
    return [str(each) for each in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SEED, ["preprod/pmcphee", "dev/sleach5", "prod/nhs"]),
        ("\ufeffprod/nhs\r\nprod/acme\r\n", ["prod/nhs", "prod/acme"]),
        ('list=("prod/nhs" "prod/acme")', ["prod/nhs", "prod/acme"]),
        (LINE, ["dev/sleach5", "dev/bmadley", "dev/mryall", "preprod/pmcphee"]),
        ("IGNORED=prod/nhs,prod/acme", ["prod/nhs", "prod/acme"]),
        ("declare -a IGNORED+=(prod/nhs)", ["prod/nhs"]),
        ("export -x  IGNORED='prod/nhs prod/acme' # old", ["prod/nhs", "prod/acme"]),
        ('ignored = ["prod/nhs", "prod/acme"]', ["prod/nhs", "prod/acme"]),
        ('ignore="prod/nhs \\\n  prod/acme"', ["prod/nhs", "prod/acme"]),
        ('"prod/NHS England"', ["prod/NHS England"]),
        ('"prod/nhs #1"', ["prod/nhs #1"]),
        ("prod/a#b", ["prod/a#b"]),
        ("", []),
        ("# nothing\n\n", []),
    ],
)
def test_a_list(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_word_has_its_parts() -> None:
    assert read_ignored(b"\nprod/nhs") == ([IgnoredWord("prod", "nhs")], [])


@pytest.mark.parametrize(
    "word",
    ["nhs", "prod/", "/nhs", "prod/nhs/client.pem", "\x1b[2J", "prod\u202e", "*prod/nhs*", "$env/nhs", "a=b=prod/nhs"],
)
def test_a_word_that_is_none(word: str) -> None:
    """The whole list is refused, with the line, and the word is not repeated."""
    found, problems = read_ignored(f"prod/acme\n{word}\n".encode())
    assert found == []
    assert problems == ["line 2: a word is not of the form environment/consumer, such as prod/nhs"]


def test_no_text() -> None:
    assert read_ignored(b"\xff\xfe\0") == ([], ["the file is not UTF-8"])
