"""The client list: valid keys and values, entries that are left out, and problems that never show an address."""

import hashlib
import re
import time as stopwatch
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clientcert.api.client_list import (
    LARGEST_VALUE,
    LONGEST_NOTE,
    MOST_KEYS,
    ClientList,
    Listing,
    address_problem,
    client_list_key,
    is_one_line,
    parse_client_list,
    parse_listing,
    render_listing,
)
from clientcert.lifecycle.contacts import DirectoryEntry
from clientcert.lifecycle.spec import Person
from tests.builders import RUNAWAY_SECONDS, usable
from tests.deploy.formats import EMAIL, FORMATS

JO, SAM = Person("Jo Bloggs", "jo@nhs.example"), Person("Sam Patel", "sam@nhs.example")
JO_LINE, SAM_LINE = (
    "technical: {name: Jo Bloggs, email: jo@nhs.example}\n",
    "business: {name: Sam Patel, email: sam@nhs.example}\n",
)
EXAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "examples" / "client-list.yaml"

consumers = st.text(min_size=1, max_size=64).filter(lambda text: is_one_line(text, 64))
names = st.just("") | st.text(min_size=1, max_size=128).filter(lambda text: is_one_line(text, 128))
people = st.none() | st.builds(Person, names, st.sampled_from(["jo@nhs.example", "a.b+c@x-y.example", "1@2.example"]))
notes = st.text(max_size=60).filter(lambda text: not any(0xD800 <= ord(each) <= 0xDFFF for each in text))


class TestAnEntry:
    def test_all_fields(self) -> None:
        """An entry has up to two people, each with an address and an optional name, and a note."""
        entries, problems = parse_client_list({"nhs": JO_LINE + SAM_LINE + "note: asks for a call first\n"})
        assert entries == {"nhs": DirectoryEntry(JO, SAM)}
        assert problems == ()

    def test_a_name_is_not_needed(self) -> None:
        assert parse_listing("nhs", "technical: {email: jo@nhs.example}").entry.technical == Person("", JO.email)

    @pytest.mark.parametrize("value", ["", "# nothing yet\n", "~", "technical:\nbusiness: null\n"])
    def test_an_empty_entry(self, value: str) -> None:
        """An empty field is valid."""
        assert parse_client_list({"nhs": value}) == ({"nhs": DirectoryEntry()}, ())

    def test_the_consumer_in_the_value(self) -> None:
        entries, problems = parse_client_list({"nhs-england": "consumer: NHS England\n" + JO_LINE})
        assert usable(entries) == {"NHS England": DirectoryEntry(technical=JO)}
        assert problems == ()

    @pytest.mark.parametrize("name", ["No", "null", "2026-01-01", "1e3", "true", "012"])
    def test_names_are_text(self, name: str) -> None:
        """A name never becomes False, a date or a number."""
        assert parse_listing("nhs", f"consumer: '{name}'\nnote: '{name}'").consumer == name
        if name != "null":
            assert parse_listing("nhs", f"note: {name}").note == name

    def test_nothing_personal_is_in_its_repr(self) -> None:
        shown = repr(Listing("nhs", DirectoryEntry(JO, SAM), "call Jo"))
        assert not [word for word in ("jo@", "sam@", "Jo", "Sam") if word in shown]


class TestInvalidEntries:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("technical: {email: 'Jo <jo@acme.example>'}", "technical.email must be one plain e-mail address"),
            ("technical: {email: 'jo@acme.example, eve@acme.example'}", "technical.email must be one plain"),
            (
                'technical: {email: "jo@acme.example\\nBcc: eve@evil.example"}',
                "technical.email must be one plain",
            ),
            ("technical: {email: jo@localhost}", "technical.email must be one plain e-mail address"),
            ("technical: {name: Jo}", "technical.email must be one plain e-mail address"),
            ("business: {email: [jo@acme.example]}", "it is not a mapping"),
            ("business: jo@acme.example", "business must be a mapping: business: {name: …, email: …}"),
            ("technical: {name: '<b>Jo</b>', email: jo@acme.example}", "technical.name must be one line"),
            ('technical: {name: "Jo\\u202e", email: jo@acme.example}', "technical.name must be one line"),
            ('technical: {name: "Jo\\r\\nBcc: x", email: jo@acme.example}', "technical.name must be one line"),
            ("technical: {phone: 07700, email: jo@acme.example}", "technical has a field other than"),
            ("jo@acme.example: technical", "it has a field other than consumer, technical, business, note"),
            ("consumer: 'two  spaces'", "consumer must be one line"),
            ("consumer: {a: b}", "consumer must be text"),
            ("consumer: " + "c" * 65, "consumer has more than 64 characters"),
            ("note: " + "n" * (LONGEST_NOTE + 1), "note has more than 1024 characters"),
            ("note: x\nnote: jo@acme.example", "it has a field twice"),
            ("jo@acme.example", "it is not a mapping"),
            ("- jo@acme.example", "it is not a mapping"),
            ("note: x\n---\nnote: jo@acme.example", "it is not a mapping"),
            ("note: [jo@acme.example", "it is not a mapping"),
            ("note: 'jo@acme.example", "its value is not YAML"),
            ("note: \x00", "its value is not YAML"),
        ],
    )
    def test_an_invalid_entry_is_left_out_with_a_problem(self, value: str, words: str) -> None:
        """Only the invalid entry is left out; the problem names its key, and never its value."""
        entries, problems = parse_client_list({"acme": value, "nhs": JO_LINE})
        assert usable(entries) == {"nhs": DirectoryEntry(technical=JO)}
        assert len(problems) == 1
        assert problems[0].startswith(f"key acme: {words}")
        assert "acme.example" not in problems[0]
        assert entries["acme"] == DirectoryEntry(problem=problems[0])

    def test_the_problem_is_kept_for_its_consumer(self) -> None:
        """The lookup of its contact reports the correction; a valid entry for the same consumer is used."""
        broken = "consumer: Court lists\nphone: 020 7946\n"
        entries, [problem] = parse_client_list({"client-7": broken})
        assert entries == {"Court lists": DirectoryEntry(problem=problem)}
        entries, _ = parse_client_list({"client-7": broken, "client-8": "consumer: Court lists\n" + JO_LINE})
        assert entries["Court lists"] == DirectoryEntry(technical=JO)

    def test_a_name_in_another_case(self) -> None:
        """It is another consumer, and probably a typing mistake."""
        entries, problems = parse_client_list({"NHS": JO_LINE})
        assert problems == ()
        assert usable(entries) == {"NHS": DirectoryEntry(technical=JO)}
        assert entries["nhs"].problem.startswith("key NHS: it has the consumer's name in another case")
        entries, _ = parse_client_list({"NHS": JO_LINE, "nhs": SAM_LINE})
        assert entries == {"NHS": DirectoryEntry(technical=JO), "nhs": DirectoryEntry(business=SAM)}

    def test_the_same_consumer_twice(self) -> None:
        """The first key in alphabetical order is used, in any order of the API server."""
        data = {"two": "consumer: nhs\n" + SAM_LINE, "nhs": JO_LINE}
        words = "key nhs is used, and key two has the same consumer: remove one of them"
        for each in (data, dict(reversed(data.items()))):
            entries, problems = parse_client_list(each)
            assert entries == {"nhs": DirectoryEntry(technical=JO, remark=words)}
            assert problems == ("key two: another key has the same consumer and is used: remove one of them",)

    @given(st.dictionaries(st.text("abc-_.", min_size=1, max_size=5), st.text(max_size=40), max_size=4))
    def test_any_content(self, data: dict[str, str]) -> None:
        """It never raises, and each key is either an entry or a problem."""
        entries, problems = parse_client_list(data)
        assert len(usable(entries)) + len(problems) == len(data)


class TestBounds:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n", "anchor or tag"),
            ("technical: &t {email: jo@nhs.example}\nbusiness: *t\n", "anchor or tag"),
            ("business: *t\n", "alias"),
            ("technical: !!python/object/apply:os.system [id]\n", "anchor or tag"),
            ("note: !!binary aGVsbG8=\n", "anchor or tag"),
            ("[" * LARGEST_VALUE, "not a mapping"),
            ("{a: " * (LARGEST_VALUE // 4), "not a mapping"),
            ("- " * (LARGEST_VALUE // 2), "not a mapping"),
        ],
    )
    def test_expanding_and_nested_values_are_refused(self, value: str, words: str) -> None:
        """YAML bombs, tags that run code and ten thousand levels are refused at once."""
        began = stopwatch.process_time()
        entries, problems = parse_client_list({"bomb": value})
        assert stopwatch.process_time() - began < RUNAWAY_SECONDS
        assert usable(entries) == {}
        assert words in problems[0]

    @pytest.mark.parametrize("value", ["n" * (LARGEST_VALUE + 1), "ü" * (LARGEST_VALUE // 2 + 1)])
    def test_a_value_over_10_kib(self, value: str) -> None:
        """The limit is in octets, and is checked before the value is parsed."""
        assert parse_client_list({"nhs": "# " + value})[1] == ("key nhs: its value is larger than 10 KiB: shorten it",)

    def test_more_than_ten_thousand_keys(self) -> None:
        data = {f"c{number:05}": "" for number in range(MOST_KEYS + 5)}
        entries, problems = parse_client_list(data)
        assert len(entries) == MOST_KEYS
        assert f"c{MOST_KEYS - 1:05}" in entries
        assert problems == ("it has more than 10000 keys, and only the first of them are used: remove some",)


class TestRendering:
    @given(consumers, people, people, notes)
    def test_a_rendered_list_is_parsed_to_the_same(
        self, consumer: str, technical: Person | None, business: Person | None, note: str
    ) -> None:
        """A rendered listing is parsed to an equal one, for any names; rendering again gives the same text."""
        listing = Listing(consumer, DirectoryEntry(technical, business), note)
        for key in (client_list_key(consumer), "another"):
            value = render_listing(listing, key)
            assert value == render_listing(listing, key)
            assert parse_listing(key, value) == listing
            assert len(value.encode()) <= LARGEST_VALUE

    @given(st.lists(consumers, min_size=2, max_size=20, unique=True))
    def test_each_consumer_has_a_key_of_its_own(self, several: list[str]) -> None:
        """Each key is valid in a ConfigMap: at most 253 valid characters, and not two dots at the beginning."""
        keys = [client_list_key(consumer) for consumer in several]
        assert len(set(keys)) == len(several)
        assert all(re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) and not key.startswith("..") for key in keys)
        assert "." not in keys

    @pytest.mark.parametrize(
        ("consumer", "key"),
        [
            ("nhs", "nhs"),
            ("prison-visits.v2", "prison-visits.v2"),
            ("NHS England", "NHS-England.HASH"),
            ("..", "consumer.HASH"),
        ],
    )
    def test_the_usual_key_of_a_name(self, consumer: str, key: str) -> None:
        """Any other name gets a key of its readable characters and the beginning of its SHA-256."""
        assert client_list_key(consumer) == key.replace("HASH", hashlib.sha256(consumer.encode()).hexdigest()[:12])

    def test_keys_of_two_consumers_never_collide(self) -> None:
        """A consumer whose name equals the key of another one gets a different key."""
        key = client_list_key("NHS England")
        assert client_list_key(key) != key

    def test_an_existing_key_is_kept(self) -> None:
        """An existing key is kept, whatever its name; a new consumer gets the usual key, but never a taken one."""
        data = {"client-7": "consumer: nhs\n" + JO_LINE, "broken": "[", "weather": "consumer: acme\n" + SAM_LINE}
        known = ClientList.of(data)
        keys = [known.key(consumer) for consumer in ("nhs", "acme", "visits", "broken", "weather")]
        assert keys[:4] == ["client-7", "weather", "visits", "broken"]
        assert keys[4].startswith("weather.")
        assert known.consumers == {"nhs", "acme"}
        assert known.listing("nhs") == Listing("nhs", DirectoryEntry(technical=JO))
        assert known.listing("visits") is None

    def test_an_unreadable_entry_is_remembered(self) -> None:
        """Its problem is known, because writing the key would lose the content that is there."""
        known = ClientList.of({"nhs": JO_LINE, "broken": "phone: 020 7946"})
        assert [known.problem(consumer) for consumer in ("nhs", "new")] == ["", ""]
        assert known.problem("broken").startswith("it has a field other than consumer")

    def test_also_under_a_key_of_another_name(self) -> None:
        """If the invalid value names its consumer, that key counts; otherwise the consumer would be listed twice."""
        known = ClientList.of({"client-7": "consumer: nhs\nphone: 020 7946"})
        assert known.key("nhs") == "client-7"
        assert known.problem("nhs").startswith("it has a field other than consumer")

    def test_the_example_is_read_without_a_problem(self) -> None:
        entries, problems = parse_client_list(yaml.safe_load(EXAMPLE.read_text())["data"])
        assert set(usable(entries)) == {"nhs", "weather", "Court lists (north)"}
        assert problems == ()


class TestTheSchemasRules:
    @pytest.mark.parametrize(
        ("text", "plain"),
        [
            ("jo@nhs.example", True),
            ("o'brien+x@a-b.c.example", True),
            ("a" * 64 + "@nhs.example", True),
            ("a" * 65 + "@nhs.example", False),
            ("jo@" + "a." * 130 + "example", False),
            ("jo@nhs", False),
            ("jo@-nhs.example", False),
            ("jo@nhs.example\n", False),
            ("Jo <jo@nhs.example>", False),
            ('"jo bloggs"@nhs.example', False),
            ("jö@nhs.example", False),
            ("jo@münchen.example", True),
            ("jo@例え.テスト", True),
            ("jo@उदाहरण.example", True),
            ("jo@\u0308nhs.example", False),
            ("jo@nhs。example", False),
            ("jo@nhs.exam\u200dple", False),
            ("jo@👍.example", False),
            ("", False),
        ],
    )
    def test_addresses(self, text: str, plain: bool) -> None:
        assert (not address_problem(text)) is plain

    def test_addresses_as_the_api_server_decides(self) -> None:
        """The same values as in the test of the schema."""
        assert [each for each in FORMATS[EMAIL].accepted if address_problem(each)] == []
        assert [each for each in FORMATS[EMAIL].refused if not address_problem(each)] == []

    @pytest.mark.parametrize("local", ["jö", "用户", "o\u2019neil", "jo\u200b", "jo\u0301", "😀"])
    def test_a_local_part_that_needs_smtputf8(self, local: str) -> None:
        """The problem has that word, in the list as in the schema."""
        assert "SMTPUTF8" in address_problem(f"{local}@nhs.example")
        entries, problems = parse_client_list({"nhs": f"technical: {{email: {local}@nhs.example}}"})
        assert "technical.email must be an address without SMTPUTF8" in problems[0]
        assert usable(entries) == {}

    def test_a_hostile_address_is_checked_fast(self) -> None:
        began = stopwatch.process_time()
        assert address_problem("a@" + "a-" * 125)
        assert address_problem("a" * 1_000_000)
        assert stopwatch.process_time() - began < RUNAWAY_SECONDS

    @pytest.mark.parametrize(
        ("text", "fits"),
        [
            ("being decommissioned", True),
            ("Zoë 名前 👍", True),
            ("two  spaces", False),
            (" before", False),
            ("after ", False),
            ("two\nlines", False),
            ("no\u00a0break", False),
            ("turned\u202eround", False),
            ("zero\u200bwidth", False),
            ("<!channel>", False),
            ("x" * 257, False),
            ("", False),
        ],
    )
    def test_one_line(self, text: str, fits: bool) -> None:
        assert is_one_line(text, 256) is fits
