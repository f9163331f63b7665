"""Certificates that were damaged on their way, and are whole all the same."""

import base64
import secrets

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.errors import Reason
from tests.unit.pki.certificates import (
    AUTHORITY,
    LEAF,
    NOT_AFTER,
    NOT_BEFORE,
    extension,
    is_leaf,
    odd_certificate,
    parse,
    pem,
    reason_for,
    refusal,
)
from tests.unit.pki.damaged_forms import OF_TEXT, damaged
from tools.der import der_element

WITH_ALL_CHARACTERS = odd_certificate(extensions=(extension("2a03", (b"\xfb\xef\xbe" * 3 + b"\xff" * 9 + b"\0") * 3),))
"""Its base64 has + and /, which the certificate of a random key may lack."""
FORMS = damaged(WITH_ALL_CHARACTERS)


@pytest.mark.parametrize("form", FORMS)
def test_it_is_read_with_a_warning(form: str) -> None:
    """The certificate is the same to the last octet, and a warning says what other programs do not accept."""
    words, data = FORMS[form]
    found, expected = parse(data), parse(WITH_ALL_CHARACTERS)
    assert found.fingerprint_sha256 == expected.fingerprint_sha256
    assert found.not_after == NOT_AFTER
    assert any(words in each for each in found.warnings), found.warnings


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lost", [1, 3, 40])
def test_what_is_not_whole_is_not_guessed(form: str, lost: int) -> None:
    """If the end is lost as well, no other characters are taken for it: the reason is InvalidCertificate."""
    _, data = damaged(WITH_ALL_CHARACTERS[:-lost])[form]
    if form == "another label":
        assert reason_for(data) in (Reason.NOT_A_CERTIFICATE, Reason.INVALID_CERTIFICATE)
    else:
        assert reason_for(data) is Reason.INVALID_CERTIFICATE


@pytest.mark.parametrize("key", ["ec", "rsa", "ed25519"])
def test_certificates_of_any_key_survive_each_form(key: str) -> None:
    """Their base64 ends with two, one and no equals signs, and has other lengths of its last line."""
    for length in range(1, 7):
        issued = AUTHORITY.issue("n" * length, NOT_BEFORE, NOT_AFTER, key=key)  # type: ignore[arg-type]
        for form, (_, data) in damaged(issued.certificate_der).items():
            if form != "form with lost plus signs":
                assert parse(data).fingerprint_sha256 == issued.fingerprint_sha256, form


@pytest.mark.parametrize("lost", range(1, 5))
def test_no_length_makes_a_lost_end_look_whole(lost: int) -> None:
    """Whichever of the three paddings the base64 has, with the padding and without it."""
    for length in range(1, 7):
        cut = AUTHORITY.issue("n" * length, NOT_BEFORE, NOT_AFTER).certificate_der[:-lost]
        texts: dict[str, str | bytes] = {form: data for form, (_, data) in damaged(cut).items()}
        without_padding = pem(cut).decode().replace("=", "")
        texts |= {f"{form}, no padding": change(without_padding) for form, (_, change) in OF_TEXT.items()}
        for form, text in texts.items():
            data = text.encode() if isinstance(text, str) else text
            assert reason_for(data) in (Reason.NOT_A_CERTIFICATE, Reason.INVALID_CERTIFICATE), form


def test_a_damaged_certificate_beside_a_sound_one_is_read_as_well() -> None:
    """The leaf has no-break spaces and its chain has none: the leaf is found."""
    leaf = LEAF.certificate_pem.decode().replace("\n", "\n\u00a0").encode()
    authorities = b"".join(each.public_bytes(Encoding.PEM) for each in LEAF.authorities)
    found = parse(leaf + authorities)
    assert is_leaf(found)
    assert "typographic spaces" in found.warnings[0]


@pytest.mark.parametrize("end", ["-----", "\u2014\u2014-"])
@pytest.mark.parametrize("follows", [True, False])
def test_a_leaf_without_its_begin_line_beside_a_sound_chain_is_read(end: str, follows: bool) -> None:
    """The date of the chain is not taken for that of the leaf."""
    leaf = LEAF.certificate_pem.decode().split("-----\n", 1)[1].replace("-----", end).encode()
    authorities = b"".join(each.public_bytes(Encoding.PEM) for each in LEAF.authorities)
    found = parse(authorities + leaf if follows else leaf + authorities)
    assert is_leaf(found)
    assert any("BEGIN or END line" in each for each in found.warnings)


def test_the_chain_in_one_header_is_read() -> None:
    """Proxies write several certificates into one header; if one of them is cut off, none is taken for the leaf."""
    authority = base64.b64encode(AUTHORITY.identity.certificate_der).decode()
    leaf = base64.b64encode(LEAF.certificate_der).decode()
    for header in ("{},{}", ":{}:, :{}:", '"{}", "{}"', "{};{}"):
        assert is_leaf(parse(header.format(leaf, authority).encode()))
        assert is_leaf(parse(header.format(authority, leaf).encode()))
        assert reason_for(header.format(leaf[:-8], authority).encode()) is Reason.INVALID_CERTIFICATE


def test_a_key_beside_a_damaged_certificate_counts() -> None:
    """The repaired text has the key, too, and the message of a key alone stays the same."""
    text = (LEAF.certificate_pem + LEAF.private_key_pem).decode().replace("-----", "\u2014")
    assert is_leaf(parse(text.encode()))
    alone = LEAF.private_key_pem.decode().replace("-----", "\u2014")
    assert reason_for(alone.encode()) is Reason.PRIVATE_KEY_ONLY


def test_words_are_never_a_certificate() -> None:
    """Prose about BEGIN CERTIFICATE, random base64 and certificates of words are refused."""
    noise = base64.b64encode(secrets.token_bytes(900))
    for text in (
        b"To begin certificate renewal, call us. " * 20,
        b"-----BEGIN CERTIFICATE-----\n" + noise + b"\n-----END CERTIFICATE-----",
        b"> -----Begin Certificate-----\n> " + noise,
        noise,
        b"data:;base64," + noise,
        pem(der_element(0x30, b"\x0c\x05words")),
    ):
        assert refusal(text).reason in (Reason.NOT_A_CERTIFICATE, Reason.INVALID_CERTIFICATE)
