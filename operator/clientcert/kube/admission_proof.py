"""The proof that the admission policies are in force in a namespace. Without it, nothing is signed there.

The operator creates, as a dry run, one object of each kind that a policy must refuse. Only a refusal that names the
policy counts: the API server checks RBAC before admission, and other policies may refuse the same object.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from clientcert.api.kinds import (
    API_VERSION,
    CERTIFICATE_POLICY,
    CERTIFICATE_RENEWAL,
    CERTIFICATE_REVOCATION,
    CLIENT_CERTIFICATE,
    Kind,
)
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient

RULES = 1
"""The version of the admission policies that this code needs, as their messages name it."""
_PREFIX = "clientcert"
"""The prefix of the policies' names, unless the installation has another name."""
_NAME = "clientcert-admission-proof"
_RULES = re.compile(r"\(rules ([0-9]{1,6})\)")
_MANIFEST = "the admission policies of the operator's version (admissionPolicies.create of the chart)"


@dataclass(frozen=True, slots=True)
class _Probe:
    """A valid object that the policy must refuse to the operator."""

    policy: str
    kind: Kind
    spec: Mapping[str, Any]

    @property
    def manifest(self) -> dict[str, Any]:
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind.name,
            "metadata": {"name": _NAME},
            "spec": dict(self.spec),
        }


_PROBES = (
    _Probe(
        "clientcert-vetting",
        CLIENT_CERTIFICATE,
        {
            "consumer": _NAME,
            "environment": "dev",
            "contact": {"technical": {"email": "nobody@example.com"}},
            "source": {"type": "Secret", "secret": {"name": _NAME}},
            "vetting": {"date": "2000-01-01", "by": "nobody@example.com"},
        },
    ),
    _Probe(
        "clientcert-policies",
        CERTIFICATE_POLICY,
        {"renewal": {"issuer": {"type": "CASecret", "caSecret": {"name": _NAME}}}},
    ),
    _Probe(
        "clientcert-renewals",
        CERTIFICATE_RENEWAL,
        {"certificateRef": {"name": _NAME}, "serialNumber": "0", "reuse": True, "requestedBy": "nobody"},
    ),
    _Probe(
        "clientcert-revocations",
        CERTIFICATE_REVOCATION,
        {
            "issuerDN": f"CN={_NAME}",
            "serialNumber": "0",
            "consumer": _NAME,
            "reason": "Unspecified",
            "revocationTime": "2000-01-01T00:00:00Z",
            "notAfter": "2000-01-01T00:00:00Z",
        },
    ),
)


class AdmissionProof:
    """Remembers the namespaces where all policies are in force."""

    def __init__(self, client: KubeClient, prefix: str = _PREFIX) -> None:
        """`prefix` is what the names of the policies of this installation begin with."""
        self._client = client
        self._probes = tuple(replace(each, policy=each.policy.replace(_PREFIX, prefix, 1)) for each in _PROBES)
        self._proofs: dict[str, asyncio.Task[str]] = {}
        """By namespace: successful ones, and those that run, which all callers share."""

    async def prove(self, namespace: str) -> str:
        """Return "" if all rules are in force in the namespace, else a sentence for `AdmissionPolicyMissing`.

        Success is remembered until `forget`; otherwise the next call asks again. Raises KubeError if the API server
        does not answer.
        """
        proof = self._proofs.get(namespace)
        if proof is None:
            proof = self._proofs[namespace] = asyncio.create_task(self._ask(namespace))
            proof.add_done_callback(lambda done: self._ended(namespace, done))
        return await asyncio.shield(proof)

    def forget(self, namespace: str = "") -> None:
        """Have it proven again: in one namespace, or in all."""
        if namespace:
            self._proofs.pop(namespace, None)
        else:
            self._proofs.clear()

    def _ended(self, namespace: str, proof: asyncio.Task[str]) -> None:
        failed = proof.cancelled() or proof.exception() is not None or proof.result() != ""
        if failed and self._proofs.get(namespace) is proof:
            del self._proofs[namespace]

    async def _ask(self, namespace: str) -> str:
        for probe in self._probes:
            if problem := await self._problem(probe, namespace):
                return problem
        return ""

    async def _problem(self, probe: _Probe, namespace: str) -> str:
        try:
            await self._client.create(f"{probe.kind.collection(namespace)}?dryRun=All", probe.manifest)
        except KubeError as error:
            if error.reason is Reason.API_UNAVAILABLE:
                raise
            return _problem_of(probe, error.message)
        return (
            f"nothing is signed in this namespace, because the ValidatingAdmissionPolicy {probe.policy} is not in "
            f"force in it: apply {_MANIFEST} again, with a binding that denies in this namespace"
        )


def _problem_of(probe: _Probe, refusal: str) -> str:
    """The problem that a refusal shows; "" if it is the refusal that was expected."""
    _, named, words = refusal.partition(f"ValidatingAdmissionPolicy '{probe.policy}' ")
    if not named:
        return (
            f"nothing is signed in this namespace, because the operator's dry run of a {probe.kind.name} is refused by "
            f"something else than the ValidatingAdmissionPolicy {probe.policy}, which so is not proven: grant the "
            f"operator create on {probe.kind.plural}, and exempt its dry runs from other policies and webhooks"
        )
    rules = _RULES.search(words)
    if rules is None or int(rules[1]) < RULES:
        return (
            f"nothing is signed in this namespace, because the ValidatingAdmissionPolicy {probe.policy} is of another "
            f"version, or has another user name than the operator's: apply {_MANIFEST} again"
        )
    return ""
