"""Parses the content of a source: returns its leaf certificate, or raises an error with a reason."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from clientcert.errors import CertificateError, Reason
from clientcert.pki.bundle import Bundle, read_bundle
from clientcert.pki.certificate import Certificate
from clientcert.pki.choice import Choice
from clientcert.pki.identity import ANYONE, Identity
from clientcert.pki.leaf import choose_leaf
from clientcert.pki.strict import PROCESS_EXITS, read_certificate

MAX_SIZE = 1024 * 1024
"""Octets; the largest value of a Secret."""
_Read = TypeVar("_Read")


def parse(data: bytes, *, password: str | None = None, identity: Identity = ANYONE, now: datetime) -> Certificate:
    """The leaf certificate in `data`, whose format is recognised: PEM, DER, PKCS#7, PKCS#12 or JKS.

    Of several certificates, `leaf.py` chooses the one of the declared identity that is in use at `now` (aware UTC).

    Blocking: call it in a thread. A PKCS#12 file or Java keystore is opened in a subprocess, which takes a tenth of a
    second, or up to `container_subprocess.WALL_CLOCK_SECONDS` if it is hostile. Only these use `password`.

    Raises CertificateError and no other error; its message holds none of the content.
    """
    found = guarded(lambda: read_certificate(*choose(data, password, identity, now)))
    if isinstance(found, CertificateError):
        raise found  # here, and not where it occurred: an inner traceback has frames that hold the content
    return found


def guarded(
    read: Callable[[], _Read],
    reason: Reason = Reason.INVALID_CERTIFICATE,
    message: str = "the certificate cannot be read: put it there again, as PEM",
) -> _Read | CertificateError:
    """Return the result of `read`, or its error without frames; `reason` is for an unforeseen one."""
    try:
        return read()
    except CertificateError as error:
        return CertificateError(error.reason, error.message, retryable=error.retryable)
    except PROCESS_EXITS:
        raise
    except BaseException:  # noqa: BLE001 - an unforeseen input must not stop any reconcile
        return CertificateError(reason, message)


def choose(data: bytes, password: str | None, identity: Identity, now: datetime) -> tuple[Bundle, Choice]:
    """Everything in the content, and the choice of its leaf; raises CertificateError, and others unforeseen."""
    if len(data) > MAX_SIZE:
        raise CertificateError(
            Reason.TOO_LARGE, "it is larger than 1 MiB: put only the client certificate and its chain there"
        )
    bundle = read_bundle(data, password)
    first, *others = bundle.certificates
    if identity.name in first.subject_common_names and not (
        identity.fields or others or first.is_authority or bundle.damaged
    ):
        return bundle, Choice(first)  # as for most files: there is nothing to choose
    return bundle, choose_leaf(bundle, identity, now)
