"""The proof that a consumer has the current key: CMS by that key over the new CSR or public key.

The signature is verified by the certificate that is given, the current one, and never by one inside the CMS. It binds
the new key, so nobody can use it for another. It must name the serial number of the current certificate. CMS does not
sign that name, so what it signs must show the same: the fingerprint of the certificate (`openssl cms -sign -cades`), or
a time since which the certificate is the current one. Else a proof would outlive a renewal with the same key. So would
one of a clock that is far ahead: the time must not be much later than the request.
"""

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta

from clientcert.errors import CertificateError, Reason
from clientcert.pki.der import Element, MalformedError, read_element
from clientcert.pki.key_request import LARGEST_INPUT, PRIVATE_KEY_SENT
from clientcert.pki.lenient import read_outline, tbs_fields
from clientcert.pki.name_equality import issuer_and_subject, same_name_der
from clientcert.pki.parsing import MAX_SIZE, guarded
from clientcert.pki.pem_writer import pem
from clientcert.pki.private_key_search import holds_private_key
from clientcert.pki.request_material import find_material
from clientcert.pki.signature_verification import is_signed
from clientcert.pki.signed_data import SignedContent, UnusableProofError, read_signed_content
from clientcert.pki.strict import PROCESS_EXITS

_LONGEST = 64 * 1024
"""Characters of PEM, as in the schema."""
_CLOCK_AHEAD = timedelta(minutes=15)
"""The most that the clock of a consumer may be ahead of the API server's."""
_KEY_SIGNED = (
    "a private key was signed instead of the CSR or public key: whoever has seen this file has the key, so have the"
    " consumer make another one, and send only its CSR or public key"
)
_HOW = (
    "make it with openssl cms -sign -nodetach -in request.csr -signer client.pem -inkey client.key -outform PEM,"
    " where client.pem is the current certificate, and client.key its key"
)


def read_proof(data: bytes) -> str:
    """The CMS SignedData in `data` as PEM, read as leniently as requests: DER, S/MIME, base64. Verifies nothing.

    Raises CertificateError `PrivateKeySent`, `ProofInvalid` or `TooLarge`.
    """
    found = guarded(lambda: _read_proof(data), Reason.PROOF_INVALID, f"the proof cannot be read: {_HOW}")
    if isinstance(found, CertificateError):
        raise found
    return found


def _read_proof(data: bytes) -> str:
    if holds_private_key(data[:MAX_SIZE]):
        raise CertificateError(Reason.PRIVATE_KEY_SENT, PRIVATE_KEY_SENT)
    found = _signed_data(data)
    if holds_private_key(found) or holds_private_key(_content(found)):
        raise CertificateError(Reason.PRIVATE_KEY_SENT, _KEY_SIGNED)
    text = pem("CMS", found)
    if len(text) > _LONGEST:
        raise CertificateError(Reason.TOO_LARGE, "the proof has more than 64 KiB: sign only the request itself")
    return text


def _content(cms: bytes) -> bytes:
    """The content, which may be in pieces; empty if it cannot be read."""
    try:
        return read_signed_content(cms).content
    except UnusableProofError:
        return b""


def proof_problem(
    cms: bytes,
    certificate_der: bytes,
    contents: Collection[bytes],
    requested: datetime | None = None,
    asked: datetime | None = None,
) -> str:
    """The reason why this CMS is no proof by the key of this certificate over one of these contents; else empty.

    `contents` are CSRs and public keys, as DER or PEM. The signed one may be in any form, with any line ends.
    `requested` is the time of the request that brought the certificate, if one did, or that in its proof if it is
    later: that proof is no proof any more.
    `asked` is that of the request with this proof; None: it is made now, and nothing is known of its time.
    """
    try:
        found = read_signed_content(_signed_data(cms))
        _check_content(found.content, contents)
        _check_signer(found, certificate_der)
        _check_age(found, certificate_der, requested, asked)
    except UnusableProofError as error:
        return f"the proof cannot be used, {error.sentence}"
    except CertificateError as error:
        return error.message
    except PROCESS_EXITS:
        raise
    except BaseException:  # noqa: BLE001 - an unforeseen input must not stop any reconcile
        return f"the proof cannot be read: {_HOW}"
    return ""


def signing_time(cms: bytes) -> datetime | None:
    """The time in a proof that was accepted; None if it has none, or cannot be read any more."""
    try:
        return read_signed_content(_signed_data(cms)).signing_time
    except (UnusableProofError, CertificateError):
        return None


def _signed_data(data: bytes) -> bytes:
    if len(data) > LARGEST_INPUT:
        raise CertificateError(Reason.TOO_LARGE, "the proof has more than 128 KiB: sign only the request itself")
    try:
        found = [*find_material(data).signed]
    except CertificateError:
        found = []
    if len(found) != 1:
        several = "several signatures" if found else "no CMS, or a damaged one"
        raise CertificateError(Reason.PROOF_INVALID, f"the proof holds {several}: {_HOW}")
    return found[0]


def _check_content(content: bytes, contents: Collection[bytes]) -> None:
    if content in contents:
        return
    signed = _meant(content)
    if signed is None or all(_meant(each) != signed for each in contents):
        raise UnusableProofError(
            "it is over something else than this request: sign the file that is sent as the request"
            " (a binary one with -binary)"
        )


def _meant(content: bytes) -> bytes | None:
    """The one CSR, or else the one public key in it (DER); None if there is none, or several."""
    if len(content) > LARGEST_INPUT:
        return None
    try:
        found = find_material(content)
    except CertificateError:
        return None
    meant = [*(found.requests or found.keys)]
    return meant[0] if len(meant) == 1 else None


def _check_signer(found: SignedContent, certificate_der: bytes) -> None:
    try:
        outline = read_outline(certificate_der)
        fields = tbs_fields(read_element(certificate_der))
    except MalformedError:
        raise UnusableProofError("the current certificate cannot be read") from None
    if not _is_named(found, fields, outline.serial_number):
        raise UnusableProofError(
            "it is signed with another certificate: sign with the current one, whose serial number is"
            f" {outline.serial_number:x}, and its key"
        )
    if not is_signed(outline.public_key_info, found.scheme, found.signature, found.signed):
        raise UnusableProofError(
            f"its signature is not by the key of the current certificate, or over something else: {_HOW}"
        )


def _check_age(
    found: SignedContent, certificate_der: bytes, requested: datetime | None, asked: datetime | None
) -> None:
    """It was made with this certificate, and not with one before it with the same key."""
    if found.certificates and certificate_der not in found.certificates:
        raise UnusableProofError("the certificate in it is not the current one: sign with the current one")
    if found.signer_fingerprint is not None:
        if found.signer_fingerprint != hashlib.sha256(certificate_der).digest():
            raise UnusableProofError("it was made with another certificate: sign again with the current one")
        return
    if found.signing_time is None:
        raise UnusableProofError(f"it does not say when it was signed: {_HOW}")
    signed, begins = found.signing_time, read_outline(certificate_der).not_before
    if signed < begins or (requested is not None and signed <= requested):
        raise UnusableProofError(
            f"it was signed at {signed:%Y-%m-%d %H:%M} UTC, before the current certificate was issued:"
            " sign again with the current one, on a computer whose clock is right"
        )
    if asked is not None and signed - asked > _CLOCK_AHEAD:
        raise UnusableProofError(
            f"it was signed at {signed:%Y-%m-%d %H:%M} UTC, later than the request was made"
            f" ({asked:%Y-%m-%d %H:%M} UTC): set the clock and the time zone of the computer right (date -u shows the"
            " time), sign again, and make another request"
        )


def _is_named(found: SignedContent, fields: list[Element], serial_number: int) -> bool:
    """True if the signer names this certificate, by issuer and serial number."""
    issuer, _ = issuer_and_subject(fields)
    is_same = issuer is not None and same_name_der(found.issuer_der, issuer.encoded)
    return is_same and found.serial_number == serial_number
