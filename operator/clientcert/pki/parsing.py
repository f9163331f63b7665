"""Parses the content of a source: returns its leaf certificate, or raises an error with a reason."""

from dataclasses import replace

from clientcert.errors import CertificateError, Reason
from clientcert.pki.bundle import Bundle, read_bundle
from clientcert.pki.certificate import Certificate
from clientcert.pki.lenient import Outline
from clientcert.pki.names import folded
from clientcert.pki.path import first_to_end
from clientcert.pki.strict import PROCESS_EXITS, read_certificate

MAX_SIZE = 1024 * 1024
"""Octets; the largest value of a Secret."""


def parse(data: bytes, *, password: str | None = None) -> Certificate:
    """The leaf certificate in `data`, whose format is recognised: PEM, DER, PKCS#7, PKCS#12 or JKS.

    Blocking: call it in a thread. A PKCS#12 file or Java keystore is opened in a subprocess, which takes a tenth of a
    second, or up to `container_subprocess.WALL_CLOCK_SECONDS` if it is hostile. Only these use `password`.

    Raises CertificateError and no other error; its message holds none of the content.
    """
    try:
        return _parse(data, password)
    except CertificateError as error:
        failure = CertificateError(error.reason, error.message, retryable=error.retryable)
    except PROCESS_EXITS:
        raise
    except BaseException:  # noqa: BLE001 - an unforeseen input must not stop any reconcile
        failure = CertificateError(
            Reason.INVALID_CERTIFICATE, "the certificate cannot be read: put it there again, as PEM"
        )
    # Raised outside of the except block, without a context: an inner traceback has frames that hold the content.
    raise failure


def _parse(data: bytes, password: str | None) -> Certificate:
    if len(data) > MAX_SIZE:
        raise CertificateError(
            Reason.TOO_LARGE, "it is larger than 1 MiB: put only the client certificate and its chain there"
        )
    bundle = read_bundle(data, password)
    leaf, doubts = choose_leaf(bundle)
    first = leaf
    if any(each.not_after < leaf.not_after for each in bundle.certificates):
        first = first_to_end(leaf, bundle.certificates)
    if first is leaf:
        return read_certificate(leaf, bundle.container_format, [*bundle.warnings, *doubts])
    certificate = read_certificate(leaf, bundle.container_format, [_ends_first(first), *bundle.warnings, *doubts])
    return replace(certificate, ends_first=first.expiry)


def _ends_first(issuer: Outline) -> str:
    return (
        f"its chain ends before it does, on {issuer.not_after:%Y-%m-%d %H:%M} UTC, with the issuing certificate"
        f" {issuer.subject_common_name or issuer.subject_dn}"
    )


def choose_leaf(bundle: Bundle) -> tuple[Outline, list[str]]:
    """The leaf certificate, and warnings if the choice is in doubt.

    The leaf is the certificate whose private key is in the bundle, else the one that has issued no other. If several
    are left, CA certificates are dropped. Of several with one subject (a renewed one beside the old one), the leaf is
    the one that expires last; of unrelated ones, the first. A CA certificate is the leaf only if no other is left.

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
    clients = [each for each in candidates if not each.is_authority]
    candidates = clients or candidates
    warnings: list[str] = []
    if not clients and not has_key:
        _refuse_several_authorities(candidates)
        warnings.append("this is the certificate of a CA (basicConstraints), not of a client")
    first = candidates[0]
    same_subject = [each for each in candidates if folded(each.subject_dn) == folded(first.subject_dn)]
    if len(same_subject) > 1:
        warnings.append("several certificates have this subject: the one that expires last was used")
    if len(same_subject) < len(candidates):
        warnings.append("several certificates are not related to each other: the first of them was used")
    if bundle.damaged:
        warnings.append("other certificates in the same content are damaged: they were ignored")
    return max(same_subject, key=lambda each: each.not_after), warnings


def _issuers_of_no_other(certificates: list[Outline], candidates: list[Outline]) -> list[Outline]:
    """The `candidates` that have issued none of `certificates`; all candidates if each has issued one.

    The names decide who issued a certificate. A self-issued one counts as issued by itself alone; otherwise an old root
    and a new root of the same name would each count as the issuer of the other.
    """
    issuers = {folded(each.issuer_dn) for each in certificates if each.issuer_dn and not _is_self_issued(each)}
    return [each for each in candidates if folded(each.subject_dn) not in issuers] or candidates


def _refuse_several_authorities(candidates: list[Outline]) -> None:
    if len(candidates) > 1:
        raise CertificateError(
            Reason.NO_LEAF_CERTIFICATE, "it holds only certificates of CAs: put the client certificate there"
        )


def _is_self_issued(certificate: Outline) -> bool:
    return folded(certificate.issuer_dn) == folded(certificate.subject_dn)
