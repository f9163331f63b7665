"""Finds the certificate of a path that ends first: a leaf works only as long as its issuers do (RFC 5280 section 6).

The trust anchor is not known here. A path begins at the leaf, goes on through the issuers in the same file, and ends
at a root, or at a certificate whose issuer is not in the file. Of several paths (RFC 4158: cross-certificates, a
renewed issuer beside the old one) the best counts. Paths are never enumerated, since their number is exponential in
the number of certificates: a search over dates asks whether a path is left among the certificates that last so long.
"""

from bisect import bisect, bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa

from clientcert.pki.der import shifted
from clientcert.pki.lenient import Outline
from clientcert.pki.names import folded
from clientcert.pki.strict import LONGEST_STRICT, PROCESS_EXITS

MOST_SIGNATURES = 32
"""Signatures that are verified for one file; beyond that, names and key identifiers decide."""
_MOST_HANDOVERS = 16
_VERIFIED_KEYS = ("RSA ", "ECDSA P-", "Ed25519", "Ed448")
_LARGEST_RSA_KEY, _LARGEST_EXPONENT = 4096, 65537
_SECOND = timedelta(seconds=1)


def first_to_end(leaf: Outline, certificates: Iterable[Outline], now: datetime | None = None) -> Outline:
    """The certificate of the leaf's best path that ends first: the leaf itself, or an issuer from `certificates`.

    The best path is the one that lasts longest. Roots do not count: they are in the trust store of the other side.
    With `now`, a path counts from the notBefore of its certificates on: if another takes over without a gap, the date
    of that one counts; if no path is valid at `now`, notBefore is ignored.
    """
    paths = _Paths.above(leaf, certificates)
    at, found = now, None
    for _ in range(_MOST_HANDOVERS if now else 0):
        following = paths.first_to_end(at)
        if following is None:
            break
        found = following
        if found is leaf:
            break
        at = shifted(found.not_after, _SECOND)
    return found or paths.first_to_end() or leaf


def last_to_begin(leaf: Outline, certificates: Iterable[Outline], now: datetime) -> Outline | None:
    """The issuer that must become valid before any path of the leaf is; None if one is valid, or all have expired."""
    return _Paths.above(leaf, certificates).last_to_begin(now)


def issuers_of(leaf: Outline, certificates: Iterable[Outline]) -> tuple[Outline, ...]:
    """The certificates from which paths of the leaf are made, the nearest first; without roots."""
    return tuple(_Paths.above(leaf, certificates).outlines[1:])


@dataclass(slots=True, eq=False)
class _Node:
    """A certificate with what its issuer is recognised by; a key identifier that cannot be read is empty."""

    outline: Outline
    certificate: x509.Certificate | None
    key_id: bytes
    issuer_key_id: bytes

    @classmethod
    def of(cls, outline: Outline) -> "_Node":
        certificate, key_id, issuer_key_id = None, b"", b""
        try:
            if len(outline.der) <= LONGEST_STRICT:
                certificate = x509.load_der_x509_certificate(outline.der)
                extensions = certificate.extensions
                with suppress(x509.ExtensionNotFound):
                    key_id = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
                with suppress(x509.ExtensionNotFound):
                    authority = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
                    issuer_key_id = authority.key_identifier or b""
        except PROCESS_EXITS:
            raise
        except BaseException:  # noqa: BLE001, S110 - as in `strict`; the names of the outline decide then
            pass
        return cls(outline, certificate, key_id, issuer_key_id)

    @property
    def is_root(self) -> bool:
        """True if it is self-signed, as far as names and key identifiers show."""
        is_self_issued = folded(self.outline.subject_dn) == folded(self.outline.issuer_dn)
        return is_self_issued and _may_be_equal(self.key_id, self.issuer_key_id)

    def may_be_issued_by(self, issuer: "_Node") -> bool:
        """True if nothing but the signature is left to compare; the names are equal already."""
        is_authority = issuer.outline.is_authority or issuer.is_root  # a root of X.509 version 1 has no extensions
        return issuer is not self and is_authority and _may_be_equal(issuer.key_id, self.issuer_key_id)

    def is_signed_by(self, issuer: "_Node") -> bool:
        """False if the signature is not the issuer's; True also if that takes too long, or cannot be verified."""
        if self.certificate is None or issuer.certificate is None:
            return True
        if not issuer.outline.key_algorithm.startswith(_VERIFIED_KEYS):
            return True
        try:
            if not _is_costly(issuer.certificate):
                self.certificate.verify_directly_issued_by(issuer.certificate)
        except InvalidSignature:
            return False
        except PROCESS_EXITS:
            raise
        except BaseException:  # noqa: BLE001, S110 - as in `strict`; an algorithm or a name that the library refuses
            pass
        return True


def _may_be_equal(key_id: bytes, other: bytes) -> bool:
    return not key_id or not other or key_id == other


def _is_costly(issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    return isinstance(key, rsa.RSAPublicKey) and (
        key.key_size > _LARGEST_RSA_KEY or key.public_numbers().e > _LARGEST_EXPONENT
    )


@dataclass(slots=True)
class _Paths:
    """The leaf, at position 0, and the certificates above it. A set of certificates is a number with a bit for each."""

    outlines: list[Outline]
    issuers: list[int] = field(default_factory=list)
    """Of each certificate: its issuers; 0 if a path may end with it."""

    @classmethod
    def above(cls, leaf: Outline, certificates: Iterable[Outline]) -> "_Paths":
        by_subject: dict[str, list[_Node]] = defaultdict(list)
        for outline in certificates:
            if outline is not leaf and outline.subject_dn:
                by_subject[folded(outline.subject_dn)].append(_Node.of(outline))
        nodes, positions, signatures = [_Node.of(leaf)], {leaf.der: 0}, MOST_SIGNATURES
        issuers: list[int] = []
        for node in nodes:  # grows while it is walked through
            issuers.append(0)
            if node.is_root:
                continue
            named = [each for each in by_subject[folded(node.outline.issuer_dn)] if node.may_be_issued_by(each)]
            found = [each for at, each in enumerate(named) if at >= signatures or node.is_signed_by(each)]
            signatures -= min(len(named), signatures)
            if any(each.is_root for each in found):
                continue
            for issuer in found:
                if issuer.outline.der not in positions:
                    positions[issuer.outline.der] = len(nodes)
                    nodes.append(issuer)
                issuers[-1] |= 1 << positions[issuer.outline.der]
        return cls([node.outline for node in nodes], issuers)

    def first_to_end(self, at: datetime | None = None) -> Outline | None:
        """The first to end of the best path; None if no path is valid `at` that time.

        The leaf's own notBefore is not considered.
        """
        usable = [
            position
            for position, each in enumerate(self.outlines)
            if at is None or (each.not_after >= at and (position == 0 or each.not_before <= at))
        ]
        ends = {position: self.outlines[position].not_after for position in usable}

        def remain(date: datetime) -> int:
            return self._lasting([each for each in usable if ends[each] >= date])

        dates = sorted(set(ends.values()))
        last = bisect(dates, 0, key=lambda date: 1 - (remain(date) & 1)) - 1
        if last < 0:
            return None
        return self._nearest(remain(dates[last]), [each for each in usable if ends[each] == dates[last]])

    def last_to_begin(self, at: datetime) -> Outline | None:
        """The last to begin of the path that begins first, of those that do not end before that time.

        None if there is no such path, or if one has begun by then.
        """
        usable = [position for position, each in enumerate(self.outlines) if each.not_after >= at]
        begins = {position: self.outlines[position].not_before if position else at for position in usable}

        def begun(date: datetime) -> int:
            return self._lasting([each for each in usable if begins[each] <= date])

        dates = sorted(set(begins.values()))
        first = bisect_left(dates, 1, key=lambda date: begun(date) & 1)
        if first == len(dates):
            return None
        return self._nearest(begun(dates[first]), [each for each in usable if begins[each] == dates[first] > at])

    def _lasting(self, usable: Sequence[int]) -> int:
        """Those of the usable certificates from which a path goes on among them to its end."""
        lasting = sum(1 << each for each in usable)
        while True:
            ended = [
                each
                for each in usable
                if lasting >> each & 1 and self.issuers[each] and not self.issuers[each] & lasting
            ]
            if not ended:
                return lasting
            lasting &= ~sum(1 << each for each in ended)

    def _nearest(self, lasting: int, wanted: Sequence[int]) -> Outline | None:
        """The wanted certificate that is nearest to the leaf, on a path through `lasting`."""
        reached = [0]
        for position in reached:  # grows while it is walked through
            if position in wanted:
                return self.outlines[position]
            above = self.issuers[position] & lasting
            reached += [each for each in range(len(self.outlines)) if above >> each & 1 and each not in reached]
        return None
