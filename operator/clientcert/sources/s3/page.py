"""One page of a LIST: its keys and their ETags, and nothing else of it.

botocore takes 150 ms for a page, too long for the event loop; this takes 10 ms, in a thread.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_plus
from xml.parsers import expat

_ROOT = "ListBucketResult"
_OF_THE_PAGE = frozenset({"EncodingType", "IsTruncated", "NextContinuationToken"})
_OF_AN_OBJECT = frozenset({"Key", "ETag"})
_CHUNK = 64 * 1024
_NAME_LENGTH = 100  # of which the end is looked at
_PRIVATE_KEY = re.compile(
    r"""
      .*\.(key|ppk|pk8|p8)                                     # nhs.key
    | .*\.key\.(pem|der|txt|b64)                               # nhs.key.pem
    | (.*[-_.])?(private|priv|client|server|tls)[-_.]?key(\..*)?   # nhs_private_key.txt, client-key.pem
    | (.*[-_.])?(priv)?key[0-9]*\.(pem|der)                    # key.pem, nhs-key.pem, privkey1.pem
    | (.*[-_.])?id_(rsa|dsa|ecdsa|ed25519)(_sk)?
    """,
    re.VERBOSE,
)
_PUBLIC = re.compile(r"(^|[-_.])pub(lic)?([-_.]|$|key)")


@dataclass(slots=True)
class Page:
    """What was on the page."""

    etags: list[tuple[str, str]]
    """Keys as they are in the bucket, and their ETags without quotes."""
    next_token: str
    """For the next page; empty on the last."""
    private_keys: list[str] = field(init=False)
    """Keys of objects that are named like private keys."""

    def __post_init__(self) -> None:
        self.private_keys = [key for key, _ in self.etags if looks_like_private_key(key)]


def parse_page(body: bytes) -> Page:
    """Raises ValueError for anything but a page of ListObjectsV2."""
    reader = _PageReader()
    try:
        # A little at a time, for expat holds the interpreter's lock while it works.
        for start in range(0, len(body), _CHUNK):
            reader.parser.Parse(body[start : start + _CHUNK], False)
        reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ValueError("no well-formed XML") from error
    return reader.page()


def clean_etag(text: str) -> str:
    """An ETag without quotes and weakness, the same from a GET and a LIST."""
    return text.strip().removeprefix("W/").strip('"')


def looks_like_private_key(key: str) -> bool:
    """Whether an object's name says that it holds a private key and nothing but that.

    A PKCS#12 or JKS file holds one, too, but is a certificate's own form and has a password.
    """
    name = key.rpartition("/")[2][-_NAME_LENGTH:].lower()
    return _PRIVATE_KEY.fullmatch(name) is not None and _PUBLIC.search(name) is None


class _PageReader:
    """Follows the document by depth: 1 is the root, 2 is about the page, 3 about one object."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("utf-8")  # whatever the document claims
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = _refuse_doctype
        self._depth = 0
        self._in_object = False
        self._words: list[str] | None = None
        self._about: dict[str, str] = {}
        self._object: dict[str, str] = {}
        self._objects: list[tuple[str, str]] = []

    def page(self) -> Page:
        truncated = self._about.get("IsTruncated", "").strip().lower() == "true"
        token = self._about.get("NextContinuationToken", "") if truncated else ""
        if truncated and not token:
            raise ValueError("a page that has a successor does not say how to get it")
        if self._about.get("EncodingType", "").strip().lower() == "url":
            return Page([(unquote_plus(key), etag) for key, etag in self._objects], token)
        return Page(self._objects, token)

    def _start(self, name: str, _attributes: object) -> None:
        self._depth += 1
        if self._depth == 1 and name != _ROOT:
            raise ValueError("another document than a page of a LIST")
        if self._depth == 2:
            self._in_object = name == "Contents"
            self._object = {}
        wanted = _OF_THE_PAGE if self._depth == 2 else _OF_AN_OBJECT if self._depth == 3 and self._in_object else ()
        self._words = [] if name in wanted else None

    def _text(self, text: str) -> None:
        if self._words is not None:
            self._words.append(text)

    def _end(self, name: str) -> None:
        if self._words is not None:
            target = self._about if self._depth == 2 else self._object
            target[name] = "".join(self._words)
            self._words = None
        if self._depth == 2 and self._in_object:
            self._objects.append((self._object.get("Key", ""), clean_etag(self._object.get("ETag", ""))))
        self._depth -= 1


def _refuse_doctype(*_: object) -> None:
    raise ValueError("a document type, which could hold entities")
