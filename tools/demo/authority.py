"""The team's certificate authority, with the name that deploy/examples/from-secret.yaml expects."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tools.certificates import AUTHORITY_NOT_AFTER, AUTHORITY_NOT_BEFORE, CertificateAuthority, Issued

NAME = "CN=Client CA,O=Example,C=GB"


def client_authority() -> CertificateAuthority:
    """A new root, whose key exists in this process only."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string(NAME)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(AUTHORITY_NOT_BEFORE)
        .not_valid_after(AUTHORITY_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return CertificateAuthority(Issued(builder.sign(private_key, hashes.SHA256()), private_key))
