"""Mutations that keep the rest of an input well-formed: one element of DER changes, and all lengths around it.

A plain change of octets almost always breaks a length or a line of base64, so deeper code is never reached.
"""

import base64
import binascii
import random
import re

_PEM = re.compile(rb"(-----BEGIN [A-Z0-9 ]{1,40}-----)([^-]*)(-----END [A-Z0-9 ]{1,40}-----)")
_TAGS = (0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1C, 0x1E, 0x30, 0x31, 0x80, 0xA0, 0xA3)
_CONTENTS = (
    b"",
    b"\0",
    b"\xff",
    b"\x80" * 9,
    b"00000101000000Z",
    b"99991231235959Z",
    b"500101000000Z",
    b"200229000000+2359",
    b"\xff" * 21,
    b"n" * 70,
    b"\xed\xa0\x80",
    b"\0\xd8",
    bytes.fromhex("550403"),
)
_DEEPEST = 40
_LARGEST = 64 * 1024


def mutated(data: bytes, source: random.Random) -> bytes:
    """A mutation of the input in one or a few elements."""
    if blocks := list(_PEM.finditer(data)):
        block = source.choice(blocks)
        try:
            der = base64.b64decode(block[2])
        except binascii.Error:
            return data
        body = base64.encodebytes(_changed(der, source))
        return data[: block.end(1)] + b"\n" + body + data[block.start(3) :]
    return _changed(data, source)


def _changed(der: bytes, source: random.Random) -> bytes:
    """One or more changes in the first element."""
    for _ in range(source.choice((1, 1, 2, 4))):
        end, path = _path_to_any(der, source)
        if not path:
            return der
        tag, start, stop = path[-1]
        new = _other(tag, der[start:stop], source)
        for index in range(len(path) - 2, -1, -1):
            outer_tag, outer_start, outer_stop = path[index]
            inner_begin = _begin(der, path[index + 1], outer_start, outer_stop)
            new = _element(outer_tag, der[outer_start:inner_begin] + new + der[path[index + 1][2] : outer_stop])
        der = new + der[end:]
        if len(der) > _LARGEST:
            break
    return der


def _path_to_any(der: bytes, source: random.Random) -> tuple[int, list[tuple[int, int, int]]]:
    """The end of the first element, and the path (tag, content start, content end) to a random element inside it."""
    path: list[tuple[int, int, int]] = []
    begin, limit, end = 0, len(der), 0
    while len(path) < _DEEPEST:
        children = _children(der, begin, limit)
        if not children:
            break
        chosen = children[0] if not path else source.choice(children)
        end = end or chosen[2]
        path.append(chosen)
        begin, limit = chosen[1], chosen[2]
        if chosen[0] == 0x03:
            begin += 1
        if source.random() < 0.15:
            break
    return end, path


def _children(der: bytes, begin: int, limit: int) -> list[tuple[int, int, int]]:
    """The sibling elements in this range; none if the range is not valid DER."""
    found = []
    while begin < limit:
        if limit - begin < 2:
            return found if begin == 0 else []
        tag, length, start = der[begin], der[begin + 1], begin + 2
        if length >= 0x80:
            octets = length & 0x7F
            if not 0 < octets <= 4:
                return []
            length = int.from_bytes(der[start : start + octets], "big")
            start += octets
        if start + length > limit:
            return []
        found.append((tag, start, start + length))
        if not tag:
            return []
        begin = start + length
    return found


def _begin(der: bytes, child: tuple[int, int, int], begin: int, limit: int) -> int:
    """The start of the element with this content."""
    for first in (begin, begin + 1):
        at = first
        for each in _children(der, first, limit):
            if each == child:
                return at
            at = each[2]
    return child[1]


def _other(tag: int, content: bytes, source: random.Random) -> bytes:
    """A replacement for an element."""
    match source.randrange(8):
        case 0:
            return b""
        case 1:
            return _element(tag, content) * source.choice((2, 2, 3, 50))
        case 2:
            return _element(source.choice(_TAGS), content)
        case 3:
            return _element(tag, source.choice(_CONTENTS))
        case 4:
            return _element(tag, content[: source.randrange(len(content) + 1)])
        case 5:
            return bytes((tag, 0x80)) + content + b"\0\0"
        case 6:
            return _element(tag, _element(source.choice(_TAGS), content))
    flipped = bytearray(content or b"\0")
    flipped[source.randrange(len(flipped))] ^= 1 << source.randrange(8)
    return _element(tag, bytes(flipped))


def _element(tag: int, content: bytes) -> bytes:
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
