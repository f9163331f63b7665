"""Bad content of sources (rows 18 to 25 of the faults), and the expected result of each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.pki.pkcs12_encryption import MAX_ITERATIONS
from tests.control_plane.operators import Operator
from tests.control_plane.team import DAY, Team
from tests.scenarios import in_secret, secret
from tests.unit.pki.certificates import common_name, der_element, extension, odd_certificate, pem, time
from tests.unit.pki.pkcs12_writer import certificate_bag, encrypted, pfx, plain, sha256_mac, shrouded_key_bag
from tools.certificates import Issued

MIB = 1024 * 1024
PASSWORD, TWENTY_MILLION = "correct horse", 20_000_000
GENERALIZED_TIME, ML_DSA_65 = 0x18, "0609608648016503040312"

Make = Callable[[Team, Issued], bytes]


@dataclass(frozen=True)
class Refused:
    """Content that cannot be read: the reason, and the words of the message that say what to fix."""

    reason: str
    words: str
    make: Make | None = None
    """None means that there is no Secret."""
    password: str | None = None
    key: str = "tls.crt"


@dataclass(frozen=True)
class Read:
    """Content that can be read in spite of an oddity; the warning says what to fix."""

    make: Make
    warning: str = ""
    password: str | None = None
    not_after: datetime | None = None
    """The expected certificate, if it is not the issued one."""


REFUSED: dict[str, Refused] = {
    "no-secret": Refused("SourceNotFound", "does not exist: create it, or correct the reference"),
    "no-key": Refused(
        "KeyMissing", "name one that it has (tls.crt) or add it", lambda _, i: i.certificate_pem, key="x"
    ),
    "empty": Refused("Empty", "it is empty: put the certificate there", lambda *_: b""),
    "blank": Refused("Empty", "it is empty", lambda *_: b" \r\n\0\n"),
    "garbage": Refused("NotACertificate", "put the certificate there, as PEM", lambda *_: bytes(range(256))),
    "mebibyte-of-garbage": Refused(
        "NotACertificate", "put the certificate there, as PEM", lambda *_: bytes(range(256)) * 4096
    ),
    "html": Refused("NotACertificate", "this is an HTML page", lambda *_: b"<!doctype html><title>404</title>"),
    "csr": Refused("NotACertificate", "this is a certificate request (CSR)", lambda _, i: i.csr_pem()),
    "key-only": Refused("PrivateKeyOnly", "put the certificate there", lambda _, i: i.private_key_pem),
    "cut-off": Refused("InvalidCertificate", "damaged or cut off", lambda _, i: i.certificate_pem[:300]),
    "der-cut-off": Refused("InvalidCertificate", "damaged or cut off", lambda _, i: i.certificate_der[:200]),
    "utf-16-broken": Refused("UnsupportedEncoding", "save the certificate as ASCII", lambda *_: b"\xff\xfe\0\xd8-"),
    "too-many": Refused("TooLarge", "put only the client certificate", lambda _, i: _different(i, 300)),
    "its-authority": Refused("IdentityMismatch", 'of "Integration CA", not of', lambda _, i: _authority_pem(i)),
    "no-password": Refused("PasswordRequired", "give its password", lambda _, i: i.pkcs12(PASSWORD)),
    "wrong-password": Refused(
        "PasswordIncorrect", "the password does not open", lambda _, i: i.pkcs12(PASSWORD), password="battery staple"
    ),
    "p12-cut-off": Refused("InvalidCertificate", "cut off", lambda _, i: i.pkcs12(PASSWORD)[:-99], password=PASSWORD),
    "empty-pkcs7": Refused("NoLeafCertificate", "this PKCS#7 holds no certificate", lambda *_: _empty_pkcs7()),
    "bomb-outside": Refused("TooExpensive", "fewer iterations", lambda _, i: _bomb_outside(i), password=PASSWORD),
    "bomb-inside": Refused("TooExpensive", "fewer iterations", lambda _, i: _bomb_inside(i), password=PASSWORD),
    "bomb-around-a-key": Refused("TooExpensive", "fewer iterations", lambda _, i: _key_bomb(i), password=PASSWORD),
    "anothers": Refused(
        "IdentityMismatch", "put the right certificate there", lambda team, _: _of_another_consumer(team)
    ),
    "never-valid": Refused("InvalidValidity", "issue it again", lambda team, _: _never_valid(team)),
    "no-dates": Refused("InvalidCertificate", "", lambda team, _: malformed(team, "no-dates", not_after=time("soon"))),
}

READ: dict[str, Read] = {
    "pem": Read(lambda _, i: i.certificate_pem),
    "der": Read(lambda _, i: i.certificate_der),
    "der-and-newline": Read(lambda _, i: i.certificate_der + b"\n"),
    "pkcs7-pem": Read(lambda _, i: i.pkcs7()),
    "pkcs7-der": Read(lambda _, i: i.pkcs7(Encoding.DER)),
    "pkcs12": Read(lambda _, i: i.pkcs12(PASSWORD), password=PASSWORD),
    "pkcs12-open": Read(lambda _, i: i.pkcs12(None)),
    "jks": Read(lambda _, i: i.jks(PASSWORD), password=PASSWORD),
    "crlf": Read(lambda _, i: i.certificate_pem.replace(b"\n", b"\r\n")),
    "bom": Read(lambda _, i: b"\xef\xbb\xbf" + i.certificate_pem),
    "leading-text": Read(lambda _, i: b"Certificate:\n    Data: ...\n" + i.certificate_pem),
    "nuls": Read(lambda _, i: i.certificate_pem + bytes(3), "the text holds NUL octets"),
    "utf-16": Read(lambda _, i: i.certificate_pem.decode().encode("utf-16"), "the text is UTF-16"),
    "literal-newlines": Read(lambda _, i: i.certificate_pem.replace(b"\n", b"\\n"), "a backslash and an n"),
    "trusted": Read(lambda _, i: i.certificate_pem.replace(b" CERTIFICATE", b" TRUSTED CERTIFICATE")),
    "base64-twice": Read(lambda _, i: pem(i.certificate_pem).split(b"-----")[2], "an extra base64 encoding"),
    "leaf-last": Read(lambda _, i: _authority_pem(i) + i.certificate_pem),
    "leaf-by-its-key": Read(
        lambda team, i: team.issue("other", days=9).certificate_pem + i.certificate_pem + i.private_key_pem
    ),
    "mebibyte": Read(lambda _, i: i.certificate_pem + b"\n" * (MIB - len(i.certificate_pem))),
    "end-of-time": Read(
        lambda team, _: malformed(team, "end-of-time", not_after=time("99991231235959Z", GENERALIZED_TIME)),
        not_after=datetime.fromisoformat("9999-12-31T23:59:59+00:00"),
    ),
    "year-0": Read(
        lambda team, _: malformed(team, "year-0", not_before=time("00000101000000Z", GENERALIZED_TIME)), "notBefore"
    ),
    "negative-serial": Read(
        lambda team, _: malformed(team, "negative-serial", serial_number=der_element(2, b"\x81")), "serial number"
    ),
    "twice-an-extension": Read(
        lambda team, _: malformed(team, "twice-an-extension", extensions=(_usage(), _usage())), "extension"
    ),
    "broken-extension": Read(
        lambda team, _: malformed(team, "broken-extension", extensions=(_broken_names(),)), "extension"
    ),
    "unknown-key": Read(lambda team, _: malformed(team, "unknown-key", public_key_info=_post_quantum_key())),
}

SLOW = Refused("TooExpensive", "fewer iterations", lambda _, i: _slow(i), password=PASSWORD)
"""Each part is allowed; together they take several times the processor time of a container."""


def put(team: Team, name: str, case: Refused | Read) -> Issued:
    """Declare a certificate with this source; return the certificate that it should contain."""
    issued = team.issue(name, days=200)
    key = case.key if isinstance(case, Refused) else "tls.crt"
    if case.make is not None:
        team.put(name, case.make(team, issued))
    if case.password is not None:
        team.apply(secret(f"{name}-password", password=case.password))
    reference = {"name": f"{name}-password", "key": "password"} if case.password is not None else None
    team.declare(name, source=in_secret(f"{name}-cert", key, reference))
    return issued


def too_expensive(operator: Operator) -> float:
    """The number of times that a container could not be opened within the limits.

    The limit of processor time is final. On a busy machine the time limit of the clock may apply first; then the
    operator
    retries, and the certificate has no condition for minutes. A test therefore counts these cases.
    """
    return operator.metric("x509_source_errors_total", reason=SLOW.reason)


def malformed(team: Team, name: str, **fields: bytes | tuple[bytes, ...]) -> bytes:
    """A malformed certificate (PEM) for that consumer, with the same notAfter as those of `put`."""
    usual = {
        "subject": common_name(der_element(0x0C, team.consumer(name).encode())),
        "not_before": time(f"{team.began - DAY:%y%m%d%H%M%SZ}"),
        "not_after": time(f"{team.began + 200 * DAY:%y%m%d%H%M%SZ}"),
    }
    return pem(odd_certificate(**usual | fields))


def _different(issued: Issued, number: int) -> bytes:
    """This number of certificates, which differ in one octet of their signature."""
    der = issued.certificate_der
    return b"".join(pem(der[:-2] + each.to_bytes(2, "big")) for each in range(number))


def _bomb_outside(issued: Issued) -> bytes:
    return pfx(plain(certificate_bag(issued.certificate_der)), mac=sha256_mac(TWENTY_MILLION))


def _bomb_inside(issued: Issued) -> bytes:
    bag = certificate_bag(issued.certificate_der)
    return pfx(encrypted(bag, password=PASSWORD, told_iterations=TWENTY_MILLION))


def _key_bomb(issued: Issued) -> bytes:
    bags = certificate_bag(issued.certificate_der), shrouded_key_bag(TWENTY_MILLION)
    return pfx(encrypted(*bags, password=PASSWORD))


def _slow(issued: Issued) -> bytes:
    return pfx(*[encrypted(certificate_bag(issued.certificate_der), password=PASSWORD, iterations=MAX_ITERATIONS)] * 40)


def _empty_pkcs7() -> bytes:
    oid = bytes.fromhex("06092a864886f70d0107")
    content = der_element(0x30, oid + b"\x01")
    signed = der_element(0x30, der_element(2, b"\x01") + der_element(0x31, b"") + content + der_element(0x31, b""))
    return der_element(0x30, oid + b"\x02" + der_element(0xA0, signed))


def _authority_pem(issued: Issued) -> bytes:
    return issued.authorities[0].public_bytes(Encoding.PEM)


def _of_another_consumer(team: Team) -> bytes:
    return team.issue("somebody", days=200).certificate_pem


def _never_valid(team: Team) -> bytes:
    return team.issue("never-valid", days=100, since=timedelta(days=200)).certificate_pem


def _usage() -> bytes:
    return extension("551d0f", der_element(0x03, b"\x07\x80"))


def _broken_names() -> bytes:
    return extension("551d11", b"\x30\x7f")


def _post_quantum_key() -> bytes:
    algorithm = der_element(0x30, bytes.fromhex(ML_DSA_65))
    return der_element(0x30, algorithm + der_element(0x03, bytes(1953)))
