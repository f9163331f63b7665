"""When the proof of the admission policies is asked for again; tests/deploy/test_admission_proof.py has its rules."""

import asyncio

import pytest
from aiohttp import web

from clientcert.errors import KubeError, Reason
from clientcert.kube.admission_proof import AdmissionProof
from tests.adapters.test_kube_client import talking

POLICIES = ("clientcert-vetting", "clientcert-policies", "clientcert-renewals", "clientcert-revocations")


def refusal(policy: str, rules: str = "(rules 1)") -> web.Response:
    """As the API server words it."""
    words = f"x is forbidden: ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: no {rules}"
    return web.json_response({"message": words}, status=403)


def refusals() -> list[web.Response]:
    return [refusal(policy) for policy in POLICIES]


async def test_a_success_is_remembered_until_it_is_forgotten() -> None:
    """For each namespace apart."""
    async with talking() as (server, client):
        proof = AdmissionProof(client)
        server.answers = refusals() + refusals()
        assert [await proof.prove(namespace) for namespace in ("a", "a", "b", "b")] == [""] * 4
        assert server.asked.total() == 8
        proof.forget("a")
        server.answers = refusals()
        assert [await proof.prove(namespace) for namespace in ("b", "a")] == ["", ""]
        assert server.asked.total() == 12
        proof.forget()
        server.answers = refusals() + refusals()
        assert [await proof.prove(namespace) for namespace in ("a", "b")] == ["", ""]
        assert server.asked.total() == 20


async def test_a_failure_is_asked_again() -> None:
    """Every answer but the expected refusals is one, and the first of them ends the proof."""
    async with talking() as (server, client):
        proof = AdmissionProof(client)
        created = web.json_response({"metadata": {}}, status=201)
        server.answers = [refusal(POLICIES[0]), refusal(POLICIES[1]), created]
        assert "clientcert-renewals is not in force in it" in await proof.prove("a")
        assert server.asked.total() == 3
        server.answers = refusals()
        assert await proof.prove("a") == ""


@pytest.mark.parametrize(
    "answer",
    [
        {"message": 'User "x" cannot create resource "certificaterenewals" in API group "clientcert.dev"'},
        {"message": "ValidatingAdmissionPolicy 'clientcert-renewals-2' with binding 'x' denied request: no (rules 1)"},
        {"message": "ValidatingAdmissionPolicy 'another' with binding 'clientcert-policies' denied request: (rules 1)"},
        {"message": ""},
        {},
    ],
)
async def test_only_a_refusal_that_names_the_policy_counts(answer: dict[str, str]) -> None:
    async with talking() as (server, client):
        server.answers = [web.json_response(answer, status=403)]
        assert "is refused by something else" in await AdmissionProof(client).prove("a")


@pytest.mark.parametrize("rules", ["", "(rules 0)", "(rules x)", "rules 1", "(rules 9999999)"])
async def test_and_the_version_of_its_rules(rules: str) -> None:
    async with talking() as (server, client):
        server.answers = [refusal(POLICIES[0], rules)]
        assert "is of another version" in await AdmissionProof(client).prove("a")


async def test_callers_at_the_same_time_share_one_proof() -> None:
    """A thousand requests may be waiting for it, and one of them may give up."""
    async with talking() as (server, client):
        proof = AdmissionProof(client)
        server.answers = refusals()
        first, *others = [asyncio.create_task(proof.prove("a")) for _ in range(1000)]
        await asyncio.sleep(0)
        first.cancel()
        assert set(await asyncio.gather(*others)) == {""}
        assert server.asked.total() == 4


async def test_a_proof_that_began_before_it_was_forgotten_is_not_remembered() -> None:
    """The policies may have been removed meanwhile."""
    async with talking() as (server, client):
        proof = AdmissionProof(client)
        server.answers = refusals()
        before = asyncio.create_task(proof.prove("a"))
        await asyncio.sleep(0)
        proof.forget()
        assert await before == ""
        server.answers = refusals()
        assert await proof.prove("a") == ""
        assert server.asked.total() == 8


async def test_an_api_server_without_an_answer_proves_nothing() -> None:
    """It is asked again with the next call, and nothing is said about the policies."""
    async with talking() as (server, client):
        proof = AdmissionProof(client)
        server.answers = [web.Response(status=503, text="{}")]
        with pytest.raises(KubeError) as error:
            await proof.prove("a")
        assert error.value.reason is Reason.API_UNAVAILABLE
        server.answers = refusals()
        assert await proof.prove("a") == ""
