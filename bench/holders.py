"""The certificates of the former CA, and what each holder sends on the day it is replaced: a CSR and a proof.

Every holder has keys of their own, since nobody may ask for the key of somebody else.
"""

import hashlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bench.fleet import consumer
from bench.proofs import proof
from clientcert.lifecycle.renewal.naming import request_name
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.pki.key_request import read_request
from tools.certificates import CertificateAuthority, Issued, make_private_key

_PIECE = 250
_VALID_SINCE = timedelta(days=30)
_VALID_FOR = timedelta(days=180, hours=12)
"""Half a day more than whole days: else the days remaining of one certificate after the other change during the run."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One consumer, on the day the CA is replaced."""

    name: str
    certificate_pem: bytes
    """By the former CA; every holder has a certificate that alerts are not due about."""
    fingerprint_sha256: str
    serial_number: str
    csr_pem: str
    proof_pem: str
    request: str
    """The name of the request."""


def holders(authority: CertificateAuthority, began: datetime, count: int) -> list[Holder]:
    """Make them in all cores: a holder takes two milliseconds."""
    pieces = [range(start, min(start + _PIECE, count)) for start in range(0, count, _PIECE)]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        made = pool.map(
            partial(_made, authority.identity.certificate_pem, authority.identity.private_key_pem, began), pieces
        )
        return [each for piece in made for each in piece]


def _made(certificate_pem: bytes, private_key_pem: bytes, began: datetime, piece: range) -> list[Holder]:
    authority = CertificateAuthority(Issued.of_pem(certificate_pem, private_key_pem))
    return [_holder(authority, began, index) for index in piece]


def _holder(authority: CertificateAuthority, began: datetime, index: int) -> Holder:
    name, until = consumer(index), began + _VALID_FOR + timedelta(seconds=index)
    current = authority.issue(name, began - _VALID_SINCE, until)
    csr = Issued(current.certificate, make_private_key()).csr_pem()
    key_hash = read_request(csr).key_hash
    return Holder(
        name=name,
        certificate_pem=current.certificate_pem,
        fingerprint_sha256=hashlib.sha256(current.certificate_der).hexdigest(),
        serial_number=current.serial_number_hex,
        csr_pem=csr.decode(),
        proof_pem=proof(csr, current),
        request=request_name(name, current.serial_number_hex, key_hash, Mode.RENEW),
    )
