"""Every form of delivery, from the made key to the consumer who types the commands that came with the files."""

import base64
import os
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clientcert.delivery.forms import MAX_CIPHERTEXT, artefact_hash, attachments, seal
from clientcert.delivery.instructions import EXCHANGE_KEY, instructions
from clientcert.delivery.interface import Attachment, Material
from clientcert.errors import CertificateError, Reason
from clientcert.lifecycle.renewal.policy import ContentEncryption, DeliverySettings, DeliveryType
from clientcert.messages import letters
from tests.machine_speed import here
from tests.unit.delivery import consumer as consumers
from tests.unit.delivery.consumer import Consumer, key
from tests.unit.delivery.test_archive import NASTY
from tools.certificates import CertificateAuthority

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MADE = CertificateAuthority.create("Integration CA").issue("nhs", NOW, NOW.replace(year=2060))
CHAIN = MADE.chain_pem.decode()
CERTIFICATE = MADE.certificate_pem.decode()
CMS, GCM, OPENSSL, NONE = (
    DeliverySettings(),
    DeliverySettings(content_encryption=ContentEncryption.AES256_GCM),
    DeliverySettings(type=DeliveryType.OPENSSL),
    DeliverySettings(type=DeliveryType.NONE),
)
EXTRAS = {"api-key": b"an API key\n"}
FORMS = {
    "CMS": (CMS, {}, {"client.key.cms"}),
    "CMS with extras": (CMS, EXTRAS, {"client.tar.gz.cms"}),
    "CMS with AES-GCM": (GCM, {}, {"client.key.cms"}),
    "CMS with AES-GCM and extras": (GCM, EXTRAS, {"client.tar.gz.cms"}),
    "OpenSSL": (OPENSSL, {}, {"symmetric.key.enc", "client.tar.gz.enc"}),
    "OpenSSL with extras": (OPENSSL, EXTRAS, {"symmetric.key.enc", "client.tar.gz.enc"}),
    "left for retrieve": (NONE, {}, {"client.key.cms"}),
}

pytestmark = pytest.mark.usefixtures("openssl")


def material(extras: Mapping[str, bytes] | None = None) -> Material:
    return Material(MADE.private_key_pem, extras or {})


def sealed(settings: DeliverySettings = CMS, extras: Mapping[str, bytes] | None = None, name: str = "RSA 2048") -> str:
    return seal(material(extras), key(name).public_key_info, settings)


def open_all(files: tuple[Attachment, ...], folder: Path, name: str = "RSA 2048") -> Consumer:
    """The consumer saves the files and types all commands before those about other formats."""
    consumer = Consumer(folder, key(name))
    consumer.save(files)
    for each in instructions(files):
        if each.command and not each.command.startswith(("openssl pkcs12", "keytool")):
            consumer.types(each.command)
    return consumer


@pytest.mark.parametrize(("settings", "extras", "names"), FORMS.values(), ids=FORMS)
def test_the_commands_of_the_mail_open_it(
    settings: DeliverySettings, extras: Mapping[str, bytes], names: set[str], tmp_path: Path
) -> None:
    """The private key and the extras come out as they were, beside the certificate and its chain."""
    files = attachments(sealed(settings, extras), CHAIN)
    assert {each.name for each in files} == {"client.pem", "chain.pem"} | names
    consumer = open_all(files, tmp_path)
    assert consumer.read("client.key") == MADE.private_key_pem
    assert consumer.read("client.pem") == MADE.certificate_pem
    assert consumer.read("client.pem") + consumer.read("chain.pem") == MADE.chain_pem
    assert {name: consumer.read(f"extras/{name}") for name in extras} == dict(extras)


@pytest.mark.parametrize("name", ["P-256", "P-384"])
def test_cms_goes_to_elliptic_curves_as_well(name: str, tmp_path: Path) -> None:
    assert open_all(attachments(sealed(name=name), CHAIN), tmp_path, name).read("client.key") == MADE.private_key_pem


def test_a_certificate_for_a_request_goes_as_it_is() -> None:
    """Nothing is encrypted: the consumer has the private key."""
    files = attachments("", CHAIN)
    assert [(each.name, each.media_type) for each in files] == [
        ("client.pem", "application/x-pem-file"),
        ("chain.pem", "application/x-pem-file"),
    ]
    commands = [each.command for each in instructions(files)]
    assert not [each for each in commands if "decrypt" in each or "tar" in each]


def test_without_a_chain_no_file_and_no_command_is_about_one() -> None:
    files = attachments(sealed(), CERTIFICATE)
    assert [each.name for each in files] == ["client.pem", "client.key.cms"]
    assert not [each for each in instructions(files) if "chain.pem" in each.command]


def test_how_it_is_opened_follows_from_the_ciphertext_and_not_from_a_policy_that_was_changed() -> None:
    """The commands are about the files that are attached."""
    assert "pkeyutl" in " ".join(each.command for each in instructions(attachments(sealed(OPENSSL), CHAIN)))
    assert "cms -decrypt" in " ".join(each.command for each in instructions(attachments(sealed(CMS), CHAIN)))


def test_who_needs_openssl_3_is_told_so() -> None:
    def needed(settings: DeliverySettings) -> bool:
        return "OpenSSL 3.0" in " ".join(each.text for each in instructions(attachments(sealed(settings), CHAIN)))

    assert [needed(each) for each in (CMS, GCM, OPENSSL)] == [False, True, False]


@pytest.mark.parametrize(("settings", "extras", "names"), FORMS.values(), ids=FORMS)
def test_each_command_is_one_line_that_means_the_same_in_any_shell(
    settings: DeliverySettings, extras: Mapping[str, bytes], names: set[str]
) -> None:
    """No quotes, variables, redirections or backslashes: bash, zsh, cmd and PowerShell read them alike."""
    for each in instructions(attachments(sealed(settings, extras), CHAIN)):
        assert not set(each.command) & set("\n\r'\"`$<>|&;*?()%^\\~!#{}@")
        assert each.text.endswith(".")
        assert "\n" not in each.text


def test_the_commands_make_a_pkcs12_and_a_java_keystore(keytool: str, tmp_path: Path) -> None:
    files = attachments(sealed(), CHAIN)
    consumer = open_all(files, tmp_path)
    pkcs12, jks = [
        each.command for each in instructions(files) if each.command.startswith(("openssl pkcs12", "keytool"))
    ]
    consumer.types(pkcs12, "secret-word\nsecret-word\n")
    consumer.types(jks, "secret-word\nsecret-word\nsecret-word\n")
    for name, kind in (("client.p12", "PKCS12"), ("client.jks", "JKS")):
        shown = consumer.types(f"{keytool} -list -v -keystore {name} -storetype {kind}", "secret-word\n")
        assert "Entry type: PrivateKeyEntry" in shown
        assert "Certificate chain length: 2" in shown
        assert shown.index("Owner: CN=nhs") < shown.index("Owner: CN=Integration CA")


def test_openssl_makes_no_pkcs12_of_files_that_do_not_belong_together(tmp_path: Path) -> None:
    files = attachments(sealed(), CHAIN)
    consumer = open_all(files, tmp_path)
    (tmp_path / "client.key").write_bytes(key("P-256").private_key_pem)
    (pkcs12,) = [each.command for each in instructions(files) if each.command.startswith("openssl pkcs12")]
    assert consumer.type(pkcs12, "secret-word\nsecret-word\n").returncode != 0


def test_the_key_of_the_exchange_has_the_name_that_the_letter_gave_it() -> None:
    assert EXCHANGE_KEY == letters.PRIVATE_KEY_FILE == consumers.EXCHANGE_KEY


@pytest.mark.parametrize("settings", [CMS, GCM, OPENSSL], ids=["CMS", "AES-GCM", "OpenSSL"])
def test_more_than_64_kib_is_refused_and_what_fits_is_whole(settings: DeliverySettings, tmp_path: Path) -> None:
    """The status has room for 65,536 characters. The error comes before anything is signed."""
    random = os.urandom(MAX_CIPHERTEXT)
    fits = 40_000
    most = fits + (MAX_CIPHERTEXT - len(sealed(settings, {"large": random[:fits]}))) * 3 // 4
    fits, too_large = most - 900, most + 100  # a line of base64 has an end, too
    while too_large - fits > 1:
        size = (fits + too_large) // 2
        try:
            text = sealed(settings, {"large": random[:size]})
        except CertificateError as error:
            assert error.reason is Reason.CIPHERTEXT_TOO_LARGE  # noqa: PT017
            assert "spec.renewal.delivery.extras" in error.message  # noqa: PT017
            too_large = size
        else:
            assert len(text) <= MAX_CIPHERTEXT
            fits = size
    assert fits > 46_000
    text = sealed(settings, {"large": random[:fits]})
    assert MAX_CIPHERTEXT - 100 < len(text) <= MAX_CIPHERTEXT
    assert open_all(attachments(text, CHAIN), tmp_path).read("extras/large") == random[:fits]


def test_ten_extras_with_nasty_names_stay_in_their_folder(tmp_path: Path) -> None:
    """Each is whole, none replaces a file of the consumer, and none is lost."""
    for start in range(0, len(NASTY), 10):
        folder = tmp_path / str(start) / "below"
        folder.mkdir(parents=True)
        extras = {name: f"{number}: {name[:9]!r}".encode() for number, name in enumerate(NASTY[start : start + 10])}
        files = attachments(sealed(CMS, extras), CHAIN)
        open_all(files, folder)
        unpacked = {each.read_bytes() for each in (folder / "extras").iterdir()}
        assert unpacked == set(extras.values())
        outside = {each.name for each in folder.iterdir()}
        assert outside == {each.name for each in files} | {"client.tar.gz", "client.key", "extras", EXCHANGE_KEY}
        assert [each.name for each in folder.parent.iterdir()] == ["below"]
        assert (folder / "client.key").read_bytes() == MADE.private_key_pem


@pytest.mark.parametrize("settings", [CMS, OPENSSL, NONE], ids=["CMS", "OpenSSL", "None"])
def test_a_recipient_to_whom_nothing_can_be_encrypted_is_refused_with_a_sentence(settings: DeliverySettings) -> None:
    ed25519 = base64.b64decode("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")
    with pytest.raises(CertificateError) as raised:
        seal(material(), ed25519, settings)
    assert raised.value.reason is Reason.UNSUPPORTED_KEY
    assert raised.value.message.startswith("nothing can be encrypted to an Ed25519 key: send ")


def test_the_hash_of_a_delivery_is_that_of_its_checksums(tmp_path: Path) -> None:
    """So a consumer can compute it."""
    files = attachments(sealed(OPENSSL), CHAIN)
    Consumer(tmp_path, key("RSA 2048")).save(files)
    command = "LC_ALL=C; sha256sum chain.pem client.pem client.tar.gz.enc symmetric.key.enc | sha256sum"
    computed = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True, text=True).stdout
    assert artefact_hash(files) == artefact_hash(files[::-1]) == computed.split()[0]
    assert artefact_hash(files) != artefact_hash(files[1:])
    assert artefact_hash(files) != artefact_hash(attachments(sealed(OPENSSL), CHAIN))


DAMAGES = {
    "cut off": lambda text: text[:-30],
    "another name": lambda text: text.replace("client.key.cms", "client.pem.cms"),
    "a name with a path": lambda text: text.replace("client.key.cms", "../client.key.cms"),
    "text after it": lambda text: f"{text}rm -rf\n",
    "text before it": lambda text: f"x\n{text}",
    "twice": lambda text: text * 2,
    "no base64": lambda text: text.replace("MII", "M===II", 1),
    "another end": lambda text: text.replace("END CMS", "END PKCS7"),
    "a private key": lambda _: MADE.private_key_pem.decode(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_ciphertext_is_not_sent(damage: object) -> None:
    """The content of a status that somebody changed makes no file, and no name of a file."""
    with pytest.raises(CertificateError) as raised:
        attachments(damage(sealed()), CHAIN)  # type: ignore[operator]
    assert raised.value.message == "the ciphertext in the status of the request is damaged: ask for a new certificate"


@pytest.mark.parametrize("piece", ["a", "a\n", "client.key.cms\n-----BEGIN CMS-----\n", "\n", "-----BEGIN "])
def test_a_hostile_ciphertext_is_refused_at_once(piece: str) -> None:
    started = time.thread_time()
    with pytest.raises(CertificateError):
        attachments(piece * (MAX_CIPHERTEXT // len(piece)), CHAIN)
    assert time.thread_time() - started < here(1.0)


@pytest.mark.parametrize("text", ["", "nothing", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"])
def test_without_a_certificate_nothing_is_sent(text: str) -> None:
    with pytest.raises(CertificateError) as raised:
        attachments(sealed(), text)
    assert raised.value.reason is Reason.NOT_A_CERTIFICATE


def test_a_private_key_in_the_place_of_the_certificate_is_not_sent() -> None:
    """A certificate's file has certificates only, whatever else the text has."""
    both = MADE.private_key_pem.decode() + CHAIN
    assert b"PRIVATE" not in b"".join(each.content for each in attachments(sealed(), both))
