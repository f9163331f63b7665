"""`clientcert retrieve -o bundle`: all files for the consumer, with the commands that open them."""

import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from clientcert.cli.bundle import files, write
from clientcert.cli.errors import AnswerIsNo
from clientcert.delivery.forms import seal
from clientcert.delivery.interface import Material
from clientcert.lifecycle.renewal.policy import DeliverySettings
from tests.builders import DAY, NOW
from tests.unit.cli.renewal_objects import CSR, KEY, public_key, request
from tools.certificates import CertificateAuthority

CONSUMER = rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def certificate() -> str:
    return CertificateAuthority.create("Integration CA").issue("nhs", NOW, NOW + 100 * DAY).chain_pem.decode()


def sealed() -> str:
    """The key that the operator made."""
    made = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    info = CONSUMER.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return seal(Material(made), info, DeliverySettings())


def test_with_the_key_that_the_operator_made(certificate: str, tmp_path: Path) -> None:
    """The command in README.txt opens it, in the new directory, with the key that the consumer has."""
    found = request("Issued", publicKey=public_key(KEY), status={"ciphertext": sealed()})
    written = write(tmp_path / "bundle", files(found, certificate))
    assert [Path(each).name for each in written] == ["client.pem", "chain.pem", "client.key.cms", "README.txt"]
    key = CONSUMER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "bundle/credential-exchange-private-key.pem").write_bytes(key)
    readme = (tmp_path / "bundle/README.txt").read_text()
    [command] = re.findall(r"^   (openssl cms -decrypt .*)$", readme, re.MULTILINE)
    subprocess.run(command, shell=True, cwd=tmp_path / "bundle", check=True)
    assert "BEGIN PRIVATE KEY" in (tmp_path / "bundle/client.key").read_text()


def test_for_a_csr(certificate: str, tmp_path: Path) -> None:
    """Certificate and chain as they are: the consumer has the key."""
    [archive] = write(tmp_path / "nhs.zip", files(request("Done", csr=CSR), certificate))
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == ["client.pem", "chain.pem", "README.txt"]
        assert (opened.read("client.pem") + opened.read("chain.pem")).decode() == certificate


def test_nothing_is_overwritten(certificate: str, tmp_path: Path) -> None:
    """A key that was opened there before may be in use."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle.zip").write_text("mine")
    for place in ("bundle", "bundle.zip"):
        with pytest.raises(AnswerIsNo, match="exists already"):
            write(tmp_path / place, files(request("Done", csr=CSR), certificate))
    assert (tmp_path / "bundle.zip").read_text() == "mine"


def test_a_place_that_cannot_be_written(certificate: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file/bundle", "missing/bundle.zip"):
        with pytest.raises(AnswerIsNo, match="cannot be written"):
            write(tmp_path / place, files(request("Done", csr=CSR), certificate))


def test_a_key_that_was_removed(certificate: str) -> None:
    """30 days after delivery: the bundle would be useless, and says so."""
    with pytest.raises(AnswerIsNo, match="removed 30 days after delivery"):
        files(request("Done", publicKey=public_key(KEY)), certificate)


def test_a_damaged_status(certificate: str) -> None:
    for damaged in ({"ciphertext": "hello"}, {}):
        with pytest.raises(AnswerIsNo):
            files(request("Issued", csr=CSR, status=damaged), certificate if damaged else "hello")
