"""The issuer of type CertManager, on a real API server with cert-manager's own CRD; the tests play cert-manager's part.

cert-manager signs what a CertificateRequest says. So it is asked for exactly one client certificate, once, and its
answer counts only if it is that.
"""

import base64
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clientcert.errors import IssuerError, Reason
from clientcert.issuers.cert_manager import ROLE, CertManagerSigner
from clientcert.issuers.interface import (
    AuthorityRequest,
    CreateRequest,
    Issued,
    Pending,
    PlanRequest,
    PollRequest,
)
from clientcert.issuers.labels import ISSUER_LABEL, SecretContent
from clientcert.lifecycle.renewal.policy import CertManagerIssuer
from clientcert.lifecycle.spec import SecretKeyRef
from tests.builders import DAY, NOW
from tests.control_plane.service_accounts import ServiceAccount
from tests.control_plane.waiting import until
from tools.certificates import CertificateAuthority, make_private_key
from tools.control_plane import ApiError, ControlPlane
from tools.control_plane.go_module import module_directory

CRD = "deploy/crds/cert-manager.io_certificaterequests.yaml"
SETTINGS = CertManagerIssuer("cert-manager.io", "Issuer", "clients", SecretKeyRef("ca", "ca.crt"))
ROOT = CertificateAuthority.create("Root CA")
CA = ROOT.intermediate("Issuing CA")
KEY = make_private_key("ec")
SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nhs")])
NAMES = x509.SubjectAlternativeName([x509.DNSName("nhs.example"), x509.RFC822Name("jo@nhs.example")])


def csr(*extensions: x509.ExtensionType, subject: x509.Name = SUBJECT, key: Any = KEY) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


CSR = csr()
FAILED = "2026-11-22T09:00:00Z"


@pytest.fixture(scope="session")
def cert_manager_crd(control_plane: ControlPlane) -> None:
    """The CRD of the pinned version of cert-manager."""
    path = module_directory("cert-manager", "github.com/cert-manager/cert-manager") / CRD
    control_plane.kubectl("apply", "--server-side", "-f", path)
    control_plane.kubectl("wait", "--for=condition=Established", "crd/certificaterequests.cert-manager.io")


class CertManager:
    """Plays the part of cert-manager, and of its approver, in one namespace."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._api = control_plane.api
        self._path = f"/apis/cert-manager.io/v1/namespaces/{namespace}/certificaterequests"

    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.request("GET", self._path)["items"]
        return found

    def only(self) -> dict[str, Any]:
        (found,) = self.requests()
        return found

    def says(self, *conditions: tuple[str, str, str], **status: str) -> None:
        """Add conditions (type, status, reason), and other fields of the status."""
        name = self.only()["metadata"]["name"]
        listed = [{"type": kind, "status": value, "reason": reason} for kind, value, reason in conditions]
        body = {"status": {"conditions": listed, **status}}
        kind = "application/merge-patch+json"
        self._api.request("PATCH", f"{self._path}/{name}/status", body, content_type=kind)

    def answers(self, certificate_pem: bytes) -> None:
        encoded = base64.b64encode(certificate_pem).decode()
        self.says(("Approved", "True", "cert-manager.io"), ("Ready", "True", "Issued"), certificate=encoded)

    def delete(self) -> None:
        self._api.request("DELETE", f"{self._path}/{self.only()['metadata']['name']}")

    def create(self, document: Mapping[str, Any]) -> None:
        self._api.request("POST", self._path, document)

    def is_refused(self) -> bool:
        """True if a dry run of a creation is refused by an admission policy."""
        document = {"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest", "metadata": {"name": "any"}}
        spec = {"request": base64.b64encode(CSR.encode()).decode(), "issuerRef": {"name": "clients"}}
        try:
            self._api.request("POST", f"{self._path}?dryRun=All", document | {"spec": spec})
        except ApiError as error:
            if error.status != 422 or "ValidatingAdmissionPolicy" not in str(error):
                raise
            return True
        return False


@dataclass
class Scene:
    """A namespace with the Secret of a CA, and an operator that asks cert-manager there."""

    namespace: str
    signer: CertManagerSigner
    cert_manager: CertManager
    secrets: dict[str, SecretContent]

    def plan(self, request_pem: str = CSR, **other: Any) -> PlanRequest:
        given: dict[str, Any] = {
            "namespace": self.namespace,
            "settings": SETTINGS,
            "renewal": "nhs-prod-1a2b3c4d5e",
            "renewal_uid": "0b5a3f3e-0001-4000-8000-000000000002",
            "request_pem": request_pem,
            "subject_der": SUBJECT.public_bytes(),
            "alternative_names_der": b"",
            "alternative_names_critical": False,
            "validity_days": 395,
            "now": NOW,
        }
        return PlanRequest(**given | other)

    async def planned(self, **other: Any) -> CreateRequest:
        plan = self.plan(**other)
        return CreateRequest(plan, await self.signer.plan(plan))


@pytest.fixture
def account(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> ServiceAccount:
    account = ServiceAccount(control_plane, namespace, tmp_path)
    account.grant(ROLE)
    return account


@pytest.fixture
async def scene(
    control_plane: ControlPlane, namespace: str, account: ServiceAccount, cert_manager_crd: None
) -> AsyncIterator[Scene]:
    secrets = {"ca": SecretContent({ISSUER_LABEL: "allowed"}, {"ca.crt": CA.identity.chain_pem})}

    async def read(_namespace: str, name: str) -> SecretContent:
        return secrets[name]

    async with account.client() as client:
        signer = CertManagerSigner(client, read, {(namespace, "everybody")})
        yield Scene(namespace, signer, CertManager(control_plane, namespace), secrets)


def signed(
    *,
    ca: CertificateAuthority = CA,
    key: Any = KEY,
    subject: x509.Name = SUBJECT,
    names: x509.SubjectAlternativeName | None = None,
    is_authority: bool = False,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    begins: datetime = NOW - timedelta(minutes=1),
    days: float = 395,
) -> bytes:
    """The certificate that cert-manager has signed, with its chain."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.identity.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(ca.identity.private_key, hashes.SHA256())
    return certificate.public_bytes(Encoding.PEM) + CA.identity.certificate_pem


async def refusal(call: Any) -> IssuerError:
    with pytest.raises(IssuerError) as caught:
        await call
    assert caught.value.message.endswith(".")
    return caught.value


def pem_subjects(pem: str) -> list[str]:
    return [each.subject.rfc4514_string() for each in x509.load_pem_x509_certificates(pem.encode())]


async def test_the_request(scene: Scene) -> None:
    """One CertificateRequest, for a client certificate and no CA; it belongs to nobody, and stays."""
    request = await scene.planned()
    assert isinstance(await scene.signer.create(request), Pending)
    found = scene.cert_manager.only()
    assert found["metadata"]["name"] == request.issuance.request_ref
    assert "ownerReferences" not in found["metadata"]
    assert found["metadata"]["annotations"] == {"clientcert.dev/renewal": "nhs-prod-1a2b3c4d5e"}
    spec = found["spec"]
    assert base64.b64decode(spec["request"]).decode() == CSR
    assert spec["issuerRef"] == {"group": "cert-manager.io", "kind": "Issuer", "name": "clients"}
    assert spec["usages"] == ["digital signature", "client auth"]
    assert (spec["isCA"], spec["duration"]) == (False, "9480h0m0s")


async def test_the_write_ahead(scene: Scene) -> None:
    """The issuer chooses the serial number; the name of its own object is the record. Nobody is asked."""
    issuance = (await scene.planned()).issuance
    assert (issuance.serial_number, issuance.tbs_hash) == ("", "")
    assert issuance.issuer_fingerprint == CA.identity.fingerprint_sha256
    assert (issuance.not_before, issuance.not_after) == (NOW, NOW + 395 * DAY)
    assert issuance.request_ref.startswith("nhs-prod-1a2b3c4d5e-")
    assert (await scene.planned(now=NOW)).issuance == issuance
    assert not scene.cert_manager.requests()


async def test_a_long_name(scene: Scene) -> None:
    """The object's name has at most 253 characters, and ends in a letter or digit."""
    request = await scene.planned(renewal="a" * 199 + "." + "b" * 53)
    assert len(request.issuance.request_ref) <= 253
    await scene.signer.create(request)
    assert scene.cert_manager.only()


async def test_asked_twice(scene: Scene) -> None:
    """As after a crash: an object of this name with the same content is success."""
    request = await scene.planned()
    for _ in range(2):
        assert isinstance(await scene.signer.create(request), Pending)
    assert isinstance(await scene.signer.create(await scene.planned()), Pending)
    assert len(scene.cert_manager.requests()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"request": base64.b64encode(csr(key=make_private_key("ec")).encode()).decode()},
        {"issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "clients"}},
        {"isCA": True},
        {"usages": ["digital signature", "server auth"]},
        {"duration": "87600h0m0s"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_another_object_of_this_name(scene: Scene, change: Mapping[str, Any]) -> None:
    """It is not taken for our own, in whatever it differs."""
    request = await scene.planned()
    await scene.signer.create(request)
    document = scene.cert_manager.only()
    scene.cert_manager.delete()
    metadata = {"name": document["metadata"]["name"]}
    scene.cert_manager.create({**document, "metadata": metadata, "spec": {**document["spec"], **change}})
    for call in (scene.signer.create(request), scene.signer.poll(PollRequest(request))):
        error = await refusal(call)
        assert error.reason is Reason.ISSUANCE_CHANGED
        assert "delete it" in error.message


async def test_every_change_makes_another_request(scene: Scene) -> None:
    """The spec of a CertificateRequest never changes, so a changed policy, CSR, CA or renewal has another name."""
    first = (await scene.planned()).issuance.request_ref
    names = {first}
    names.add((await scene.planned(validity_days=30)).issuance.request_ref)
    names.add((await scene.planned(request_pem=csr())).issuance.request_ref)
    names.add((await scene.planned(renewal_uid="another")).issuance.request_ref)
    names.add((await scene.planned(settings=replace(SETTINGS, name="others"))).issuance.request_ref)
    scene.secrets["ca"] = replace(scene.secrets["ca"], data={"ca.crt": ROOT.intermediate("New CA").identity.chain_pem})
    names.add((await scene.planned()).issuance.request_ref)
    assert len(names) == 6


async def test_a_write_ahead_that_is_outdated(scene: Scene) -> None:
    """The CA, the issuer or the request has changed since: a new one is made, and nothing is asked for."""
    request = await scene.planned()
    changed = [
        replace(request, plan=scene.plan(settings=replace(SETTINGS, name="others"))),
        replace(request, plan=scene.plan(csr())),
        replace(request, issuance=replace(request.issuance, not_after=NOW + 10 * DAY)),
        replace(request, issuance=replace(request.issuance, not_before=None)),
    ]
    for each in changed:
        assert (await refusal(scene.signer.create(each))).reason is Reason.ISSUANCE_CHANGED
    scene.secrets["ca"] = replace(scene.secrets["ca"], data={"ca.crt": ROOT.identity.certificate_pem})
    assert (await refusal(scene.signer.create(request))).reason is Reason.ISSUANCE_CHANGED
    assert not scene.cert_manager.requests()


async def test_what_it_waits_for(scene: Scene) -> None:
    """First for an approver, then for the issuer."""
    request = await scene.planned()
    waiting = await scene.signer.create(request)
    assert isinstance(waiting, Pending)
    assert "waits for the approval by an approver of cert-manager" in waiting.message
    scene.cert_manager.says(("Approved", "True", "policy.cert-manager.io"), ("Ready", "False", "Pending"))
    waiting = await scene.signer.poll(PollRequest(request))
    assert isinstance(waiting, Pending)
    assert "approved, and waits for its issuer" in waiting.message


@pytest.mark.parametrize(
    ("conditions", "status", "words"),
    [
        ([("Denied", "True", "policy.cert-manager.io")], {}, "was denied"),
        (
            [("Denied", "True", "x"), ("Ready", "False", "Denied")],
            {"failureTime": FAILED},
            "was denied",
        ),
        ([("Approved", "True", "x"), ("InvalidRequest", "True", "x")], {}, "is invalid"),
        ([("Approved", "True", "x"), ("Ready", "False", "Failed")], {}, "was refused by its issuer"),
        ([("Approved", "True", "x")], {"failureTime": FAILED}, "was refused by its issuer"),
    ],
)
async def test_what_is_never_signed(
    scene: Scene, conditions: list[tuple[str, str, str]], status: dict[str, str], words: str
) -> None:
    """It is final, and the message says where the cause is found."""
    request = await scene.planned()
    await scene.signer.create(request)
    scene.cert_manager.says(*conditions, **status)
    error = await refusal(scene.signer.poll(PollRequest(request)))
    assert (error.reason, error.retryable) == (Reason.ISSUANCE_REFUSED, False)
    assert words in error.message
    assert f"kubectl describe certificaterequest {request.issuance.request_ref}" in error.message


async def test_a_request_that_was_deleted(scene: Scene) -> None:
    """While the renewal waits for it, it is created again."""
    request = await scene.planned()
    await scene.signer.create(request)
    scene.cert_manager.delete()
    assert isinstance(await scene.signer.poll(PollRequest(request)), Pending)
    assert scene.cert_manager.only()["metadata"]["name"] == request.issuance.request_ref


async def test_the_answer(scene: Scene) -> None:
    """The certificate, then its chain without the root, in the right order, and nothing else that came with it."""
    request = await scene.planned()
    await scene.signer.create(request)
    certificate = signed()
    other = CertificateAuthority.create("Other").identity.certificate_pem
    scene.cert_manager.answers(b"some text\n" + ROOT.identity.certificate_pem + other + certificate)
    issued = await scene.signer.poll(PollRequest(request))
    assert isinstance(issued, Issued)
    assert pem_subjects(issued.certificate_pem) == ["CN=nhs", "CN=Issuing CA"]
    assert issued == await scene.signer.create(request)


async def test_a_root_that_signs_itself(scene: Scene) -> None:
    """The root is left out: whoever needs it has it."""
    scene.secrets["ca"] = replace(scene.secrets["ca"], data={"ca.crt": ROOT.identity.certificate_pem})
    request = await scene.planned()
    await scene.signer.create(request)
    scene.cert_manager.answers(signed(ca=ROOT))
    issued = await scene.signer.poll(PollRequest(request))
    assert isinstance(issued, Issued)
    assert pem_subjects(issued.certificate_pem) == ["CN=nhs"]


async def test_a_subject_in_another_encoding(scene: Scene) -> None:
    """The old certificate has a PrintableString, the CSR and the answer a UTF8String, as OpenSSL and Go write it."""
    printable = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "NHS", x509.name._ASN1Type.PrintableString)])
    request = await scene.planned(subject_der=printable.public_bytes())
    await scene.signer.create(request)
    scene.cert_manager.answers(signed())
    assert isinstance(await scene.signer.poll(PollRequest(request)), Issued)


async def test_alternative_names(scene: Scene) -> None:
    """They come from the CSR, so it must ask for exactly those of the old certificate, in any order."""
    turned = x509.SubjectAlternativeName([*NAMES][::-1])
    request = await scene.planned(request_pem=csr(turned), alternative_names_der=NAMES.public_bytes())
    await scene.signer.create(request)
    scene.cert_manager.answers(signed(names=turned))
    assert isinstance(await scene.signer.poll(PollRequest(request)), Issued)
    scene.cert_manager.answers(signed())
    assert (await refusal(scene.signer.poll(PollRequest(request)))).reason is Reason.CERTIFICATE_REFUSED
    more = x509.SubjectAlternativeName([*NAMES, x509.DNSName("gateway.example")])
    for wrong in (csr(), csr(more), csr(x509.SubjectAlternativeName([*NAMES][:1]))):
        error = await refusal(scene.planned(request_pem=wrong, alternative_names_der=NAMES.public_bytes()))
        assert error.reason is Reason.ISSUANCE_REFUSED
    error = await refusal(scene.planned(request_pem=csr(NAMES)))
    assert (error.reason, "no subjectAltName" in error.message) == (Reason.ISSUANCE_REFUSED, True)


WRONG_ANSWERS = {
    "another key": {"key": make_private_key("ec")},
    "another subject": {"subject": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "moj")])},
    "another CA": {"ca": CertificateAuthority.create("Issuing CA")},
    "alternative names": {"names": NAMES},
    "a CA": {"is_authority": True},
    "a server": {"purpose": ExtendedKeyUsageOID.SERVER_AUTH},
    "ten years": {"days": 3650},
    "expired": {"begins": NOW - 100 * DAY, "days": 99},
    "not valid yet": {"begins": NOW + DAY},
}


@pytest.mark.parametrize("wrong", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
async def test_an_answer_that_was_not_asked_for(scene: Scene, wrong: dict[str, Any]) -> None:
    """It is handed out to nobody, and the message says what is wrong."""
    request = await scene.planned()
    await scene.signer.create(request)
    scene.cert_manager.answers(signed(**wrong))
    error = await refusal(scene.signer.poll(PollRequest(request)))
    assert (error.reason, error.retryable) == (Reason.CERTIFICATE_REFUSED, False)
    assert request.issuance.request_ref in error.message


@pytest.mark.parametrize("content", [b"nothing", CA.identity.certificate_pem * 300, b"\xff" * 1000])
async def test_an_answer_that_is_no_certificate(scene: Scene, content: bytes) -> None:
    request = await scene.planned()
    await scene.signer.create(request)
    scene.cert_manager.says(("Approved", "True", "x"), ("Ready", "True", "Issued"))
    assert isinstance(await scene.signer.poll(PollRequest(request)), Pending)
    scene.cert_manager.answers(content)
    assert (await refusal(scene.signer.poll(PollRequest(request)))).reason is Reason.CERTIFICATE_REFUSED


async def test_a_shorter_life(scene: Scene) -> None:
    """Issuers have limits of their own; a certificate never outlives its CA."""
    request = await scene.planned()
    await scene.signer.create(request)
    scene.cert_manager.answers(signed(days=90))
    assert isinstance(await scene.signer.poll(PollRequest(request)), Issued)
    renewed = await scene.planned(ends_after=NOW + 90 * DAY)
    assert (await refusal(scene.signer.poll(PollRequest(renewed)))).reason is Reason.CERTIFICATE_REFUSED
    ending = ROOT.intermediate("Ending CA", not_after=NOW + 10 * DAY)
    scene.secrets["ca"] = replace(scene.secrets["ca"], data={"ca.crt": ending.identity.certificate_pem})
    assert (await scene.planned()).issuance.not_after == NOW + 10 * DAY
    late = NOW + 10 * DAY
    error = await refusal(scene.planned(now=late))
    assert error.reason is Reason.ISSUER_EXPIRED
    assert error.message.startswith(f"Secret {scene.namespace}/ca: the CA's certificate expired on ")


def usage(**set_to: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: set_to.get(name, False) for name in names + more})


CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
TOO_MUCH = {
    "CA:TRUE": x509.BasicConstraints(True, None),
    "keyCertSign": usage(digital_signature=True, key_cert_sign=True),
    "keyEncipherment": usage(digital_signature=True, key_encipherment=True),
    "serverAuth": x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
    "anyExtendedKeyUsage": x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
    "nameConstraints": x509.NameConstraints([x509.DNSName("example")], None),
    "1.2.3.4": x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_a_csr_that_asks_for_more(scene: Scene, name: str) -> None:
    """cert-manager copies the extensions of a CSR: one that asks for more than a client certificate is refused."""
    error = await refusal(scene.planned(request_pem=csr(TOO_MUCH[name])))
    assert error.reason is Reason.ISSUANCE_REFUSED
    assert name in error.message


async def test_a_csr_that_asks_for_no_more(scene: Scene) -> None:
    """The content that the certificate has in any case may be in it."""
    key_identifier = x509.SubjectKeyIdentifier.from_public_key(KEY.public_key())
    allowed = csr(x509.BasicConstraints(False, None), usage(digital_signature=True), CLIENT, key_identifier)
    assert (await scene.planned(request_pem=allowed)).issuance


async def test_what_is_no_csr(scene: Scene) -> None:
    """A public key alone, a certificate, two requests, another subject: with a reason each."""
    command = ["openssl", "req", "-pubkey", "-noout"]
    public_key = subprocess.run(command, input=CSR.encode(), capture_output=True, check=True)
    another = csr(subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "moj")]))
    for wrong in (public_key.stdout.decode(), CA.identity.certificate_pem.decode(), CSR + CSR, "", another):
        assert (await refusal(scene.planned(request_pem=wrong))).reason is Reason.ISSUANCE_REFUSED


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("cert-manager.io", "ClusterIssuer"),
        ("cert-manager.io", "clusterissuer"),
        ("awspca.cert-manager.io", "AWSPCAClusterIssuer"),
        ("adcs.certmanager.csf.nokia.com", "ClusterAdcsIssuer"),
        ("example.com", "Trust"),
    ],
)
async def test_an_issuer_of_no_namespace(scene: Scene, group: str, kind: str) -> None:
    """The operator asks in its own name, so the settings say which namespace may use which."""
    everybody = CertManagerIssuer(group, kind, "everybody", SETTINGS.ca)
    assert (await scene.planned(settings=everybody)).issuance
    other = replace(everybody, name="others")
    request = await scene.planned()
    calls = (
        scene.signer.authority(AuthorityRequest(scene.namespace, other)),
        scene.planned(settings=other),
        scene.planned(settings=everybody, namespace="neighbour"),
        scene.signer.create(replace(request, plan=scene.plan(settings=other))),
        scene.signer.poll(PollRequest(replace(request, plan=scene.plan(settings=other)))),
    )
    for call in calls:
        error = await refusal(call)
        assert error.reason is Reason.ISSUER_NOT_ALLOWED
        assert "CLIENTCERT_CLUSTER_ISSUERS" in error.message
    assert not scene.cert_manager.requests()


async def test_an_issuer_of_another_group(scene: Scene) -> None:
    """One of the namespace needs no grant."""
    assert await scene.planned(settings=CertManagerIssuer("awspca.cert-manager.io", "AWSPCAIssuer", "x", SETTINGS.ca))


async def test_the_authority(scene: Scene) -> None:
    """Of a file with a chain it is the one below; former ones come from `trust`."""
    former = CertificateAuthority.create("Former CA")
    scene.secrets["old"] = SecretContent({ISSUER_LABEL: "allowed"}, {"tls.crt": former.identity.certificate_pem})
    scene.secrets["ca"] = replace(
        scene.secrets["ca"], data={"ca.crt": ROOT.identity.certificate_pem + CA.identity.certificate_pem}
    )
    request = AuthorityRequest(scene.namespace, SETTINGS, (SecretKeyRef("old", "tls.crt"),))
    authority = await scene.signer.authority(request)
    assert authority.certificate_der == CA.identity.certificate_der
    assert authority.fingerprint_sha256 == CA.identity.fingerprint_sha256
    assert authority.former_ders == (former.identity.certificate_der,)
    assert authority.not_after == CA.identity.not_after


@pytest.mark.parametrize(
    ("labels", "content", "reason"),
    [
        ({}, CA.identity.certificate_pem, Reason.ISSUER_NOT_ALLOWED),
        ({ISSUER_LABEL: "true"}, CA.identity.certificate_pem, Reason.ISSUER_NOT_ALLOWED),
        ({ISSUER_LABEL: "allowed"}, b"", Reason.ISSUER_INVALID),
        ({ISSUER_LABEL: "allowed"}, b"nothing", Reason.ISSUER_INVALID),
        ({ISSUER_LABEL: "allowed"}, CA.issue("nhs", NOW, NOW + DAY).certificate_pem, Reason.ISSUER_INVALID),
        (
            {ISSUER_LABEL: "allowed"},
            CA.identity.certificate_pem + CertificateAuthority.create("Other").identity.certificate_pem,
            Reason.ISSUER_INVALID,
        ),
    ],
    ids=["no label", "another label", "empty", "no certificate", "no CA", "two CAs"],
)
async def test_a_secret_that_cannot_be_used(
    scene: Scene, labels: Mapping[str, str], content: bytes, reason: Reason
) -> None:
    """The message names the Secret."""
    scene.secrets["ca"] = SecretContent(labels, {"ca.crt": content})
    error = await refusal(scene.signer.authority(AuthorityRequest(scene.namespace, SETTINGS)))
    assert error.reason is reason
    assert error.message.count(f"Secret {scene.namespace}/ca") == 1


async def test_without_the_role(scene: Scene, control_plane: ControlPlane, tmp_path: Path) -> None:
    """The condition names it, and how it is bound."""
    account = ServiceAccount(control_plane, scene.namespace, tmp_path)
    request = await scene.planned()

    async def read(_namespace: str, name: str) -> SecretContent:
        return scene.secrets[name]

    async with account.client() as client:
        signer = CertManagerSigner(client, read)
        for call in (signer.create(request), signer.poll(PollRequest(request))):
            error = await refusal(call)
            assert (error.reason, error.retryable) == (Reason.FORBIDDEN, False)
            assert f"ClusterRole {ROLE}" in error.message
        account.grant(ROLE)
        assert isinstance(await signer.create(request), Pending)


@pytest.fixture
def refusing_policy(control_plane: ControlPlane, namespace: str, cert_manager_crd: None) -> Iterator[None]:
    """An admission policy of the cluster, in place of cert-manager's webhook; it has effect after a moment."""
    path = "/apis/admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["cert-manager.io"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["*"]}
    only_here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy = {
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": only_here},
            "validations": [{"expression": "false", "message": "csr key usages do not match"}],
        },
    }
    binding = {
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace, "validationActions": ["Deny"]},
    }
    control_plane.api.request("POST", f"{path}/validatingadmissionpolicies", policy)
    control_plane.api.request("POST", f"{path}/validatingadmissionpolicybindings", binding)
    until(lambda: CertManager(control_plane, namespace).is_refused())
    yield
    control_plane.api.request("DELETE", f"{path}/validatingadmissionpolicybindings/{namespace}")
    control_plane.api.request("DELETE", f"{path}/validatingadmissionpolicies/{namespace}")


@pytest.mark.usefixtures("refusing_policy")
async def test_a_request_that_the_cluster_refuses(scene: Scene) -> None:
    """By cert-manager's webhook, or by a policy: it is final, and no text of others is repeated."""
    error = await refusal(scene.signer.create(await scene.planned()))
    assert (error.reason, error.retryable) == (Reason.ISSUANCE_REFUSED, False)
    assert "csr key usages do not match" not in error.message
    assert not scene.cert_manager.requests()
