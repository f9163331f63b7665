"""The lists and CRLs of a namespace whose CAs change, share a name, or cannot be read."""

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography import x509

from clientcert.pki.pem import read_blocks
from tests.builders import DAY
from tests.simulation.api_server import NAMESPACE
from tests.unit.engine.renewal_events import NEXT_CA, ca_rotated_old_in_trust, rotate
from tests.unit.engine.renewal_scripts import BEGINS, CERT_MANAGER, SCRIPTS
from tests.unit.engine.renewal_world import CORE, OURS, POLICY, World
from tests.unit.renewal.asking import CA, ENDS, FORMER_CA
from tools.certificates import CertificateAuthority

SCRIPT = SCRIPTS["public key, CASecret, approved, S3, mail"]
KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.fixture
async def world() -> World:
    return World(BEGINS)


def revoke(world: World, name: str, by: CertificateAuthority = CA, **spec: Any) -> str:
    """The path of a CertificateRevocation of the certificate with this number."""
    path = f"{OURS}/certificaterevocations/{name}"
    facts = {
        "issuerDN": by.identity.certificate.subject.rfc4514_string(),
        "serialNumber": name.removeprefix("no-"),
        "consumer": "nhs",
        "reason": "Superseded",
        "revocationTime": f"{BEGINS:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": f"{ENDS:%Y-%m-%dT%H:%M:%SZ}",
    }
    world.server.put(path, spec=facts | spec)
    return path


def content(world: World, name: str, key: str) -> bytes:
    """Of a ConfigMap."""
    found = world.server.objects.get(f"{CORE}/configmaps/{name}", {})
    text = (found.get("data") or {}).get(key)
    return text.encode() if text is not None else base64.b64decode((found.get("binaryData") or {}).get(key, ""))


def in_crl(world: World, name: str = "client-ca-crl") -> set[str]:
    found = x509.load_der_x509_crl(content(world, name, "ca.crl"))
    return {f"{each.serial_number:x}" for each in found}


async def test_a_crl_has_the_entries_of_the_ca_that_signs_it(world: World) -> None:
    """An issuer of cert-manager has the name of the CA's Secret, is another CA, and is known first."""
    world.put_secret("other-ca", {"issuer": "allowed"}, tls_crt=NEXT_CA.identity.certificate_pem)
    asked = {**CERT_MANAGER["issuer"]["certManager"], "caRef": {"name": "other-ca", "key": "tls.crt"}}
    renewal = {"issuer": {"type": "CertManager", "certManager": asked}}
    world.server.put(f"{OURS}/certificatepolicies/asks", spec={"renewal": renewal})
    SCRIPT.declare(world)
    own, other = revoke(world, "no-4af2"), revoke(world, "no-4af3", NEXT_CA)
    await world.let_pass(10.0)
    await world.stop()
    assert in_crl(world) == {"4af2"}
    assert content(world, "client-ca-revocations", "revocations") == b"4AF2/nhs\n4AF3/nhs\n"
    assert [world.condition(kind, own) for kind in ("Listed", "InCRL")] == [("True", "Listed"), ("True", "Signed")]
    assert [world.condition(kind, other) for kind in ("Listed", "InCRL")] == [("True", "Listed"), ("", "")]


class TestAFormerCaThatCannotBeRead:
    """The others under trust are listed as before, and so is this one if it was known."""

    TRUST = ("damaged", "former-ca")

    @pytest.fixture
    async def world(self) -> World:
        world = World(BEGINS)
        SCRIPT.declare(world)
        for name, each in zip(self.TRUST, (FORMER_CA, NEXT_CA), strict=True):
            world.put_secret(name, {"issuer": "allowed"}, tls_crt=each.identity.certificate_pem)
        trust = [{"name": name, "key": "tls.crt"} for name in self.TRUST]
        world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], "trust": trust})
        return world

    def damage(self, world: World) -> None:
        world.put_secret("damaged", {"issuer": "allowed"}, tls_crt=b"")

    async def test_that_was_known(self, world: World) -> None:
        revoke(world, "no-1")
        await world.let_pass(10.0)
        self.damage(world)
        world.process.engine.cache.revocations.enqueue_lists([NAMESPACE])
        await world.let_pass(10.0)
        paths = [revoke(world, "no-2", FORMER_CA), revoke(world, "no-3", NEXT_CA)]
        await world.let_pass(10.0)
        await world.stop()
        assert [world.condition("Listed", each) for each in paths] == [("True", "Listed")] * 2
        assert content(world, "client-ca-revocations", "revocations") == b"02/nhs\n01/nhs\n03/nhs\n"
        assert world.condition("RevocationLists", POLICY) == ("False", "IssuerInvalid")

    async def test_that_was_not_known(self, world: World) -> None:
        """The condition of its revocation tells the cause, and it is listed once that is mended."""
        self.damage(world)
        unknown, known = revoke(world, "no-2", FORMER_CA), revoke(world, "no-3", NEXT_CA)
        await world.let_pass(10.0)
        assert world.condition("Listed", known) == ("True", "Listed")
        assert world.condition("Listed", unknown) == ("False", "IssuerInvalid")
        world.put_secret("damaged", {"issuer": "allowed"}, tls_crt=FORMER_CA.identity.certificate_pem)
        await world.run_until(lambda: world.condition("Listed", unknown) == ("True", "Listed"))
        await world.run_until(lambda: world.condition("RevocationLists", POLICY) == ("True", "UpToDate"))
        await world.stop()

    async def test_deleted_revocations_of_it_stay_known(self, world: World) -> None:
        await world.let_pass(5.0)
        self.damage(world)
        world.server.delete(revoke(world, "no-2", FORMER_CA))
        gone = revoke(world, "no-4", FORMER_CA, reason="KeyCompromise", keyHash=KEY)
        await world.let_pass(10.0)
        world.server.delete(gone)
        await world.let_pass(10.0)
        await world.stop()
        assert world.process.engine.cache.revocations.is_compromised(NAMESPACE, KEY)


class TestAListThatNoPolicyNamesAnyMore:
    """Its entries stay known, also those of deleted objects."""

    INDEX = "clientcert-revocation-lists"

    @pytest.fixture
    async def world(self) -> World:
        """The list has a compromised key and a superseded certificate, and both objects are deleted."""
        world = World(BEGINS)
        SCRIPT.declare(world)
        paths = [revoke(world, "no-1", reason="KeyCompromise", keyHash=KEY), revoke(world, "no-2")]
        await world.let_pass(10.0)
        for each in paths:
            world.server.delete(each)
        await world.let_pass(10.0)
        rotate(world, NEXT_CA, "client-ca-2")
        return world

    def name_the_other(self, world: World, **renewal: Any) -> None:
        issuer = {"type": "CASecret", "caSecret": {"name": "client-ca-2"}}
        world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], "issuer": issuer, **renewal})

    def is_known(self, world: World) -> bool:
        known = world.process.engine.cache.revocations
        revoked = [known.revoked(NAMESPACE, "CN=Integration CA,O=Example", each) is not None for each in ("1", "2")]
        return known.is_compromised(NAMESPACE, KEY) and all(revoked)

    @pytest.mark.parametrize("restarted", [False, True])
    async def test_another_ca_is_named(self, world: World, *, restarted: bool) -> None:
        if restarted:
            await world.kill()
        self.name_the_other(world)
        await world.let_pass(20.0)
        assert self.is_known(world)
        revoke(world, "no-3", NEXT_CA)
        await world.let_pass(20.0)
        await world.stop()
        assert self.is_known(world)
        assert content(world, self.INDEX, "names") == b"client-ca\nclient-ca-2\n"
        assert content(world, "client-ca-2-revocations", "revocations") == b"03/nhs\n"

    async def test_what_it_has_goes_into_the_list_that_trusts_its_ca(self, world: World) -> None:
        """The operator starts again before it could list that there."""
        await world.kill()
        self.name_the_other(world, trust=[{"name": "client-ca", "key": "tls.crt"}])
        await world.let_pass(20.0)
        await world.stop()
        assert content(world, "client-ca-2-revocations", "revocations") == b"01/nhs\n02/nhs\n"

    async def test_the_policy_is_deleted_meanwhile(self, world: World) -> None:
        spec = world.server.objects[POLICY]["spec"]
        world.server.delete(POLICY)
        await world.let_pass(20.0)
        world.process.engine.cache.revocations.enqueue_lists([NAMESPACE])
        await world.let_pass(20.0)
        assert self.is_known(world)
        world.server.put(POLICY, spec=spec)
        self.name_the_other(world)
        await world.let_pass(20.0)
        await world.stop()
        assert self.is_known(world)

    async def test_an_index_that_was_deleted_is_made_again(self, world: World) -> None:
        self.name_the_other(world)
        await world.let_pass(20.0)
        world.server.delete(f"{CORE}/configmaps/{self.INDEX}")
        world.process.engine.cache.revocations.enqueue_lists([NAMESPACE])
        await world.let_pass(20.0)
        await world.stop()
        assert content(world, self.INDEX, "names") == b"client-ca\n"
        assert self.is_known(world)

    async def test_one_that_is_deleted_is_forgotten(self, world: World) -> None:
        self.name_the_other(world)
        await world.let_pass(20.0)
        world.server.delete(f"{CORE}/configmaps/client-ca-revocations")
        world.process.engine.cache.revocations.enqueue_lists([NAMESPACE])
        await world.let_pass(20.0)
        await world.stop()
        assert content(world, self.INDEX, "names") == b""
        assert not self.is_known(world)

    async def test_more_lists_than_the_index_has_place_for(self, world: World) -> None:
        """The condition says so, and the index stays as it is."""
        one = world.server.objects[f"{CORE}/configmaps/client-ca-revocations"]
        former = [f"former-{number:03}" for number in range(199)]
        for name in former:
            metadata = {"name": f"{name}-revocations", "namespace": NAMESPACE, "labels": one["metadata"]["labels"]}
            world.server.put(f"{CORE}/configmaps/{name}-revocations", metadata=metadata, data=one["data"])
        names = "".join(f"{name}\n" for name in ("client-ca", *former))
        world.server.put(f"{CORE}/configmaps/{self.INDEX}", data={"names": names})
        self.name_the_other(world)
        revoke(world, "no-3", NEXT_CA)
        await world.let_pass(20.0)
        await world.stop()
        assert content(world, self.INDEX, "names") == names.encode()
        assert world.condition("RevocationLists", POLICY) == ("False", "TooLarge")

    async def test_an_index_that_is_not_ours_is_left_alone(self, world: World) -> None:
        """The condition of the policy tells it, and nothing is forgotten."""
        path = f"{CORE}/configmaps/{self.INDEX}"
        del world.server.objects[path]["metadata"]["labels"]
        world.server.put(path, data={"names": "../secrets/client-ca"})
        self.name_the_other(world)
        await world.let_pass(20.0)
        await world.stop()
        assert content(world, self.INDEX, "names") == b"../secrets/client-ca"
        assert world.condition("RevocationLists", POLICY) == ("False", "WriteNotAllowed")
        assert self.is_known(world)


async def test_there_is_no_index_without_a_list(world: World) -> None:
    SCRIPT.declare(world)
    await world.let_pass(20.0)
    await world.stop()
    assert [each for each in world.server.objects if "/configmaps/" in each] == []


class TestTheCrlInASecret:
    """nginx refuses a certificate without a CRL of its CA, so that of a former CA stays beside that of the new one."""

    @pytest.fixture
    async def world(self) -> World:
        world = World(BEGINS)
        SCRIPT.declare(world)
        world.put_secret("nginx", {"crl": "allowed"}, ca_crt=b"")
        revocation = {"crlSecretRef": {"name": "nginx", "key": "ca.crl"}}
        world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], "revocation": revocation})
        await world.let_pass(10.0)
        return world

    def issuers(self, world: World) -> list[str]:
        value = base64.b64decode(world.server.objects[f"{CORE}/secrets/nginx"]["data"]["ca.crl"])
        return [x509.load_der_x509_crl(each.der or b"").issuer.rfc4514_string() for each in read_blocks(value)]

    def words(self, world: World) -> str:
        conditions = world.server.objects[POLICY]["status"]["conditions"]
        return str(next(each["message"] for each in conditions if each["type"] == "RevocationLists"))

    async def test_that_of_a_former_ca_is_kept_until_it_ends(self, world: World) -> None:
        ca_rotated_old_in_trust(world)
        await world.let_pass(10.0)
        world.process.engine.cache.revocations.enqueue_lists([NAMESPACE])
        await world.let_pass(10.0)
        assert self.issuers(world) == ["CN=Next CA,O=Example", "CN=Integration CA,O=Example"]
        assert "keeps the CRL of the former CA CN=Integration CA,O=Example until 2027-02-19" in self.words(world)
        world.set_clock(31 * DAY)
        world.process.engine.cache.revocations.enqueue_lists([NAMESPACE])
        await world.let_pass(10.0)
        await world.stop()
        assert self.issuers(world) == ["CN=Next CA,O=Example"]
        assert "Secret nginx has no CRL of the former CA CN=Integration CA,O=Example" in self.words(world)

    async def test_one_that_is_damaged_in_the_config_map_stops_nothing(self, world: World) -> None:
        """Somebody who may write it has the state agree with that."""
        path = f"{CORE}/configmaps/client-ca-crl"
        state = json.loads(content(world, "client-ca-crl", "state"))
        state[4] = hashlib.sha256(b"none").hexdigest()
        binary = {"ca.crl": base64.b64encode(b"none").decode()}
        world.server.put(path, data={"state": json.dumps(state)}, binaryData=binary)
        world.process.engine.cache.revocations.enqueue_lists([NAMESPACE])
        await world.let_pass(10.0)
        await world.stop()
        assert world.condition("RevocationLists", POLICY) == ("False", "WriteNotAllowed")
        assert self.issuers(world) == ["CN=Integration CA,O=Example"]
