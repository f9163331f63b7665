"""The choice of the client's certificate among several.

The first difference decides: it matches the declared identity; it is not a CA's; it is valid now, then not valid yet,
then expired; its private key is beside; the latest notBefore; the latest notAfter; the first in the file.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import IntEnum

from clientcert.errors import CertificateError, Reason
from clientcert.pki.alternative_names import Names
from clientcert.pki.bundle import Bundle
from clientcert.pki.choice import Choice
from clientcert.pki.der import shifted
from clientcert.pki.identity import ANYONE, Identity
from clientcert.pki.lenient import Outline
from clientcert.pki.mismatch import describe_mismatch
from clientcert.pki.names import folded
from clientcert.pki.path import first_to_end, last_to_begin
from clientcert.pki.visible import visible

_MOST_NAMED = 3
_MOST_PATHS = 8
"""Others in use whose paths are searched; they are those that end first."""
AUTHORITY = "this is the certificate of a CA (basicConstraints), not of a client"
DAMAGED = "other certificates in the same content are damaged: they were ignored"
UNRELATED = "several certificates are not related to each other: name one of them in the declared identity"
NOT_EXPIRED = "other certificates with this name have not expired: remove those that are not in use"


class _Validity(IntEnum):
    """The better the higher."""

    NEVER = 0
    EXPIRED = 1
    NOT_YET = 2
    NOW = 3


def choose_leaf(bundle: Bundle, identity: Identity, now: datetime) -> Choice:
    """Choose among the certificates of the bundle; raises CertificateError if it has only CAs' certificates."""
    matching = [each for each in bundle.certificates if not identity.differences(Names(each))]
    is_declared = bool(matching) and identity != ANYONE
    issuers = _issuers(bundle.certificates)
    candidates = _clients(bundle, matching or bundle.certificates, issuers)
    _refuse_authorities(bundle, candidates, is_declared=is_declared)

    def rank(each: Outline) -> tuple[_Validity, bool, datetime, datetime]:
        return _validity(each, now), bundle.has_key(each), each.not_before, each.not_after

    leaf, *others = sorted(candidates, key=rank, reverse=True)
    related = others if is_declared else _related(leaf, others)
    valid = [each for each in related if _validity(each, now) is _Validity.NOW]
    in_use = _in_use(leaf, valid, bundle, identity)
    above = [each for each in bundle.certificates if folded(each.subject_dn) in issuers]
    first, warnings = _first_to_end(leaf, in_use, above, now)
    warnings += _names_of(in_use)
    if leaf.is_authority and not (is_declared and _is_self_issued(leaf) and folded(leaf.subject_dn) not in issuers):
        warnings.append(AUTHORITY)
    equal = [each for each in others if rank(each)[:2] == rank(leaf)[:2] and each not in in_use]
    if any(each in valid for each in equal):
        warnings.append(NOT_EXPIRED)
    if any(each not in related for each in equal):
        warnings.append(UNRELATED)
    if bundle.damaged:
        warnings.append(DAMAGED)
    dated = [*(candidates if others else ()), *(above if _depends_on(above, leaf, now) else ())]
    return Choice(
        leaf,
        describe_mismatch(identity, leaf),
        first.expiry if first is not leaf else None,
        tuple(warnings),
        min(_changes(dated, now), default=None),
    )


def _first_to_end(
    leaf: Outline, in_use: tuple[Outline, ...], above: list[Outline], now: datetime
) -> tuple[Outline, list[str]]:
    """The first to end of the paths of the leaf and of those that may be in use as well, and words about it.

    Another certificate whose path has ended is not in use.
    """
    words: list[str] = []
    first = first_to_end(leaf, above, now) if _depends_on(above, leaf, now) else leaf
    if first is not leaf:
        words = [f"its chain ends before it does, on {_when(first)}, with the issuing certificate {_name(first)}"]
    if any(each.not_before > now for each in above) and (begins := last_to_begin(leaf, above, now)) is not None:
        when = f"{begins.not_before:%Y-%m-%d %H:%M} UTC"
        words.append(f"its chain is not valid before {when}, when the issuing certificate {_name(begins)} begins")
    for each in in_use[:_MOST_PATHS]:
        ends = first_to_end(each, above, now) if _depends_on(above, each, now) else each
        if now <= ends.not_after < first.not_after:
            first = ends
    return first, words


def _depends_on(issuers: list[Outline], certificate: Outline, now: datetime) -> bool:
    """True if an issuer of the file may end before this certificate, or may take over later."""
    return any(each.not_after < certificate.not_after or each.not_before > now for each in issuers)


def _clients(bundle: Bundle, candidates: list[Outline], issuers: set[str]) -> list[Outline]:
    """The candidates that are no CA's, or all; of these, those that have issued no other, or whose key is beside."""

    def distance(each: Outline) -> tuple[bool, bool]:
        has_issued = folded(each.subject_dn) in issuers
        return each.is_authority, has_issued and (each.is_authority or not bundle.has_key(each))

    nearest = min(map(distance, candidates))
    return [each for each in candidates if distance(each) == nearest]


def _issuers(certificates: Iterable[Outline]) -> set[str]:
    """The names of those who issued one of the certificates.

    A self-issued one counts as issued by itself alone; otherwise an old root and a new root of the same name would each
    count as the issuer of the other.
    """
    return {folded(each.issuer_dn) for each in certificates if each.issuer_dn and not _is_self_issued(each)}


def _refuse_authorities(bundle: Bundle, candidates: list[Outline], *, is_declared: bool) -> None:
    # A CA's key beside its certificate makes no client of it.
    clients = any(bundle.has_key(each) and (is_declared or not each.is_authority) for each in candidates)
    if bundle.damaged and not clients and all(each.is_authority or _is_self_issued(each) for each in candidates):
        raise CertificateError(
            Reason.INVALID_CERTIFICATE,
            "one certificate is damaged, and the others belong to CAs: put the client certificate there again",
        )
    if candidates[0].is_authority and not is_declared and len({folded(each.subject_dn) for each in candidates}) > 1:
        raise CertificateError(
            Reason.NO_LEAF_CERTIFICATE, "it holds only certificates of CAs: put the client certificate there"
        )


def _validity(certificate: Outline, now: datetime) -> _Validity:
    if certificate.not_before > certificate.not_after:
        return _Validity.NEVER
    if certificate.not_after < now:
        return _Validity.EXPIRED
    return _Validity.NOW if certificate.not_before <= now else _Validity.NOT_YET


def _in_use(leaf: Outline, others: list[Outline], bundle: Bundle, identity: Identity) -> tuple[Outline, ...]:
    """The best of `others` (best first) with a key of another algorithm, and with another issuer.

    A key of another algorithm is in use only if both keys are in the file; another issuer only if none is declared.
    """
    found: dict[tuple[str, str], Outline] = {}
    for each in others:
        algorithm = _algorithm(each) if bundle.has_key(each) and bundle.has_key(leaf) else _algorithm(leaf)
        issuer = folded(leaf.issuer_dn if identity.names_issuer else each.issuer_dn)
        found.setdefault((algorithm, issuer), each)
    found.pop((_algorithm(leaf), folded(leaf.issuer_dn)), None)
    return tuple(sorted(found.values(), key=lambda each: each.not_after))


def _names_of(in_use: tuple[Outline, ...]) -> list[str]:
    lines = [
        f"another certificate may be in use, until {_when(each)}: {each.key_algorithm},"
        f" serial number {each.serial_number:x}, issued by {visible(each.issuer_common_name[:40])}"
        for each in in_use[:_MOST_NAMED]
    ]
    return lines + ([f"{len(in_use) - _MOST_NAMED} more certificates may be in use"] if in_use[_MOST_NAMED:] else [])


def _when(certificate: Outline) -> str:
    return f"{certificate.not_after:%Y-%m-%d %H:%M} UTC"


def _name(certificate: Outline) -> str:
    return certificate.subject_common_names[-1] if certificate.subject_common_names else certificate.subject_dn


def _related(leaf: Outline, others: list[Outline]) -> list[Outline]:
    """Those of the others that have the leaf's subject, or share a name with it."""
    subject, names = folded(leaf.subject_dn), set(Names(leaf).own)
    return [
        each
        for each in others
        if (subject and folded(each.subject_dn) == subject) or not names.isdisjoint(Names(each).own)
    ]


def _changes(certificates: Iterable[Outline], now: datetime) -> Iterable[datetime]:
    """The coming moments at which one of these becomes valid or expires."""
    for each in certificates:
        if _validity(each, now) is not _Validity.NEVER:
            expired = shifted(each.not_after, timedelta.resolution)  # the last second belongs to the validity period
            yield from (moment for moment in (each.not_before, expired) if moment > now)


def _algorithm(certificate: Outline) -> str:
    """The kind of key, without its size."""
    return certificate.key_algorithm.partition(" ")[0]


def _is_self_issued(certificate: Outline) -> bool:
    return folded(certificate.issuer_dn) == folded(certificate.subject_dn)
