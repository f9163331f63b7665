"""The issuer of type CASecret: a CA in a labelled Secret, the write-ahead, and exactly that signed."""

import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from clientcert.errors import IssuerError, KubeError, Reason
from clientcert.issuers.ca_secret import CaSecretSigner
from clientcert.issuers.interface import (
    AuthorityRequest,
    CreateRequest,
    CrlRequest,
    CrlSigner,
    Issuer,
    PlanRequest,
    PollRequest,
)
from clientcert.issuers.labels import SecretContent
from clientcert.lifecycle.renewal.naming import sha256
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, CertManagerIssuer
from clientcert.lifecycle.renewal.spec import RevocationReason, RevocationSpec
from clientcert.lifecycle.renewal.status import Issuance
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.pki.certificate_fields import read_fields
from tests.unit.pki.odd_names import ALTERNATIVE_NAMES, BROKEN_NAMES, CLEAN_NAMES
from tests.unit.pki.signing_authorities import (
    NOT_BEFORE,
    NOW,
    Pair,
    make_pair,
    pair,
    private_key,
    public_key_info,
    public_key_pem,
    usage,
)

ALLOWED = {"clientcert.dev/issuer": "allowed"}
SETTINGS = CaSecretIssuer("client-ca")
DAY = timedelta(days=1)
KEY_PEM = public_key_pem(private_key("P-256", 9))
PLAN = PlanRequest(
    namespace="team-a",
    settings=SETTINGS,
    renewal="nhs-prod-0123456789",
    renewal_uid="0b5a3f3e-0001-4000-8000-000000000001",
    request_pem=KEY_PEM,
    subject_der=CLEAN_NAMES["with country and organization"],
    alternative_names_der=ALTERNATIVE_NAMES["DNS"],
    alternative_names_critical=False,
    validity_days=395,
    now=NOW,
)


class Secrets:
    """A fake API server with Secrets only; it counts what is read."""

    def __init__(self, ca: Pair | None = None, labels: Mapping[str, str] = ALLOWED, **values: bytes) -> None:
        ca = ca or pair()
        self.found: dict[tuple[str, str], SecretContent] = {}
        self.error: KubeError | None = None
        self.reads = 0
        self.put("client-ca", labels, {"tls.crt": ca.pem, "tls.key": ca.key_pem} | values)

    def put(self, name: str, labels: Mapping[str, str], data: Mapping[str, bytes]) -> None:
        self.found["team-a", name] = SecretContent(labels, data)

    async def __call__(self, namespace: str, name: str, /) -> SecretContent:
        self.reads += 1
        if self.error:
            raise self.error
        if (namespace, name) not in self.found:
            raise KubeError(Reason.NOT_FOUND, "from the server", status=404)
        return self.found[namespace, name]


def signer(found: Secrets | None = None) -> CaSecretSigner:
    return CaSecretSigner(found or Secrets(), secrets.randbits)


async def refusal(found: Secrets, settings: CaSecretIssuer = SETTINGS) -> IssuerError:
    """The error of all verbs that need the CA."""
    with pytest.raises(IssuerError) as of_authority:
        await signer(found).authority(AuthorityRequest("team-a", settings))
    with pytest.raises(IssuerError) as caught:
        await signer(found).plan(replace(PLAN, settings=settings))
    assert caught.value.message == of_authority.value.message
    return caught.value


def certificates(text: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(text.encode())


pytestmark = pytest.mark.real_time


async def test_what_is_planned_is_signed() -> None:
    """Serial number, dates, key, subject and names are those of the write-ahead."""
    issuer: Issuer = signer()
    issuance = await issuer.plan(PLAN)
    assert issuance == Issuance(
        serial_number=issuance.serial_number,
        not_before=NOW - timedelta(minutes=5),
        not_after=NOW + 395 * DAY,
        issuer_fingerprint=sha256(pair().der),
        request_hash=sha256(KEY_PEM.encode()),
        tbs_hash=issuance.tbs_hash,
        request_pem=KEY_PEM,
    )
    issued = await issuer.create(CreateRequest(PLAN, issuance))
    (made,) = certificates(issued.certificate_pem)  # type: ignore[union-attr]
    found = read_fields(made.public_bytes(Encoding.DER))
    assert sha256(found.tbs_der) == issuance.tbs_hash
    assert f"{found.serial_number:x}" == issuance.serial_number
    assert found.subject_der == PLAN.subject_der
    assert found.public_key_info == public_key_info(private_key("P-256", 9))
    assert found.alternative_names == (PLAN.alternative_names_der, False)


async def test_a_certificate_can_be_made_again_after_a_crash() -> None:
    """By another process, at another time, and by `poll`: octet for octet the same."""
    issuance = await signer().plan(PLAN)
    first = await signer().create(CreateRequest(PLAN, issuance))
    later = CreateRequest(replace(PLAN, now=NOW + DAY), issuance)
    assert await signer().create(later) == await signer().poll(PollRequest(later)) == first


async def test_nothing_random_is_asked_for_at_signing() -> None:
    """All of it is in the write-ahead."""
    issuance = await signer().plan(PLAN)

    def never(bits: int) -> int:
        raise AssertionError

    assert await CaSecretSigner(Secrets(), never).create(CreateRequest(PLAN, issuance))


async def test_two_plans_differ() -> None:
    """The serial number is random, so a request that is planned anew never makes the same certificate."""
    first, second = await signer().plan(PLAN), await signer().plan(PLAN)
    assert first.serial_number != second.serial_number
    assert first.tbs_hash != second.tbs_hash


CHANGED_PLANS = {
    "another key": replace(PLAN, request_pem=public_key_pem(private_key("P-256", 8))),
    "another subject": replace(PLAN, subject_der=CLEAN_NAMES["UTF8String"]),
    "other names": replace(PLAN, alternative_names_der=ALTERNATIVE_NAMES["URI"]),
    "critical names": replace(PLAN, alternative_names_critical=True),
    "the same key in another text": replace(PLAN, request_pem=KEY_PEM + "\n"),
}


@pytest.mark.parametrize("plan", CHANGED_PLANS.values(), ids=CHANGED_PLANS.keys())
async def test_nothing_but_the_write_ahead_is_signed(plan: PlanRequest) -> None:
    """IssuanceChanged: a new write-ahead is made."""
    issuance = await signer().plan(PLAN)
    with pytest.raises(IssuerError) as caught:
        await signer().create(CreateRequest(plan, issuance))
    assert caught.value.reason is Reason.ISSUANCE_CHANGED


@pytest.mark.parametrize(
    "changes",
    [
        {"serial_number": ""},
        {"serial_number": "4af2"},
        {"serial_number": "0"},
        {"serial_number": "-4af2"},
        {"serial_number": "nonsense"},
        {"not_before": None},
        {"not_after": None},
        {"not_after": NOW + 394 * DAY},
        {"tbs_hash": ""},
        {"request_hash": ""},
        {"issuer_fingerprint": "00" * 32},
    ],
    ids=str,
)
async def test_a_write_ahead_of_another_issuer_is_not_signed(changes: dict[str, str | datetime | None]) -> None:
    """The policy was changed from CertManager to CASecret, for example; or a status was written by hand."""
    issuance = replace(await signer().plan(PLAN), **changes)
    with pytest.raises(IssuerError) as caught:
        await signer().create(CreateRequest(PLAN, issuance))
    assert caught.value.reason is Reason.ISSUANCE_CHANGED


@pytest.mark.parametrize("key", [private_key("P-256"), private_key("P-256", 1)], ids=["renewed", "rekeyed"])
async def test_a_ca_that_was_replaced_signs_nothing_that_the_other_one_planned(key: object) -> None:
    """Not even with the same key, since the certificate of the CA is another one."""
    issuance = await signer().plan(PLAN)
    with pytest.raises(IssuerError) as caught:
        await signer(Secrets(make_pair(key=key))).create(CreateRequest(PLAN, issuance))
    assert caught.value.reason is Reason.ISSUANCE_CHANGED


async def test_a_secret_that_changes_counts_at_once() -> None:
    """The CA is kept, but the Secret is read for each call: its label is a consent, which can be withdrawn."""
    found = Secrets()
    issuer = signer(found)
    issuance = await issuer.plan(PLAN)
    found.put("client-ca", {}, found.found["team-a", "client-ca"].data)
    with pytest.raises(IssuerError) as caught:
        await issuer.create(CreateRequest(PLAN, issuance))
    assert caught.value.reason is Reason.ISSUER_NOT_ALLOWED
    other = make_pair("P-384")
    found.put("client-ca", ALLOWED, {"tls.crt": other.pem, "tls.key": other.key_pem})
    assert (await issuer.authority(AuthorityRequest("team-a", SETTINGS))).certificate_der == other.der


@pytest.mark.parametrize(
    "labels",
    [{}, {"clientcert.dev/issuer": "true"}, {"clientcert.dev/issuer": "Allowed"}, {"clientcert.dev/crl": "allowed"}],
    ids=str,
)
async def test_a_secret_without_the_label(labels: Mapping[str, str]) -> None:
    """Else whoever edits a policy makes the operator sign with any key of the namespace."""
    error = await refusal(Secrets(labels=labels))
    assert error.reason is Reason.ISSUER_NOT_ALLOWED
    assert error.message == (
        "Secret team-a/client-ca is not labelled as an issuer: if certificates may be signed with it, add the label"
        " clientcert.dev/issuer=allowed."
    )


async def test_a_secret_that_does_not_exist() -> None:
    error = await refusal(Secrets(), CaSecretIssuer("nowhere"))
    assert (error.reason, error.retryable) == (Reason.ISSUER_NOT_FOUND, False)
    assert error.message == "Secret team-a/nowhere does not exist: create it, or correct the reference."


async def test_only_the_own_namespace_is_read() -> None:
    with pytest.raises(IssuerError) as caught:
        await signer().plan(replace(PLAN, namespace="team-b"))
    assert caught.value.message.startswith("Secret team-b/client-ca does not exist")


@pytest.mark.parametrize(
    ("error", "reason", "is_retryable"),
    [
        (KubeError(Reason.FORBIDDEN, "x", status=403), Reason.ACCESS_DENIED, False),
        (KubeError(Reason.FORBIDDEN, "x", status=401), Reason.ISSUER_UNAVAILABLE, True),
        (KubeError(Reason.API_UNAVAILABLE, "x", retryable=True), Reason.ISSUER_UNAVAILABLE, True),
    ],
)
async def test_an_api_server_that_does_not_answer(error: KubeError, reason: Reason, is_retryable: bool) -> None:
    found = Secrets()
    found.error = error
    caught = await refusal(found)
    assert (caught.reason, caught.retryable) == (reason, is_retryable)


async def test_the_keys_of_the_secret_have_any_names() -> None:
    """As teams have them already."""
    data = {"truststore-public-key": pair().pem, "truststore-private-key": pair().key_pem}
    found = Secrets()
    found.put("mutual-tls-auth", ALLOWED, data)
    settings = CaSecretIssuer("mutual-tls-auth", "truststore-public-key", "truststore-private-key")
    assert await signer(found).plan(replace(PLAN, settings=settings))
    error = await refusal(found, replace(settings, private_key_key="tls.key"))
    assert error.message == (
        "Secret team-a/mutual-tls-auth has no key tls.key: name one that it has"
        " (truststore-private-key, truststore-public-key) or add it."
    )


async def test_an_encrypted_key_and_its_password_are_in_the_same_secret() -> None:
    encryption = BestAvailableEncryption(b"correct horse")
    encrypted = pair().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    settings = replace(SETTINGS, password_key="password")
    values = {"tls.key": encrypted, "password": b"correct horse\n"}
    assert await signer(Secrets(**values)).plan(replace(PLAN, settings=settings))
    error = await refusal(Secrets(**values | {"password": b"wrong"}), settings)
    assert (error.reason, error.message) == (
        Reason.ISSUER_INVALID,
        "Secret team-a/client-ca: its private key cannot be decrypted with the password: correct the password.",
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            Secrets(make_pair(), **{"tls.key": pair("P-384").key_pem}),
            "its private key does not belong to its certificate",
        ),
        (
            Secrets(make_pair(extensions=((x509.BasicConstraints(ca=False, path_length=None), True),))),
            "the certificate is not that of a CA",
        ),
        (
            Secrets(
                make_pair(
                    extensions=(
                        (x509.BasicConstraints(ca=True, path_length=None), True),
                        (usage(crl_sign=True), True),
                    )
                )
            ),
            "the CA may not sign certificates",
        ),
        (Secrets(**{"tls.crt": b"no certificate"}), "the CA's certificate cannot be read"),
        (Secrets(**{"tls.key": b"no key"}), "its private key holds no private key"),
        (Secrets(**{"tls.key": b""}), "the value of key tls.key is empty"),
    ],
    ids=["mismatch", "no CA", "no keyCertSign", "no certificate", "no key", "empty"],
)
async def test_a_ca_that_is_not_usable(found: Secrets, words: str) -> None:
    """IssuerInvalid; the sentence names the Secret and what to fix."""
    error = await refusal(found)
    assert error.reason is Reason.ISSUER_INVALID
    assert error.message.startswith(f"Secret team-a/client-ca: {words}")
    assert error.message.endswith(".")
    assert not error.retryable


async def test_an_expired_ca_is_known_and_signs_nothing() -> None:
    """Its date is told, so that a condition can say it."""
    found = Secrets(make_pair(dates=(NOT_BEFORE, NOW)))
    authority = await signer(found).authority(AuthorityRequest("team-a", SETTINGS))
    assert authority.not_after == NOW
    with pytest.raises(IssuerError) as caught:
        await signer(found).plan(PLAN)
    assert caught.value.reason is Reason.ISSUER_EXPIRED
    assert caught.value.message == (
        f"Secret team-a/client-ca: the CA's certificate expired on {NOW:%Y-%m-%d %H:%M} UTC: renew the CA, put it into"
        " the Secret that spec.renewal.issuer names, and keep this certificate under trust."
    )


async def test_a_ca_that_is_not_valid_yet_is_known_and_signs_nothing() -> None:
    begins = NOW + timedelta(seconds=1)
    found = Secrets(make_pair(dates=(begins, NOW + 9 * DAY)))
    authority = await signer(found).authority(AuthorityRequest("team-a", SETTINGS))
    assert authority.not_before == begins
    with pytest.raises(IssuerError) as caught:
        await signer(found).plan(PLAN)
    assert caught.value.reason is Reason.ISSUER_NOT_YET_VALID
    assert caught.value.message.startswith("Secret team-a/client-ca: the CA's certificate is not valid before ")
    assert await signer(found).plan(replace(PLAN, now=begins))


async def test_a_ca_that_ends_between_plan_and_signature() -> None:
    issuance = await signer().plan(PLAN)
    with pytest.raises(IssuerError) as caught:
        await signer().create(CreateRequest(replace(PLAN, now=NOW + 9999 * DAY), issuance))
    assert caught.value.reason is Reason.ISSUER_EXPIRED


async def test_a_certificate_that_has_ended_before_it_is_signed() -> None:
    """The operator was away for a year: it is planned anew."""
    issuance = await signer().plan(PLAN)
    with pytest.raises(IssuerError) as caught:
        await signer().create(CreateRequest(replace(PLAN, now=NOW + 395 * DAY), issuance))
    assert caught.value.reason is Reason.ISSUANCE_CHANGED


async def test_a_request_that_cannot_be_certified_names_no_secret() -> None:
    """The CA is not at fault."""
    for plan in (replace(PLAN, request_pem="x"), replace(PLAN, subject_der=BROKEN_NAMES["cut off"])):
        with pytest.raises(IssuerError) as caught:
            await signer().plan(plan)
        assert (caught.value.reason, "Secret" in caught.value.message) == (Reason.ISSUANCE_REFUSED, False)


async def test_the_chain_follows_the_certificate_without_the_root() -> None:
    root, middle = pair("P-384"), make_pair(name="Middle", key=private_key("P-256", 4), parent=pair("P-384"))
    issuing = make_pair(name="Issuing", parent=middle)
    found = Secrets(**{"tls.crt": issuing.pem + middle.pem + root.pem})
    issuance = await signer(found).plan(PLAN)
    issued = await signer(found).create(CreateRequest(PLAN, issuance))
    subjects = [each.subject.rfc4514_string() for each in certificates(issued.certificate_pem)]
    assert subjects == ["CN=nhs,O=NHS Digital,C=GB", "CN=Issuing", "CN=Middle"]


async def test_former_cas_are_those_of_labelled_secrets() -> None:
    """Each certificate once, also of a CA whose Secret no longer has a key."""
    found = Secrets()
    former = make_pair("P-384", name="Former CA", dates=(NOT_BEFORE, NOW))
    found.put("former", ALLOWED, {"ca.crt": former.pem})
    found.put("unlabelled", {}, {"ca.crt": former.pem})
    trust = (SecretKeyRef("former", "ca.crt"), SecretKeyRef("former", "ca.crt"))
    authority = await signer(found).authority(AuthorityRequest("team-a", SETTINGS, trust))
    assert (authority.former_ders, authority.can_sign_crl) == ((former.der,), True)
    for ref, reason in (
        (SecretKeyRef("unlabelled", "ca.crt"), Reason.ISSUER_NOT_ALLOWED),
        (SecretKeyRef("nowhere", "ca.crt"), Reason.ISSUER_NOT_FOUND),
        (SecretKeyRef("former", "tls.crt"), Reason.ISSUER_INVALID),
    ):
        with pytest.raises(IssuerError) as caught:
            await signer(found).authority(AuthorityRequest("team-a", SETTINGS, (ref,)))
        assert (caught.value.reason, f"Secret team-a/{ref.name}" in caught.value.message) == (reason, True)


async def test_a_revocation_list() -> None:
    """Signed by the CA in the Secret."""
    issuer: CrlSigner = signer()
    entry = RevocationSpec("CN=Integration CA", "4af2", "nhs", RevocationReason.SUPERSEDED, NOW - DAY, NOW + DAY)
    made = await issuer.sign_crl(CrlRequest("team-a", SETTINGS, (entry,), 3, NOW, NOW + 30 * DAY))
    found = x509.load_der_x509_crl(made)
    assert found.is_signature_valid(pair().key.public_key())
    assert [each.serial_number for each in found] == [0x4AF2]


async def test_while_the_operator_only_observes_no_key_signs() -> None:
    """The CA is read, so that conditions say what it would do."""
    found = Secrets()
    planned = await signer(found).plan(PLAN)
    observer = CaSecretSigner(found, secrets.randbits, observe_only=True)
    assert (await observer.authority(AuthorityRequest("team-a", SETTINGS))).certificate_der
    request = CreateRequest(PLAN, planned)
    for call in (
        observer.create(request),
        observer.poll(PollRequest(request)),
        observer.sign_crl(CrlRequest("team-a", SETTINGS, (), 3, NOW, NOW + DAY)),
    ):
        with pytest.raises(IssuerError) as caught:
            await call
        assert (caught.value.reason, caught.value.retryable) == (Reason.OBSERVE_ONLY, False)


async def test_a_ca_that_may_not_sign_a_revocation_list() -> None:
    ca_true = (x509.BasicConstraints(ca=True, path_length=None), True)
    found = Secrets(make_pair(extensions=(ca_true, (usage(key_cert_sign=True), True))))
    with pytest.raises(IssuerError) as caught:
        await signer(found).sign_crl(CrlRequest("team-a", SETTINGS, (), 3, NOW, NOW + DAY))
    assert caught.value.message.startswith("Secret team-a/client-ca: the CA may not sign CRLs")
    assert not (await signer(found).authority(AuthorityRequest("team-a", SETTINGS))).can_sign_crl


async def test_the_settings_of_another_issuer_are_a_mistake_of_the_caller() -> None:
    other = CertManagerIssuer("cert-manager.io", "Issuer", "ca", SecretKeyRef("ca", "ca.crt"))
    with pytest.raises(TypeError):
        await signer().plan(replace(PLAN, settings=other))


async def test_no_repr_shows_a_key() -> None:
    found = Secrets()
    issuer = signer(found)
    issuance = await issuer.plan(PLAN)
    shown = f"{issuer!r} {issuance!r} {found.found!r} {issuer.__dict__!r}"
    lines = pair().key_pem.splitlines()[1:-1]
    assert [line for line in lines if line.decode() in shown] == []


async def test_few_cas_are_kept() -> None:
    """The memory does not grow with the number of CAs that were ever used."""
    found = Secrets()
    issuer = signer(found)
    for number in range(40):
        ca = make_pair(key=private_key("P-256", 100 + number))
        found.put("client-ca", ALLOWED, {"tls.crt": ca.pem, "tls.key": ca.key_pem})
        await issuer.authority(AuthorityRequest("team-a", SETTINGS))
    assert len(issuer._kept) == 32


@pytest.mark.parametrize("kind", ["RSA 2048", "P-256", "P-384", "Ed25519"])
async def test_a_java_program_reads_what_is_issued(kind: str, tmp_path: Path) -> None:
    """keytool prints the names and the purpose."""
    keytool = shutil.which("keytool") or pytest.skip("no keytool on this machine")
    found = Secrets(pair(kind))
    issuance = await signer(found).plan(PLAN)
    issued = await signer(found).create(CreateRequest(PLAN, issuance))
    (tmp_path / "leaf.pem").write_text(issued.certificate_pem)
    command = [keytool, "-printcert", "-file", "leaf.pem"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Owner: CN=nhs, O=NHS Digital, C=GB" in ran.stdout
    assert "Version: 3" in ran.stdout
    assert "clientAuth" in ran.stdout
