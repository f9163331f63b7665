"""The extensions that a CSR asks for, in words: each value apart, so that they can be compared with a profile."""

from collections.abc import Iterator

from clientcert.pki.alternative_names import AlternativeName, NameKind, read_alternative_names
from clientcert.pki.der import (
    BIT_STRING,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
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
_MOST = 100
_LONGEST_WORD = 200
_UNREADABLE = "(unreadable)"


def read_requested(attributes: Element) -> dict[str, Element]:
    """The extensions in the attributes of a CSR: OID and value; raises MalformedError if they cannot be separated."""
    found: dict[str, Element] = {}
    for attribute in attributes.children():
        kind, values = attribute.fields(2)
        if kind.tag != OBJECT_IDENTIFIER or kind.object_identifier() not in _REQUESTS:
            continue
        for extension in next(values.children()).children():
            fields = extension.readable_children(3)
            if len(fields) < 2 or fields[-1].tag != OCTET_STRING or len(found) >= _MOST:
                raise MalformedError("not an extension")
            oid = fields[0].object_identifier()
            if oid in found:
                raise MalformedError("an extension twice")
            found[oid] = fields[-1]
    return found


def in_words(extensions: dict[str, Element]) -> tuple[str, ...]:
    """Each value in words: `basicConstraints CA:TRUE`, `keyUsage keyCertSign`, `subjectAltName DNS:nhs.example`."""
    words: list[str] = []
    for oid, value in extensions.items():
        name = _NAMES.get(oid, oid)
        try:
            values = [*_values(oid, value)]
        except (MalformedError, ValueError):
            values = [_UNREADABLE]
        words += [f"{name} {each}".rstrip()[:_LONGEST_WORD] for each in values[:_MOST] or [_UNREADABLE]]
    return tuple(words[:_MOST])


def _values(oid: str, octets: Element) -> Iterator[str]:
    value = read_element(octets.buffer, octets.content_start, octets.content_end)
    if oid == _BASIC_CONSTRAINTS:
        content = value.content
        yield "CA:TRUE" if content[:2] == b"\x01\x01" and content[2:3] not in (b"", b"\0") else "CA:FALSE"
    elif oid == _KEY_USAGE:
        if value.tag != BIT_STRING:
            raise MalformedError("not a BIT STRING")
        bits = "".join(f"{octet:08b}" for octet in value.content[1:3])
        yield from (name for name, bit in zip(_USAGES, bits, strict=False) if bit == "1")
    elif oid == _EXTENDED_KEY_USAGE:
        for each in value.children():
            yield _PURPOSES.get(each.object_identifier(), each.object_identifier())
    elif oid == SUBJECT_ALTERNATIVE_NAME:
        yield from _alternatives(value)
    else:
        yield ""


def _alternatives(names: Element) -> Iterator[str]:
    known: list[AlternativeName] = [*read_alternative_names(names)]
    yield from (f"{_KINDS[each.kind]}:{each.value}" for each in known)
    if len(known) != len(names.readable_children(_MOST * 5)):
        yield "of another kind"
