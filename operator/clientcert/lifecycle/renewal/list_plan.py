"""The lists and the CRL of one CA as they should be, from what was listed and what is revoked. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clientcert.lifecycle.renewal.revocation_entries import is_listed
from clientcert.lifecycle.renewal.revocation_lists import Part, arranged
from clientcert.lifecycle.renewal.spec import RevocationSpec
from clientcert.pki.der import shifted
from clientcert.pki.distinguished_names import same_name


@dataclass(frozen=True, slots=True)
class Revoked:
    """The revocations of a namespace."""

    specs: Sequence[RevocationSpec]
    """Also of deleted objects."""
    objects: Sequence[RevocationSpec]


@dataclass(frozen=True, slots=True)
class Issuers:
    """The CAs of one list, by their names."""

    dns: Sequence[str]
    """Of those that sign now, then of former ones."""
    crl_dn: str
    """The one that signs the CRL; empty: none."""


@dataclass(frozen=True, slots=True)
class ListPlan:
    """The lists of one CA as they should be."""

    parts: tuple[Part, ...]
    listed: frozenset[tuple[str, str]]
    """As the objects write them."""
    in_crl: Part
    """The entries of the CRL: those of the CA that signs it."""
    next_end: datetime | None
    """The time when the first entry ends."""
    without_object: int
    """The number of entries that no object accounts for."""


def plan_lists(parts: tuple[Part, ...], revoked: Revoked, issuers: Issuers, now: datetime) -> ListPlan:
    """The plan. `parts` are the entries that the ConfigMaps have. Takes seconds for thousands of entries."""
    of_issuer: dict[str, str | None] = {}
    own, listed = list[RevocationSpec](), set[tuple[str, str]]()
    for spec in revoked.specs:
        if spec.issuer_dn not in of_issuer:
            of_issuer[spec.issuer_dn] = next((each for each in issuers.dns if same_name(spec.issuer_dn, each)), None)
        dn = of_issuer[spec.issuer_dn]
        if dn is not None:
            own.append(spec if dn == spec.issuer_dn else replace(spec, issuer_dn=dn))
            listed.add((spec.issuer_dn, spec.serial_number))
    made = arranged(parts, own, now)
    listed |= {(each.issuer_dn, each.serial_number) for part in made for each in part}
    current = [each for part in made for each in part if is_listed(each, now)]
    serials = {each.serial_number for each in revoked.objects}
    ends = min((each.not_after for each in current), default=None)
    return ListPlan(
        made,
        frozenset(listed),
        _in_crl(current, issuers.crl_dn),
        shifted(ends, timedelta(seconds=1)) if ends else None,
        sum(each.serial_number not in serials for part in made for each in part),
    )


def _in_crl(entries: Sequence[RevocationSpec], crl_dn: str) -> Part:
    names = {each.issuer_dn for each in entries} if crl_dn else set()
    signs = {each for each in names if same_name(each, crl_dn)}
    return tuple(each for each in entries if each.issuer_dn in signs)
