"""The consumer's proof, in the forms in which it comes: one PEM block is sent on, and never a private key."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.request_files import read_proof
from clientcert.errors import CertificateError, Reason
from clientcert.pki import proof
from tools.certificates import CertificateAuthority

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the consumer's certificate, key and request."""
    directory = tmp_path_factory.mktemp("consumer")
    issued = CertificateAuthority.create("Integration CA").issue("nhs", SINCE, UNTIL)
    (directory / "client.pem").write_bytes(issued.certificate_pem)
    (directory / "client.key").write_bytes(issued.private_key_pem)
    (directory / "request.csr").write_text("any content: its form does not matter here\n")
    return directory


def sign(consumer: Path, *options: str, content: str = "request.csr") -> bytes:
    """`openssl cms -sign`, as the letter has it."""
    command = ["openssl", "cms", "-sign", "-nodetach", "-in", content, "-signer", "client.pem", "-inkey", "client.key"]
    return subprocess.run([*command, *options], cwd=consumer, capture_output=True, check=True).stdout


def proof_pem(content: bytes) -> str:
    return proof.read_proof(content)


def content_of(pem: str, consumer: Path) -> str:
    """The content of the proof, as openssl finds it."""
    command = ["openssl", "cms", "-verify", "-noverify", "-inform", "PEM"]
    ran = subprocess.run(command, cwd=consumer, input=pem.encode(), capture_output=True, check=True)
    return ran.stdout.decode().replace("\r\n", "\n")


FORMS = {
    "PEM": ("-outform", "PEM"),
    "DER": ("-outform", "DER"),
    "S/MIME, the default of openssl": (),
    "binary": ("-binary", "-outform", "PEM"),
    "BER": ("-stream", "-outform", "DER"),
}


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_every_form_of_openssl(options: tuple[str, ...], consumer: Path) -> None:
    pem = proof_pem(sign(consumer, *options))
    assert pem.startswith("-----BEGIN CMS-----\n")
    assert content_of(pem, consumer) == (consumer / "request.csr").read_text()


WAYS = {
    "quoted in a mail": lambda text: "Here it is:\n" + "".join(f"> {line}\n" for line in text.splitlines()) + "Jo\n",
    "with CRLF": lambda text: text.replace("\n", "\r\n"),
    "labelled PKCS7": lambda text: text.replace(" CMS-", " PKCS7-"),
    "without its first and last line": lambda text: "\n".join(text.splitlines()[1:-1]),
}


@pytest.mark.parametrize("changed", WAYS.values(), ids=WAYS)
def test_what_a_mail_does_to_it(changed, consumer: Path) -> None:  # type: ignore[no-untyped-def]
    proof = sign(consumer, "-outform", "PEM")
    assert proof_pem(changed(proof.decode()).encode()) == proof_pem(proof)


def test_what_powershell_does_to_it(consumer: Path) -> None:
    """`>` writes UTF-16 there."""
    proof = sign(consumer, "-outform", "PEM")
    assert proof_pem(proof.decode().encode("utf-16")) == proof_pem(proof)


def test_a_private_key_that_was_signed(consumer: Path) -> None:
    """It could be read in the proof, so it is not sent on."""
    for options in FORMS.values():
        with pytest.raises(CertificateError) as raised:
            proof_pem(sign(consumer, *options, content="client.key"))
        assert raised.value.reason is Reason.PRIVATE_KEY_SENT
        assert "make another" in raised.value.message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff" * 100,
        b"\xff\xfe\x00",
        b"-----BEGIN CMS-----\n",
        b"-----BEGIN CMS-----\nnot base64!\n-----END CMS-----\n",
        b"-----BEGIN CMS-----\naGVsbG8gd29ybGQ=\n-----END CMS-----\n",
        b"Content-Type: application/pkcs7-mime\n",
        b"0123456789",
        "-----BEGIN CMS-----\n\u0660\u0661\n-----END CMS-----".encode(),
        b"-----BEGIN CMS-----" * 5_000,
    ],
    ids=lambda content: repr(content[:30]),
)
def test_what_is_no_proof(content: bytes) -> None:
    """The message has the command that makes one."""
    with pytest.raises(CertificateError) as raised:
        proof_pem(content)
    assert raised.value.reason is Reason.PROOF_INVALID
    assert "openssl cms -sign -nodetach" in raised.value.message


def test_a_proof_over_too_much(consumer: Path) -> None:
    """The object takes 64 KiB."""
    for size, fits in ((30_000, True), (60_000, False)):
        (consumer / "large").write_bytes(b"x" * size)
        signed = sign(consumer, "-binary", "-outform", "DER", content="large")
        if fits:
            assert len(proof_pem(signed)) <= 64 * 1024
            continue
        with pytest.raises(CertificateError, match="more than 64 KiB"):
            proof_pem(signed)


def test_the_command_line_says_which_file_it_is(consumer: Path) -> None:
    (consumer / "proof.pem").write_bytes(sign(consumer, "-outform", "PEM"))
    assert read_proof(str(consumer / "proof.pem")).startswith("-----BEGIN CMS-----")
    with pytest.raises(AnswerIsNo, match=r"client\.pem: the proof holds no CMS"):
        read_proof(str(consumer / "client.pem"))
