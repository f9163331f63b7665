"""Certificates as PKCS#7: openssl, keytool and the operator itself read them, the leaf first."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clientcert.delivery.pkcs7 import certificates_only, certificates_only_der
from clientcert.pki.pem import read_blocks
from clientcert.pki.pem_writer import pem
from clientcert.pki.pkcs7 import certificates_in
from tools.certificates import CertificateAuthority

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CHAIN = CertificateAuthority.create("Integration CA").issue("nhs", NOW, NOW.replace(year=2027)).chain_pem
DERS = [block.der for block in read_blocks(CHAIN) if block.der]
NAMES = ["nhs", "Integration CA"]


@pytest.mark.parametrize("form", ["DER", "PEM"])
@pytest.mark.parametrize("step", [1, -1], ids=["leaf first", "leaf last"])
def test_openssl_prints_all_of_them_in_their_order(form: str, step: int, openssl: str) -> None:
    order = DERS[::step]
    text = "".join(pem("CERTIFICATE", each) for each in order)
    content = certificates_only_der(order) if form == "DER" else certificates_only(text).encode()
    command = [openssl, "pkcs7", "-inform", form, "-print_certs"]
    shown = subprocess.run(command, input=content, capture_output=True, check=True).stdout.decode()
    assert re.findall(r"^subject=.*CN ?= ?(.+)$", shown, re.MULTILINE) == NAMES[::step]


def test_it_is_octet_for_octet_what_openssl_makes_of_the_same_certificates(openssl: str, tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(CHAIN)
    command = [openssl, "crl2pkcs7", "-nocrl", "-certfile", "chain.pem"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True).stdout
    assert certificates_only(CHAIN.decode()) == made


def test_keytool_reads_it_as_a_chain(keytool: str, tmp_path: Path) -> None:
    (tmp_path / "chain.p7b").write_text(certificates_only(CHAIN.decode()))
    command = [keytool, "-printcert", "-file", "chain.p7b"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True).stdout
    assert shown.index("Owner: CN=nhs") < shown.index("Owner: CN=Integration CA")


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_the_operator_reads_it_again(count: int) -> None:
    ders = (DERS * 50)[:count]
    assert certificates_in(certificates_only_der(ders)) == ders
