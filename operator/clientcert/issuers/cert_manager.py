"""The issuer of type CertManager: asks an issuer of cert-manager, or of one of its extensions, by a CertificateRequest.

The operator asks in its own name. So an issuer that belongs to no namespace is asked only for the namespaces that the
settings allow (CLIENTCERT_CLUSTER_ISSUERS).
"""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus

from clientcert.errors import IssuerError, KubeError, Reason
from clientcert.issuers.certificate_request import (
    Ready,
    is_cluster_wide,
    is_same_request,
    refused,
    request_object,
    request_object_name,
    state_of,
)
from clientcert.issuers.csr_profile import check_csr
from clientcert.issuers.interface import (
    Authority,
    AuthorityRequest,
    CreateRequest,
    Issued,
    Pending,
    PlanRequest,
    PollRequest,
)
from clientcert.issuers.issued_answer import lifetime, verified
from clientcert.issuers.labels import SecretRead, read_issuer_secret
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.lifecycle.renewal.naming import sha256
from clientcert.lifecycle.renewal.policy import CertManagerIssuer, IssuerSettings
from clientcert.lifecycle.renewal.status import Issuance
from clientcert.pki.authority import (
    can_sign_crl,
    former_authorities,
    read_certificates,
    require_authority,
    require_in_date,
)
from clientcert.pki.certificate_fields import CertificateFields, read_fields

ROLE = "clientcert-request-certificates"
"""The ClusterRole that a RoleBinding grants in each namespace that wants it; that of an installation may differ."""


class CertManagerSigner:
    """Creates CertificateRequests, which belong to nobody and stay, and waits for what cert-manager makes of them."""

    def __init__(
        self,
        client: KubeClient,
        read_secret: SecretRead,
        cluster_issuers: Collection[tuple[str, str]] = (),
        role: str = ROLE,
    ) -> None:
        """`cluster_issuers` are pairs of a namespace and an issuer of no namespace that it may use."""
        self._client = client
        self._read_secret = read_secret
        self._cluster_issuers = frozenset(cluster_issuers)
        self._role = role

    async def authority(self, request: AuthorityRequest) -> Authority:
        """Read the CA's certificate from the Secret of `caRef`, and the former ones."""
        own, *_ = await self._authority(request.namespace, self._settings(request.namespace, request.settings))
        former: list[bytes] = []
        for ref in request.trust:
            secret = await read_issuer_secret(self._read_secret, request.namespace, ref.name)
            try:
                former += await asyncio.to_thread(former_authorities, secret.value(ref.key))
            except IssuerError as error:
                raise secret.error(error) from None
        dates = (own.not_before, own.not_after)
        return Authority(own.der, tuple(dict.fromkeys(former)), *dates, sha256(own.der), can_sign_crl(own))

    async def plan(self, request: PlanRequest) -> Issuance:
        """Name the CertificateRequest and the dates that are asked for; the issuer chooses the serial number."""
        settings = self._settings(request.namespace, request.settings)
        own, *_ = await self._authority(request.namespace, settings, request.now)
        await asyncio.to_thread(check_csr, request)
        not_before = request.now.replace(microsecond=0)
        not_after = min(not_before + timedelta(days=request.validity_days), own.not_after)
        return Issuance(
            serial_number="",
            not_before=not_before,
            not_after=not_after,
            issuer_fingerprint=sha256(own.der),
            request_hash=sha256(request.request_pem.encode()),
            tbs_hash="",
            request_pem=request.request_pem,
            request_ref=request_object_name(request, settings, sha256(own.der), not_after - not_before),
        )

    async def create(self, request: CreateRequest) -> Issued | Pending:
        """Create the CertificateRequest of the write-ahead; one that is there already must ask for the same."""
        settings = self._settings(request.plan.namespace, request.plan.settings)
        authority = await self._planned_authority(request, settings)
        wanted = request_object(request, settings, lifetime(request))
        found = await self._create(request, wanted) or await self._get(request)
        return await _result(found, request, authority, wanted)

    async def poll(self, request: PollRequest) -> Issued | Pending:
        """Ask what has become of the CertificateRequest; one that was deleted is created again."""
        settings = self._settings(request.create.plan.namespace, request.create.plan.settings)
        authority = await self._planned_authority(request.create, settings)
        wanted = request_object(request.create, settings, lifetime(request.create))
        found = await self._get(request.create) or await self._create(request.create, wanted)
        return await _result(found, request.create, authority, wanted)

    def _settings(self, namespace: str, settings: IssuerSettings) -> CertManagerIssuer:
        """The settings, if the namespace may use this issuer. Raises IssuerError."""
        if not isinstance(settings, CertManagerIssuer):
            raise TypeError(f"not the settings of an issuer of cert-manager: {settings}")
        if is_cluster_wide(settings) and (namespace, settings.name) not in self._cluster_issuers:
            raise IssuerError(
                Reason.ISSUER_NOT_ALLOWED,
                f"Namespace {namespace} may not use {settings.kind} {settings.name}, which belongs to no namespace: "
                f"name an Issuer of the namespace, or have {namespace}={settings.name} added to "
                "CLIENTCERT_CLUSTER_ISSUERS in the operator's settings.",
            )
        return settings

    async def _authority(
        self, namespace: str, settings: CertManagerIssuer, now: datetime | None = None
    ) -> tuple[CertificateFields, ...]:
        """The CA that signs, then the others of its file. Raises IssuerError, with `now` if it cannot sign then."""
        secret = await read_issuer_secret(self._read_secret, namespace, settings.ca.name)
        try:
            own, *others = await asyncio.to_thread(_read_authority, secret.value(settings.ca.key))
            if now is not None:
                require_in_date(own.not_before, own.not_after, now)
            return (own, *others)
        except IssuerError as error:
            # A missing key names the Secret already.
            raise error if error.message.startswith(secret.title) else secret.error(error) from None

    async def _planned_authority(
        self, request: CreateRequest, settings: CertManagerIssuer
    ) -> tuple[CertificateFields, ...]:
        """The CA, if the write-ahead is still what would be asked for. Raises IssuerError."""
        plan, issuance = request.plan, request.issuance
        authority = await self._authority(plan.namespace, settings, plan.now)
        await asyncio.to_thread(check_csr, plan)
        recorded = (issuance.request_hash, issuance.issuer_fingerprint, issuance.request_ref)
        fingerprint = sha256(authority[0].der)
        name = request_object_name(plan, settings, fingerprint, lifetime(request))
        if recorded != (sha256(plan.request_pem.encode()), fingerprint, name):
            raise _changed("The CA, the issuer or the request was changed since this certificate was planned")
        return authority

    async def _create(self, request: CreateRequest, wanted: Object) -> Object | None:
        """Create the object; None if there is one of this name."""
        try:
            return await self._client.create(_collection(request.plan.namespace), wanted)
        except KubeError as error:
            if error.reason is Reason.CONFLICT:
                return None
            raise _issuer_error(error, request, self._role) from error

    async def _get(self, request: CreateRequest) -> Object | None:
        """Get the object; None if there is none."""
        try:
            return await self._client.get(f"{_collection(request.plan.namespace)}/{request.issuance.request_ref}")
        except KubeError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise _issuer_error(error, request, self._role) from error


async def _result(
    found: Object | None, request: CreateRequest, authority: tuple[CertificateFields, ...], wanted: Object
) -> Issued | Pending:
    title = _title(request)
    if found is None:
        raise IssuerError(Reason.ISSUER_UNAVAILABLE, f"{title} is being deleted or created by another.", retryable=True)
    if not is_same_request(found, wanted):
        raise _changed(f"{title} exists, but asks for something else: delete it")
    state = state_of(found, title)
    if isinstance(state, Ready):
        return Issued(await asyncio.to_thread(partial(verified, state.certificate_pem, request, authority, title)))
    return state


def _read_authority(content: bytes) -> tuple[CertificateFields, ...]:
    """The certificate of the CA that signs, then the others of the file, such as those above it."""
    certificates = read_certificates(content)
    lowest = [read_fields(each) for each in former_authorities(content)]
    if len({each.public_key_info for each in lowest}) > 1:
        words = "it holds the certificates of several CAs: leave only that of the CA that signs, and its chain"
        raise IssuerError(Reason.ISSUER_INVALID, words)
    own = max(lowest, key=lambda each: each.not_after)
    require_authority(own)
    return (own, *(each for each in certificates if each.der != own.der))


def _collection(namespace: str) -> str:
    return f"/apis/cert-manager.io/v1/namespaces/{namespace}/certificaterequests"


def _title(request: CreateRequest) -> str:
    return f"CertificateRequest {request.plan.namespace}/{request.issuance.request_ref}"


def _changed(what: str) -> IssuerError:
    return IssuerError(Reason.ISSUANCE_CHANGED, f"{what}; the certificate is planned anew.")


def _issuer_error(error: KubeError, request: CreateRequest, role: str) -> IssuerError:
    namespace, title = request.plan.namespace, _title(request)
    if error.reason is Reason.FORBIDDEN and error.status != HTTPStatus.UNAUTHORIZED:
        return IssuerError(
            Reason.FORBIDDEN,
            f"The operator may not create or get CertificateRequests in namespace {namespace}: bind the ClusterRole "
            f"{role} to its ServiceAccount by a RoleBinding in that namespace.",
        )
    if error.reason is Reason.NOT_FOUND:
        words = f"{title} cannot be created: install cert-manager in this cluster, or use an issuer of type CASecret."
        return IssuerError(Reason.ISSUER_NOT_FOUND, words)
    if error.reason is Reason.UNPROCESSABLE:
        words = f"{title} is refused when it is created, by cert-manager or by a policy of the cluster: the usages of a"
        return refused(f"{words} CSR must be digitalSignature with clientAuth, or left out.")
    return IssuerError(
        Reason.ISSUER_UNAVAILABLE,
        f"{title} cannot be created or read: {error.message}.",
        retryable=error.retryable or error.status == HTTPStatus.UNAUTHORIZED,
        retry_after=error.retry_after,
    )
