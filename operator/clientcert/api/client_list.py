"""The client list: a ConfigMap with one key per consumer, whose value is a small YAML document.

    nhs: |
      technical: {name: Jo Bloggs, email: jo@nhs.example}
      business: {name: Sam Patel, email: sam@nhs.example}
      note: asks for a call first

A key of a ConfigMap cannot contain every name, so the value may name the consumer itself: `consumer: NHS England`.
The content of the ConfigMap is not trusted. An invalid entry is left out and reported as a problem, which names the key
and what to fix. A problem never quotes a value, because values are personal.
"""

import hashlib
import re
import unicodedata
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

import yaml

from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.contacts import OTHER_CASE, DirectoryEntry
from clientcert.lifecycle.spec import Person

LARGEST_VALUE = 10 * 1024
"""The largest value of one key, in octets."""
MOST_KEYS = 10_000
LONGEST_CONSUMER = 64
LONGEST_NAME = 128
LONGEST_EMAIL = 254
LONGEST_NOTE = 1024
_PLAIN_ADDRESS = "one plain e-mail address such as jo@example.com, without a name, comma, space or angle brackets"
ONE_LINE = "one line of visible characters without < or >, words separated by one space"

_SMTPUTF8 = "an address without SMTPUTF8, which the operator does not use: only ASCII letters before the @"
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$&'*+/=?^_{}~-]{1,64}")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"})
_NO_KEY = re.compile(r"[^-_.a-zA-Z0-9]+")
_PLAIN_KEY = re.compile(r"[-_a-zA-Z0-9][-_.a-zA-Z0-9]*")
_HASHED_KEY = re.compile(r".*\.[0-9a-f]{12}")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the faster loader, if PyYAML was built with libyaml
_OTHER_LINE_BREAKS = "\x85\u2028\u2029"
"""PyYAML writes these characters unchanged, but reads them as spaces."""
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_FIELDS = ("consumer", "technical", "business", "note")
_PERSON_FIELDS = ("name", "email")
_TOO_MANY = f"it has more than {MOST_KEYS} keys, and only the first of them are used: remove some"

_Tree = dict[str, "str | _Tree"]


@dataclass(frozen=True, slots=True)
class Listing:
    """The entry of one consumer in the client list."""

    consumer: str
    entry: DirectoryEntry = field(repr=False)
    note: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ClientList:
    """The client list for commands that change it."""

    _listings: dict[str, tuple[str, Listing]]
    """Key and listing by consumer; the first key if there are several, as in `parse_client_list`."""
    _taken: frozenset[str]
    _unusable: Mapping[str, str]
    """The problem of each invalid key. Such a key is never overwritten, because its content would be lost."""
    _claimed: Mapping[str, str]
    """Invalid keys by their consumer, if it can be read."""

    @classmethod
    def of(cls, data: Mapping[str, str]) -> "ClientList":
        """Parse the `data` of the ConfigMap."""
        known: dict[str, tuple[str, Listing]] = {}
        taken: set[str] = set()
        unusable = dict.fromkeys(data, _TOO_MANY)
        claimed: dict[str, str] = {}
        for key, listing, problem in listings(data):
            if listing is None:
                unusable[key] = problem
                claimed.setdefault(_claimed_by(key, data[key]), key)
            else:
                del unusable[key]
                taken.add(key)
                known.setdefault(listing.consumer, (key, listing))
        return cls(known, frozenset(taken), unusable, claimed)

    @property
    def consumers(self) -> frozenset[str]:
        """All consumers in the list."""
        return frozenset(self._listings)

    def listing(self, consumer: str) -> Listing | None:
        """The listing of the consumer, if there is one."""
        return self._listings[consumer][1] if consumer in self._listings else None

    def key(self, consumer: str) -> str:
        """The key of the consumer; if it has none yet, the key for a new entry."""
        if consumer in self._listings:
            return self._listings[consumer][0]
        return self._claimed.get(consumer) or client_list_key(consumer, self._taken)

    def problem(self, consumer: str) -> str:
        """The problem to correct by hand before the consumer's key can be written, or empty. It quotes no value."""
        return self._unusable.get(self.key(consumer), "")


def parse_client_list(data: Mapping[str, str]) -> tuple[dict[str, DirectoryEntry], tuple[str, ...]]:
    """Parse the `data` of the ConfigMap: returns entries by consumer, and problems.

    An invalid entry is included if its consumer can be read: without people, and with its problem. At most 10,000 keys
    are read, in alphabetical order; the others are left out.
    """
    entries: dict[str, DirectoryEntry] = {}
    unusable: dict[str, DirectoryEntry] = {}
    keys: dict[str, str] = {}
    problems = []
    for key, listing, problem in listings(data):
        if listing is None:
            problems.append(f"key {key}: {problem}")
            unusable.setdefault(_claimed_by(key, data[key]), DirectoryEntry(problem=problems[-1]))
        elif listing.consumer in entries:
            problems.append(f"key {key}: another key has the same consumer and is used: remove one of them")
            words = f"key {keys[listing.consumer]} is used, and key {key} has the same consumer: remove one of them"
            entries[listing.consumer] = replace(entries[listing.consumer], remark=words)
        else:
            entries[listing.consumer], keys[listing.consumer] = listing.entry, key
    if len(data) > MOST_KEYS:
        problems.append(_TOO_MANY)
    found = {**unusable, **entries}
    for consumer, key in keys.items():
        if consumer.casefold() not in found:
            found[consumer.casefold()] = DirectoryEntry(problem=f"key {key}: {OTHER_CASE}")
    return found, tuple(problems)


def listings(data: Mapping[str, str]) -> Iterator[tuple[str, Listing | None, str]]:
    """Yield key, listing and problem of each key in alphabetical order; either the listing or the problem is set."""
    for key in sorted(data)[:MOST_KEYS]:
        try:
            yield key, parse_listing(key, data[key]), ""
        except ClientCertError as error:
            yield key, None, error.message


def parse_listing(key: str, value: str) -> Listing:
    """Parse one key of the ConfigMap; raises ClientCertError with `SpecInvalid` and a message without the key."""
    tree = _tree(value)
    consumer = _text(tree, "consumer", LONGEST_CONSUMER) or key
    if not is_one_line(consumer, LONGEST_CONSUMER):
        raise _problem(f"consumer must be {ONE_LINE}, of at most {LONGEST_CONSUMER} characters")
    entry = DirectoryEntry(_person(tree, "technical"), _person(tree, "business"))
    return Listing(consumer, entry, _text(tree, "note", LONGEST_NOTE))


def _claimed_by(key: str, value: str) -> str:
    """The consumer of an invalid entry: the one that its value names, if that can be read, else the key."""
    try:
        consumer = _text(_document(value), "consumer", LONGEST_CONSUMER)
    except ClientCertError:
        return key
    return consumer if is_one_line(consumer, LONGEST_CONSUMER) else key


def client_list_key(consumer: str, taken: Container[str] = ()) -> str:
    """The unique key for a consumer: its name, or the characters of the name that a key can contain and a hash."""
    if _PLAIN_KEY.fullmatch(consumer) and not _HASHED_KEY.fullmatch(consumer) and consumer not in taken:
        return consumer
    readable = _NO_KEY.sub("-", consumer).strip("-.") or "consumer"
    return f"{readable}.{hashlib.sha256(consumer.encode()).hexdigest()[:12]}"


def render_listing(listing: Listing, key: str) -> str:
    """Render the value for a consumer under this key; `parse_listing` of both returns an equal listing."""
    entry = listing.entry
    tree: _Tree = {} if key == listing.consumer else {"consumer": listing.consumer}
    for name, person in (("technical", entry.technical), ("business", entry.business)):
        if person is not None:
            tree[name] = {"name": person.name, "email": person.email} if person.name else {"email": person.email}
    if listing.note:
        tree["note"] = listing.note
    if not tree:
        return ""
    readable = not any(each in listing.note for each in _OTHER_LINE_BREAKS)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=readable, default_flow_style=None, width=10_000)


def address_problem(text: str) -> str:
    """The change that makes the text an e-mail address for the schema of the CRDs; empty if it is one already.

    The domain may be internationalized (RFC 5890): letters, digits and marks of any script.
    """
    if len(text) > LONGEST_EMAIL:
        return _PLAIN_ADDRESS
    local, _, domain = text.partition("@")
    if domain and not local.isascii():
        return _SMTPUTF8
    labels = domain.split(".")
    plain = _LOCAL_PART.fullmatch(local) and len(labels) > 1 and all(map(_is_label, labels))
    return "" if plain else _PLAIN_ADDRESS


def _is_label(text: str) -> bool:
    """True for letters, digits and inner hyphens; a mark never comes first."""
    kinds = [unicodedata.category(each)[0] for each in text]
    edges_fit = bool(kinds) and kinds[0] in "LN" and kinds[-1] in "LMN"
    return edges_fit and all(kind in "LMN" or each == "-" for kind, each in zip(kinds, text, strict=True))


def is_one_line(text: str, longest: int) -> bool:
    """True if the schema accepts the text as a name, a reason or a similar field."""
    if not 0 < len(text) <= longest or any(each in "<>" for each in text):
        return False
    return all(word and not any(unicodedata.category(each) in _INVISIBLE for each in word) for word in text.split(" "))


def _person(tree: _Tree, role: str) -> Person | None:
    found = tree.get(role, "")
    if isinstance(found, str):
        if found:
            raise _problem(f"{role} must be a mapping: {role}: {{name: …, email: …}}")
        return None
    if set(found) - {*_PERSON_FIELDS}:
        raise _problem(f"{role} has a field other than {' and '.join(_PERSON_FIELDS)}: correct or remove it")
    name, email = _text(found, "name", LONGEST_NAME), _text(found, "email", LONGEST_EMAIL)
    if problem := address_problem(email):
        raise _problem(f"{role}.email must be {problem}")
    if name and not is_one_line(name, LONGEST_NAME):
        raise _problem(f"{role}.name must be {ONE_LINE}, of at most {LONGEST_NAME} characters")
    return Person(name, email)


def _text(tree: _Tree, name: str, longest: int) -> str:
    found = tree.get(name, "")
    if not isinstance(found, str):
        raise _problem(f"{name} must be text")
    if len(found) > longest:
        raise _problem(f"{name} has more than {longest} characters: shorten it")
    return found


def _tree(value: str) -> _Tree:
    tree = _document(value)
    if set(tree) - {*_FIELDS}:
        raise _problem(f"it has a field other than {', '.join(_FIELDS)}: correct or remove it")
    return tree


def _document(value: str) -> _Tree:
    """Parse the value as mappings of text. Every scalar is text, so the name No does not become False."""
    if len(value) > LARGEST_VALUE or len(value.encode(errors="replace")) > LARGEST_VALUE:
        raise _problem("its value is larger than 10 KiB: shorten it")
    try:
        return _mapping(iter(yaml.parse(value, Loader=_LOADER)))
    except (yaml.YAMLError, ValueError):
        raise _problem("its value is not YAML: write technical: {name: …, email: …}") from None


def _mapping(events: Iterator[yaml.Event]) -> _Tree:
    """Build the one document, two levels deep, event by event, so that no content can expand or nest deeply."""
    levels: list[_Tree] = []
    root: _Tree = {}
    name: str | None = None
    begun = False
    for event in map(_without_references, events):
        match event:
            case yaml.MappingStartEvent() if not begun:
                levels.append(root)
                begun = True
            case yaml.MappingStartEvent() if len(levels) == 1 and name is not None:
                levels.append({})
                root[name], name = levels[-1], None
            case yaml.MappingEndEvent():
                levels.pop()
            case yaml.ScalarEvent() if not begun and not _scalar_text(event):
                begun = True
            case yaml.ScalarEvent() if levels and name is None:
                name = str(event.value)
                if name in levels[-1]:
                    raise _problem("it has a field twice: remove one of them")
            case yaml.ScalarEvent() if levels and name is not None:
                levels[-1][name], name = _scalar_text(event), None
            case yaml.ScalarEvent() | yaml.CollectionStartEvent():
                raise _problem("it is not a mapping of technical, business and note")
    return root


def _without_references(event: yaml.Event) -> yaml.Event:
    """Return the event if it has no alias, anchor or tag; else raises ClientCertError."""
    if isinstance(event, yaml.AliasEvent):
        raise _problem("it has a YAML alias: write the value out")
    if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and (event.anchor or event.tag):
        raise _problem("it has a YAML anchor or tag: remove it")
    return event


def _scalar_text(event: yaml.ScalarEvent) -> str:
    """The text of a scalar; empty for a plain null."""
    text = str(event.value)
    return "" if event.implicit[0] and text in _NULLS else text


def _problem(words: str) -> ClientCertError:
    return ClientCertError(Reason.SPEC_INVALID, words)
