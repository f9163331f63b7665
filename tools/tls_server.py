"""A TLS server that asks for a client certificate of one CA, as the gateway does; it may check a CRL, as nginx does."""

import socket
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from tools.certificates import self_signed

_SECONDS = 10.0


def accepts(trusted_pem: bytes, certificate_pem: bytes, private_key_pem: bytes, crl_pem: bytes = b"") -> str:
    """The CN of the client that the server has seen; raises ssl.SSLError if it refuses the certificate.

    With a CRL the server checks it, and refuses everybody whose certificate it cannot check.
    """
    now = datetime.now(UTC)
    own = self_signed("localhost", now - timedelta(days=1), now + timedelta(days=1))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.verify_mode = ssl.CERT_REQUIRED
        trusted = directory / "trusted.pem"
        trusted.write_bytes(trusted_pem + crl_pem)
        server.load_verify_locations(cafile=trusted)
        if crl_pem:
            server.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        server.load_cert_chain(*_files(directory / "server", own.certificate_pem, own.private_key_pem))
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.load_cert_chain(*_files(directory / "client", certificate_pem, private_key_pem))
        seen: list[str | ssl.SSLError] = []
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=_serve, args=(listening, server, seen))
            thread.start()
            try:
                connection = socket.create_connection(listening.getsockname(), _SECONDS)
                with connection, client.wrap_socket(connection) as secured:
                    secured.recv(1)  # TLS 1.3 refuses a client certificate after the handshake
            except OSError:
                pass  # the server knows why
            thread.join(_SECONDS)
        [found] = seen
        if isinstance(found, ssl.SSLError):
            raise found
        return found


def _serve(listening: socket.socket, context: ssl.SSLContext, seen: list[str | ssl.SSLError]) -> None:
    connection, _ = listening.accept()
    connection.settimeout(_SECONDS)
    try:
        with connection, context.wrap_socket(connection, server_side=True) as secured:
            certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
            [name] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            seen.append(str(name.value))
            secured.send(b"k")
    except ssl.SSLError as error:
        seen.append(error)


def _files(stem: Path, certificate_pem: bytes, private_key_pem: bytes) -> tuple[Path, Path]:
    certificate, private_key = stem.with_suffix(".pem"), stem.with_suffix(".key")
    certificate.write_bytes(certificate_pem)
    private_key.write_bytes(private_key_pem)
    return certificate, private_key
