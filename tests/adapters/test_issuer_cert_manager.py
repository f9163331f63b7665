"""The issuer of type CertManager, with answers of an API server that a real one with cert-manager does not give."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clientcert.errors import IssuerError, Reason
from clientcert.issuers.cert_manager import CertManagerSigner
from clientcert.issuers.interface import CreateRequest, PlanRequest, PollRequest
from clientcert.issuers.labels import ISSUER_LABEL, SecretContent
from clientcert.kube.client import KubeClient
from clientcert.kube.kubeconfig import Connection
from clientcert.lifecycle.renewal.policy import CertManagerIssuer
from clientcert.lifecycle.spec import SecretKeyRef
from tests.builders import DAY, NOW
from tools.certificates import CertificateAuthority

CA = CertificateAuthority.create("Integration CA")
OLD = CA.issue("nhs", NOW - DAY, NOW + DAY)
PLAN = PlanRequest(
    namespace="team",
    settings=CertManagerIssuer("cert-manager.io", "Issuer", "clients", SecretKeyRef("ca", "ca.crt")),
    renewal="nhs-prod-1",
    renewal_uid="uid",
    request_pem=OLD.csr_pem().decode(),
    subject_der=OLD.certificate.subject.public_bytes(),
    alternative_names_der=b"",
    alternative_names_critical=False,
    validity_days=395,
    now=NOW,
)


class ApiServer:
    def __init__(self) -> None:
        self.answers: dict[str, web.Response] = {}
        """By method."""

    async def answer(self, request: web.Request) -> web.Response:
        found = self.answers[request.method]
        return web.Response(status=found.status, body=found.body, content_type="application/json")


@pytest.fixture
async def api_server() -> AsyncIterator[tuple[ApiServer, CertManagerSigner]]:
    api_server, application = ApiServer(), web.Application()
    application.router.add_route("*", "/{path:.*}", api_server.answer)

    async def read(_namespace: str, _name: str) -> SecretContent:
        return SecretContent({ISSUER_LABEL: "allowed"}, {"ca.crt": CA.identity.certificate_pem})

    async with TestServer(application) as server:
        client = KubeClient(lambda: Connection(server=str(server.make_url("")).rstrip("/"), token="t"))
        yield api_server, CertManagerSigner(client, read)
        await client.close()


NOT_INSTALLED = web.Response(status=404, text="404 page not found")
GONE = web.Response(status=404, text='{"message": "certificaterequests \\"nhs-prod-1\\" not found"}')
TAKEN = web.Response(status=409, text='{"message": "already exists"}')
WEBHOOK_AWAY = web.Response(status=500, text='{"message": "failed calling webhook: connection refused to 10.0.0.7"}')
NO_TOKEN = web.Response(status=401, text='{"message": "Unauthorized"}')


@pytest.mark.parametrize(
    ("post", "get", "reason", "retryable"),
    [
        (NOT_INSTALLED, NOT_INSTALLED, Reason.ISSUER_NOT_FOUND, False),
        (WEBHOOK_AWAY, GONE, Reason.ISSUER_UNAVAILABLE, True),
        (TAKEN, GONE, Reason.ISSUER_UNAVAILABLE, True),
        (NO_TOKEN, NO_TOKEN, Reason.ISSUER_UNAVAILABLE, True),
    ],
    ids=["cert-manager is not installed", "its webhook is away", "made and deleted meanwhile", "an expired token"],
)
async def test_what_goes_wrong(
    api_server: tuple[ApiServer, CertManagerSigner],
    post: web.Response,
    get: web.Response,
    reason: Reason,
    retryable: bool,
) -> None:
    """Each has a reason, and says whether it may pass by itself; no text of the server is repeated."""
    server, signer = api_server
    server.answers = {"POST": post, "GET": get}
    request = CreateRequest(PLAN, await signer.plan(PLAN))
    for call in (signer.create(request), signer.poll(PollRequest(request))):
        with pytest.raises(IssuerError) as caught:
            await call
        assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
        assert "10.0.0.7" not in caught.value.message
