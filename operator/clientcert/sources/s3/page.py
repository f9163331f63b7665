"""Parses one page of a LIST: its keys and their ETags only.

botocore takes 150 ms for a page, too long for the event loop; this parser takes 10 ms, in a thread.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_plus
from xml.parsers import expat

_ROOT = "ListBucketResult"
_PAGE_FIELDS = frozenset({"EncodingType", "IsTruncated", "NextContinuationToken"})
_OBJECT_FIELDS = frozenset({"Key", "ETag"})
_CHUNK = 64 * 1024
_MOST_OBJECTS = 10_000
"""Of a page; 1,000 are asked for. As Python objects, 8 MiB of the smallest ones would take 40 MB."""
_NAME_LENGTH = 100  # characters at the end of a name that are examined
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
    """The content of one page."""

    etags: list[tuple[str, str]]
    """Keys as stored in the bucket, and their ETags without quotes."""
    next_token: str
    """The continuation token for the next page; empty on the last page."""
    private_keys: list[str] = field(init=False)
    """Keys of objects whose names look like private keys."""

    def __post_init__(self) -> None:
        self.private_keys = [key for key, _ in self.etags if looks_like_private_key(key)]


class PartialListError(ValueError):
    """The page is one of several, and says nothing of how to get the next one."""


def parse_page(body: bytes) -> Page:
    """Parse a page of ListObjectsV2; raises ValueError for any other document, and PartialListError."""
    reader = _PageReader()
    parser = reader.new_parser()
    try:
        # In small chunks, because expat holds the interpreter lock while it parses.
        for start in range(0, len(body), _CHUNK):
            parser.Parse(body[start : start + _CHUNK], False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ValueError("not well-formed XML") from error
    return reader.page()


def clean_etag(text: str) -> str:
    """An ETag without quotes and weakness prefix, so that GET and LIST give the same value."""
    return text.strip().removeprefix("W/").strip('"')


def looks_like_private_key(key: str) -> bool:
    """True if an object's name says that it holds only a private key.

    PKCS#12 and JKS files do not count: they hold a private key, too, but also a certificate, and have a password.
    """
    name = key.rpartition("/")[2][-_NAME_LENGTH:].lower()
    return _PRIVATE_KEY.fullmatch(name) is not None and _PUBLIC.search(name) is None


class _PageReader:
    """Reads the document by depth: 1 is the root, 2 holds fields of the page, 3 holds fields of one object."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_object = False
        self._texts: list[str] | None = None
        self._page_fields: dict[str, str] = {}
        self._object_fields: dict[str, str] = {}
        self._objects: list[tuple[str, str]] = []

    def new_parser(self) -> expat.XMLParserType:
        """A parser for one page. It refers to this reader: kept here, both would stay until a collection."""
        parser = expat.ParserCreate("utf-8")  # overrides the encoding that the document declares
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _refuse_doctype
        return parser

    def page(self) -> Page:
        truncated = self._page_fields.get("IsTruncated", "").strip().lower()
        token = self._page_fields.get("NextContinuationToken", "") if truncated != "false" else ""
        if truncated == "true" and not token:
            raise PartialListError("a truncated page without a continuation token")
        if self._page_fields.get("EncodingType", "").strip().lower() == "url":
            return Page([(unquote_plus(key), etag) for key, etag in self._objects], token)
        return Page(self._objects, token)

    def _start(self, name: str, _attributes: object) -> None:
        self._depth += 1
        if self._depth == 1 and name != _ROOT:
            raise ValueError("not a page of a LIST")
        if self._depth == 2:
            self._in_object = name == "Contents"
            self._object_fields = {}
        wanted = _PAGE_FIELDS if self._depth == 2 else _OBJECT_FIELDS if self._depth == 3 and self._in_object else ()
        self._texts = [] if name in wanted else None

    def _text(self, text: str) -> None:
        if self._texts is not None:
            self._texts.append(text)

    def _end(self, name: str) -> None:
        if self._texts is not None:
            target = self._page_fields if self._depth == 2 else self._object_fields
            target[name] = "".join(self._texts)
            self._texts = None
        if self._depth == 2 and self._in_object:
            if len(self._objects) == _MOST_OBJECTS:
                raise ValueError("many more objects than were asked for")
            self._objects.append((self._object_fields.get("Key", ""), clean_etag(self._object_fields.get("ETag", ""))))
        self._depth -= 1


def _refuse_doctype(*_: object) -> None:
    raise ValueError("a document type declaration, which could define entities")
