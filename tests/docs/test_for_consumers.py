"""Each command for Linux on the page for consumers works as it stands there; each failure looks as the page says."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from clientcert.delivery.forms import attachments, seal
from clientcert.delivery.instructions import instructions
from clientcert.delivery.interface import Material
from clientcert.delivery.key_material import make_key
from clientcert.lifecycle.renewal.policy import ContentEncryption, DeliverySettings, DeliveryType, KeySettings
from clientcert.messages import letters
from clientcert.pki.key_request import read_request
from clientcert.pki.key_rules import can_encrypt_to, key_problem
from tests.conftest import REPOSITORY
from tests.docs.pages import blocks, section
from tools.certificates import CertificateAuthority, Issued

PAGE = REPOSITORY / "docs/for-consumers.md"
PUBLIC_KEY, REQUEST, PROOF = "## Send a public key", "## Send a request", "## Prove that you are the holder"
GET, AFTER, CHECK, ONE_FILE = (
    "## What you get",
    "## After a request",
    "## Check the result",
    "## One file: PKCS#12, and Java",
)
FAILS = "## When it fails"
OPEN_KEY, OPEN_ARCHIVE = "## Open client.key.cms", "## Open client.tar.gz.cms"
OPEN_OLD = "## Open symmetric.key.enc and client.tar.gz.enc"
TESTED = (PUBLIC_KEY, REQUEST, PROOF, GET, OPEN_KEY, OPEN_ARCHIVE, OPEN_OLD, AFTER, CHECK, ONE_FILE, FAILS)

PASSWORD = "a-new-password\n"
NOW = datetime.now(UTC)
ROOT = CertificateAuthority.create("Root CA")
AUTHORITY = ROOT.intermediate("Client CA")
MADE = make_key(KeySettings(size=2048))
GCM = ContentEncryption.AES256_GCM
FORMS = {
    OPEN_KEY: (DeliverySettings(), {}),
    OPEN_ARCHIVE: (DeliverySettings(), {"api-key": b"an API key"}),
    OPEN_OLD: (DeliverySettings(type=DeliveryType.OPENSSL), {"api-key": b"an API key"}),
}

pytestmark = pytest.mark.usefixtures("openssl")


def commands(heading: str) -> list[str]:
    """The lines of the blocks for Linux in that section."""
    text = section(PAGE, heading)
    return [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]


@dataclass(frozen=True)
class Shell:
    """A terminal in a folder; the programs ask on the standard input, as without a terminal."""

    folder: Path
    environment: dict[str, str]

    def run(self, line: str, answers: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            line, shell=True, cwd=self.folder, env=os.environ | self.environment, input=answers, capture_output=True,
            text=True, errors="replace", check=False, start_new_session=True, timeout=60,
        )  # fmt: skip

    def type(self, line: str, answers: str = "") -> str:
        ran = self.run(line, answers)
        assert ran.returncode == 0, f"{line}: {ran.stderr}"
        return ran.stdout + ran.stderr

    def type_all(self, heading: str) -> dict[str, str]:
        return {line: self.type(line) for line in commands(heading)}


@dataclass(frozen=True)
class Exchange:
    """The consumer's first folder, with the certificate in use; and the folder for what comes back."""

    current: Issued
    first: Shell
    second: Shell

    def is_sent(self, certificate: Issued, ciphertext: str) -> None:
        """The mail with the attachments, saved."""
        intermediate = certificate.authorities[0].public_bytes(Encoding.PEM)
        self.second.folder.mkdir()
        for each in attachments(ciphertext, (certificate.certificate_pem + intermediate).decode()):
            (self.second.folder / each.name).write_bytes(each.content)


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    (tmp_path / "root.pem").write_bytes(ROOT.identity.certificate_pem)
    current = _issued(None)
    (tmp_path / "client.pem").write_bytes(current.certificate_pem)
    (tmp_path / "client.key").write_bytes(current.private_key_pem)
    return Exchange(current, Shell(tmp_path, {}), Shell(tmp_path / "new", {}))


@pytest.fixture
def api(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A TLS server that wants a certificate of our CA; and what makes a client trust the server's own."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    made = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -subj /CN=localhost "
    subprocess.run(f"{made} -addext subjectAltName=DNS:localhost", shell=True, check=True, capture_output=True)
    (tmp_path / "accepted.pem").write_bytes(AUTHORITY.identity.certificate_pem + ROOT.identity.certificate_pem)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = f"openssl s_server -accept {port} -cert {certificate} -key {key} -CAfile {tmp_path}/accepted.pem "
    server = subprocess.Popen([*command.split(), "-Verify", "3", "-verify_return_error", "-www", "-quiet"])
    try:
        _wait_for(port)
        yield f"localhost:{port}", {"CURL_CA_BUNDLE": str(certificate), "SSL_CERT_FILE": str(certificate)}
    finally:
        server.terminate()
        server.wait()


def test_every_command_for_linux_is_in_a_section_that_is_typed_here() -> None:
    typed = [line for heading in TESTED for line in commands(heading)]
    assert sorted(typed) == sorted(
        line for block in blocks(PAGE, "sh") for line in block.splitlines() if line != "openssl version"
    )


def test_every_command_is_one_line() -> None:
    assert [block for block in blocks(PAGE, "sh") if "\\\n" in block] == []


@pytest.mark.parametrize("heading", ["## On macOS", "## On Windows"])
def test_what_was_not_run_says_so(heading: str) -> None:
    assert section(PAGE, heading).lstrip().startswith("*Not run here: ")
    assert commands(heading) == []


@pytest.mark.parametrize("heading", FORMS)
def test_a_public_key_is_sent_and_the_mail_is_opened(
    heading: str, exchange: Exchange, api: tuple[str, dict[str, str]]
) -> None:
    """From the first command to a call that the server accepts, and the old certificate works as well."""
    exchange.first.type_all(PUBLIC_KEY)
    settings, extras = FORMS[heading]
    exchange.is_sent(_issued(MADE.private_key_pem), _sealed_to(exchange.first.folder, settings, extras))
    exchange.second.type_all(GET)
    exchange.second.type_all(heading)
    assert (exchange.second.folder / "client.key").read_bytes() == MADE.private_key_pem
    assert (exchange.second.folder / "client.key").stat().st_mode & 0o777 == 0o600
    assert [(exchange.second.folder / "extras" / name).read_bytes() for name in extras] == [*extras.values()]
    _check(exchange, api)
    host, environment = api
    old = Shell(exchange.first.folder, environment)
    assert _is_let_in(old.type(f"curl -sS --cert client.pem --key client.key https://{host}/"))
    assert old.run(f"curl -sS https://{host}/").returncode != 0, "the server wants a certificate"


def test_a_request_is_sent_and_its_certificate_works(exchange: Exchange, api: tuple[str, dict[str, str]]) -> None:
    """The request has the subject of the old certificate byte for byte."""
    lines = commands(REQUEST)
    (by_hand,) = [line for line in lines if "req -new" in line]
    before, after = lines[: lines.index(by_hand)], lines[lines.index(by_hand) + 1 :]
    shown = [exchange.first.type(line) for line in before]
    asked = read_request((exchange.first.folder / "request.csr").read_bytes())
    assert asked.subject_der == exchange.current.certificate.subject.public_bytes()
    assert (asked.signature_valid, asked.requested_extensions, key_problem(asked.public_key_info)) == (True, (), "")
    verified = exchange.first.type(after[0])
    assert "verify OK" in verified
    # With an older version: the name is copied from what the command before has printed.
    name = shown[-1].strip().partition("=")[2]
    assert f'"{name}"' in by_hand
    exchange.first.type(by_hand)
    assert exchange.first.type(after[0]) == verified
    fingerprint = [exchange.first.type(line) for line in after[1:]][-1]
    assert asked.key_hash in fingerprint
    exchange.is_sent(_issued((exchange.first.folder / "new.key").read_bytes()), "")
    exchange.second.type_all(AFTER)
    _check(exchange, api)


def test_the_fingerprint_of_a_public_key_is_the_one_that_the_operator_shows(exchange: Exchange) -> None:
    """`status.keyHash`: SHA-256 over the SubjectPublicKeyInfo."""
    shown = exchange.first.type_all(PUBLIC_KEY)
    asked = read_request((exchange.first.folder / "credential-exchange-public-key.pem").read_bytes())
    assert asked.key_hash in shown[commands(PUBLIC_KEY)[-1]]
    assert can_encrypt_to(asked.public_key_info)


def test_the_proof_is_a_signature_of_the_current_key_over_what_is_sent(exchange: Exchange) -> None:
    exchange.first.type_all(PUBLIC_KEY)
    for line in commands(REQUEST)[:2]:
        exchange.first.type(line)
    (exchange.first.folder / "accepted.pem").write_bytes(
        AUTHORITY.identity.certificate_pem + ROOT.identity.certificate_pem
    )
    for line, content in zip(commands(PROOF), ("request.csr", "credential-exchange-public-key.pem"), strict=True):
        exchange.first.type(line)
        exchange.first.type(
            "openssl cms -verify -binary -inform PEM -in proof.pem -CAfile accepted.pem -purpose any -out content"
        )
        folder = exchange.first.folder
        assert (folder / "content").read_bytes() == (folder / content).read_bytes()


def test_one_file_for_java_and_others(exchange: Exchange, keytool: str) -> None:
    exchange.is_sent(_issued(MADE.private_key_pem), "")
    (exchange.second.folder / "client.key").write_bytes(MADE.private_key_pem)
    with_chain, without, java, old = commands(ONE_FILE)
    for line, length in ((without, 1), (with_chain, 2)):
        exchange.second.type(line, PASSWORD * 2)
        shown = exchange.second.type(f"{keytool} -list -v -keystore client.p12 -storetype PKCS12", PASSWORD)
        assert f"Certificate chain length: {length}" in shown
    exchange.second.type(java, PASSWORD * 3)
    assert "PrivateKeyEntry" in exchange.second.type(f"{keytool} -list -keystore client.jks -storetype JKS", PASSWORD)
    exchange.second.type(old, PASSWORD * 2)
    shown = exchange.second.type("openssl pkcs12 -in client-old.p12 -info -noout -passin stdin", PASSWORD)
    assert "MAC: sha1" in shown
    assert "pbeWithSHA1And3-KeyTripleDES-CBC" in shown


def test_the_commands_of_the_page_are_those_of_the_mails() -> None:
    """A reader of both must not wonder which one is right."""
    page = {line for block in blocks(PAGE, "sh") for line in block.splitlines()}
    certificate = _issued(MADE.private_key_pem).chain_pem.decode()
    ciphertexts = [seal(Material(MADE.private_key_pem, extras), MADE.public_key_info, settings)
                   for settings, extras in FORMS.values()]  # fmt: skip
    mailed = {each.command for text in ciphertexts for each in instructions(attachments(text, certificate))} - {""}
    assert mailed <= page
    assert {letters.PRIVATE_KEY_COMMAND, letters.PUBLIC_KEY_COMMAND} <= page


OTHER_RSA = "openssl genrsa -out credential-exchange-private-key.pem 3072"
OTHER_CURVE = "openssl ecparam -name prime256v1 -genkey -noout -out credential-exchange-private-key.pem"
FAILURES = {
    "without -inform": (
        "", lambda line: line.replace(" -inform PEM", ""), ("Error reading SMIME Content Info", "no content type"),
    ),
    "text of the mail": ("echo hello > client.key.cms", str, ("Error reading SMIME Content Info", "no start line")),
    "UTF-16": (
        "iconv -t UTF-16 client.key.cms > x && mv x client.key.cms", str,
        ("Error reading SMIME Content Info", "no start line"),
    ),
    "another type of key": (OTHER_CURVE, str, ("Error decrypting CMS using private key",)),
    "a certificate as the key": (
        "cp client.pem credential-exchange-private-key.pem", str, ("Could not read signing key",),
    ),
    "no key": ("rm credential-exchange-private-key.pem", str, ("Could not open file or uri",)),
}  # fmt: skip


@pytest.fixture
def received(exchange: Exchange) -> Exchange:
    """The consumer has the encrypted key, and their own beside it."""
    exchange.first.type_all(PUBLIC_KEY)
    exchange.is_sent(_issued(MADE.private_key_pem), _sealed_to(exchange.first.folder, DeliverySettings(), {}))
    exchange.second.type_all(GET)
    return exchange


@pytest.mark.parametrize(("mistake", "typed", "messages"), FAILURES.values(), ids=FAILURES)
def test_a_failure_looks_as_the_page_says(
    mistake: str, typed: object, messages: tuple[str, ...], received: Exchange
) -> None:
    if mistake:
        received.second.type(mistake)
    ran = received.second.run(typed(commands(OPEN_KEY)[0]))  # type: ignore[operator]
    assert ran.returncode != 0
    _shown_on_the_page(ran.stderr, *messages)


def test_another_key_looks_as_the_page_says(received: Exchange) -> None:
    """A wrong RSA key is noticed 255 times of 256."""
    for _ in range(3):
        received.second.type(OTHER_RSA)
        ran = received.second.run(commands(OPEN_KEY)[0])
        if ran.returncode != 0:
            break
    _shown_on_the_page(ran.stderr, "Error decrypting CMS structure", "bad decrypt")


def test_files_that_do_not_belong_together_look_as_the_page_says(received: Exchange) -> None:
    shutil.copy(received.first.folder / "client.key", received.second.folder)
    ran = received.second.run(commands(ONE_FILE)[0], PASSWORD * 2)
    assert ran.returncode != 0
    _shown_on_the_page(ran.stderr, "No cert in -in file 'client.pem' matches private key")


def test_the_older_form_fails_as_the_page_says(exchange: Exchange) -> None:
    exchange.first.type_all(PUBLIC_KEY)
    settings, extras = FORMS[OPEN_OLD]
    exchange.is_sent(_issued(MADE.private_key_pem), _sealed_to(exchange.first.folder, settings, extras))
    exchange.second.type(OTHER_RSA)
    key, archive, _ = commands(OPEN_OLD)
    ran = exchange.second.run(key)
    assert ran.returncode != 0
    _shown_on_the_page(ran.stderr, "Public Key operation error")
    exchange.second.type("echo another > symmetric.key")
    ran = exchange.second.run(archive)
    assert ran.returncode != 0
    _shown_on_the_page(ran.stderr, "bad decrypt")


def test_a_key_with_a_pass_phrase_is_asked_for_and_may_be_removed(received: Exchange) -> None:
    protect = "openssl rsa -aes256 -passout pass:secret -in credential-exchange-private-key.pem -out x"
    received.second.type(f"{protect} && mv x credential-exchange-private-key.pem")
    ran = received.second.run(commands(OPEN_KEY)[0], "secret\n")
    assert ran.returncode == 0
    assert (received.second.folder / "client.key").read_bytes() == MADE.private_key_pem
    ran = received.second.run(commands(OPEN_KEY)[0], "wrong-one\n")
    assert ran.returncode != 0
    _shown_on_the_page(ran.stderr, "Enter pass phrase", "Could not read signing key")
    shutil.copy(received.second.folder / "credential-exchange-private-key.pem", received.second.folder / "new.key")
    decrypt, protect_file = commands(FAILS)
    received.second.type(decrypt, "secret\n")
    received.second.type(protect_file)
    assert b"ENCRYPTED" not in (received.second.folder / "new-without-pass-phrase.key").read_bytes()


def test_aes_gcm_is_opened_by_the_same_command(exchange: Exchange) -> None:
    exchange.first.type_all(PUBLIC_KEY)
    settings = DeliverySettings(content_encryption=GCM)
    exchange.is_sent(_issued(MADE.private_key_pem), _sealed_to(exchange.first.folder, settings, {}))
    exchange.second.type_all(GET)
    exchange.second.type_all(OPEN_KEY)
    assert (exchange.second.folder / "client.key").read_bytes() == MADE.private_key_pem


def _shown_on_the_page(printed: str, *messages: str) -> None:
    """Openssl prints these messages, and one row of the page has them."""
    assert [each for each in messages if each not in printed] == []
    rows = [line for line in section(PAGE, FAILS).splitlines() if line.startswith("|")]
    for message in messages:
        assert [row for row in rows if message in row.split("|")[1]], message


def _check(exchange: Exchange, api: tuple[str, dict[str, str]]) -> None:
    """Type everything below `Check the result`, with a server of ours in the place of the API."""
    host, environment = api
    shell = Shell(exchange.second.folder, environment)
    shown = {
        line: shell.type(line.replace("api.example:443", host).replace("api.example/", f"{host}/"))
        for line in commands(CHECK)
    }
    by_program = {program: [text for line, text in shown.items() if line.startswith(program)] for program in
                  ("openssl x509", "openssl pkey", "curl", "openssl s_client")}  # fmt: skip
    assert "CN = nhs" in by_program["openssl x509"][0]
    assert by_program["openssl x509"][1] == by_program["openssl pkey"][0]
    assert len(by_program["curl"]) == 2
    assert all(_is_let_in(text) for text in by_program["curl"])
    assert "Acceptable client certificate CA names" in by_program["openssl s_client"][0]
    assert "CN = Client CA" in by_program["openssl s_client"][0].partition("Acceptable client")[2]


def _is_let_in(answer: str) -> bool:
    """The server shows the certificate that it saw."""
    return re.search(r"Subject: .*CN ?= ?nhs", answer) is not None


def _sealed_to(folder: Path, settings: DeliverySettings, extras: dict[str, bytes]) -> str:
    """The operator's answer to the public key in this folder."""
    asked = read_request((folder / "credential-exchange-public-key.pem").read_bytes())
    return seal(Material(MADE.private_key_pem, extras), asked.public_key_info, settings)


def _issued(private_key_pem: bytes | None) -> Issued:
    key = load_pem_private_key(private_key_pem, None) if private_key_pem else None
    return AUTHORITY.issue(
        "nhs",
        NOW - timedelta(days=1),
        NOW + timedelta(days=365),
        organization="NHS Digital",
        private_key=key,
        key="rsa",
    )  # type: ignore[arg-type]


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not start")
