"""Content that is not a certificate, and the messages about it (design section 4, rule 7)."""

import base64
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from clientcert.errors import Reason
from clientcert.pki.parsing import MAX_SIZE
from tests.unit.pki.certificates import AUTHORITY, LEAF, NOT_AFTER, NOT_BEFORE, reason_for, refusal, sequence
from tools.certificates import make_private_key
from tools.der import der_element

PUBLIC_KEY = LEAF.private_key.public_key()


def revocation_list(encoding: Encoding) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(AUTHORITY.identity.certificate.subject)
    builder = builder.last_update(NOT_BEFORE).next_update(NOT_AFTER)
    return builder.sign(AUTHORITY.identity.private_key, hashes.SHA256()).public_bytes(encoding)


def bcfks() -> bytes:
    """The outline of a BouncyCastle FIPS keystore: an encrypted store, and its integrity check."""
    algorithm = sequence(bytes.fromhex("06092a864886f70d01050d"), sequence())
    store = sequence(algorithm, der_element(0x04, bytes(200)))
    return sequence(store, sequence(sequence(algorithm), der_element(0x04, bytes(20))))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (LEAF.csr_pem(), "certificate request (CSR)"),
        (x509.load_pem_x509_csr(LEAF.csr_pem()).public_bytes(Encoding.DER), "certificate request (CSR)"),
        (LEAF.csr_pem().replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"), "certificate request (CSR)"),
        (LEAF.csr_pem() + LEAF.private_key_pem, "certificate request (CSR)"),
        (base64.b64encode(LEAF.csr_pem()), "certificate request (CSR)"),
        (revocation_list(Encoding.PEM), "revocation list"),
        (revocation_list(Encoding.DER), "revocation list"),
        (PUBLIC_KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "public key"),
        (PUBLIC_KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "public key"),
        (make_private_key("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1), "public key"),
        (make_private_key("ed25519").public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), "SSH key"),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n", "SSH key"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n=AAAA\n-----END PGP PUBLIC KEY BLOCK-----\n", "PEM"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b'{"errors": ["permission denied"]}', "JSON"),
        (b"apiVersion: v1\nkind: Secret\ndata: {}\n", "manifest"),
        (b"PK\x03\x04rest", "archive"),
        (b"\x1f\x8brest", "archive"),
        (b"Salted__rest", "openssl enc"),
        (b"hello", "not a certificate"),
        (b"aGVsbG8=", "not a certificate"),
        (bytes(range(128, 256)), "not a certificate"),
        (b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", "not a certificate"),
        (sequence(der_element(0x02, b"\x05")), "not a certificate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "data",  # some of it is new for each run
)
def test_other_content_is_named(data: bytes, word: str) -> None:
    """The reason is NotACertificate, and the message says what the content is and what to put there."""
    error = refusal(data)
    assert error.reason is Reason.NOT_A_CERTIFICATE
    assert word in error.message
    assert "there" in error.message
    assert not error.retryable


PLACEHOLDERS = re.split(
    r" \| |\s*\n\s*",
    r"""<no value> | <nil> | <none> | <your certificate here> | <CERT> | <path:secret/data/nhs#tls.crt> | <redacted>
    ${TLS_CRT} | ${tls_crt:-} | $(TLS_CRT) | $TLS_CRT | {{ .Values.tls.crt }} | {{tls_crt}}
    {% include 'crt' %} | #{TLS_CRT}# | ((tls-crt)) | <%= crt %> | __TLS_CRT__ | @TLS_CRT@ | %TLS_CRT%
    [[ .crt ]] | {tls_crt} | null | None | nil | undefined | N/A | TODO | REPLACE_ME | replace-me | CHANGEME
    changeit | placeholder | insert certificate here | YOUR_CERTIFICATE | your-certificate-here
    PASTE CERTIFICATE HERE | xxxxx | *** | ... | - | {} | [object Object] | (sensitive value) | %!s(<nil>)
    [REDACTED] | System.Byte[] | dummy | vault:secret/data/nhs#tls.crt | ref+vault://secret/nhs#/crt
    op://vault/nhs/tls.crt | secretref:nhs/crt | arn:aws:secretsmanager:eu-west-2:1:secret:nhs
    @Microsoft.KeyVault(SecretUri=https://x) | ssm:/nhs/crt | https://nhs.vault.azure.net/secrets/nhs
    projects/1/secrets/nhs/versions/1 | !vault nhs | !Ref Certificate | azkv://nhs/crt | gcpsm://nhs | env:TLS_CRT
    ENC[AES256_GCM,data:abc,iv:x,tag:y,type:str] | {"data":"ENC[AES256_GCM,data:abc]"}
    tls.crt: ENC[AES256_GCM,data:abc] | ENC[PKCS7,MIIB] | ENC(abcd) | {cipher}AQB1 | $env:TLS_CRT | `${crt}`
    berglas://bucket/nhs | chamber://nhs | !GetAtt Nhs.Crt | !ImportValue nhs | ***REDACTED*** | [snip] | [...]
    MII... | MIIDxTCC...""",
)


@pytest.mark.parametrize("text", PLACEHOLDERS)
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "{}\n",
        '"{}"',
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\\n{}\\n-----END CERTIFICATE-----\\n",
    ],
)
def test_a_placeholder_is_called_that(text: str, form: str) -> None:
    """A template or a reference that no tool replaced, also in quotes or between BEGIN and END lines."""
    if form.startswith("-") and text == "-":
        return
    error = refusal(form.replace("{}", text, 1).encode())
    assert error.reason is Reason.NOT_A_CERTIFICATE
    assert "placeholder" in error.message


@pytest.mark.parametrize("text", ["<no value>", "null", "${TLS_CRT}", "<path:secret/data/nhs#tls.crt>", "op://v/nhs"])
def test_a_placeholder_in_base64_is_called_that(text: str) -> None:
    """A template that encoded it once more, as b64enc of Helm does."""
    assert "placeholder" in refusal(base64.b64encode(text.encode())).message


MANIFESTS = [
    b'{"apiVersion": "v1", "kind": "Secret", "data": {"tls.crt": "TUlJ"}}',
    b'{"items": [{"kind": "Secret", "data": {"tls.crt": "TUlJ"}}], "kind": "List"}',
    b"data:\n  tls.crt: TUlJ\n",
    b"stringData:\n  tls.crt: TUlJ\n",
]


@pytest.mark.parametrize("data", MANIFESTS)
def test_a_manifest_is_called_that(data: bytes) -> None:
    """Also in JSON, and if only its data were copied."""
    assert "Kubernetes manifest" in refusal(data).message


@pytest.mark.parametrize(
    ("data", "word", "reason"),
    [
        (b"\0GITCRYPT\0" + bytes(range(99)), "git-crypt", Reason.NOT_A_CERTIFICATE),
        (
            b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n",
            "age",
            Reason.NOT_A_CERTIFICATE,
        ),
        (b"age-encryption.org/v1\n-> X25519 x\n", "age", Reason.NOT_A_CERTIFICATE),
        (b"$ANSIBLE_VAULT;1.1;AES256\n3132\n", "ansible-vault", Reason.NOT_A_CERTIFICATE),
        (b"vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQ", "Vault", Reason.NOT_A_CERTIFICATE),
        (b"U2FsdGVkX1+c5X0yQ0x", "openssl enc", Reason.NOT_A_CERTIFICATE),
        (b"data: {}\nsops:\n  kms: []\n", "sops", Reason.NOT_A_CERTIFICATE),
        (b"AgB" + b"x" * 300, "Sealed Secrets", Reason.NOT_A_CERTIFICATE),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n", "Git LFS", Reason.NOT_A_CERTIFICATE),
        (b"eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "JWT", Reason.NOT_A_CERTIFICATE),
        (b"PuTTY-User-Key-File-3: ssh-rsa", "PuTTY", Reason.PRIVATE_KEY_ONLY),
        (b"SQLite format 3\0" + bytes(90), "NSS", Reason.UNSUPPORTED_FORMAT),
        (b"kych\0\1\0\0", "macOS", Reason.UNSUPPORTED_FORMAT),
        (b"\0\0\0\0CERT\x03\0\0\0", "Windows", Reason.UNSUPPORTED_FORMAT),
        (b"7z\xbc\xaf\x27\x1c", "archive", Reason.NOT_A_CERTIFICATE),
        (b"Rar!\x1a\x07\x01", "archive", Reason.NOT_A_CERTIFICATE),
        (b"x" * 257 + b"ustar", "archive", Reason.NOT_A_CERTIFICATE),
        (b"%PDF-1.7\n", "PDF", Reason.NOT_A_CERTIFICATE),
        (b"\x89PNG\r\n", "picture", Reason.NOT_A_CERTIFICATE),
        (b"apiVersion: v1\nkind: Config\nusers: []\n", "client-certificate-data", Reason.NOT_A_CERTIFICATE),
        (b"# made by x\nclusters: []\nkind: Config\n", "client-certificate-data", Reason.NOT_A_CERTIFICATE),
        (
            b'{"kind": "Config", "users": [{"user": {"client-certificate-data": "LS0"}}]}',
            "kubeconfig",
            Reason.NOT_A_CERTIFICATE,
        ),
        (b"# made by x\napiVersion: v1\nkind: Secret\n", "manifest", Reason.NOT_A_CERTIFICATE),
        (b'{"keys": [{"x5c": ["MIIB"]}]}', "JWKS", Reason.NOT_A_CERTIFICATE),
        (b'{"le": {"Certificates": [{"certificate": "LS0"}]}}', "acme.json", Reason.NOT_A_CERTIFICATE),
        (b"<EntityDescriptor><ds:X509Certificate>MIIB", "SAML", Reason.NOT_A_CERTIFICATE),
        (b'<?xml version="1.0"?>\n<plist version="1.0">', "plist", Reason.NOT_A_CERTIFICATE),
        (b"Certificate:\n    Data:\n        Version: 3 (0x2)\n", "openssl x509 -text", Reason.NOT_A_CERTIFICATE),
        (b"subject=CN = nhs\nissuer=CN = CA\n", "description", Reason.NOT_A_CERTIFICATE),
        (LEAF.certificate_der.hex(" ").encode(), "hexadecimal", Reason.NOT_A_CERTIFICATE),
        (LEAF.certificate_der.hex().encode(), "hexadecimal", Reason.NOT_A_CERTIFICATE),
        (LEAF.certificate_der.hex(":").upper().encode(), "hexadecimal", Reason.NOT_A_CERTIFICATE),
        ("\n".join(map(str, LEAF.certificate_der)).encode(), "decimal", Reason.NOT_A_CERTIFICATE),
        (b"/etc/ssl/certs/client.pem\n", "path", Reason.NOT_A_CERTIFICATE),
        (b"C:\\certs\\client.cer", "path", Reason.NOT_A_CERTIFICATE),
        (b"https://ca.example/client.pem", "address", Reason.NOT_A_CERTIFICATE),
        (b"404 page not found\n", "error message", Reason.NOT_A_CERTIFICATE),
        (b"\0\0\0\2\0\0\0\x14" + bytes(20) + b"\0\0\4\0" + b"\1", "BKS", Reason.UNSUPPORTED_FORMAT),
        (b"\0\0\0\1\0\0\0\x14" + bytes(20) + b"\0\0\4\0" + b"\xaa", "UBER", Reason.UNSUPPORTED_FORMAT),
        (bcfks(), "BCFKS", Reason.UNSUPPORTED_FORMAT),
        (base64.b64encode(bcfks()), "BCFKS", Reason.UNSUPPORTED_FORMAT),
    ],
    ids=lambda value: value if isinstance(value, str) else "data",
)
def test_files_of_other_programs_are_named(data: bytes, word: str, reason: Reason) -> None:
    """Encrypted files, pointers, databases, archives, manifests and descriptions: the message says what to do."""
    error = refusal(data)
    assert error.reason is reason
    assert word in error.message


@pytest.mark.parametrize(
    "key",
    [
        LEAF.private_key_pem,
        LEAF.encrypted_private_key_pem("secret"),
        LEAF.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        LEAF.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
        LEAF.private_key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        LEAF.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        LEAF.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        LEAF.private_key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        make_private_key("rsa").private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    ],
    ids=["PEM", "encrypted", "SEC 1", "old encrypted", "OpenSSH", "DER", "DER encrypted", "DER SEC 1", "DER PKCS#1"],
)
def test_a_private_key_alone_is_named(key: bytes) -> None:
    """A private key without a certificate, in any format, gives the reason PrivateKeyOnly."""
    assert reason_for(key) is Reason.PRIVATE_KEY_ONLY


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t", b"\0\0\0\0", b"\xef\xbb\xbf", b"\xff\xfe\r\0\n\0"])
def test_empty_content_is_named(data: bytes) -> None:
    """No content, or only white space, gives the reason Empty."""
    assert reason_for(data) is Reason.EMPTY


def test_more_than_a_mebibyte_is_not_parsed() -> None:
    """More than 1 MiB gives the reason TooLarge; exactly 1 MiB is read."""
    assert reason_for(LEAF.certificate_pem.ljust(MAX_SIZE + 1)) is Reason.TOO_LARGE
    assert reason_for(b" " * MAX_SIZE) is Reason.EMPTY
