"""From bytes to the one certificate that matters, or to a named reason why there is none."""

from clientcert.errors import CertificateError, Reason
from clientcert.pki.bundle import read_bundle
from clientcert.pki.certificate import Certificate
from clientcert.pki.leaf import choose_leaf
from clientcert.pki.strict import NOT_OURS, read_certificate

MAX_SIZE = 1024 * 1024
"""Octets; a Secret cannot hold more."""


def parse(data: bytes, *, password: str | None = None) -> Certificate:
    """The leaf certificate in `data`, whose format is recognised: PEM, DER, PKCS#7, PKCS#12 or JKS.

    Blocking: call it in a thread. A PKCS#12 or Java keystore is opened in a process of its own, which takes a tenth of
    a second, and at most `container.WALL_CLOCK_SECONDS` if it is hostile. `password` is for those alone.

    Raises CertificateError and nothing else; its message holds none of the content.
    """
    try:
        return _parse(data, password)
    except CertificateError as error:
        failure = CertificateError(error.reason, error.message, retryable=error.retryable)
    except NOT_OURS:
        raise
    except BaseException:  # noqa: BLE001 - one unforeseen input must not end the reconcile of any object
        failure = CertificateError(
            Reason.INVALID_CERTIFICATE, "the certificate cannot be read: put it there again, as PEM"
        )
    # Raised here, so that it carries no context: an inner traceback leads to frames that hold the content.
    raise failure


def _parse(data: bytes, password: str | None) -> Certificate:
    if len(data) > MAX_SIZE:
        raise CertificateError(
            Reason.TOO_LARGE, "it is larger than 1 MiB: put only the client certificate and its chain there"
        )
    bundle = read_bundle(data, password)
    leaf = choose_leaf(bundle)
    return read_certificate(leaf, bundle.container_format, bundle.warnings)
