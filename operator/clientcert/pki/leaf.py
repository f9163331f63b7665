"""Which certificate of a bundle is the client's."""

from clientcert.errors import CertificateError, Reason
from clientcert.pki.bundle import Bundle
from clientcert.pki.lenient import Outline


def choose_leaf(bundle: Bundle) -> Outline:
    """The leaf; what was doubtful about the choice is added to the bundle's warnings.

    It is the one whose private key is in the bundle, else the one that is the issuer of no other. If that leaves
    several, certificates of a CA stand back; of several with one subject (a renewed one beside the old) it is the one
    that expires last; of unrelated ones it is the first. CA certificates alone are no leaf, unless there is only one.

    Raises CertificateError.
    """
    candidates = [each for each in bundle.certificates if bundle.has_key(each)]
    has_key = bool(candidates)
    candidates = _issuers_of_no_other(bundle.certificates, candidates or bundle.certificates)
    if bundle.damaged and not has_key and all(each.is_authority or _is_self_issued(each) for each in candidates):
        raise CertificateError(
            Reason.INVALID_CERTIFICATE,
            "one certificate is damaged, and the others belong to CAs: put the client certificate there again",
        )
    if clients := [each for each in candidates if not each.is_authority]:
        candidates = clients
    elif not has_key:
        _check_lone_authority(bundle, candidates)
    first = candidates[0]
    same_subject = [each for each in candidates if _folded(each.subject_dn) == _folded(first.subject_dn)]
    if len(same_subject) > 1:
        bundle.warnings.append("several certificates have this subject: the one that expires last was taken")
    if len(same_subject) < len(candidates):
        bundle.warnings.append("several certificates are not related to each other: the first of them was taken")
    if bundle.damaged:
        bundle.warnings.append("other certificates beside this one are damaged: they were ignored")
    return max(same_subject, key=lambda each: each.not_after)


def _issuers_of_no_other(certificates: list[Outline], candidates: list[Outline]) -> list[Outline]:
    """Those of `candidates` that issued none of `certificates`; all of them where everyone issued another.

    Who issued what is told by the names. A self-issued certificate has no other issuer than itself: else an old root
    and the new one of the same name would each be the other's.
    """
    issuers = {_folded(each.issuer_dn) for each in certificates if each.issuer_dn and not _is_self_issued(each)}
    return [each for each in candidates if _folded(each.subject_dn) not in issuers] or candidates


def _check_lone_authority(bundle: Bundle, candidates: list[Outline]) -> None:
    if len(candidates) > 1:
        raise CertificateError(
            Reason.NO_LEAF_CERTIFICATE, "it holds only certificates of CAs: put the client certificate there"
        )
    bundle.warnings.append("this is the certificate of a CA (basicConstraints), not of a client")


def _is_self_issued(certificate: Outline) -> bool:
    return _folded(certificate.issuer_dn) == _folded(certificate.subject_dn)


def _folded(name: str) -> str:
    """Equal for names that RFC 5280 section 7.1 takes as equal, as far as that matters within one file."""
    return " ".join(name.casefold().split())
