"""Parses the content of a source: returns its leaf certificate, or raises an error with a reason."""

from datetime import datetime

from clientcert.errors import CertificateError, Reason
from clientcert.pki.bundle import read_bundle
from clientcert.pki.certificate import Certificate
from clientcert.pki.choice import Choice
from clientcert.pki.identity import ANYONE, Identity
from clientcert.pki.leaf import choose_leaf
from clientcert.pki.strict import PROCESS_EXITS, read_certificate

MAX_SIZE = 1024 * 1024
"""Octets; the largest value of a Secret."""


def parse(data: bytes, *, password: str | None = None, identity: Identity = ANYONE, now: datetime) -> Certificate:
    """The leaf certificate in `data`, whose format is recognised: PEM, DER, PKCS#7, PKCS#12 or JKS.

    Of several certificates, `leaf.py` chooses the one of the declared identity that is in use at `now` (aware UTC).

    Blocking: call it in a thread. A PKCS#12 file or Java keystore is opened in a subprocess, which takes a tenth of a
    second, or up to `container_subprocess.WALL_CLOCK_SECONDS` if it is hostile. Only these use `password`.

    Raises CertificateError and no other error; its message holds none of the content.
    """
    try:
        return _parse(data, password, identity, now)
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


def _parse(data: bytes, password: str | None, identity: Identity, now: datetime) -> Certificate:
    if len(data) > MAX_SIZE:
        raise CertificateError(
            Reason.TOO_LARGE, "it is larger than 1 MiB: put only the client certificate and its chain there"
        )
    bundle = read_bundle(data, password)
    first, *others = bundle.certificates
    if identity.name in first.subject_common_names and not (
        identity.fields or others or first.is_authority or bundle.damaged
    ):
        choice = Choice(first)  # as for most files: there is nothing to choose
    else:
        choice = choose_leaf(bundle, identity, now)
    return read_certificate(choice, bundle.container_format, bundle.warnings)
