"""Manifests as text: YAML that every parser reads in the same way, below two lines that say who has written it.

    # Written by clientcert import from 's3 backup-prod nhs/client.pem'.
    # It is written again as long as nobody changes it: sha256:…

The second line has the hash of everything else, so a file that a person has changed is recognised.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from clientcert.api.manifests import Manifest

_FIRST = "# Written by clientcert import"
_SECOND = "# It is written again as long as nobody changes it: sha256:"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
"""Texts that need no quotation marks. All others have them, because parsers differ in what they take for a number."""
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"})
_UNFOLDED = 1_000_000
"""Characters of a line; a folded text is harder to find."""


@dataclass(frozen=True, slots=True)
class WrittenText:
    """A text that an import has written."""

    origin: str
    """From where, as in its first line; empty for the kustomization."""
    body: str = field(repr=False)
    is_changed: bool
    """True if somebody has changed it since."""


def yaml_text(document: Manifest) -> str:
    """One document as kubectl prints it: a text of several lines is a block. No parser takes a text for a number."""
    return _dump(document, _BlockDumper)


def write_text(origin: str, documents: Iterable[Manifest]) -> bytes:
    """The file; equal for equal values."""
    body = "---\n".join(_dump(each, _Dumper) for each in documents)
    first = _FIRST + (f" from {origin!a}." if origin else ".")
    return f"{first}\n{_SECOND}{_hash(first, body)}\n{body}".encode()


def read_text(content: bytes) -> WrittenText | None:
    """The file, if an import has written it."""
    try:
        first, _, rest = content.decode().partition("\n")
    except UnicodeDecodeError:
        return None
    second, _, body = rest.partition("\n")
    if not first.startswith(_FIRST) or not second.startswith(_SECOND):
        return None
    origin = first.strip().removeprefix(_FIRST).removesuffix(".").removeprefix(" from ")
    return WrittenText(origin, body, second.strip() != f"{_SECOND}{_hash(first, body)}")


def documents(body: str) -> list[Manifest]:
    """The objects in a body; raises ValueError if it is no YAML."""
    try:
        return [each for each in yaml.load_all(body, Loader=_LOADER) if isinstance(each, dict)]
    except yaml.YAMLError as error:
        raise ValueError("not YAML") from error


def _hash(first: str, body: str) -> str:
    return hashlib.sha256(f"{first}\n{body}".encode()).hexdigest()


def _dump(document: Manifest, dumper: type[yaml.SafeDumper]) -> str:
    return yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, width=_UNFOLDED)


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    is_plain = _PLAIN.fullmatch(value) is not None and value.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if is_plain else '"')


class _BlockDumper(_Dumper):
    pass


def _text_or_block(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    if "\n" in value and value.replace("\n", "").isprintable():
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|")
    return _text(dumper, value)


_Dumper.add_representer(str, _text)
_BlockDumper.add_representer(str, _text_or_block)
