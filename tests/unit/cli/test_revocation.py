"""The certificate that a serial number means, and the name of its revocation."""

from datetime import timedelta
from pathlib import Path
from typing import cast

import click
import pytest

from clientcert.api.kinds import Kind
from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import AlreadyExists, AnswerIsNo
from clientcert.cli.revocation import (
    Revocable,
    choose,
    current,
    in_file,
    replaced,
    revoke,
    serial_number,
    summary,
    with_key,
)
from clientcert.lifecycle.renewal.naming import revocation_name, sha256
from clientcert.lifecycle.renewal.spec import RevocationReason
from tests.builders import NOW
from tests.unit.cli.renewal_objects import ISSUER, of_nhs
from tools.certificates import CertificateAuthority

OLD = {
    "serialNumber": "4af1",
    "issuerDN": ISSUER,
    "notAfter": "2026-11-30T12:00:00Z",
    "replacedTime": "2026-11-01T12:00:00Z",
}
KEY = "ab" * 32
ENDS = NOW + timedelta(days=8, hours=3)


def revocable(serial: str = "4af1", **other: str) -> Revocable:
    return Revocable("nhs", other.get("issuer", ISSUER), serial, ENDS, other.get("key", ""))


def parsed(text: str) -> str | None:
    return serial_number(click.Context(click.Command("any")), click.Option(["--serial"]), text)


class TestSerialNumber:
    @pytest.mark.parametrize("text", ["4af2", "4AF2", "0x4af2", "4a:f2", "4A:F2", "0004af2"])
    def test_as_programs_print_it(self, text: str) -> None:
        """openssl, a browser, and a person who copies it."""
        assert parsed(text) == "4af2"

    def test_that_is_negative(self) -> None:
        """Some old programs made such; the status writes it with its sign."""
        assert parsed("-4AF2") == "-4af2"

    @pytest.mark.parametrize("text", ["", "nhs", "4af2 ", "--4af2", "4a::f2", "4af2:", "\u0664", "f" * 1000])
    def test_that_is_none(self, text: str) -> None:
        with pytest.raises(click.BadParameter):
            parsed(text)


class TestName:
    def test_says_the_consumer_and_is_the_same_each_time(self) -> None:
        """Of issuer and serial number, so that revoking twice revokes once."""
        name = revocable().name
        assert name == revocation_name("nhs", ISSUER, "4af1")
        assert name.startswith("nhs-")
        assert len({name, revocable("4af2").name, revocable(issuer="CN=Another CA").name}) == 3

    @pytest.mark.parametrize(
        ("consumer", "stem"),
        [("NHS England", "nhs-england"), ("a" * 253, "a" * 200), ("Ünïted", "n-ted"), ("名前", "")],
    )
    def test_of_any_consumer_is_one_for_kubernetes(self, consumer: str, stem: str) -> None:
        name = revocation_name(consumer, ISSUER, "4af1")
        assert name.rpartition("-")[0] == stem
        assert len(name) <= 253


class TestFind:
    def test_what_the_status_knows(self) -> None:
        found = of_nhs(history=[OLD])
        assert [(each.serial_number, each.issuer_dn) for each in current(found)] == [("4af2", ISSUER)]
        assert list(replaced(found)) == [revocable()]

    def test_an_entry_without_an_issuer_is_not_enough(self) -> None:
        """Version 0.1 wrote none; a revocation without issuer would name a certificate of anybody."""
        assert list(replaced(of_nhs(history=[{**OLD, "issuerDN": None}]))) == []
        never_read = of_nhs()
        del never_read["status"]
        assert [*current(never_read), *replaced(never_read)] == []

    def test_the_only_one_or_the_one_that_is_named(self) -> None:
        both = [revocable(), revocable("4af0")]
        assert choose(both, "4af0") == both[1]
        assert choose(both[:1]) == both[0]
        assert choose([both[0], both[0]]) == both[0]
        assert choose(both, "1") is None
        assert choose([]) is None

    def test_several(self) -> None:
        with pytest.raises(AnswerIsNo, match="give --serial with one of 4af1, 4af0"):
            choose([revocable(), revocable("4af0")])
        with pytest.raises(AnswerIsNo, match="several certificates have serial number 4af1"):
            choose([revocable(), revocable(issuer="CN=Another CA")], "4af1")

    def test_the_key_is_that_of_the_same_certificate(self) -> None:
        """Not of one with the same serial number by another CA."""
        records = [revocable(issuer="CN=Another CA", key="cd" * 32), revocable(key="ab" * 32)]
        assert with_key(revocable(), records).key_hash == "ab" * 32
        assert with_key(revocable(), records[:1]).key_hash == ""


class TestFile:
    @pytest.fixture
    def authority(self) -> CertificateAuthority:
        return CertificateAuthority.create("Former CA")

    def test_any_certificate_of_the_consumer(self, authority: CertificateAuthority, tmp_path: Path) -> None:
        """By any CA, also beside its private key, which goes nowhere."""
        issued = authority.issue("nhs", NOW - timedelta(days=300), NOW + timedelta(days=8))
        (tmp_path / "client.pem").write_bytes(issued.private_key_pem + issued.chain_pem)
        found = of_nhs()
        found["spec"]["identity"] = {"issuerDN": "CN=Integration CA"}
        read = in_file(found, str(tmp_path / "client.pem"), NOW)
        assert read.serial_number == f"{issued.certificate.serial_number:x}"
        assert read.not_after == NOW + timedelta(days=8)
        assert read.key_hash == sha256(_public_key_info(issued))

    def test_another_consumers(self, authority: CertificateAuthority, tmp_path: Path) -> None:
        """A wrong file must not cut somebody else off."""
        issued = authority.issue("weather", NOW - timedelta(days=300), NOW + timedelta(days=8))
        (tmp_path / "client.pem").write_bytes(issued.certificate_pem)
        with pytest.raises(AnswerIsNo, match="weather"):
            in_file(of_nhs(), str(tmp_path / "client.pem"), NOW)

    def test_no_certificate(self, tmp_path: Path) -> None:
        (tmp_path / "client.pem").write_text("hello")
        for file in ("client.pem", "missing.pem"):
            with pytest.raises(AnswerIsNo, match=file):
                in_file(of_nhs(), str(tmp_path / file), NOW)


def test_what_is_to_be_confirmed() -> None:
    assert list(summary(revocable(), RevocationReason.SUPERSEDED)) == [
        "Consumer:       nhs",
        "Serial number:  4af1",
        f"Issuer:         {ISSUER}",
        "Ends:           2026-11-30 12:00 UTC",
        "Reason:         Superseded",
        "Key, SHA-256:   not on record",
    ]


class Revocations:
    """The part of a cluster that holds them."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}

    def create(self, _: Kind, new: Object) -> Object:
        name = new["metadata"]["name"]
        if name in self.objects:
            raise AlreadyExists(name)
        self.objects[name] = new
        return new

    def get(self, _: Kind, name: str) -> Object:
        return self.objects[name]

    def leave(self, _: Kind, found: Object) -> None:
        assert found in self.objects.values()

    def made(self) -> dict[str, tuple[str, str]]:
        """Reason and hash of the key, by what stands after the name."""
        specs = {name.removeprefix(revocable().name): each["spec"] for name, each in self.objects.items()}
        return {ending: (each["reason"], each.get("keyHash", "")) for ending, each in specs.items()}


class TestRevoke:
    @pytest.fixture
    def revocations(self) -> Revocations:
        return Revocations()

    def revoke(
        self, revocations: Revocations, key: str = "", reason: RevocationReason = RevocationReason.KEY_COMPROMISE
    ) -> None:
        revoke(cast("Cluster", revocations), revocable(key=key), reason, NOW)

    def test_a_compromised_key_that_becomes_known_later_is_barred(self, revocations: Revocations) -> None:
        """As the warning has it: the same call again, with the file. However often it is said, it is one object."""
        for key in ("", "", KEY, KEY, ""):
            self.revoke(revocations, key)
        assert revocations.made() == {"": ("KeyCompromise", ""), "-key": ("KeyCompromise", KEY)}

    def test_one_that_was_revoked_for_another_reason_before(self, revocations: Revocations) -> None:
        self.revoke(revocations, reason=RevocationReason.SUPERSEDED)
        for key in ("", KEY, "", KEY):
            self.revoke(revocations, key)
        assert revocations.made() == {
            "": ("Superseded", ""),
            "-key": ("KeyCompromise", ""),
            "-key-hash": ("KeyCompromise", KEY),
        }

    def test_a_key_that_is_known_at_once(self, revocations: Revocations) -> None:
        for key in (KEY, "", KEY):
            self.revoke(revocations, key)
        assert revocations.made() == {"": ("KeyCompromise", KEY)}

    def test_another_key_of_the_same_certificate(self, revocations: Revocations) -> None:
        """It would not be barred, so nothing says that it was revoked."""
        self.revoke(revocations, "cd" * 32)
        with pytest.raises(AnswerIsNo, match="another certificate"):
            self.revoke(revocations, KEY)

    def test_a_key_matters_to_no_other_reason(self, revocations: Revocations) -> None:
        for key in ("", KEY):
            self.revoke(revocations, key, RevocationReason.SUPERSEDED)
        assert revocations.made() == {"": ("Superseded", "")}
        with pytest.raises(AnswerIsNo, match="for reason Superseded, which is final"):
            self.revoke(revocations, reason=RevocationReason.CESSATION_OF_OPERATION)


def _public_key_info(issued) -> bytes:  # type: ignore[no-untyped-def]
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    info: bytes = issued.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return info
