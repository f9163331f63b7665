"""The inputs of a dishonest consumer or requester, and the reason for which nothing comes of them."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.control_plane.renewal_people import People
from tests.control_plane.renewal_scene import RenewalScene, public_key_pem, sign_csr
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually
from tools.certificates import Issued
from tools.control_plane import ApiError

pytestmark = pytest.mark.usefixtures("operator")  # without a mail server: what is signed is left for retrieval


def neighbour(scene: RenewalScene) -> Issued:
    """Another consumer of the same team, with a certificate that the same CA has issued."""
    team = scene.team
    issued = scene.authority.issue(team.consumer("visits"), team.began - 345 * DAY, team.began + 20 * DAY)
    team.put("visits", issued)
    team.declare("visits", policyRef={"name": "renewing"})
    eventually(lambda: team.serial("visits"), issued.serial_number_hex)
    return issued


class TestAnotherConsumers:
    """Nobody gets a certificate by what belongs to somebody else."""

    def test_csr(self, scene: RenewalScene) -> None:
        """The subject of a CSR is that of the certificate: what is copied from elsewhere is not."""
        name = scene.ask(csr=neighbour(scene).csr_pem().decode())
        assert scene.refusal(name) == ("SubjectUnchanged", "SubjectChanged")
        scene.nothing_signed(name)

    @pytest.mark.parametrize("form", ["csr", "publicKey"])
    def test_key(self, form: str, scene: RenewalScene) -> None:
        """A key of another consumer is certified for nobody, and no key is encrypted to it."""
        key = neighbour(scene).private_key
        asked = {"csr": scene.csr(key)} if form == "csr" else {"publicKey": public_key_pem(key)}
        name = scene.ask(**asked)
        assert scene.refusal(name) == ("KeyAllowed", "KeyNotAllowed")
        scene.nothing_signed(name)

    def test_certificate(self, scene: RenewalScene) -> None:
        """A request names the certificate that it renews, and that is the one in the source."""
        name = scene.ask(csr=scene.csr(), serialNumber=neighbour(scene).serial_number_hex)
        assert scene.refusal(name) == ("SerialCurrent", "NotCurrent")
        scene.nothing_signed(name)

    def test_certificate_in_the_source(self, scene: RenewalScene) -> None:
        """An editor who puts another consumer's certificate into the source gets none for that consumer."""
        team, other = scene.team, neighbour(scene)
        team.put("nhs", other)
        name = scene.ask(csr=other.csr_pem().decode(), serialNumber=other.serial_number_hex)
        scene.waits(name, "source", "Accepted", "IdentityMismatch")
        assert "certificate" not in scene.status(name)

    def test_certificate_that_another_ca_has_issued(self, team: Team) -> None:
        """A certificate of the right name that is not ours is renewed for nobody."""
        scene = RenewalScene.of(team)
        scene.old = team.issue("nhs", days=20)
        scene.install()
        name = scene.ask(csr=scene.csr())
        assert scene.refusal(name) == ("IssuedByUs", "NotIssuedByUs")
        scene.nothing_signed(name)


def attribute(scene: RenewalScene, value: str, encoding: _ASN1Type = _ASN1Type.UTF8String) -> x509.Name:
    """The consumer's name with another common name, in this encoding."""
    changed = x509.NameAttribute(NameOID.COMMON_NAME, value, _type=encoding)
    return x509.Name([changed if each.oid == NameOID.COMMON_NAME else each for each in scene.old.certificate.subject])


def reordered(scene: RenewalScene) -> x509.Name:
    return x509.Name(list(reversed(list(scene.old.certificate.subject))))


def in_one_rdn(scene: RenewalScene) -> x509.Name:
    return x509.Name([x509.RelativeDistinguishedName(list(scene.old.certificate.subject))])


def with_one_more(scene: RenewalScene) -> x509.Name:
    more = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Administrators")
    return x509.Name([*scene.old.certificate.subject, more])


CHANGED = {
    "another name": lambda scene: attribute(scene, "admin"),
    "another name, as PrintableString": lambda scene: attribute(scene, "admin", _ASN1Type.PrintableString),
    "another name, as BMPString": lambda scene: attribute(scene, "admin", _ASN1Type.BMPString),
    "another name, as T61String": lambda scene: attribute(scene, "admin", _ASN1Type.T61String),
    "another name, as IA5String": lambda scene: attribute(scene, "admin", _ASN1Type.IA5String),
    "a letter of another script": lambda scene: attribute(scene, scene.common_name.replace("s", "\u0455", 1)),
    "a NUL and more": lambda scene: attribute(scene, f"{scene.common_name}\0.example"),
    "one attribute more": with_one_more,
    "one attribute fewer": lambda scene: scene.subject(*list(scene.old.certificate.subject)[:1]),
    "another order": reordered,
    "one RDN of all": in_one_rdn,
    "nothing": lambda _: x509.Name([]),
}


@pytest.mark.parametrize("how", CHANGED)
def test_a_changed_subject(how: str, scene: RenewalScene) -> None:
    """A subject that differs as a name is refused, in whatever encoding."""
    name = scene.ask(csr=scene.csr(subject=CHANGED[how](scene)))
    assert scene.refusal(name) == ("SubjectUnchanged", "SubjectChanged")
    scene.nothing_signed(name)


SAME = {
    "as PrintableString": lambda scene: attribute(scene, scene.common_name, _ASN1Type.PrintableString),
    "as BMPString": lambda scene: attribute(scene, scene.common_name, _ASN1Type.BMPString),
    "in capitals": lambda scene: attribute(scene, scene.common_name.upper()),
    "with a character that RFC 4518 ignores": lambda scene: attribute(scene, f"{scene.common_name}\u200b"),
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_subject_in_other_bytes(how: str, scene: RenewalScene) -> None:
    """The same name by RFC 5280 section 7.1 is accepted, and the certificate has it byte for byte as before."""
    name = scene.ask(csr=scene.csr(subject=SAME[how](scene)))
    scene.approve(name)
    assert scene.issued(name).subject.public_bytes() == scene.old.certificate.subject.public_bytes()


def test_a_csr_that_asks_to_be_a_ca(scene: RenewalScene) -> None:
    """The extensions of a CSR are ignored: what is signed is for a client, and signs nothing itself."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(scene.old.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("api.example")]), critical=False)
    )
    name = scene.ask(csr=sign_csr(builder))
    scene.approve(name)
    extensions = scene.issued(name).extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.parametrize("form", ["csr", "publicKey"])
def test_a_key_of_512_bits(form: str, scene: RenewalScene, tmp_path: Path) -> None:
    """A key that can be factored is neither certified nor encrypted to."""
    openssl(tmp_path, "genrsa", "-out", "key.pem", "512")
    if form == "csr":
        openssl(
            tmp_path, "req", "-new", "-key", "key.pem", "-subj", f"/O=NHS/CN={scene.common_name}", "-out", "asked.pem"
        )
    else:
        openssl(tmp_path, "pkey", "-in", "key.pem", "-pubout", "-out", "asked.pem")
    name = scene.ask(**{form: (tmp_path / "asked.pem").read_text()})
    eventually(lambda: scene.state(name), "Refused")
    refused = [each["name"] for each in scene.status(name)["checks"] if not each["passed"]]
    assert "KeyAllowed" in refused
    scene.nothing_signed(name)


class TestSize:
    """A text that is too long is refused before anybody has to read it."""

    def test_a_file_of_1_mb(self, scene: RenewalScene, team: Team, tmp_path: Path) -> None:
        """The command line says so, and asks for nothing."""
        people = People(team, tmp_path)
        requester = people.terminal("requester")
        body = scene.csr().replace("-----END", "A" * 2**20 + "\n-----END")
        (requester.directory / "big.csr").write_text(body)
        code, said = requester.fails("renew", "nhs", "--csr", "big.csr")
        assert (code, said.startswith("Error: big.csr: ")) == (3, True)
        assert team.items("CertificateRenewal") == []

    @pytest.mark.parametrize("field", ["csr", "publicKey", "proof"])
    def test_a_field_that_is_too_long(self, field: str, scene: RenewalScene) -> None:
        """The API server refuses it, however it is sent."""
        label = {"csr": "CERTIFICATE REQUEST", "publicKey": "PUBLIC KEY", "proof": "CMS"}[field]
        long = f"-----BEGIN {label}-----\n" + ("A" * 63 + "A\n") * 4096 + f"-----END {label}-----\n"
        asked: dict[str, Any] = {field: long} if field != "proof" else {"csr": scene.csr()}
        asked |= {"proof": {"type": "CMS", "cms": long}} if field == "proof" else {}
        with pytest.raises(ApiError) as refused:
            scene.ask(**asked)
        assert refused.value.status == 422
        assert "Too long" in str(refused.value)

    def test_many_extensions(self, scene: RenewalScene) -> None:
        """A CSR of the greatest length that is stored is read in a moment, and decided like any other."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(scene.old.certificate.subject)
        names = x509.SubjectAlternativeName([x509.DNSName(f"host-{number}.example") for number in range(800)])
        name = scene.ask(csr=sign_csr(builder.add_extension(names, critical=False)))
        eventually(lambda: scene.state(name), "AwaitingApproval")


def openssl(directory: Path, *arguments: str) -> None:
    ran = subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def proof(signer: Issued, content: str, directory: Path) -> dict[str, str]:
    """`openssl cms -sign` by a certificate's key, over what the consumer sends."""
    for name, text in (("asked.pem", content), ("client.pem", signer.certificate_pem.decode())):
        (directory / name).write_text(text)
    (directory / "client.key").write_bytes(signer.private_key_pem)
    signing = ("-signer", "client.pem", "-inkey", "client.key", "-outform", "PEM", "-out", "proof.pem")
    openssl(directory, "cms", "-sign", "-nodetach", "-in", "asked.pem", *signing)
    return {"type": "CMS", "cms": (directory / "proof.pem").read_text()}


class TestProofs:
    """A proof of possession is for one key, by the current one."""

    @pytest.fixture
    def holders(self, team: Team) -> RenewalScene:
        scene = RenewalScene.of(team)
        scene.install(proofOfPossession="Required", requesters=["Holder"], approval="Automatic")
        return scene

    def test_a_replayed_one(self, holders: RenewalScene, tmp_path: Path) -> None:
        """Somebody who has seen a proof cannot use it for a CSR of their own, although nobody has to approve here."""
        seen = proof(holders.old, holders.csr(), tmp_path)
        name = holders.ask(csr=holders.csr(), proof=seen)
        assert holders.refusal(name) == ("PossessionProved", "ProofInvalid")
        holders.nothing_signed(name)

    def test_one_by_another_key(self, holders: RenewalScene, tmp_path: Path) -> None:
        """A neighbour's proof is none, and neither is one by a certificate that somebody has made with our name."""
        csr = holders.csr()
        forged = type(holders.authority).create("Client CA")
        forger = forged.issue(holders.common_name, holders.team.began - DAY, holders.team.began + DAY)
        for number, signer in enumerate((neighbour(holders), forger)):
            name = holders.ask(f"asked-{number}", csr=csr, proof=proof(signer, csr, tmp_path))
            assert holders.refusal(name) == ("PossessionProved", "ProofInvalid")
            holders.nothing_signed(name)

    def test_none(self, holders: RenewalScene) -> None:
        name = holders.ask(csr=holders.csr())
        assert holders.refusal(name) == ("PossessionProved", "RequesterNotAllowed")

    def test_the_holders_own(self, holders: RenewalScene, tmp_path: Path) -> None:
        """The same with a proof over this CSR is signed at once."""
        csr = holders.csr()
        name = holders.ask(csr=csr, proof=proof(holders.old, csr, tmp_path))
        assert holders.issued(name).public_key() == x509.load_pem_x509_csr(csr.encode()).public_key()
