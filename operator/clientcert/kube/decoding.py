"""Decodes the answers of the API server, and only those fields of an object that the operator uses.

A tenant chooses the size of labels, annotations, finalizers and managedFields. The decoder skips them without making
anything of them: as a tree of Python objects, a mebibyte of managedFields would take 11 MB.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import msgspec

from clientcert.errors import KubeError, Reason

Object = dict[str, Any]
"""An object as JSON."""

_Metadata = TypedDict(
    "_Metadata",
    {
        "namespace": str,
        "name": str,
        "uid": str,
        "resourceVersion": str,
        "generation": int,
        "creationTimestamp": str | None,
        # Of a list:
        "continue": str,
        "remainingItemCount": int,
    },
    total=False,
)


class _MetadataOnly(TypedDict, total=False):
    metadata: _Metadata
    code: int
    """Of a Status: the error that ends a watch."""


_Noted = TypedDict(
    "_Noted",
    {
        "clientcert.dev/test-alert": str,
        "clientcert.dev/test-alert-to": str,
        "clientcert.dev/discovered-by": str,
        "clientcert.dev/restored": str,
        # Of the Lease:
        "clientcert.dev/version": str,
    },
    total=False,
)
"""The annotations that are used; all others are skipped."""


_Labels = TypedDict("_Labels", {"velero.io/restore-name": str}, total=False)
"""Labels of our objects; all others are skipped."""


class _WholeMetadata(_Metadata, total=False):
    annotations: _Noted | None
    labels: _Labels | None


class _Whole(TypedDict, total=False):
    metadata: _WholeMetadata
    code: int
    """Of a Status: the error that ends a watch."""
    spec: Any
    status: Any
    data: dict[str, str] | None
    """Of a Secret or a ConfigMap."""
    count: int | None
    """Of an Event."""


class _ReadMetadata(_Metadata, total=False):
    labels: dict[str, str] | None
    """Of a Secret: its consent to a use."""
    annotations: _Noted | None


class _Schema(TypedDict, total=False):
    title: str


class _Components(TypedDict, total=False):
    schemas: dict[str, _Schema] | None


class _Answer(TypedDict, total=False):
    metadata: _ReadMetadata
    code: int
    spec: Any
    status: Any
    data: dict[str, str] | None
    binaryData: dict[str, str] | None
    """Of a ConfigMap."""
    count: int | None
    items: list[_Whole] | None
    components: _Components | None
    """Of an OpenAPI document."""


class _Manager(msgspec.Struct, gc=False):
    manager: str = ""
    subresource: str = ""


class _ManagedMetadata(msgspec.Struct):
    managedFields: list[_Manager] | None = None  # noqa: N815 - the name of the field


class _Managed(msgspec.Struct):
    metadata: _ManagedMetadata


class _Page(msgspec.Struct):
    metadata: _Metadata
    items: list[msgspec.Raw] | None = None  # an empty list of metadata comes as null


class _Event(TypedDict):
    type: str
    object: _Whole


class _MetadataEvent(TypedDict):
    type: str
    object: _MetadataOnly


class _Status(msgspec.Struct):
    message: str


_answer = msgspec.json.Decoder(_Answer)
_managed = msgspec.json.Decoder(_Managed)
_page = msgspec.json.Decoder(_Page)
_whole = msgspec.json.Decoder(_Whole)
_metadata_only = msgspec.json.Decoder(_MetadataOnly)
_event = msgspec.json.Decoder(_Event)
_metadata_event = msgspec.json.Decoder(_MetadataEvent)
_status = msgspec.json.Decoder(_Status)


def decode_answer(body: bytearray) -> Object:
    """One object, or a list of a few. Raises KubeError, as all functions here."""
    with _json():
        return dict(_answer.decode(body))


def decode_managers(body: bytearray) -> frozenset[str]:
    """The names of those who have written an object, or a field of it; writes of its status do not count."""
    with _json():
        entries = _managed.decode(body).metadata.managedFields or ()
    return frozenset(each.manager for each in entries if not each.subresource)


def decode_page(body: bytearray, *, metadata_only: bool) -> tuple[Object, Iterable[Object]]:
    """The metadata of the page, and its items; whole objects are decoded one by one, when it is their turn."""
    with _json():
        page = _page.decode(body)
        if metadata_only:
            return dict(page.metadata), [dict(_metadata_only.decode(each)) for each in page.items or ()]
    return dict(page.metadata), _decoded(page.items or [])


def decode_event(line: bytearray, *, metadata_only: bool) -> Object:
    """One line of a watch."""
    with _json():
        return dict((_metadata_event if metadata_only else _event).decode(line))


def decode_error(body: bytearray) -> str:
    """The message of a Status."""
    with _json():
        return _status.decode(body).message


def encode(content: Object) -> bytes:
    """The content as JSON."""
    return msgspec.json.encode(content)


def _decoded(items: Iterable[msgspec.Raw]) -> Iterator[Object]:
    for item in items:
        with _json():
            found = dict(_whole.decode(item))
        yield found


@contextmanager
def _json() -> Iterator[None]:
    try:
        yield
    except ValueError:
        words = "the API server did not answer as one does"
        raise KubeError(Reason.API_UNAVAILABLE, words, retryable=True) from None
