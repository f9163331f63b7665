"""pkilint, a linter for RFC 5280, has no objection to what is signed. `make pkilint` installs and runs it."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from clientcert.pki.issuance import new_serial_number
from tests.unit.pki.certificates import pem, sequence
from tests.unit.pki.odd_names import ALTERNATIVE_NAMES, CLEAN_NAMES, OLD_NAMES
from tests.unit.pki.signing_authorities import KINDS, authority, pair
from tests.unit.pki.test_crl import crl, revocation
from tests.unit.pki.test_issuance import CONTENT, issue

LINTED_NAMES = {kind: names for kind, names in ALTERNATIVE_NAMES.items() if kind != "URI"}
"""pkilint knows no URI but those of the web, and refuses spiffe://."""


def serial_number(seed: int = 1) -> int:
    """A long one, as RFC 5280 wants it, and the same each time."""
    return new_serial_number(lambda bits: (1 << bits - 1) + seed)


def findings(folder: Path, program: str, *options: str, **files: bytes) -> str:
    """The findings above INFO."""
    found = shutil.which(program)
    if found is None:
        pytest.skip("no pkilint on this machine: make pkilint")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command = [found, "lint", "-s", "NOTICE", *options, *files]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert ran.stderr == ""
    return ran.stdout.strip()


@pytest.mark.parametrize("subject", CLEAN_NAMES.values(), ids=CLEAN_NAMES.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_of_each_kind_of_ca(kind: str, subject: bytes, tmp_path: Path) -> None:
    """Where the old subject is clean there is nothing above INFO, alone and beside the CA's certificate."""
    content = replace(CONTENT, serial_number=serial_number(), subject_der=subject)
    leaf = pem(issue(content, authority(kind)))
    assert findings(tmp_path, "lint_pkix_cert", leaf=leaf) == ""
    assert findings(tmp_path, "lint_pkix_signer_signee_cert_chain", ca=pair(kind).pem, leaf=leaf) == ""


@pytest.mark.parametrize("names", LINTED_NAMES.values(), ids=LINTED_NAMES.keys())
@pytest.mark.parametrize("subject", [CLEAN_NAMES["UTF8String"], sequence()], ids=["with a subject", "without"])
def test_a_certificate_with_alternative_names(names: bytes, subject: bytes, tmp_path: Path) -> None:
    content = replace(CONTENT, serial_number=serial_number(), subject_der=subject, alternative_names_der=names)
    assert findings(tmp_path, "lint_pkix_cert", leaf=pem(issue(content))) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_revocation_list_of_each_kind_of_ca(kind: str, tmp_path: Path) -> None:
    listed = crl(revocation(f"{serial_number():x}"), revocation(f"{serial_number(2):x}"), by=authority(kind))
    assert findings(tmp_path, "lint_crl", "-t", "CRL", "-p", "PKIX", crl=pem(listed, "X509 CRL")) == ""


def test_the_linter_finds_what_is_wrong(tmp_path: Path) -> None:
    """These tests can fail: an old subject that breaks RFC 5280 is found."""
    content = replace(CONTENT, subject_der=OLD_NAMES["country of three letters"])
    assert "FATAL" in findings(tmp_path, "lint_pkix_cert", leaf=pem(issue(content)))
