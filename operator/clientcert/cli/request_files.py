"""Files that the consumer sent: a CSR, a public key, a proof. No file with a private key in it is sent on."""

from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.files import read_file
from clientcert.cli.table import printable
from clientcert.errors import CertificateError, ClientCertError
from clientcert.pki import proof
from clientcert.pki.key_request import KeyRequest, read_request


def read_csr(file: str) -> KeyRequest:
    """Read a CSR; raises AnswerIsNo."""
    found = _request(file)
    if not found.csr_der:
        raise AnswerIsNo(f"{_name(file)}: this is a public key and no CSR: give it with --public-key")
    return found


def read_public_key(file: str) -> KeyRequest:
    """Read a public key, or the one of a certificate; raises AnswerIsNo."""
    found = _request(file)
    if found.csr_der:
        raise AnswerIsNo(f"{_name(file)}: this is a CSR, whose key the consumer keeps: give it with --csr")
    return found


def read_proof(file: str) -> str:
    """Read a proof, as PEM; raises AnswerIsNo."""
    try:
        return proof.read_proof(_content(file))
    except CertificateError as error:
        raise AnswerIsNo(f"{_name(file)}: {printable(error.message)}") from None


def _request(file: str) -> KeyRequest:
    try:
        return read_request(_content(file))
    except CertificateError as error:
        raise AnswerIsNo(f"{_name(file)}: {printable(error.message)}") from None


def _content(file: str) -> bytes:
    try:
        return read_file(file)
    except ClientCertError as error:
        raise AnswerIsNo(f"{_name(file)}: {error.message}") from None


def _name(file: str) -> str:
    return printable(file)
