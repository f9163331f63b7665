"""The certificate of a file that is read: every pair of certificates, at every place of the order."""

import itertools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from clientcert.errors import Reason
from clientcert.pki.certificate import Certificate, Expiry
from clientcert.pki.identity import Field, Identity
from clientcert.pki.leaf import AUTHORITY, NOT_EXPIRED
from tests.unit.pki.certificates import NOW, parse, reason_for
from tests.unit.pki.issuing import CN, Named
from tools.certificates import CertificateAuthority, Issued, self_signed

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
NHS = Identity("nhs")
ONE, TWO = CertificateAuthority.create("CA one"), CertificateAuthority.create("CA two")
PERIODS = {
    "now": (NOW - 100 * DAY, NOW + 100 * DAY),
    "not yet": (NOW + 10 * DAY, NOW + 300 * DAY),
    "expired": (NOW - 300 * DAY, NOW - 10 * DAY),
    "never": (NOW + 20 * DAY, NOW - 20 * DAY),
}
"""The best first."""


@dataclass(frozen=True)
class Trait:
    """The values of the order of choice; they are such that the smaller one is chosen."""

    mismatch: bool
    authority: bool
    period: int
    later_start: int
    later_end: int

    def certificate(self, serial_number: int) -> Named:
        begins, ends = [*PERIODS.values()][self.period]
        return Named(
            ((CN, "acme" if self.mismatch else "nhs"),),
            not_before=begins - self.later_start * DAY,
            not_after=ends - self.later_end * DAY,
            serial_number=serial_number,
            is_authority=self.authority,
        )

    @property
    def order(self) -> tuple[bool, bool, int, int, int]:
        return self.mismatch, self.authority, self.period, self.later_start, self.later_end


TRAITS = [Trait(*each) for each in itertools.product((False, True), (False, True), range(4), (0, 1), (0, 1))]


@pytest.mark.parametrize("first", TRAITS, ids=str)
def test_every_pair_in_both_orders(first: Trait) -> None:
    """The identity decides, then the CA, the validity, notBefore, notAfter; and in the end the place in the file."""
    for other in TRAITS:
        if first.mismatch and other.mismatch and first.authority and other.authority:
            continue
        one, two = first.certificate(1), other.certificate(2)
        expected = 1 if first.order <= other.order else 2
        assert parse(one.pem + two.pem, identity=NHS, now=NOW).serial_number == expected, other


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("has_key", [False, True])
def test_the_key_beside_comes_after_the_validity(period: str, has_key: bool) -> None:
    """It decides between certificates that are both valid now, however old they are."""
    begins, ends = PERIODS[period]
    if begins > ends:
        begins, ends = PERIODS["expired"]
    keyed = ONE.issue("nhs", begins - DAY, ends - DAY)
    later = ONE.issue("nhs", *PERIODS["now"])
    content = keyed.certificate_pem + later.certificate_pem + (keyed.private_key_pem if has_key else b"")
    expected = keyed if has_key and period == "now" else later
    assert fingerprint(content) == expected.fingerprint_sha256


def test_a_key_beside_makes_no_client_of_a_ca() -> None:
    """The backup of a small CA: its certificate, its key, and the client's certificate."""
    client = ONE.issue("nhs", NOW - DAY, NOW + 5 * DAY)
    for identity in (NHS, Identity()):
        content = ONE.identity.private_key_pem + ONE.identity.certificate_pem + client.certificate_pem
        assert parse(content, identity=identity, now=NOW).fingerprint_sha256 == client.fingerprint_sha256
    damaged = client.certificate_pem[:200] + b"\n-----END CERTIFICATE-----\n"
    assert (
        reason_for(damaged + ONE.identity.certificate_pem + ONE.identity.private_key_pem) is Reason.INVALID_CERTIFICATE
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_self_signed_certificates_of_a_client(order: tuple[int, ...]) -> None:
    """`openssl req -x509` writes CA:TRUE: of an old one and a renewed one the renewed one is the leaf."""
    issued = [
        self_signed("nhs", NOW - 30 * DAY, NOW + 10 * DAY, is_authority=True),
        self_signed("nhs", NOW - 3 * DAY, NOW + 300 * DAY, is_authority=True),
        ONE.identity,
    ]
    certificate = parse(b"".join(issued[at].certificate_pem for at in order), identity=NHS, now=NOW)
    assert certificate.fingerprint_sha256 == issued[1].fingerprint_sha256
    assert (certificate.identity_mismatch, certificate.warnings) == ("", (NOT_EXPIRED,))


def test_a_ca_that_has_the_consumers_name() -> None:
    """It is not taken for the client if the client's certificate is there; alone, there is a warning."""
    authority = CertificateAuthority.create("nhs")
    client = authority.issue("nhs", NOW - DAY, NOW + 5 * DAY)
    stranger = authority.issue("acme", NOW - DAY, NOW + 5 * DAY)
    content = authority.identity.certificate_pem + client.certificate_pem
    assert fingerprint(content) == client.fingerprint_sha256
    assert AUTHORITY in parse(authority.identity.certificate_pem + stranger.certificate_pem, identity=NHS).warnings


def test_several_cas_and_no_client() -> None:
    """Without a match there is no leaf; a CA that is declared is read."""
    content = ONE.identity.certificate_pem + TWO.identity.certificate_pem
    assert reason_for(content) is Reason.NO_LEAF_CERTIFICATE
    assert parse(content, identity=Identity("CA two")).fingerprint_sha256 == TWO.identity.fingerprint_sha256


class TestInUse:
    """Others that are valid now and may be in use are named; no other is."""

    EXPIRED = (NOW - 20 * DAY, NOW - SECOND)
    SOON = (NOW - 20 * DAY, NOW + 5 * DAY)
    FUTURE = (NOW + SECOND, NOW + 5 * DAY)
    LATE = (NOW - DAY, NOW + 300 * DAY)

    @pytest.mark.parametrize("keys", [*itertools.product((False, True), repeat=2)])
    @pytest.mark.parametrize("period", [EXPIRED, SOON, FUTURE], ids=["expired", "valid", "not yet valid"])
    def test_keys_of_two_algorithms(self, period: tuple[datetime, datetime], keys: tuple[bool, bool]) -> None:
        """A server presents either one, if it has both keys."""
        leaf, other = ONE.issue("nhs", *self.LATE), ONE.issue("nhs", *period, key="rsa")
        content = self._content((leaf, other), keys)
        if keys == (False, True) and period == self.SOON:
            leaf = other  # the only one with its key
        certificate = parse(content, identity=NHS, now=NOW)
        assert certificate.fingerprint_sha256 == leaf.fingerprint_sha256
        is_named = all(keys) and period == self.SOON
        assert self._named(certificate) == ([self._line(other, "RSA 2048", "CA one")] if is_named else [])

    @pytest.mark.parametrize("declares", [False, True], ids=["any issuer", "one issuer"])
    @pytest.mark.parametrize("period", [EXPIRED, SOON, FUTURE], ids=["expired", "valid", "not yet valid"])
    def test_two_issuers(self, period: tuple[datetime, datetime], declares: bool) -> None:
        """Some servers may trust one, some the other; with a declared issuer there is no doubt."""
        leaf, other = ONE.issue("nhs", *self.LATE), TWO.issue("nhs", *period)
        fields = {Field.ISSUER_DN: "CN=CA one"} if declares else {}
        certificate = parse(self._content((other, leaf)), identity=Identity.declared("nhs", fields), now=NOW)
        assert certificate.fingerprint_sha256 == leaf.fingerprint_sha256
        is_named = not declares and period == self.SOON
        assert self._named(certificate) == ([self._line(other, "ECDSA P-256", "CA two")] if is_named else [])

    def test_an_old_one_of_the_same_algorithm_and_issuer(self) -> None:
        """It was replaced, so only its removal is advised."""
        leaf, old = ONE.issue("nhs", *self.LATE), ONE.issue("nhs", *self.SOON)
        certificate = parse(self._content((old, leaf), (True, True)), identity=NHS, now=NOW)
        assert certificate.warnings == (NOT_EXPIRED,)

    def test_of_each_algorithm_and_issuer_the_newest_is_named(self) -> None:
        """Their predecessors are not in use."""
        issued = [
            *(ONE.issue("nhs", NOW - days * DAY, NOW + 300 * DAY) for days in (1, 2)),
            *(ONE.issue("nhs", NOW - days * DAY, NOW + 30 * DAY, key="rsa") for days in (5, 4)),
            *(TWO.issue("nhs", NOW - days * DAY, NOW + 20 * DAY) for days in (7, 6)),
        ]
        certificate = parse(self._content(issued, (True,) * 6), identity=NHS, now=NOW)
        assert certificate.fingerprint_sha256 == issued[0].fingerprint_sha256
        assert certificate.warnings == (
            self._line(issued[5], "ECDSA P-256", "CA two"),
            self._line(issued[3], "RSA 2048", "CA one"),
            NOT_EXPIRED,
        )

    def test_another_client_is_never_in_use(self) -> None:
        """Neither with a declared identity, nor without one."""
        leaf, stranger = ONE.issue("nhs", *self.LATE), TWO.issue("acme", *self.SOON)
        for identity in (NHS, Identity()):
            assert self._named(parse(self._content((leaf, stranger)), identity=identity, now=NOW)) == []

    def test_at_most_three_are_named(self) -> None:
        """The first to end; the others are counted."""
        others = [
            CertificateAuthority.create(f"CA {number}").issue("nhs", NOW - 2 * DAY, NOW + number * DAY)
            for number in (5, 4, 3, 2, 1)
        ]
        leaf = ONE.issue("nhs", *self.LATE)
        warnings = self._named(parse(self._content((leaf, *others)), identity=NHS, now=NOW))
        assert warnings == [
            *(
                self._line(each, "ECDSA P-256", f"CA {number}")
                for number, each in ((1, others[4]), (2, others[3]), (3, others[2]))
            ),
            "2 more certificates may be in use",
        ]

    def test_the_earliest_date_counts(self) -> None:
        """That of another certificate, if it ends before the one that is read."""
        leaf, other = ONE.issue("nhs", *self.LATE), ONE.issue("nhs", *self.SOON, key="rsa")
        certificate = parse(self._content((leaf, other), (True, True)), identity=NHS, now=NOW)
        assert certificate.fingerprint_sha256 == leaf.fingerprint_sha256
        assert certificate.not_after == leaf.not_after
        assert certificate.expires == Expiry(
            other.not_after, other.subject_dn, other.serial_number_hex, other.fingerprint_sha256
        )
        assert certificate.chosen_until == other.not_after + timedelta.resolution

    def test_the_date_of_the_leaf_if_it_is_the_first(self) -> None:
        leaf, other = ONE.issue("nhs", NOW - DAY, NOW + 3 * DAY), ONE.issue("nhs", *self.SOON, key="rsa")
        certificate = parse(self._content((leaf, other), (True, True)), identity=NHS, now=NOW)
        assert certificate.fingerprint_sha256 == leaf.fingerprint_sha256
        assert certificate.ends_first is None

    def test_the_path_of_another_one_counts(self) -> None:
        """Its issuer ends before both; one whose path has ended is not in use."""
        for days, counts in ((5, True), (-5, False)):
            issuer = TWO.intermediate("CA three", not_after=NOW + days * DAY)
            leaf, other = ONE.issue("nhs", *self.LATE), issuer.issue("nhs", NOW - 2 * DAY, NOW + 200 * DAY)
            content = self._content((leaf, other, issuer.identity, TWO.identity))
            certificate = parse(content, identity=NHS, now=NOW)
            assert certificate.fingerprint_sha256 == leaf.fingerprint_sha256
            assert certificate.expires.time == (issuer.identity.not_after if counts else leaf.not_after)

    def test_one_that_has_expired_never_counts(self) -> None:
        """Also if its key is beside, and its issuer another."""
        leaf, old = ONE.issue("nhs", *self.LATE), TWO.issue("nhs", *self.EXPIRED, key="rsa")
        certificate = parse(self._content((old, leaf), (True, True)), identity=NHS, now=NOW)
        assert (certificate.ends_first, certificate.warnings) == (None, ())

    @staticmethod
    def _content(issued: "tuple[Issued, ...] | list[Issued]", keys: tuple[bool, ...] = ()) -> bytes:
        with_keys = [each.private_key_pem for each, has_key in zip(issued, keys, strict=False) if has_key]
        return b"".join([*(each.certificate_pem for each in issued), *with_keys])

    @staticmethod
    def _named(certificate: Certificate) -> list[str]:
        return [each for each in certificate.warnings if "may be in use" in each]

    @staticmethod
    def _line(issued: Issued, algorithm: str, issuer: str) -> str:
        return (
            f"another certificate may be in use, until {issued.not_after:%Y-%m-%d %H:%M} UTC: {algorithm},"
            f' serial number {issued.serial_number_hex}, issued by "{issuer}"'
        )


class TestIssuersOverTime:
    """The path is read anew when one of its issuers ends or begins."""

    def test_a_renewed_issuer_that_takes_over_after_a_gap(self) -> None:
        """The date is that of the first one; the next moment is its end."""
        first = TWO.intermediate("CA three", not_after=NOW + 5 * DAY)
        later = TWO.intermediate("CA three", not_before=NOW + 9 * DAY, private_key=first.identity.private_key)
        leaf = first.issue("nhs", NOW - DAY, NOW + 100 * DAY)
        content = b"".join(each.certificate_pem for each in (leaf, first.identity, later.identity))
        certificate = parse(content, identity=NHS, now=NOW)
        assert certificate.expires.time == NOW + 5 * DAY
        assert certificate.chosen_until == NOW + 5 * DAY + timedelta.resolution
        assert parse(content, identity=NHS, now=NOW + 9 * DAY).expires.time == leaf.not_after


class TestChosenUntil:
    """The choice holds until a certificate of the consumer becomes valid or expires."""

    OLD = Named(((CN, "nhs"),), not_before=NOW - 100 * DAY, not_after=NOW + 5 * DAY, serial_number=1)
    NEW = Named(((CN, "nhs"),), not_before=NOW + 3 * DAY, not_after=NOW + 300 * DAY, serial_number=2)
    OTHER = Named(((CN, "acme"),), not_before=NOW + DAY, not_after=NOW + 2 * DAY, serial_number=3)

    def test_a_choice_without_alternatives(self) -> None:
        """One certificate, its chain, and others that do not match."""
        for content in (self.OLD.pem, self.OLD.pem + self.OTHER.pem + ONE.identity.certificate_pem):
            assert parse(content, identity=NHS, now=NOW).chosen_until is None

    def test_at_each_moment_until_the_next_change(self) -> None:
        """Reading anew at the moment itself has the other result, and one second before the same."""
        content = self.OLD.pem + self.NEW.pem
        seen = []
        now: datetime | None = NOW
        while now is not None:
            certificate = parse(content, identity=NHS, now=now)
            seen.append((now, certificate.serial_number))
            now = certificate.chosen_until
            if now is not None:
                assert parse(content, identity=NHS, now=now - SECOND).serial_number == certificate.serial_number
        tick = timedelta.resolution
        assert seen == [
            (NOW, 1),
            (self.NEW.not_before, 2),
            (self.OLD.not_after + tick, 2),
            (self.NEW.not_after + tick, 2),
        ]

    def test_the_old_one_again_after_the_new_one_has_expired(self) -> None:
        """A renewed certificate of a shorter life expires first."""
        short = replace(self.NEW, not_before=NOW - DAY, not_after=NOW + DAY)
        content = self.OLD.pem + short.pem
        certificate = parse(content, identity=NHS, now=NOW)
        assert (certificate.serial_number, certificate.chosen_until) == (2, short.not_after + timedelta.resolution)
        assert parse(content, identity=NHS, now=short.not_after).serial_number == 2
        assert parse(content, identity=NHS, now=short.not_after + timedelta.resolution).serial_number == 1

    def test_the_end_of_time(self) -> None:
        """A certificate without an end has no moment after it that cannot be computed."""
        endless = replace(
            self.NEW, not_before=NOW - DAY, not_after=datetime(9999, 12, 31, 23, 59, 59, tzinfo=NOW.tzinfo)
        )
        assert parse(self.OLD.pem + endless.pem, identity=NHS, now=NOW).chosen_until is not None


def fingerprint(content: bytes) -> str:
    return parse(content, identity=NHS, now=NOW).fingerprint_sha256
