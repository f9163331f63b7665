"""Text in messages: sanitized values, filled templates, written dates and time spans."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.messages.text import day, days_ago, minute, sanitize_line, substitute, time_left, truncate
from tests.builders import DAY, HOUR, NOW, SECOND

VALUES = {
    "name": "nhs",
    "environment": "prod",
    "duration": "14",
    "date": "2026-12-06",
    "serialNumber": "1a",
    "owner": "",
}


class TestSanitizeLine:
    @pytest.mark.parametrize(
        ("typed", "shown"),
        [
            ("nhs", "nhs"),
            ("  two   words ", "two words"),
            ("one\r\ntwo", "one two"),
            ("one\ntwo\tthree\x0bfour\x0cfive\x85six\u2028seven\u2029eight", "one two three four five six seven eight"),
            ("no\u00a0break\u3000space", "no break space"),
            ("bell\x07 and\x00 nul", "bell� and� nul"),
            ("\x1b[31mred", "�[31mred"),
            ("abc\u202edef", "abc�def"),
            ("\u2066isolated\u2069", "�isolated�"),
            ("nh\u200bs", "nh�s"),
            ("nh\u00ads \ufeff", "nh�s �"),
            ("nhs\u200d\u2060\u061c\u200e", "nhs����"),
            ("nhs\u3164\u115f\u2800\ufe0f", "nhs����"),
            ("tag\U000e0041", "tag�"),
            ("private\ue000", "private�"),
            ("half\ud800", "half�"),
            ("Zoë Żółć 日本 नमस्ते 🔒", "Zoë Żółć 日本 नमस्ते 🔒"),
            ("", ""),
        ],
    )
    def test_one_visible_line(self, typed: str, shown: str) -> None:
        """White space becomes a space; invisible and reordering characters become visible."""
        assert sanitize_line(typed, 100) == shown

    def test_a_lookalike_stays_different(self) -> None:
        """A name with a hidden character must not look like the one without."""
        assert sanitize_line("nh\u200bs", 100) != sanitize_line("nhs", 100)

    @given(st.text(st.characters(), max_size=300), st.integers(2, 60))
    def test_any_text(self, typed: str, limit: int) -> None:
        """Within the limit, printable, in one line, and unchanged when it is sanitized again."""
        shown = sanitize_line(typed, limit)
        assert len(shown) <= limit
        assert shown.isprintable()
        assert "\n" not in shown
        assert sanitize_line(shown, limit) == shown
        assert not {unicodedata.category(each) for each in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        shown.encode()

    @pytest.mark.parametrize("typed", ["x" * 10_000, "x " * 10_000, "x" + " " * 10_000 + "y"])
    def test_an_omission_is_marked(self, typed: str) -> None:
        """Ten thousand characters become a few, with an ellipsis."""
        shown = sanitize_line(typed, 50)
        assert len(shown) <= 50
        assert shown.endswith("…")


class TestTruncate:
    @pytest.mark.parametrize(
        ("text", "limit", "shown"),
        [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("ab cd", 4, "ab…"), ("🔒🔒🔒", 2, "🔒…")],
    )
    def test_on_characters(self, text: str, limit: int, shown: str) -> None:
        """Never within one, and never with a space before the ellipsis."""
        assert truncate(text, limit) == shown


class TestSubstitute:
    @pytest.mark.parametrize(
        ("template", "filled"),
        [
            ("{name} in {environment}: {duration}", "nhs in prod: 14"),
            ("{date} {serialNumber} [{owner}]", "2026-12-06 1a []"),
            ("{name.__class__} {name!r} {name:>9} {0} {} {{name}}", "{name.__class__} {name!r} {name:>9} {0} {} {nhs}"),
            ("{consumer} {Name} { name }", "{consumer} {Name} { name }"),
            ("100 % of %s and $name and {{", "100 % of %s and $name and {{"),
        ],
    )
    def test_fixed_fields_only(self, template: str, filled: str) -> None:
        """No attributes, conversions, positions or code: any other text in braces stays unchanged."""
        assert substitute(template, VALUES) == filled

    def test_in_one_pass(self) -> None:
        """A consumer's name that looks like a field stays as it is."""
        assert substitute("{name} {duration}", {**VALUES, "name": "{duration}{name}"}) == "{duration}{name} 14"


class TestTimes:
    def test_dates_are_in_utc(self) -> None:
        """From any zone."""
        moment = datetime(2026, 12, 6, 0, 30, tzinfo=timezone(timedelta(hours=2)))
        assert (day(moment), minute(moment)) == ("2026-12-05", "2026-12-05 22:30 UTC")

    @pytest.mark.parametrize("year", [1, 999, 9999])
    def test_every_year_has_four_digits(self, year: int) -> None:
        """Also at the ends of the calendar."""
        assert minute(datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)) == f"{year:04}-12-31 23:59 UTC"

    @pytest.mark.parametrize(
        ("left", "words"),
        [
            (14 * DAY, "14 days"),
            (14 * DAY - SECOND, "13 days, 23 hours"),
            (2 * DAY + HOUR, "2 days, 1 hour"),
            (DAY, "1 day"),
            (5 * HOUR, "5 hours"),
            (HOUR - SECOND, "less than an hour"),
            (0 * DAY, "none: expired less than an hour ago"),
            (-HOUR, "none: expired 1 hour ago"),
            (-2 * DAY - HOUR, "none: expired 2 days, 1 hour ago"),
        ],
    )
    def test_time_left(self, left: timedelta, words: str) -> None:
        """Rounded down, to the hour."""
        assert time_left(NOW + left, NOW) == words

    @pytest.mark.parametrize(
        ("passed", "words"),
        [
            (SECOND, "less than a day ago"),
            (DAY - SECOND, "less than a day ago"),
            (DAY, "1 day ago"),
            (3 * DAY - SECOND, "2 days ago"),
        ],
    )
    def test_days_ago(self, passed: timedelta, words: str) -> None:
        """Whole days."""
        assert days_ago(NOW - passed, NOW) == words
