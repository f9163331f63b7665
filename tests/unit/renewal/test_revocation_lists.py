"""The entries of revocation lists, how they are kept, and how gateways read them."""

import hashlib
import json
import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.lifecycle.renewal.revocation_entries import MOST_ENTRIES, combined, dump_entries, load_entries
from clientcert.lifecycle.renewal.revocation_lists import (
    CRL_RENEWED_AFTER,
    CRL_VALID,
    PART_BYTES,
    CrlState,
    Part,
    arranged,
    gateway_lists,
    next_crl_number,
)
from clientcert.lifecycle.renewal.spec import RevocationReason, RevocationSpec
from tests.builders import DAY, NOW, SECOND

CA = "CN=Client CA,O=The Team"
KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def entry(serial: str = "4af2", consumer: str = "nhs", **other: Any) -> RevocationSpec:
    known = RevocationSpec(CA, serial, consumer, RevocationReason.SUPERSEDED, NOW - DAY, NOW + 100 * DAY)
    return replace(known, **other)


def compromised(serial: str = "4af2", **other: Any) -> RevocationSpec:
    return entry(serial, reason=RevocationReason.KEY_COMPROMISE, key_hash=KEY, **other)


_NUMBER, _STEP = 1 << 158, 0x9E3779B97F4A7C15F39CC0605CEDC834


def _hash(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def lines(*entries: RevocationSpec, key: str = "revocations", now: datetime = NOW) -> list[str]:
    return gateway_lists(entries, now)[key].splitlines()


class TestTheLineOfAGateway:
    @pytest.mark.parametrize(
        ("serial", "plain", "coded"),
        [
            ("4af2", "4AF2", "4A:F2"),
            ("a", "0A", "0A"),
            ("c3a1", "C3A1", "00:C3:A1"),
            ("0", "00", "00"),
            ("-1", "-01", "FF"),
            ("-80", "-80", "80"),
            ("17beb770" + "6db11f5" * 4, "17BEB770" + "6DB11F5" * 4, None),
        ],
    )
    def test_has_the_number_as_openssl_and_as_java_write_it(self, serial: str, plain: str, coded: str | None) -> None:
        """Whole octets in upper case; java.math.BigInteger has an octet for the sign."""
        assert lines(entry(serial)) == [f"{plain}/nhs"]
        if coded is not None:
            assert lines(entry(serial), key="revocations-colons") == [f"{coded}/nhs"]

    def test_is_that_of_the_gateway_of_the_guide(self) -> None:
        """The decimal number that the API gateway passes on, and what the API makes of it."""
        number, octets = (
            8472494320151578633330348943480876283449388195,
            "01:7B:EB:77:06:DB:11:F5:2E:B6:F7:37:7B:A9:E0:E4:84:C5:2C:A3",
        )
        assert lines(entry(f"{number:x}"), key="revocations-colons") == [f"{octets}/nhs"]

    def test_is_for_everybody_if_the_consumer_has_a_slash(self) -> None:
        """A gateway takes what follows the first one for the consumer."""
        assert lines(entry(consumer="nhs/england")) == ["4AF2"]

    @pytest.mark.parametrize(("left", "count"), [(timedelta(0), 1), (-SECOND, 0)])
    def test_is_there_until_the_last_second_of_the_certificate(self, left: timedelta, count: int) -> None:
        assert len(lines(entry(not_after=NOW + left))) == count


class TestSeveralEntriesAboutOneCertificate:
    def test_are_the_earliest(self) -> None:
        late = entry(revocation_time=NOW, not_after=NOW + 200 * DAY)
        assert combined([late, entry()]) == entry(not_after=NOW + 200 * DAY)

    def test_bar_the_key_if_one_does(self) -> None:
        """A certificate that was retired may turn out to be compromised."""
        found = combined([entry(), compromised(revocation_time=NOW)])
        assert (found.reason, found.key_hash) == (RevocationReason.KEY_COMPROMISE, KEY)
        assert found.revocation_time == NOW - DAY


class TestTheParts:
    def test_have_each_entry_once(self) -> None:
        """Of objects and of what was kept."""
        assert arranged(((entry("1"), entry("2")),), [entry("2"), entry("3")], NOW) == (
            (entry("1"), entry("2"), entry("3")),
        )

    def test_are_none_if_nothing_was_revoked(self) -> None:
        assert arranged((), [], NOW) == ()

    def test_of_the_same_number_by_another_ca_are_two(self) -> None:
        other = entry(issuer_dn="CN=Former CA")
        assert arranged((), [entry(), other], NOW) == ((entry(), other),)

    def test_lose_what_has_ended_but_never_a_compromised_key(self) -> None:
        ended = NOW - SECOND
        kept = compromised("3", not_after=ended)
        parts = arranged(((entry("1", not_after=ended), entry("2"), kept),), [], NOW)
        assert parts == ((entry("2"), kept),)
        assert lines(*parts[0]) == ["02/nhs"]

    def test_leave_each_entry_where_it_was(self) -> None:
        """So none is missing while one ConfigMap is written after the other."""
        before: tuple[Part, ...] = ((entry("5"),), (entry("3"),))
        assert arranged(before, [entry("1"), entry("3"), entry("5")], NOW) == ((entry("1"), entry("5")), (entry("3"),))
        assert arranged(before, [], NOW + 200 * DAY) == ((), ())

    def test_are_continued_where_one_is_full(self) -> None:
        """By the size of both lists; and by their number, since what is kept has a size, too."""
        many = [entry(f"{number:040x}", "c" * 100) for number in range(1, 3001)]
        parts = arranged((), many, NOW)
        sizes = [sum(len(text.encode()) for text in gateway_lists(part, NOW).values()) for part in parts]
        assert len(parts) > 1
        assert all(size <= PART_BYTES for size in sizes)
        assert sizes[0] > PART_BYTES - 1000
        assert sum(map(len, parts)) == 3000
        short = [entry(f"{number:x}", "a") for number in range(1, MOST_ENTRIES + 2)]
        assert [len(part) for part in arranged((), short, NOW)] == [MOST_ENTRIES, 1]

    def test_of_ten_thousand_fit_into_config_maps(self) -> None:
        """With what is kept, below 1 MiB each."""
        many = [
            entry(f"{_NUMBER + number * _STEP:x}", f"consumer-{number:04}", key_hash=_hash(number))
            for number in range(10_000)
        ]
        parts = arranged((), many, NOW)
        assert sum(len(gateway_lists(part, NOW)["revocations"]) for part in parts) in range(500_000, 600_000)
        for part in parts:
            text = sum(len(each) for each in gateway_lists(part, NOW).values())
            assert text + len(dump_entries(part)) < 1024 * 1024

    @given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), max_size=60))
    def test_lose_nothing_and_move_nothing(self, steps: list[tuple[int, int]]) -> None:
        parts: tuple[Part, ...] = ((), ())
        known: set[str] = set()
        for number, _ in steps:
            before = {each.serial_number: at for at, part in enumerate(parts) for each in part}
            known.add(f"{number:x}")
            parts = arranged(parts, [entry(f"{number:x}")], NOW)
            after = {each.serial_number: at for at, part in enumerate(parts) for each in part}
            assert set(after) == known
            assert before.items() <= after.items()


class TestWhatIsKept:
    def test_is_read_back(self) -> None:
        entries = (entry(), compromised("c3a1", consumer="König & Söhne", issuer_dn="CN=Früher"))
        assert load_entries(dump_entries(entries)) == entries
        assert load_entries(dump_entries(())) == ()

    GOOD = ("4af2", "nhs", "Superseded", "2026-11-21T09:00:00+00:00", "2027-11-21T09:00:00+00:00", "", CA)

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "{}",
            "[" * 100_000,
            json.dumps(["4af2"]),
            json.dumps(["4af2", "nhs", "Unknown", *GOOD[3:]]),
            json.dumps(["4AF2", *GOOD[1:]]),
            json.dumps(["f" * 129, *GOOD[1:]]),
            json.dumps([1, *GOOD[1:]]),
            json.dumps(["4af2", "n\nhs", *GOOD[2:]]),
            json.dumps(["4af2", "n" * 254, *GOOD[2:]]),
            json.dumps([*GOOD[:3], "2026-11-21T09:00:00", *GOOD[4:]]),
            json.dumps([*GOOD[:3], "tomorrow", *GOOD[4:]]),
            json.dumps([*GOOD[:6], None]),
        ],
    )
    def test_is_nothing_that_is_not_ours(self, line: str) -> None:
        """Anything may be there, as people write ConfigMaps; the lines beside it are read."""
        good = json.dumps(self.GOOD)
        [found] = load_entries(zlib.compress(f"{good}\n{line}".encode()))
        assert (found.serial_number, found.consumer, found.issuer_dn) == ("4af2", "nhs", CA)

    @pytest.mark.parametrize("content", [b"", b"\0", b"no", zlib.compress(b"\xff"), dump_entries([entry()])[:-9]])
    def test_is_nothing_if_it_is_damaged(self, content: bytes) -> None:
        assert load_entries(content) in ((), (entry(),))

    def test_has_a_limit(self) -> None:
        """A few kilobytes may unpack to gigabytes."""
        line = json.dumps(self.GOOD)
        assert len(load_entries(zlib.compress(f"{line}\n".encode() * 100_000))) == 2 * MOST_ENTRIES
        assert load_entries(zlib.compress(b"\n" * 100_000_000)) == ()


class TestTheStateOfACrl:
    STATE = CrlState(7, NOW, NOW + CRL_VALID, "entries", "content", "ca")

    def test_is_read_back(self) -> None:
        assert CrlState.load(self.STATE.dump()) == self.STATE

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{}",
            "[" * 100_000,
            "[1,2]",
            json.dumps([0, NOW.isoformat(), NOW.isoformat(), "", "", ""]),
            json.dumps([2**160, NOW.isoformat(), NOW.isoformat(), "", "", ""]),
            json.dumps([1, "2026-11-22T09:00:00", NOW.isoformat(), "", "", ""]),
            json.dumps([float("inf"), NOW.isoformat(), NOW.isoformat(), "", "", ""]),
        ],
    )
    def test_is_none_if_it_is_not_ours(self, text: str) -> None:
        assert CrlState.load(text) is None

    @pytest.mark.parametrize(
        ("entries", "issuer", "passed", "due"),
        [
            ("entries", "ca", timedelta(0), False),
            ("entries", "ca", CRL_RENEWED_AFTER - SECOND, False),
            ("entries", "ca", CRL_RENEWED_AFTER, True),
            ("entries", "ca", -SECOND, True),
            ("others", "ca", timedelta(0), True),
            ("entries", "another", timedelta(0), True),
        ],
    )
    def test_says_when_it_is_signed_anew(self, entries: str, issuer: str, passed: timedelta, *, due: bool) -> None:
        """Daily, after a change of entries or CA, and if the clock was set back."""
        assert self.STATE.is_due(entries, issuer, NOW + passed) is due

    def test_numbers_grow(self) -> None:
        """Also if the last one is lost; they have a place in twenty octets (RFC 5280 section 5.2.3)."""
        first = next_crl_number(None, NOW)
        state = replace(self.STATE, number=first)
        assert next_crl_number(state, NOW) == first + 1
        assert next_crl_number(state, NOW - DAY) == first + 1
        assert next_crl_number(None, NOW + SECOND) > first
        assert next_crl_number(replace(self.STATE, number=2**158 - 1), NOW).bit_length() <= 159
