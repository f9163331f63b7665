"""The first inputs of the search: one of each format that the product reads, malformed and damaged ones, real files."""

from pathlib import Path

from tests.unit.pki.certificates import attribute, extension, odd_certificate, pem, sequence, time
from tests.unit.pki.damaged_forms import damaged
from tests.unit.pki.key_material import KEYS, csr, public_key_forms
from tests.unit.pki.pkcs12_writer import encrypted, pbmac1, pfx, plain, sha256_mac, shrouded_key_bag
from tests.unit.pki.test_mutations import BAGS, CONTAINERS, FORMS, PASSWORD
from tests.unit.pki.test_proof import CSR_PEM, GENUINE
from tools.der import der_element

BOTTOM = der_element(0x0C, b"nhs")
ODD = {
    "year 0": odd_certificate(not_before=time("00000101000000Z", 0x18)),
    "no end": odd_certificate(not_after=time("99991231235959Z", 0x18)),
    "negative serial number": odd_certificate(serial_number=der_element(0x02, b"\xff")),
    "empty RDN": odd_certificate(subject=sequence(der_element(0x31, b""))),
    "two attributes in one RDN": odd_certificate(
        subject=sequence(der_element(0x31, attribute("550403", BOTTOM) + attribute("55040a", BOTTOM)))
    ),
    "two of one extension": odd_certificate(extensions=(extension("551d13", b"\x30\x00"),) * 2),
    "trusted": pem(FORMS["DER"] + b"\x30\x00", "TRUSTED CERTIFICATE"),
    "literal line ends": FORMS["PEM"].replace(b"\n", b"\\n"),
    "PKCS#12 in PEM": pem(CONTAINERS["PKCS#12"], "PKCS12"),
}
_CONTENT = sequence(plain(*BAGS))
MORE_CONTAINERS = {
    "PKCS#12 with an old MAC": pfx(plain(*BAGS), mac=sha256_mac(1)),
    "PKCS#12 with PBMAC1": pfx(plain(*BAGS), mac=pbmac1(_CONTENT, PASSWORD, 1)),
    "PKCS#12 with two contents": pfx(encrypted(*BAGS, password=PASSWORD), plain(shrouded_key_bag(1, b"\x01"))),
}
DAMAGED = {f"damaged, {name}": data for name, (_, data) in damaged(FORMS["DER"]).items()}
CASES = Path(__file__).parents[1] / "cases"
REAL_FILES = {
    f"{case.parent.name}{case.suffix}": case.read_bytes()
    for case in sorted(CASES.glob("*/*"))
    if case.name not in ("expected.json", "password")
}
REAL_CONTAINERS = {name: data for name, data in REAL_FILES.items() if name.startswith(("K", "Q03"))}
REQUESTS = {
    f"{name}, {form}": data
    for name in KEYS
    for form, data in (("CSR", csr(KEYS[name])), *public_key_forms(name).items())
}
SEEDS = {
    "parse": FORMS | ODD | CONTAINERS | DAMAGED | REAL_FILES,
    "requests": REQUESTS | {"proof": GENUINE.der, "CSR in PEM": CSR_PEM} | FORMS,
    "containers": CONTAINERS | MORE_CONTAINERS | REAL_CONTAINERS,
}


_FILE_NAMES = str.maketrans(" /", "--", "#,")


def write_seeds(target: str, directory: Path) -> None:
    """Write each seed to a file."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS[target].items():
        (directory / name.translate(_FILE_NAMES)).write_bytes(data)
