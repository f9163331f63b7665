"""The certificate that ends before the consumer's own, in words: its date is the one that counts."""

from clientcert.pki.certificate import Expiry
from clientcert.pki.distinguished_names import common_name

OTHER_ENDED = "does not depend on its other certificate any more: that was renewed or removed, or has expired"
"""The words for another certificate that no longer counts; the operator does not know which of these it was."""


def is_issuer(first: Expiry, subject_dn: str) -> bool:
    """True if it belongs to a CA of the path; False if it is another certificate of the subject, also in use."""
    if first.subject_dn == subject_dn:
        return False
    name = common_name(first.subject_dn)
    return not name or name != common_name(subject_dn)


def name_first(first: Expiry, subject_dn: str) -> str:
    """The certificate that ends first, as a sentence names it; `subject_dn` is the subject of the consumer's own."""
    if is_issuer(first, subject_dn):
        name = common_name(first.subject_dn) or first.subject_dn or f"with serial number {first.serial_number}"
        return f"its issuing certificate {name}"
    return f"its other certificate with serial number {first.serial_number}"
