"""The forms of a delivery: from a key to the ciphertext in the status, and from there to the files for the consumer.

The ciphertext contains the private key: alone as PEM (`client.key`), or with extras in an archive, which has
`client.key` and `extras/NAME` for each. Type OpenSSL always has the archive. The certificate is not inside, because it
does not exist yet; it goes beside.

The ciphertext is one text: for each file its name on a line of its own, then a PEM block. So it says itself how it is
opened, and a policy that was changed since then does not matter.
"""

import hashlib
import re
from collections.abc import Sequence

from clientcert.delivery import cms, openssl_archive
from clientcert.delivery.archive import safe_names, tar_gz
from clientcert.delivery.interface import Attachment, Material
from clientcert.delivery.recipient import recipient_of
from clientcert.errors import CertificateError, Reason
from clientcert.lifecycle.renewal.policy import DeliverySettings, DeliveryType
from clientcert.pki.pem import decode_base64, read_blocks
from clientcert.pki.pem_writer import pem

CERTIFICATE, CHAIN, PRIVATE_KEY, ARCHIVE = "client.pem", "chain.pem", "client.key", "client.tar.gz"
SYMMETRIC_KEY = "symmetric.key"
KEY_CMS, ARCHIVE_CMS = f"{PRIVATE_KEY}.cms", f"{ARCHIVE}.cms"
SYMMETRIC_KEY_ENC, ARCHIVE_ENC = f"{SYMMETRIC_KEY}.enc", f"{ARCHIVE}.enc"
MAX_CIPHERTEXT = 64 * 1024
"""Characters: the longest `status.ciphertext`."""
_ENC_LABEL = "ENCRYPTED FILE"
_FORMS = ((KEY_CMS,), (ARCHIVE_CMS,), (SYMMETRIC_KEY_ENC, ARCHIVE_ENC))
_FILE = re.compile(r"([a-z.]{1,32})\n(-----BEGIN ([A-Z ]+)-----\n([A-Za-z0-9+/=\n]+)-----END \3-----\n)")
_PEM_FILE = "application/x-pem-file"


def seal(material: Material, recipient_public_key_info: bytes, settings: DeliverySettings) -> str:
    """Encrypt a key with its extras to a consumer, as a text for the status. Type None is sealed as CMS.

    Takes up to half a second: call it in a thread. Raises CertificateError: `UnsupportedKey` if nothing can be
    encrypted to that key, `CiphertextTooLarge`.
    """
    recipient = recipient_of(recipient_public_key_info)
    if settings.type is DeliveryType.OPENSSL:
        key, archive = openssl_archive.encrypt(_archive(material), recipient)
        text = f"{SYMMETRIC_KEY_ENC}\n{pem(_ENC_LABEL, key)}{ARCHIVE_ENC}\n{pem(_ENC_LABEL, archive)}"
    elif material.extras:
        text = f"{ARCHIVE_CMS}\n{cms.encrypt(_archive(material), recipient, settings.content_encryption)}"
    else:
        text = f"{KEY_CMS}\n{cms.encrypt(material.private_key_pem, recipient, settings.content_encryption)}"
    if len(text) > MAX_CIPHERTEXT:
        raise CertificateError(
            Reason.CIPHERTEXT_TOO_LARGE,
            "the private key and its extras have more than 64 KiB when they are encrypted: remove large values from "
            "spec.renewal.delivery.extras of the policy",
        )
    return text


def attachments(ciphertext: str, certificate_pem: str) -> tuple[Attachment, ...]:
    """The files for the consumer: the certificate, its chain if it has one, and what is encrypted, if anything is.

    Raises CertificateError if the ciphertext or the certificate of the status is damaged.
    """
    found = [pem("CERTIFICATE", each.der) for each in read_blocks(certificate_pem.encode()) if each.der is not None]
    if not found:
        raise CertificateError(Reason.NOT_A_CERTIFICATE, "the request has no certificate that could be delivered")
    files = [Attachment(CERTIFICATE, _PEM_FILE, found[0].encode())]
    if chain := "".join(found[1:]):
        files.append(Attachment(CHAIN, _PEM_FILE, chain.encode()))
    return (*files, *_sealed_files(ciphertext))


def artefact_hash(files: Sequence[Attachment]) -> str:
    """SHA-256, in lower-case hex, over the files: that of the output of `sha256sum` for them, sorted by name."""
    lines = (f"{hashlib.sha256(each.content).hexdigest()}  {each.name}\n" for each in _by_name(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _by_name(files: Sequence[Attachment]) -> list[Attachment]:
    return sorted(files, key=lambda each: each.name)


def _archive(material: Material) -> bytes:
    """The extras have a folder of their own: no name of theirs replaces another file of the consumer."""
    extras = zip(safe_names(material.extras), material.extras.values(), strict=True)
    return tar_gz({PRIVATE_KEY: material.private_key_pem} | {f"extras/{name}": value for name, value in extras})


def _sealed_files(ciphertext: str) -> list[Attachment]:
    if not ciphertext:
        return []
    matches = _FILE.findall(ciphertext)
    found = [(name, block, label, decode_base64(body.encode())) for name, block, label, body in matches]
    names, is_whole = tuple(name for name, *_ in found), all(content for *_, content in found)
    if names not in _FORMS or not is_whole or "".join(f"{name}\n{block}" for name, block, *_ in found) != ciphertext:
        raise CertificateError(
            Reason.NOT_A_REQUEST, "the ciphertext in the status of the request is damaged: ask for a new certificate"
        )
    return [
        Attachment(name, "application/octet-stream", content or b"")
        if label == _ENC_LABEL
        else Attachment(name, _PEM_FILE, block.encode())
        for name, block, label, content in found
    ]
