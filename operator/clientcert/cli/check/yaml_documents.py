"""Read YAML and JSON as kubectl does, whose numbers are those of Go: what is text here is text for the API server.

Nothing recurses: libyaml's own composer ends the process if a file is nested deeply enough. No message quotes a value.
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from clientcert.cli.check.yaml_scalars import resolved, tagged

TOO_LARGE = "a document is larger than an object may be"
DEEPEST = 100
TOO_DEEP = "a document is nested too deeply"
_MOST_MERGED_KEYS = 100_000
_TWICE, _NO_KEY, _NO_MERGE = "a key is there twice", "a key is no text", "a merge key has no mapping"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the faster one, if PyYAML was built with libyaml
_SPACE = re.compile(r"\s*")
_MARKER = re.compile(r"^(?=---(?:\s|\Z))", re.MULTILINE)
_ENDS_WITH_DIRECTIVE = re.compile(r"^%.*\s*\Z", re.MULTILINE)
_MERGE, _OPEN = object(), object()
"""In place of a key: a merge key, and the key that comes next."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that cannot be read."""

    words: str
    """For the user."""


class _DocumentError(Exception):
    def __init__(self, words: str, event: yaml.Event) -> None:
        super().__init__(words)
        self.words, self.line = words, event.start_mark.line if event.start_mark else 0


def documents(content: bytes) -> Iterator[Any]:
    """The documents of a file; in place of one that cannot be read an Unreadable."""
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError:
        yield Unreadable("it is not UTF-8")
        return
    waiting, line = "", 0
    for part in _MARKER.split(text):
        waiting += part
        if not _ENDS_WITH_DIRECTIVE.search(waiting):
            yield from _part(waiting, line)
            line += waiting.count("\n")
            waiting = ""


def _part(text: str, line: int) -> Iterator[Any]:
    """The documents of a part of a file that begins at this line, up to the first that cannot be read."""
    found = _json(text.removeprefix("---"))
    if found is not None:
        yield from found
        return
    try:
        yield from _yaml(text)
    except _DocumentError as error:
        yield Unreadable(f"{error.words} in line {line + error.line + 1}")
    except yaml.MarkedYAMLError as error:
        where = f" in line {line + error.problem_mark.line + 1}" if error.problem_mark else ""
        yield Unreadable(f"it is not YAML{where}")
    except yaml.YAMLError:
        yield Unreadable("it is not YAML")


def _json(text: str) -> list[Any] | None:
    """The documents of a stream of JSON; None if it is none, which YAML says better."""
    found, at = list[Any](), _behind_space(text, 0)
    if not text.startswith("{", at):
        return None
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    try:
        while at < len(text):
            document, end = decoder.raw_decode(text, at)
            found.append(document)
            at = _behind_space(text, end)
    except (ValueError, RecursionError):
        return None
    return found


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(_TWICE)
    return found


@dataclass(slots=True)
class _Open:
    """A mapping or a sequence that has not ended."""

    content: dict[str, Any] | list[Any]
    anchor: str | None
    key: Any = _OPEN
    own: set[str] = field(default_factory=set)
    """The keys that are no merged ones."""


@dataclass(slots=True)
class _Builder:
    """Makes one document of events."""

    anchors: dict[str, Any] = field(default_factory=dict)
    opened: list[_Open] = field(default_factory=list)
    root: Any = None
    merged: int = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event. Raises _DocumentError."""
        if isinstance(event, yaml.ScalarEvent):
            self._place(self._scalar(event), event, event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _DocumentError("it is not YAML", event)
            self._place(self.anchors[event.anchor], event, None)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self.opened) >= DEEPEST:
                raise _DocumentError(TOO_DEEP, event)
            self.opened.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self.opened.pop()
            self._place(ended.content, event, ended.anchor)

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        is_plain = event.tag is None and event.implicit[0]
        try:
            value = resolved(event.value) if is_plain else tagged(event.tag, event.value)
        except ValueError as error:
            raise _DocumentError(str(error), event) from None
        is_key = self.opened and isinstance(self.opened[-1].content, dict) and self.opened[-1].key is _OPEN
        return _MERGE if is_key and is_plain and event.value == "<<" else value

    def _place(self, value: Any, event: yaml.Event, anchor: str | None) -> None:
        if anchor is not None and value is not _MERGE:
            self.anchors[anchor] = value
        if not self.opened:
            self.root = value
            return
        into = self.opened[-1]
        if isinstance(into.content, list):
            into.content.append(value)
        elif into.key is _OPEN:
            into.key = value if value is _MERGE else _key(value, into.own, event)
        elif into.key is _MERGE:
            self._merge(into.content, value, event)
            into.key = _OPEN
        else:
            into.content[into.key], into.key = value, _OPEN

    def _merge(self, into: dict[str, Any], value: Any, event: yaml.Event) -> None:
        for each in reversed(value) if isinstance(value, list) else (value,):
            if not isinstance(each, dict):
                raise _DocumentError(_NO_MERGE, event)
            self.merged += len(each)
            if self.merged > _MOST_MERGED_KEYS:
                raise _DocumentError(TOO_LARGE, event)
            into |= each


def _key(value: Any, own: set[str], event: yaml.Event) -> str:
    """The key as JSON has it."""
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        raise _DocumentError(_NO_KEY, event)
    if value in own:
        raise _DocumentError(_TWICE, event)
    own.add(value)
    return value


def _yaml(text: str) -> Iterator[Any]:
    builder = _Builder()
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            builder = _Builder()
        builder.take(event)
        if isinstance(event, yaml.DocumentEndEvent):
            yield builder.root
