"""Says in words why a certificate does not match the declared identity, and how to accept it."""

import re
from collections.abc import Iterator

from clientcert.pki.alternative_names import Names
from clientcert.pki.distinguished_names import parse_name
from clientcert.pki.identity import ALTERNATIVES, Field, Identity, values_in
from clientcert.pki.lenient import Outline
from clientcert.pki.visible import declarable, is_hidden, quoted, visible

_MOST_SHOWN = 3
_LONGEST_OFFERED = 256
"""Characters of a value that is offered for spec.identity."""
_DISTINGUISHED = (Field.SUBJECT_DN, Field.ISSUER_DN)
_WORDS = {
    Field.SUBJECT_DN: "with the subject DN",
    Field.ISSUER_DN: "with the issuer DN",
    **{field: f"with the {kind}" for field, kind in ALTERNATIVES.items()},
}


def describe_mismatch(identity: Identity, certificate: Outline) -> str:
    """`a certificate of "a", not of "b": put the right certificate there, or set …`; empty if it matches.

    The last part names the field of spec.identity, and the value, that accepts the certificate.
    """
    names = Names(certificate)
    differences = identity.differences(names)
    if not differences:
        return ""
    declared = [field for field, _ in identity.fields]
    found = " and ".join([_difference(names, field, wanted) for field, wanted in differences])
    advice = dict.fromkeys([_advice(names, field, replaces=field in declared) for field, _ in differences])
    return f"a certificate {found}: put the right certificate there, or {' and '.join(advice)}"


def _difference(names: Names, field: Field, wanted: str) -> str:
    found = values_in(names, field)
    if field in _DISTINGUISHED and parse_name(wanted) is None:
        return f"that cannot be compared with spec.identity.{field}, which is not of the form CN=nhs,O=Example,C=GB"
    shown = ", ".join([visible(each, wanted) for each in found[:_MOST_SHOWN]])
    shown += " and others" if len(found) > _MOST_SHOWN else ""
    expected = visible(wanted, found[0] if found else "")
    if field is Field.COMMON_NAME:
        return f"of {shown}, not of {expected}" if found else f"without a name, not of {expected}"
    words = _WORDS[field]
    return f"{words} {shown}, not {expected}" if found else f"{words.replace('with', 'without', 1)} {expected}"


def identity_offer(consumer: str, certificate: Outline) -> tuple[Field, str] | None:
    """The field of spec.identity, and its value, that accept the certificate although it does not have this name.

    None if it has the name, or has none that can be declared.
    """
    names = Names(certificate)
    return _first_offer(names, Field.COMMON_NAME) if Identity(consumer).differences(names) else None


def _advice(names: Names, failed: Field, *, replaces: bool) -> str:
    if (offer := _first_offer(names, failed)) is not None:
        field, value = offer
        instead = f" instead of spec.identity.{failed}" if replaces and field is not failed else ""
        return f"set spec.identity.{field}: {quoted(value)}{instead}"
    if replaces:
        return f"correct spec.identity.{failed}"
    return "declare one of its names in spec.identity" if names.own else "have it issued with a name"


def _first_offer(names: Names, failed: Field) -> tuple[Field, str] | None:
    return next((each for each in _offers(names, failed) if len(each[1]) <= _LONGEST_OFFERED), None)


def _offers(names: Names, failed: Field) -> Iterator[tuple[Field, str]]:
    """The fields and values that would match instead of the failed field, the best first."""
    subject_dn = names.certificate.subject_dn
    if failed in _DISTINGUISHED:
        fields = [failed]
    elif names.certificate.subject_common_names:
        fields = [failed, Field.COMMON_NAME, *ALTERNATIVES, Field.SUBJECT_DN]
    else:  # a few kinds of alternative names have no field of their own
        fields = [*ALTERNATIVES, Field.COMMON_NAME, Field.SUBJECT_DN]
    for field in fields:
        for value in values_in(names, field):
            if field in _DISTINGUISHED:
                yield field, _in_ascii(value)
            elif declarable(value):
                yield field, value
            elif subject_dn:  # the schema refuses the value, and allows it as a part of the subject
                yield Field.SUBJECT_DN, _in_ascii(subject_dn)


def _in_ascii(name: str) -> str:
    """An RFC 4514 string in which everything that the eye cannot see is written in hex (section 2.4)."""

    def replaced(found: re.Match[str]) -> str:
        text = found[0]
        hidden = text == "\\ " or (len(text) == 1 and is_hidden(name, found.start()))
        return "".join([f"\\{octet:02X}" for octet in text[-1].encode(errors="replace")]) if hidden else text

    return re.sub(r"\\.|.", replaced, name, flags=re.DOTALL)
