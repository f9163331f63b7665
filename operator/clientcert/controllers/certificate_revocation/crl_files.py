"""Keeps the CRL of one CA: signed anew daily and after each change, in a ConfigMap, and if asked in Secrets."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from clientcert.cache.revocations import FormerCrl, ListProblem
from clientcert.controllers.certificate_revocation.authorities import Signer
from clientcert.controllers.certificate_revocation.config_maps import ListFiles
from clientcert.errors import IssuerError, KubeError, Reason, SourceError
from clientcert.issuers.interface import CrlRequest, CrlSigner
from clientcert.kube.config_maps import Files, Found
from clientcert.kube.labelled_secrets import LabelledSecrets
from clientcert.lifecycle.renewal.revocation_entries import dump_entries
from clientcert.lifecycle.renewal.revocation_lists import (
    CRL_RENEWED_AFTER,
    CRL_VALID,
    LARGEST_CRL,
    CrlState,
    next_crl_number,
)
from clientcert.lifecycle.renewal.spec import RevocationSpec
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.pki.crl_bundle import CrlBundle, OtherCrl, with_others
from clientcert.pki.der import LATEST, shifted
from clientcert.pki.distinguished_names import same_name
from clientcert.pki.pem import TooManyBlocksError

_CRL, _STATE = "ca.crl", "state"


@dataclass(frozen=True, slots=True)
class Crl:
    """The CRL that gateways read now."""

    ends: datetime | None = None
    """Its nextUpdate; None: there is none."""
    due: datetime | None = None
    """The time when it is signed anew."""
    problem: ListProblem | None = None
    others: Mapping[SecretKeyRef, tuple[OtherCrl, ...]] = field(default_factory=dict)
    """The CRLs of other CAs that each Secret has."""


class CrlFiles:
    """Signs and writes. Raises KubeError of an outage."""

    def __init__(
        self, signer: CrlSigner, files: ListFiles, secrets: LabelledSecrets, clock: Callable[[], datetime]
    ) -> None:
        self._signer = signer
        self._files = files
        self._secrets = secrets
        self._clock = clock

    async def known(self, namespace: str, name: str) -> Crl:
        """The CRL as it is, while its CA cannot be read."""
        try:
            state, _ = _known(await self._files.read(namespace, f"{name}-crl"))
        except IssuerError as error:
            return Crl(problem=ListProblem(error.reason, error.message))
        return Crl(state.next_update if state else None)

    async def maintain(
        self,
        namespace: str,
        name: str,
        signer: Signer,
        entries: tuple[RevocationSpec, ...],
        crl_secrets: tuple[SecretKeyRef, ...],
    ) -> Crl:
        """Bring ConfigMap and Secrets up to date. `entries` are those of this CA that have not ended."""
        name = f"{name}-crl"
        try:
            before = await self._files.read(namespace, name)
        except IssuerError as error:
            return Crl(problem=ListProblem(error.reason, error.message))
        state, content = _known(before)
        problem = None
        try:
            made = await self._signed(namespace, signer, entries, state, content)
            if made is not None:
                files = Files({_STATE: made[0].dump()}, {_CRL: made[1]})
                await self._files.write(namespace, name, before, files)
                state, content = made
        except IssuerError as error:
            problem = ListProblem(error.reason, error.message)
        if state is None:
            return Crl(problem=problem)
        others: dict[SecretKeyRef, tuple[OtherCrl, ...]] = {}
        if hashlib.sha256(content).hexdigest() == state.content_hash:
            others, failure = await self._write_secrets(namespace, crl_secrets, content)
            problem = failure or problem
        return Crl(state.next_update, shifted(state.this_update, CRL_RENEWED_AFTER), problem, others)

    async def _signed(
        self,
        namespace: str,
        signer: Signer,
        entries: tuple[RevocationSpec, ...],
        state: CrlState | None,
        content: bytes,
    ) -> tuple[CrlState, bytes] | None:
        """A new CRL; None if the one that there is, is still right."""
        now, issuer = self._clock().replace(microsecond=0), signer.authority.fingerprint_sha256
        wanted = await asyncio.to_thread(_hash_of, entries)
        is_whole = state is not None and state.content_hash == hashlib.sha256(content).hexdigest()
        if state is not None and is_whole and not state.is_due(wanted, issuer, now):
            return None
        ends = min(now + CRL_VALID, signer.authority.not_after)
        if ends <= now:
            words = "the CA's certificate has expired, so there is no CRL any more: renew the CA, and put it there"
            raise IssuerError(Reason.ISSUER_EXPIRED, words)
        number = next_crl_number(state, now)
        made = await self._signer.sign_crl(CrlRequest(namespace, signer.settings, entries, number, now, ends))
        if len(made) > LARGEST_CRL:
            words = "the CRL is larger than a ConfigMap, so only the list is written: have gateways read the list"
            raise IssuerError(Reason.TOO_LARGE, words)
        return CrlState(number, now, ends, wanted, hashlib.sha256(made).hexdigest(), issuer), made

    async def _write_secrets(
        self, namespace: str, crl_secrets: tuple[SecretKeyRef, ...], content: bytes
    ) -> tuple[dict[SecretKeyRef, tuple[OtherCrl, ...]], ListProblem | None]:
        """Write the CRL as nginx reads it, beside those of other CAs; returns these, and the last problem."""
        problem, others = None, dict[SecretKeyRef, tuple[OtherCrl, ...]]()
        for ref in crl_secrets:
            try:
                change = partial(_bundle, ref, content, self._clock())
                others[ref] = await self._secrets.write_crl(namespace, ref, change)
            except SourceError as error:
                problem = ListProblem(error.reason, error.message)
            except KubeError as error:
                if error.retryable:
                    raise
                words = f"the API server refuses Secret {ref.name} in namespace {namespace}: make it again"
                problem = ListProblem(Reason.WRITE_NOT_ALLOWED, words)
        return others, problem


def former_crls(crl: Crl, former_dns: Iterable[str]) -> tuple[FormerCrl, ...]:
    """The CRLs of former CAs, given by their names, in each Secret."""
    return tuple(FormerCrl(ref, dn, _end_of(dn, others)) for dn in former_dns for ref, others in crl.others.items())


def _end_of(issuer_dn: str, crls: Iterable[OtherCrl]) -> datetime | None:
    ends = (each.next_update or LATEST for each in crls if same_name(each.issuer_dn, issuer_dn))
    return max(ends, default=None)


def _bundle(ref: SecretKeyRef, content: bytes, now: datetime, before: bytes) -> CrlBundle:
    """Blocking. Raises SourceError if it has no place in the Secret, which then stays as it is."""
    try:
        bundle = with_others(content, before, now)
    except TooManyBlocksError:
        words = f"key {ref.key} of Secret {ref.name} has too many entries: remove all but the CRLs of other CAs"
    except ValueError:
        words = "the ConfigMap with the CRL was changed, and has none: delete it, and it is made again"
        raise SourceError(Reason.WRITE_NOT_ALLOWED, words) from None
    else:
        if len(bundle.content) <= LARGEST_CRL:
            return bundle
        words = "the CRL is larger than a Secret as PEM: have gateways read the ConfigMap, or the list"
        if bundle.others:
            words += f", or remove CRLs of other CAs from key {ref.key} of Secret {ref.name}"
    raise SourceError(Reason.TOO_LARGE, words)


def _known(before: Found | None) -> tuple[CrlState | None, bytes]:
    """State and content of the CRL in a ConfigMap of ours."""
    if before is None or not before.is_ours:
        return None, b""
    return CrlState.load(before.files.text.get(_STATE, "")), before.files.binary.get(_CRL, b"")


def _hash_of(entries: tuple[RevocationSpec, ...]) -> str:
    return hashlib.sha256(dump_entries(entries)).hexdigest()
