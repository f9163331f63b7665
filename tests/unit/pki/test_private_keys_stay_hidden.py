"""A private key in the same content as a certificate never becomes visible (design section 2)."""

import base64
import io
import logging
import re
import traceback
import warnings
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clientcert.errors import CertificateError
from clientcert.pki.bundle import read_bundle
from clientcert.pki.container_formats import answer
from clientcert.pki.der import read_element
from clientcert.pki.key_request import read_request
from clientcert.pki.leaf_content import read_leaf
from clientcert.pki.parsing import parse
from clientcert.pki.passwords import secrets_for
from clientcert.pki.pem import read_blocks
from clientcert.pki.proof import read_proof
from tests.unit.pki.certificates import LEAF, NOW

PASSWORD = "canary-password"
KEY_DER = LEAF.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
FORMS = {
    "PEM": LEAF.chain_pem + LEAF.private_key_pem,
    "PEM with the key first": LEAF.private_key_pem + LEAF.chain_pem,
    "key alone": LEAF.private_key_pem,
    "key in DER": KEY_DER,
    "key in base64": base64.b64encode(LEAF.private_key_pem),
    "key in UTF-16": LEAF.private_key_pem.decode().encode("utf-16"),
    "broken UTF-16": LEAF.private_key_pem.decode().encode("utf-16") + b"\n",
    "damaged key": LEAF.private_key_pem.replace(b"A", b"B"),
    "key under the wrong label": LEAF.private_key_pem.replace(b"PRIVATE KEY", b"CERTIFICATE"),
    "key cut off": LEAF.private_key_pem[:-40],
    "PKCS#12": LEAF.pkcs12(PASSWORD),
    "PKCS#12 without encryption": LEAF.pkcs12(None),
    "PKCS#12 cut off": LEAF.pkcs12(None)[:-100],
    "JKS": LEAF.jks(PASSWORD),
}


def secrets() -> list[bytes]:
    """The secrets in each form in which they could appear: octets, hex, numbers, base64 and passwords."""
    assert isinstance(LEAF.private_key, ec.EllipticCurvePrivateKey)
    number = LEAF.private_key.private_numbers().private_value
    octets = number.to_bytes(32, "big")
    lines = LEAF.private_key_pem.splitlines()[1:3]  # the third line inside is the public half
    shown = [octets, octets.hex().encode(), str(number).encode(), PASSWORD.encode(), *lines]
    written = [repr(each).encode()[2:-1] for each in shown]
    # A repr with both kinds of quotes in it has one of them escaped.
    return shown + written + [each.replace(b"\\'", b"'").replace(b"'", b"\\'") for each in written]


def seen(*values: object) -> list[bytes]:
    text = b"\n".join(value if isinstance(value, bytes) else repr(value).encode() for value in values)
    text += b"\n".join(str(value).encode() for value in values if not isinstance(value, bytes))
    return [secret for secret in secrets() if secret in text]


READERS: dict[str, Callable[[bytes, str | None], object]] = {
    "parse": lambda data, password: parse(data, password=password, now=NOW),
    "read_leaf": lambda data, password: read_leaf(data, password=password, now=NOW),
    "read_request": lambda data, _: read_request(data),
    "read_proof": lambda data, _: read_proof(data),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("password", [None, PASSWORD, PASSWORD + "-wrong"])
@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS.keys())
def test_neither_result_nor_error_nor_traceback_shows_it(
    reader: str, data: bytes, password: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """No result, error, log line or warning of what reads certificates and requests contains a key or a password."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    results: list[object] = []
    behind: list[object] = [None, None, None]
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            results.append(READERS[reader](data, password))
    except CertificateError as error:
        results += [error, error.args, error.__dict__, "".join(traceback.format_exception(error))]
        behind = [error.__cause__, error.__context__, error.__traceback__.tb_next.tb_next.tb_next]  # type: ignore[union-attr]
    finally:
        logging.getLogger().removeHandler(handler)
    assert behind == [None, None, None], "an inner exception or frame would lead to the content"
    assert seen(*results, *warned, log.getvalue(), *capfd.readouterr()) == []


def test_no_intermediate_object_shows_it() -> None:
    """The repr of blocks, bundles, elements and passwords shows no content."""
    data = FORMS["PEM"]
    bundle = read_bundle(data, None)
    assert seen(*read_blocks(data), bundle, *bundle.certificates, read_element(KEY_DER), *secrets_for(PASSWORD)) == []


@pytest.mark.parametrize("form", ["PKCS#12", "PKCS#12 without encryption", "JKS"])
def test_it_does_not_leave_the_process_that_opens_containers(form: str) -> None:
    """The answer of the subprocess has no key, encoded or decoded."""
    password = None if "without" in form else PASSWORD
    answered = answer(b'{"password": %s}\n' % (b'"%s"' % password.encode() if password else b"null") + FORMS[form])
    assert b"certificates" in answered
    decoded = [base64.b64decode(each) for each in re.findall(rb'"([A-Za-z0-9+/=]{40,})"', answered)]
    assert len(decoded) == 3
    assert seen(answered, *decoded) == []


def test_the_check_finds_a_visible_key() -> None:
    """The check of these tests works: it finds the key in each form."""
    assert seen(LEAF.private_key_pem) != []
    assert seen(KEY_DER) != []
    assert seen(repr(KEY_DER)) != []
    assert seen(KEY_DER.hex()) != []
    assert seen(PASSWORD) != []
