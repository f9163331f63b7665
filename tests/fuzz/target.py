"""The functions that are called with each input. Run by `make fuzz`, or alone with a reproducer:

    PYTHONPATH=operator:. build/fuzz/venv/bin/python -m tests.fuzz.target parse build/fuzz/found/parse-crash-…

The targets are stricter than the product: an error from a last guard, for unforeseen inputs, counts as a finding.
"""

import os
import random
import re
import sys
import time
from datetime import UTC, datetime
from typing import Any

import atheris

with atheris.instrument_imports(include=["clientcert"]):
    from clientcert.errors import CertificateError
    from clientcert.pki.certificate import Certificate
    from clientcert.pki.container_entry import Entry, NotOpenedError
    from clientcert.pki.identity import Field, Identity
    from clientcert.pki.jks import KEYSTORE_MAGIC, open_keystore
    from clientcert.pki.key_request import read_request
    from clientcert.pki.key_rules import can_encrypt_to
    from clientcert.pki.parsing import MAX_SIZE, parse
    from clientcert.pki.pkcs12 import open_pkcs12
    from clientcert.pki.proof import proof_problem

from tests.fuzz.structure import mutated

LONGEST_SECONDS = 2.0
"""CPU time of instrumented code; without instrumentation the slowest input takes a quarter of a second."""
PASSWORD = "secret"
PASSWORDS = (PASSWORD, "changeit", None)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
IDENTITY = Identity.declared("", dict.fromkeys(Field, "nhs"))
"""Every name of each certificate is compared, and described."""
_LAST_GUARD = "the certificate cannot be read"
_LAST_GUARD_OF_REQUESTS, _LAST_GUARD_OF_PROOFS = "the request cannot be read", "the proof cannot be read"
_LARGE_INTEGER = re.compile(rb"\x02([\x03\x04])")
_FEW_ITERATIONS, _REFUSED_ITERATIONS = 70_000, 2_000_000


class FindingError(Exception):
    """An input violates a guarantee."""


def parse_any(data: bytes) -> None:
    """Check that `parse` returns or raises CertificateError in time. No subprocess can start, so containers fail."""
    began = time.process_time()
    try:
        certificate = parse(data, password=PASSWORD, identity=IDENTITY, now=NOW)
    except CertificateError as error:
        if _LAST_GUARD in error.message:
            raise FindingError("only the last guard caught the error") from error
    else:
        _check(certificate)
    if time.process_time() - began > LONGEST_SECONDS:
        raise FindingError("it took too long")


def request_any(data: bytes) -> None:
    """Check that requests and proofs are read, or have a reason, in time; what was read is read again as it is kept."""
    began = time.process_time()
    try:
        found = read_request(data)
    except CertificateError as error:
        if _LAST_GUARD_OF_REQUESTS in error.message:
            raise FindingError("only the last guard caught the error") from error
    else:
        can_encrypt_to(found.public_key_info)
        if read_request(found.pem.encode()) != found:
            raise FindingError("the kept form is another request")
    problem = proof_problem(data, data, [data])
    if not problem or _LAST_GUARD_OF_PROOFS in problem:
        raise FindingError("anything is a proof, or only the last guard caught the error")
    if time.process_time() - began > LONGEST_SECONDS:
        raise FindingError("it took too long")


def open_any(data: bytes) -> None:
    """Check that the openers of containers return certificates or raise NotOpenedError.

    The product runs them in a subprocess with a CPU limit. There is no limit here, so costly inputs are skipped.
    """
    if len(data) > MAX_SIZE or _asks_for_work(data):
        return
    opening = open_keystore if data[:4] in KEYSTORE_MAGIC else open_pkcs12
    for password in PASSWORDS:
        try:
            entries = opening(data, password)
        except NotOpenedError:
            continue
        if not all(isinstance(each, Entry) and each.der is not None for each in entries):
            raise FindingError("an opened container has no certificates")


def _check(certificate: Certificate) -> None:
    texts = (certificate.subject_dn, certificate.issuer_dn, certificate.subject_common_name, *certificate.warnings)
    texts += (certificate.identity_mismatch,)
    for text in texts:
        text.encode()
    whole = certificate.not_before.utcoffset() is not None and certificate.not_after.utcoffset() is not None
    if not whole or len(certificate.fingerprint_sha256) != 64 or len(certificate.warnings) > 8:
        raise FindingError("the certificate does not conform to its model")


def _asks_for_work(data: bytes) -> bool:
    for found in _LARGE_INTEGER.finditer(data):
        start, size = found.end(), found[1][0]
        if _FEW_ITERATIONS < int.from_bytes(data[start : start + size], "big") <= _REFUSED_ITERATIONS:
            return True
    return False


def _start_no_process(event: str, _: tuple[Any, ...]) -> None:
    if event in {"subprocess.Popen", "os.posix_spawn", "os.fork"}:
        raise OSError("no process is started while fuzzing")


def _change(data: bytes, longest: int, seed: int) -> bytes:
    """Half of the mutations keep the structure; the others are those of libFuzzer."""
    source = random.Random(seed)
    if source.random() < 0.5:
        return mutated(data, source)[:longest]
    return bytes(atheris.Mutate(data, longest))


TARGETS = {"parse": parse_any, "requests": request_any, "containers": open_any}


def main() -> None:
    """`target.py parse|requests|containers ARGUMENTS`; the arguments are libFuzzer's."""
    name, *arguments = sys.argv[1:]
    sys.addaudithook(_start_no_process)
    keeps_structure = os.environ.get("FUZZ_STRUCTURE", "1") == "1"
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name], **({"custom_mutator": _change} if keeps_structure else {}))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
