"""The whole path counts: the date of the first certificate of the best path to end (design section 4, rule 14)."""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from clientcert.pki.certificate import Expiry
from clientcert.pki.lenient import Outline, read_outline
from clientcert.pki.path import first_to_end, last_to_begin
from tests.machine_speed import here
from tests.unit.pki.certificates import AUTHORITY, LEAF, NOT_AFTER, NOT_BEFORE, NOW, ROOT, parse, pem
from tools.certificates import CertificateAuthority, Issued

DAY = timedelta(days=1)
EARLIER = NOW + 5 * DAY
NAMES = ("leaf", "A", "B", "C", "D")


# --- against a reading of the rule that shares no code: every path, one by one ---


def outline(number: int, subject: str, issuer: str, begins: int, ends: int) -> Outline:
    """A certificate of the given names; its dates are in days from NOW."""
    return Outline(
        der=f"certificate {number}".encode(),
        serial_number=number,
        not_before=NOW + begins * DAY,
        not_after=NOW + ends * DAY,
        subject_dn=subject and f"CN={subject}",
        subject_common_names=(subject,) if subject else (),
        issuer_dn=issuer and f"CN={issuer}",
        issuer_common_name=issuer,
        public_key_info=b"",
        key_algorithm="",
        is_authority=True,
        warnings=(),
        fingerprint_sha256=f"{number:064x}",
    )


def issuers_of(path: tuple[Outline, ...], others: list[Outline]) -> list[Outline]:
    """The certificates that may come next; none at the end of a path."""
    last = path[-1]
    named = [each for each in others if each.subject_dn == last.issuer_dn]
    at_a_root = any(each.subject_dn == each.issuer_dn for each in named)
    return [] if at_a_root or not last.issuer_dn or last.issuer_dn == last.subject_dn else named


def every_path(path: tuple[Outline, ...], others: list[Outline]) -> Iterable[tuple[Outline, ...]]:
    """All paths that cannot be made longer. One that comes back to a certificate of its own ends there."""
    following = issuers_of(path, others)
    if not following or any(each in path for each in following):
        yield path
    for each in following:
        if each not in path:
            yield from every_path((*path, each), others)


def best_date(leaf: Outline, others: list[Outline]) -> datetime:
    return max(min(each.not_after for each in path) for path in every_path((leaf,), others))


def works_until(leaf: Outline, others: list[Outline]) -> datetime:
    """The last day from NOW on, without a gap, on which a path is valid; without any, the best date."""
    paths = list(every_path((leaf,), others))

    def is_valid(day: datetime) -> bool:
        return any(
            all(each.not_before <= day <= each.not_after for each in path[1:]) and day <= leaf.not_after
            for path in paths
        )

    if not is_valid(NOW):
        return best_date(leaf, others)
    day = NOW
    while is_valid(day + DAY):
        day += DAY
    return day


def graphs(begins: st.SearchStrategy[int]) -> st.SearchStrategy[list[Outline]]:
    """Up to seven certificates among five names: chains, cross-certificates, loops, roots, unrelated ones."""
    certificate = st.tuples(st.sampled_from(NAMES), st.sampled_from(("", *NAMES)), begins, st.integers(0, 9))
    return st.lists(certificate, min_size=1, max_size=7).map(
        lambda found: [outline(number, *each) for number, each in enumerate(found)]
    )


@given(graphs(st.just(-1)))
def test_the_best_paths_earliest_date_counts(certificates: list[Outline]) -> None:
    """The result has the date that an enumeration of all paths finds, and is on such a path."""
    leaf, *others = certificates
    found = first_to_end(leaf, certificates)
    assert found.not_after == best_date(leaf, others)
    assert any(found in path for path in every_path((leaf,), others))


@given(graphs(st.integers(-2, 9)))
def test_an_issuer_counts_from_its_beginning_on(certificates: list[Outline]) -> None:
    """A renewed issuer that begins in time takes over; one that begins after a gap does not close it."""
    whole_days = [each for each in certificates if each.not_after >= each.not_before]
    if not whole_days:
        return
    leaf, *others = whole_days
    # Each day is a whole one: the next begins in the second after a certificate has ended.
    lasting = [outline_until_midnight(each) for each in whole_days]
    found = first_to_end(lasting[0], lasting, NOW)
    assert found.not_after == works_until(leaf, others) + DAY - timedelta(seconds=1)


def outline_until_midnight(each: Outline) -> Outline:
    begins, ends = (each.not_before - NOW).days, (each.not_after - NOW).days
    last = outline(each.serial_number, "".join(each.subject_common_names), each.issuer_common_name, begins, ends + 1)
    return Outline(
        **{name: getattr(last, name) for name in Outline.__slots__ if name != "not_after"},
        not_after=last.not_after - timedelta(seconds=1),
    )


@given(graphs(st.integers(-2, 9)))
def test_the_last_issuer_to_begin_is_found(certificates: list[Outline]) -> None:
    """The earliest moment at which all of a path has begun, of the paths that have not ended."""
    leaf, *others = certificates
    found = last_to_begin(leaf, certificates, NOW)
    lasting = [path for path in every_path((leaf,), others) if all(each.not_after >= NOW for each in path)]
    begins = [max([NOW, *(each.not_before for each in path[1:])]) for path in lasting]
    if not begins or min(begins) <= NOW:
        assert found is None
    else:
        assert found is not None
        assert found.not_before == min(begins)


# --- real certificates ---


def authority(name: str, ends: datetime, *, below: CertificateAuthority = ROOT) -> CertificateAuthority:
    return below.intermediate(name, not_before=NOT_BEFORE, not_after=ends)


def certified(
    subject: CertificateAuthority, by: CertificateAuthority, ends: datetime, *, key_ids: bool = True
) -> x509.Certificate:
    """Another certificate of this CA's name and key."""
    name, key = subject.identity.certificate.subject, subject.identity.private_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.identity.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if key_ids:
        issuer_key = by.identity.private_key.public_key()
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    return builder.sign(by.identity.private_key, hashes.SHA256())


def file_of(*certificates: Issued | x509.Certificate | CertificateAuthority) -> bytes:
    found = []
    for each in certificates:
        held = each.identity if isinstance(each, CertificateAuthority) else each
        found.append((held.certificate if isinstance(held, Issued) else held).public_bytes(Encoding.PEM))
    return b"".join(found)


def expiry_of(certificate: x509.Certificate) -> Expiry:
    return read_outline(certificate.public_bytes(Encoding.DER)).expiry


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_an_issuer_that_ends_first_counts(order: tuple[int, ...]) -> None:
    """Whatever the order in the file, and however far above the leaf; the leaf's own values stay."""
    policy_authority = authority("Policy CA", EARLIER)
    issuing = authority("Issuing CA 2", NOT_AFTER + DAY, below=policy_authority)
    leaf = issuing.issue("nhs", NOT_BEFORE, NOT_AFTER)
    everything = [leaf, issuing, policy_authority, ROOT]
    certificate = parse(file_of(*(everything[at] for at in order)))
    assert certificate.fingerprint_sha256 == leaf.fingerprint_sha256
    assert certificate.not_after == NOT_AFTER
    assert certificate.expires == expiry_of(policy_authority.identity.certificate)
    assert certificate.warnings == (
        "its chain ends before it does, on 2026-06-06 00:00 UTC, with the issuing certificate Policy CA",
    )


def test_the_leafs_own_date_needs_no_memory() -> None:
    """Usually the leaf ends first: then nothing is kept beside it."""
    certificate = parse(LEAF.chain_pem)
    assert certificate.ends_first is None
    assert certificate.expires == expiry_of(LEAF.certificate)
    assert certificate.warnings == ()


@pytest.mark.parametrize(
    "beside",
    [
        CertificateAuthority.create("Root CA 2", not_before=NOT_BEFORE, not_after=EARLIER).identity.certificate,
        authority("Unrelated CA", EARLIER).identity.certificate,
        authority("Issuing CA", EARLIER).identity.certificate,
        certified(AUTHORITY, AUTHORITY, EARLIER),
        certified(AUTHORITY, AUTHORITY, EARLIER, key_ids=False),
    ],
    ids=["a root", "an unrelated CA", "another CA of the same name", "self-signed", "self-signed, no key identifiers"],
)
def test_what_is_not_on_the_path_does_not_count(beside: x509.Certificate) -> None:
    """Roots are in the trust store of the other side. A CA of the same name but another key signed nothing here."""
    assert parse(file_of(LEAF, beside)).ends_first is None


def test_of_cross_certificates_the_better_path_counts() -> None:
    """The CA has two certificates of its key, by different issuers: the consumer is cut off when the second ends."""
    other_root = CertificateAuthority.create("Other root")
    first, second = (certified(AUTHORITY, other_root, EARLIER + days * DAY) for days in (0, 2))
    for pair in ((first, second), (second, first)):
        assert parse(file_of(LEAF, *pair)).expires == expiry_of(second)


def test_a_cross_certificate_does_not_count_beside_the_root() -> None:
    """OpenShift's service CA: the signer is there self-signed, and cross-signed by the signer before it."""
    signer, before = CertificateAuthority.create("signer@1"), CertificateAuthority.create("signer@0")
    leaf = signer.issue("nhs", NOT_BEFORE, NOT_AFTER)
    assert parse(file_of(leaf, certified(signer, before, EARLIER))).expires.time == EARLIER
    assert parse(file_of(leaf, signer, certified(signer, before, EARLIER))).ends_first is None


def test_a_new_root_signed_by_the_old_one_is_an_intermediate() -> None:
    """RFC 4210 section 4.4: "new with old" is self-issued, but not self-signed."""
    old, key = CertificateAuthority.create("Root CA 2"), ec.generate_private_key(ec.SECP256R1())
    new = CertificateAuthority(Issued(old.identity.certificate, key))  # the old name, the new key
    new_with_old = certified(new, old, EARLIER)
    leaf = new.issue("nhs", NOT_BEFORE, NOT_AFTER)
    assert parse(file_of(leaf, new_with_old, old)).expires == expiry_of(new_with_old)


@pytest.mark.parametrize("key_ids", [True, False])
def test_a_renewed_issuer_of_the_same_key_counts(key_ids: bool) -> None:
    """Both are in the file, in any order: the consumer may present either."""
    short, long = (certified(AUTHORITY, ROOT, ends, key_ids=key_ids) for ends in (EARLIER, NOT_AFTER + DAY))
    assert parse(file_of(LEAF, short)).expires == expiry_of(short)
    assert parse(file_of(LEAF, short, long)).ends_first is None
    assert parse(file_of(LEAF, long, short)).ends_first is None


def test_the_key_identifier_decides_between_issuers_of_one_name() -> None:
    """The leaf names the key that signed it; the longer certificate is of another key."""
    issuer, other = authority("Issuing CA 2", EARLIER), authority("Issuing CA 2", NOT_AFTER + DAY)
    leaf = issuer.issue("nhs", NOT_BEFORE, NOT_AFTER)
    for pair in ((issuer, other), (other, issuer)):
        assert parse(file_of(leaf, *pair)).expires == expiry_of(issuer.identity.certificate)


def test_a_key_identifier_that_differs_excludes_an_issuer() -> None:
    """Name and key are equal, but the identifiers are not: OpenSSL and Java refuse such a path."""
    key = AUTHORITY.identity.private_key
    odd = (
        x509.CertificateBuilder()
        .subject_name(AUTHORITY.identity.certificate.subject)
        .issuer_name(ROOT.identity.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(EARLIER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(b"another"), critical=False)
        .sign(ROOT.identity.private_key, hashes.SHA256())
    )
    leaf = certified_leaf(AUTHORITY, key_ids=True)
    assert parse(file_of(leaf, odd)).ends_first is None
    assert parse(file_of(certified_leaf(AUTHORITY, key_ids=False), odd)).expires == expiry_of(odd)


def certified_leaf(by: CertificateAuthority, *, key_ids: bool) -> x509.Certificate:
    """A client's certificate with or without an authority key identifier."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(LEAF.certificate.subject)
        .issuer_name(by.identity.certificate.subject)
        .public_key(LEAF.certificate.public_key())
        .serial_number(7)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )
    if key_ids:
        issuer_key = by.identity.private_key.public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    return builder.sign(by.identity.private_key, hashes.SHA256())


def test_an_issuer_that_is_no_authority_does_not_count() -> None:
    """A client's certificate cannot issue another (RFC 5280 section 6.1.4 (k)), whatever its name is."""
    named = AUTHORITY.issue("Client CA", NOT_BEFORE, EARLIER)
    leaf = CertificateAuthority(named).issue("nhs", NOT_BEFORE, NOT_AFTER)
    assert parse(file_of(leaf, named)).ends_first is None


def test_a_self_signed_leaf_has_no_path() -> None:
    """Another CA of the same name beside it did not issue it."""
    own = CertificateAuthority.create("nhs", not_before=NOT_BEFORE, not_after=NOT_AFTER)
    beside = authority("nhs", EARLIER)
    certificate = read_outline(own.identity.certificate_der)
    assert first_to_end(certificate, [certificate, read_outline(beside.identity.certificate_der)]) is certificate


def test_an_issuer_with_an_unreadable_beginning_counts() -> None:
    """Its notAfter is readable, which is what matters."""
    issuer = authority("Issuing CA 2", EARLIER)
    tbs = issuer.identity.certificate.tbs_certificate_bytes
    damaged = ROOT.sign(tbs.replace(b"260101000000Z", b"26XX01000000Z", 1))
    leaf = issuer.issue("nhs", NOT_BEFORE, NOT_AFTER)
    assert parse(leaf.certificate_pem + pem(damaged)).expires.time == EARLIER


def test_an_issuer_with_an_unreadable_end_is_reported() -> None:
    """Nobody can tell when it ends: the leaf's own date counts, with a warning."""
    issuer = authority("Issuing CA 2", EARLIER)
    tbs = issuer.identity.certificate.tbs_certificate_bytes
    damaged = ROOT.sign(tbs.replace(b"260606000000Z", b"26XX06000000Z", 1))
    certificate = parse(issuer.issue("nhs", NOT_BEFORE, NOT_AFTER).certificate_pem + pem(damaged))
    assert certificate.ends_first is None
    assert certificate.warnings == ("other certificates in the same content are damaged: they were ignored",)


def begun(issuer: CertificateAuthority, begins: datetime, ends: datetime) -> x509.Certificate:
    """Another certificate of this issuer's name and key, valid from another time on."""
    key = issuer.identity.private_key
    renewed = ROOT.intermediate("Issuing CA", not_before=begins, not_after=ends, private_key=key)
    return renewed.identity.certificate


def test_a_renewed_issuer_takes_over_when_it_begins() -> None:
    """Without a gap its date counts; with a gap the path ends when the old one does."""
    short = certified(AUTHORITY, ROOT, EARLIER)
    seamless, late = (begun(AUTHORITY, EARLIER + days * DAY, NOT_AFTER + DAY) for days in (-1, 1))
    assert parse(file_of(LEAF, short, seamless)).ends_first is None
    assert parse(file_of(LEAF, short, late)).expires == expiry_of(short)
    found = parse(file_of(LEAF, short, late), now=EARLIER + 2 * DAY)
    assert (found.ends_first, found.warnings) == (None, ())


def test_a_chain_that_is_not_valid_yet_is_reported() -> None:
    """Its only issuer begins in five days; until then nobody accepts the certificate."""
    later = begun(AUTHORITY, EARLIER, NOT_AFTER + DAY)
    found = parse(file_of(LEAF, later))
    words = "its chain is not valid before 2026-06-06 00:00 UTC, when the issuing certificate Issuing CA begins"
    assert (found.ends_first, found.warnings) == (None, (words,))
    assert found.chosen_until == EARLIER
    assert parse(file_of(LEAF, later), now=EARLIER).warnings == ()


# --- hostile files ---


def same_name(count: int) -> list[x509.Certificate]:
    """Certificates of one CA name and of different keys, which are not self-signed."""
    key = ROOT.identity.private_key
    builder = (
        x509.CertificateBuilder()
        .subject_name(AUTHORITY.identity.certificate.subject)
        .issuer_name(AUTHORITY.identity.certificate.subject)
        .public_key(key.public_key())
        .not_valid_before(NOT_BEFORE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    found = []
    for number in range(count):
        own, above = (b"one", b"two")[:: 1 if number % 2 else -1]
        found.append(
            builder.serial_number(number + 1)
            .not_valid_after(EARLIER + number * timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier(own), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier(above, None, None), critical=False)
            .sign(key, hashes.SHA256())
        )
    return found


def full_layers(count: int) -> list[Outline]:
    """Layers of ten certificates, each issued by all of the next layer: 10^20 paths."""
    certificates = [outline(0, "leaf", "0", -1, 400)]
    for number in range(1, count):
        layer = (number - 1) // 10
        certificates.append(outline(number, str(layer), str(layer + 1), -1, 10 + number))
    return certificates


def one_loop(count: int) -> list[Outline]:
    """Cross-certificates of fourteen CAs, each by each of the others."""
    pairs = itertools.islice(itertools.permutations(range(15), 2), count - 1)
    crossed = [outline(number, str(a), str(b), -1, 10 + number) for number, (a, b) in enumerate(pairs, 1)]
    return [outline(0, "leaf", "0", -1, 400), *crossed]


def line(count: int) -> list[Outline]:
    """Each certificate is issued by the next, and each issuer begins when another ends."""
    return [outline(number, str(number), str(number + 1), -1, 400 - number) for number in range(count)]


def handovers(count: int) -> list[Outline]:
    """One issuer after the other takes over."""
    return [outline(0, "leaf", "A", -1, 400)] + [outline(each, "A", "B", each - 2, each) for each in range(1, count)]


@pytest.mark.real_time
@pytest.mark.parametrize("shape", [full_layers, one_loop, line, handovers])
def test_hostile_graphs_take_little_time(shape: Callable[[int], list[Outline]]) -> None:
    """200 certificates are the most of a file; the number of their paths does not matter."""
    certificates = shape(200)
    begun = time.thread_time()
    assert first_to_end(certificates[0], certificates, NOW) in certificates
    later = [replace(each, not_before=NOW + each.serial_number * DAY) for each in certificates]
    assert last_to_begin(later[0], later, NOW) in later[1:]
    assert time.thread_time() - begun < here(1.0)


@pytest.mark.real_time
def test_hostile_signatures_take_little_time() -> None:
    """198 certificates of one name, each of which may have issued each: few signatures are verified."""
    content = file_of(certified_leaf(AUTHORITY, key_ids=False), *same_name(198))
    begun = time.thread_time()
    assert parse(content).not_after == NOT_AFTER
    assert time.thread_time() - begun < here(2.0)
