"""The commands that a consumer types, for the files of a delivery. They are the same in any shell of any system."""

from collections.abc import Iterator, Sequence

from clientcert.delivery.cms import needs_openssl_3
from clientcert.delivery.forms import (
    ARCHIVE,
    ARCHIVE_CMS,
    ARCHIVE_ENC,
    CERTIFICATE,
    CHAIN,
    KEY_CMS,
    PRIVATE_KEY,
    SYMMETRIC_KEY,
    SYMMETRIC_KEY_ENC,
)
from clientcert.delivery.interface import Attachment, Instruction
from clientcert.delivery.openssl_archive import ITERATIONS

EXCHANGE_KEY = "credential-exchange-private-key.pem"
"""The name that letters give to the private key to which a delivery is encrypted."""


def instructions(files: Sequence[Attachment]) -> tuple[Instruction, ...]:
    """The steps for these files: open them, check them, and make a PKCS#12 or a Java keystore of them."""
    return (*_open(files), *_check(), *_convert(any(each.name == CHAIN for each in files)))


def _open(files: Sequence[Attachment]) -> Iterator[Instruction]:
    yield Instruction(
        "Save the attachments in a new, empty folder, and open a terminal there. Keep the certificate and key that you "
        "use now until the new ones work."
    )
    by_name = {each.name: each for each in files}
    if ARCHIVE_ENC in by_name:
        yield from _open_enc()
    elif sealed := by_name.get(ARCHIVE_CMS) or by_name.get(KEY_CMS):
        yield from _open_cms(sealed)
    else:
        yield Instruction(
            f"The private key is the one with which you made your request. The next commands call it {PRIVATE_KEY}: "
            "copy it to this folder under that name."
        )


def _open_cms(sealed: Attachment) -> Iterator[Instruction]:
    opened = sealed.name.removesuffix(".cms")
    binary = " -binary" if opened == ARCHIVE else ""
    yield Instruction(
        f"Decrypt {'the archive' if binary else 'the new private key'}. {_which_key()}{_needs(sealed)}",
        f"openssl cms -decrypt -inform PEM{binary} -in {sealed.name} -inkey {EXCHANGE_KEY} -out {opened}",
    )
    if binary:
        yield _unpack()


def _open_enc() -> Iterator[Instruction]:
    yield Instruction(
        f"Decrypt the symmetric key. {_which_key()}",
        f"openssl pkeyutl -decrypt -pkeyopt rsa_padding_mode:oaep -in {SYMMETRIC_KEY_ENC} -inkey {EXCHANGE_KEY} "
        f"-out {SYMMETRIC_KEY}",
    )
    yield Instruction(
        "Decrypt the archive with it.",
        f"openssl enc -d -aes-256-cbc -pbkdf2 -iter {ITERATIONS} -md sha256 -in {ARCHIVE_ENC} -out {ARCHIVE} "
        f"-pass file:{SYMMETRIC_KEY}",
    )
    yield _unpack()


def _which_key() -> str:
    return (
        f"{EXCHANGE_KEY} is the private key to the public key that you sent: copy it to this folder, or write where "
        "yours is."
    )


def _needs(sealed: Attachment) -> str:
    if not needs_openssl_3(sealed.content):
        return ""
    return " This needs OpenSSL 3.0 or newer; neither older versions nor LibreSSL, the openssl of macOS, can do it."


def _unpack() -> Instruction:
    return Instruction(
        f"Unpack it: {PRIVATE_KEY} is the new private key, and the folder extras has the rest, if there is more.",
        f"tar -xzf {ARCHIVE}",
    )


def _check() -> Iterator[Instruction]:
    yield Instruction(
        f"Look at the new certificate, {CERTIFICATE}.",
        f"openssl x509 -in {CERTIFICATE} -noout -subject -serial -enddate",
    )
    yield Instruction("Print the public key of the certificate.", f"openssl x509 -in {CERTIFICATE} -noout -pubkey")
    yield Instruction(
        "Print the public key of the private key. Both must be the same, or the files do not belong together.",
        f"openssl pkey -in {PRIVATE_KEY} -pubout",
    )


def _convert(with_chain: bool) -> Iterator[Instruction]:
    chain = f" -certfile {CHAIN}" if with_chain else ""
    yield Instruction(
        "If your program reads one PKCS#12 file (.p12 or .pfx), make it of these files. You are asked for a new "
        "password for it.",
        f"openssl pkcs12 -export -in {CERTIFICATE} -inkey {PRIVATE_KEY}{chain} -name client -out client.p12",
    )
    yield Instruction(
        "Java reads client.p12 as it is. If yours needs a JKS file, make it of that.",
        "keytool -importkeystore -srckeystore client.p12 -srcstoretype PKCS12 -destkeystore client.jks "
        "-deststoretype JKS",
    )
