"""A hostile input of 1 MiB takes little time, and does not block the event loop (row 25 of the faults)."""

import asyncio
import base64
import os
import time
from collections.abc import Callable

import pytest

from clientcert.errors import CertificateError
from clientcert.pki.identity import Field, Identity
from clientcert.pki.parsing import MAX_SIZE
from tests.machine_speed import here
from tests.unit.pki.certificates import LEAF, attribute, common_name, extension, odd_certificate, parse, pem, sequence
from tests.unit.pki.test_pkcs7 import signed_data
from tools.der import der_element

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:clientcert.pki.strict")

LONGEST_STALL_SECONDS = 0.1
LONGEST_SECONDS = 5.0
"""Far longer than the quarter of a second that it takes."""
ATTEMPTS = 20
"""One try within the bounds is enough: another thread may have the processor in one; a hold of the lock is in each."""

IDENTITY = Identity.declared("", dict.fromkeys(Field, "CN=nhs"))
"""All fields, so that all names of each certificate are read."""
NULL = b"\x05\x00"
RDN = der_element(0x31, attribute("550403", der_element(0x0C, b"n")))
EXTENSION = extension("2a03", b"")
NAMES = {"extensions": (extension("551d11", sequence(b"\x82\1n" * 1_150)),)}
HOSTILE = {
    "a name of 70,000 attributes": odd_certificate(subject=sequence(RDN * 70_000)),
    "a name of 4,000 attributes": odd_certificate(subject=sequence(RDN * 4_000)),
    "a common name of a million letters": odd_certificate(subject=common_name(der_element(0x0C, b"n" * 1_000_000))),
    "100,000 extensions": odd_certificate(extensions=(EXTENSION,) * 100_000),
    "a serial number of a million octets": odd_certificate(serial_number=der_element(0x02, b"\x01" * 1_000_000)),
    "half a million elements": sequence(NULL * 500_000),
    "200 certificates with as much as fits": pem(odd_certificate(extensions=(EXTENSION,) * 280)) * 200,
    "199 certificates with as many names as fit": b"".join(
        pem(
            odd_certificate(
                serial_number=der_element(0x02, bytes([number // 128, number % 128])), subject=sequence(), **NAMES
            )
        )
        for number in range(128, 327)
    ),
    "a subject of blanks": odd_certificate(subject=common_name(der_element(0x0C, b" " * 16_000 + b'"'))),
    "BEGIN lines alone": b"-----BEGIN A-----" * 60_000,
    "END lines alone": b"-----BEGIN A-----" + b"-----END " * 110_000,
    "dashes alone": b"-" * MAX_SIZE,
    "zeros alone": b"\0" * MAX_SIZE,
    "base64 of base64 of noise": base64.b64encode(base64.b64encode(os.urandom(580_000))),
    "UTF-16": ("-----BEGIN CERTIFICATE-----" + "A" * 500_000).encode("utf-16"),
    "literal line ends": b"-----BEGIN CERTIFICATE-----\\n" + b"\\n" * 500_000,
    "headers": b"-----BEGIN CERTIFICATE-----\n" + b":\n" * 500_000 + b"-----END CERTIFICATE-----",
    "indefinite lengths, nested": b"\x30\x80" * 500_000,
    "indefinite lengths, side by side": b"\x30\x80" + b"\x30\x80\0\0" * 250_000,
    "a PKCS#7 of half a million elements": signed_data(b"\x30\x00" * 500_000),
    "damaged lines": b"> -----BEGIN CERTIFICATE-----\n" + b"> MIIB\n" * 30_000,
    "lines that begin alike": b"-----Begin Certificate-----\n" + b"MIIB" * 60 * 1_000 + b"\n" * 2_000,
    "soft line breaks": b"-----Begin Certificate-----\n" + (b"A" * 60 + b"=\n") * 4_000,
    "base64 without an end": b"-----Begin Certificate-----\n" + b"A" * 200_000,
    "percent signs": b"-----BEGIN%20CERTIFICATE-----" + b"%0A" * 80_000,
    "percent signs of percent signs": b"BEGIN%20CERTIFICATE" + b"%25" * 80_000,
    "entities": b"-----BEGIN CERTIFICATE-----&#10;" + b"&amp;" * 50_000,
    "ampersands": b"-----Begin Certificate-----" + b"&" * 250_000,
    "tags": b"-----BEGIN CERTIFICATE-----<br>" + b"<b " * 80_000,
    "backslashes": b"-----Begin Certificate-----" + b"\\" * 250_000,
    "quoted-printable": b"-----Begin Certificate-----=0A" + b"=3D" * 80_000,
    "invisible characters": b"-----BEGIN CERTIFICATE-----" + "\u200bA".encode() * 60_000,
    "spaces": b"-----Begin Certificate-----" + b" " * 250_000,
    "line breaks": b"-----Begin Certificate-----" + b"\n" * 250_000,
    "words that begin": b"begin " * 40_000,
    "labels": b"BEGIN CERTIFICATE " * 14_000,
    "commas": b"MIIB," * 50_000,
    "colons": b"kind" * 60_000 + b":",
    "fields of YAML": b"a:\n" * 80_000,
    "line breaks of a manifest": b"x" + b"\n" * 200_000 + b"kind: Config",
    "dashes of a boundary": b"--\n" * 80_000,
    "escape sequences": b"-----Begin Certificate-----" + b"\x1b[" * 120_000,
    "ten private keys of 100,000 bits": pem(
        sequence(
            b"\x02\x01\x00",
            sequence(bytes.fromhex("06092a864886f70d0101010500")),
            der_element(0x04, sequence(b"\x02\x01\x00", der_element(0x02, b"\x01" * 12_500) * 8)),
        ),
        "PRIVATE KEY",
    )
    * 10
    + LEAF.certificate_pem,
}


@pytest.mark.real_time
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
async def test_the_event_loop_is_not_blocked_by_a_read(data: bytes) -> None:
    """While a thread parses 1 MiB, no input holds the interpreter lock for 100 ms."""
    await check_bounds(data[:MAX_SIZE], read)


async def check_bounds(data: bytes, read: Callable[[bytes], bool]) -> None:
    """Fail if no try stays within the bounds."""
    for _ in range(ATTEMPTS):
        stall, total = await read_beside_the_loop(data, read)
        if stall < here(LONGEST_STALL_SECONDS) and total < here(LONGEST_SECONDS):
            return
    pytest.fail(f"a stall of {stall:.3f} s, or {total:.1f} s in all")


async def read_beside_the_loop(data: bytes, read: Callable[[bytes], bool]) -> tuple[float, float]:
    """The longest time between two iterations of the loop during the read, and the time of the read, in seconds.

    Time in which other processes had the processor does not count.
    """
    started = turn = (time.monotonic(), time.process_time())
    longest = 0.0
    reading = asyncio.ensure_future(asyncio.to_thread(read, data))
    while not reading.done():
        await asyncio.sleep(0.001)
        previous, turn = turn, (time.monotonic(), time.process_time())
        longest = max(longest, _shorter(previous, turn))
    assert await reading
    return longest, _shorter(started, turn)


def _shorter(since: tuple[float, float], now: tuple[float, float]) -> float:
    """Of the time that has passed, and the processor's time that this process has had in it."""
    return min(now[0] - since[0], now[1] - since[1])


def read(data: bytes) -> bool:
    """Read the data; an error of the parser is fine, too."""
    try:
        return parse(data, identity=IDENTITY) is not None
    except CertificateError as error:
        return bool(error.reason)
