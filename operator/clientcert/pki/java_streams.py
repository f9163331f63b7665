"""Reads what Java's `DataOutputStream` and `ObjectOutputStream` write; objects are only skipped, and never made.

The grammar is section 6.4 of the Java Object Serialization Specification.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

_MAX_DEPTH = 20
_MAX_FIELDS = 1_000
_STREAM_HEADER = b"\xac\xed\x00\x05"
_NULL, _REFERENCE, _CLASS_DESCRIPTION, _OBJECT, _STRING, _ARRAY, _CLASS, _BLOCK, _END = range(0x70, 0x79)
_LONG_BLOCK, _LONG_STRING, _ENUM = 0x7A, 0x7C, 0x7E
_FIRST_HANDLE = 0x7E0000
_WRITE_METHOD, _SERIALIZABLE = 0x01, 0x02
_SIZES = {"B": 1, "C": 2, "D": 8, "F": 4, "I": 4, "J": 8, "S": 2, "Z": 1}


class MalformedStreamError(ValueError):
    """The octets end too early, or are not of this grammar."""


class OctetReader:
    """Reads from `start` to `end`; raises MalformedStreamError at the end."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._position = start
        self._end = end

    def octets(self, length: int) -> bytes:
        """The next `length` octets."""
        start, self._position = self._position, self._position + length
        if self._position > self._end:
            raise MalformedStreamError("cut off")
        return self._data[start : self._position]

    def octet(self) -> int:
        """The value of `writeByte`, without a sign."""
        return self.octets(1)[0]

    def short(self) -> int:
        """The value of `writeShort`, without a sign."""
        return int(struct.unpack(">H", self.octets(2))[0])

    def number(self) -> int:
        """The value of `writeInt`, without a sign."""
        return int(struct.unpack(">I", self.octets(4))[0])

    def text(self) -> bytes:
        """The octets of `writeUTF`."""
        return self.octets(self.short())

    def skip_object(self) -> None:
        """Skip a whole stream with one object, which has no length field."""
        if self.octets(len(_STREAM_HEADER)) != _STREAM_HEADER:
            raise MalformedStreamError("no stream of an object")
        _ObjectSkipper(self).skip_content(0)


@dataclass(frozen=True, slots=True)
class _ClassDescription:
    name: str
    flags: int
    field_types: str
    parent: "_ClassDescription | None"


class _ObjectSkipper:
    def __init__(self, source: OctetReader) -> None:
        self._source = source
        self._handles: list[_ClassDescription | None] = []
        """Targets of later references; only descriptions of classes matter."""
        self._skippers: dict[int, Callable[[int], None]] = {
            _OBJECT: self._skip_object,
            _ARRAY: self._skip_array,
            _STRING: lambda _: self._skip_string(source.short()),
            _LONG_STRING: lambda _: self._skip_string(source.number() << 32 | source.number()),
            _BLOCK: lambda _: self._skip_octets(source.octet()),
            _LONG_BLOCK: lambda _: self._skip_octets(source.number()),
            _CLASS: self._skip_class,
            _ENUM: self._skip_enum,
            _NULL: lambda _: None,
            _REFERENCE: lambda _: self._skip_octets(4),
        }

    def skip_content(self, depth: int) -> None:
        self._skip(self._source.octet(), depth)

    def _skip(self, kind: int, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise MalformedStreamError("nested too deeply")
        if kind == _CLASS_DESCRIPTION:
            self._new_class(depth)
        elif kind in self._skippers:
            self._skippers[kind](depth)
        else:
            raise MalformedStreamError("not a known content")

    def _skip_octets(self, length: int) -> None:
        self._source.octets(length)

    def _skip_string(self, length: int) -> None:
        self._handles.append(None)
        self._skip_octets(length)

    def _skip_object(self, depth: int) -> None:
        description = self._class(depth)
        self._handles.append(None)
        lineage: list[_ClassDescription] = []
        while description is not None and len(lineage) < _MAX_DEPTH:
            lineage.append(description)
            description = description.parent
        for each in reversed(lineage):
            if not each.flags & _SERIALIZABLE:
                raise MalformedStreamError("an object that writes itself")
            for field_type in each.field_types:
                self._skip_value(field_type, depth)
            if each.flags & _WRITE_METHOD:
                self._skip_annotation(depth)

    def _skip_array(self, depth: int) -> None:
        description = self._class(depth)
        self._handles.append(None)
        count, item = self._source.number(), description.name[1:2] if description else ""
        if item in _SIZES:
            self._skip_octets(count * _SIZES[item])
            return
        for _ in range(min(count, _MAX_FIELDS)):
            self.skip_content(depth + 1)

    def _skip_class(self, depth: int) -> None:
        self._class(depth)
        self._handles.append(None)

    def _skip_enum(self, depth: int) -> None:
        self._skip_class(depth)
        self.skip_content(depth + 1)

    def _skip_value(self, field_type: str, depth: int) -> None:
        if field_type in _SIZES:
            self._skip_octets(_SIZES[field_type])
        else:
            self.skip_content(depth + 1)

    def _skip_annotation(self, depth: int) -> None:
        for _ in range(_MAX_FIELDS):
            kind = self._source.octet()
            if kind == _END:
                return
            self._skip(kind, depth + 1)
        raise MalformedStreamError("an annotation without an end")

    def _class(self, depth: int) -> _ClassDescription | None:
        kind = self._source.octet()
        if kind == _CLASS_DESCRIPTION:
            return self._new_class(depth)
        if kind == _REFERENCE:
            handle = self._source.number() - _FIRST_HANDLE
            return self._handles[handle] if 0 <= handle < len(self._handles) else None
        if kind != _NULL:
            raise MalformedStreamError("not the description of a class")
        return None

    def _new_class(self, depth: int) -> _ClassDescription:
        if depth > _MAX_DEPTH:
            raise MalformedStreamError("nested too deeply")
        source = self._source
        name = source.text().decode("latin-1")
        source.octets(8)  # serialVersionUID
        handle = len(self._handles)
        self._handles.append(None)
        flags, types = source.octet(), ""
        for _ in range(min(source.short(), _MAX_FIELDS)):
            types += chr(source.octet())
            source.text()
            if types[-1] not in _SIZES:
                self.skip_content(depth + 1)
        self._skip_annotation(depth)
        description = _ClassDescription(name, flags, types, self._class(depth + 1))
        self._handles[handle] = description
        return description
