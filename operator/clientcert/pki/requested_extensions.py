"""The extensions that a CSR asks for, in words: each value apart, so that they can be compared with a profile."""

from collections.abc import Iterator, Mapping

from clientcert.pki.alternative_names import AlternativeName, NameKind, read_alternative_names
from clientcert.pki.der import (
    BIT_STRING,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    Element,
    MalformedError,
    read_element,
)

_REQUESTS = {"1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"}
"""extensionRequest (RFC 2985 section 5.4.2), and that of old Windows versions."""
_BASIC_CONSTRAINTS, _KEY_USAGE, _EXTENDED_KEY_USAGE = "2.5.29.19", "2.5.29.15", "2.5.29.37"
SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
_NAMES = {
    _BASIC_CONSTRAINTS: "basicConstraints",
    _KEY_USAGE: "keyUsage",
    _EXTENDED_KEY_USAGE: "extendedKeyUsage",
    SUBJECT_ALTERNATIVE_NAME: "subjectAltName",
    "2.5.29.14": "subjectKeyIdentifier",
    "2.5.29.18": "issuerAltName",
    "2.5.29.30": "nameConstraints",
    "2.5.29.31": "cRLDistributionPoints",
    "2.5.29.32": "certificatePolicies",
    "2.5.29.35": "authorityKeyIdentifier",
    "2.5.29.36": "policyConstraints",
    "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
    "1.3.6.1.5.5.7.1.24": "tlsFeature",
}
_USAGES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
_PURPOSES = {
    "2.5.29.37.0": "anyExtendedKeyUsage",
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
}
_KINDS = {
    NameKind.DNS_NAME: "DNS",
    NameKind.URI: "URI",
    NameKind.EMAIL_ADDRESS: "email",
    NameKind.IP_ADDRESS: "IP",
    NameKind.OTHER: "otherName",
}
_BOOLEAN = 0x01
_EXTENSIONS = ([OBJECT_IDENTIFIER, OCTET_STRING], [OBJECT_IDENTIFIER, _BOOLEAN, OCTET_STRING])
"""The tags of an extension: its flag `critical` may be left out (RFC 5280 section 4.1)."""
_LONGEST_KEY_USAGE = 3
"""Octets of the BIT STRING: nine bits after the octet that says how many are unused."""
_MOST = 100
_LONGEST_WORD = 200
_UNREADABLE = "(unreadable)"
_MORE = "(and more)"


def read_requested(attributes: Element) -> dict[str, Element]:
    """The extensions in the attributes of a CSR: OID and value; raises MalformedError if they cannot be separated."""
    found: dict[str, Element] = {}
    for attribute in attributes.children():
        kind, values = attribute.fields(2)
        if kind.tag != OBJECT_IDENTIFIER or kind.object_identifier() not in _REQUESTS:
            continue
        lists = [*values.children()]
        if len(lists) != 1:
            raise MalformedError("not one list of extensions (RFC 2985 section 5.4.2)")
        for extension in lists[0].children():
            oid, value = _extension(extension)
            if oid in found or len(found) >= _MOST:
                raise MalformedError("an extension twice, or too many")
            found[oid] = value
    return found


def _extension(extension: Element) -> tuple[str, Element]:
    """OID and value. Other programs may read another of several values, so more fields than there are is malformed."""
    fields = [*extension.children()]
    if [each.tag for each in fields] not in _EXTENSIONS:
        raise MalformedError("not an extension")
    return fields[0].object_identifier(), fields[-1]


def all_words(extensions: Mapping[str, Element]) -> tuple[str, ...]:
    """Each value in words, to be compared: `basicConstraints CA:TRUE`, `subjectAltName DNS:nhs.example`.

    Nothing is left out: what is not known, or cannot be read, has a word that no profile has.
    """
    words: dict[str, None] = {}
    for oid, value in extensions.items():
        try:
            values = [*_values(oid, value)]
        except (MalformedError, ValueError):
            values = []
        words |= {f"{_NAMES.get(oid, oid)} {each}".rstrip(): None for each in values or [_UNREADABLE]}
    return tuple(words)


def in_words(extensions: Mapping[str, Element]) -> tuple[str, ...]:
    """The same for people: long words are cut off, and of many the last one says that there are more."""
    words = all_words(extensions)
    shown = words if len(words) <= _MOST else (*words[: _MOST - 1], _MORE)
    return tuple([each if len(each) <= _LONGEST_WORD else f"{each[: _LONGEST_WORD - 1]}…" for each in shown])


def _values(oid: str, octets: Element) -> Iterator[str]:
    value = read_element(octets.buffer, octets.content_start, octets.content_end)
    if value.end != octets.content_end:
        raise MalformedError("other content after the value")
    if oid == _BASIC_CONSTRAINTS:
        yield from _constraints(value)
    elif oid == _KEY_USAGE:
        yield from _usages(value)
    elif oid == _EXTENDED_KEY_USAGE:
        for each in _fields(value):
            yield _PURPOSES.get(each.object_identifier(), each.object_identifier())
    elif oid == SUBJECT_ALTERNATIVE_NAME:
        yield from _alternatives(value)
    else:
        yield ""


def _constraints(value: Element) -> Iterator[str]:
    fields = _fields(value)
    flags = [each for each in fields[:1] if each.tag == _BOOLEAN]
    yield "CA:TRUE" if any(each.content != b"\0" for each in flags) else "CA:FALSE"
    if len(fields) > len(flags):
        yield "pathLenConstraint"


def _usages(value: Element) -> Iterator[str]:
    if value.tag != BIT_STRING or len(value.content) > _LONGEST_KEY_USAGE:
        raise MalformedError("not a BIT STRING of nine bits")
    bits = "".join(f"{octet:08b}" for octet in value.content[1:])
    for at, bit in enumerate(bits):
        if bit == "1":
            yield _USAGES[at] if at < len(_USAGES) else f"bit {at}"


def _fields(value: Element) -> list[Element]:
    if value.tag != SEQUENCE:
        raise MalformedError("not a SEQUENCE")
    return [*value.children()]


def _alternatives(names: Element) -> Iterator[str]:
    known: list[AlternativeName] = [*read_alternative_names(names)]
    yield from (f"{_KINDS[each.kind]}:{each.value}" for each in known)
    if len(known) != len(names.readable_children(_MOST * 5)):
        yield "of another kind"
