"""Gathers everything that the checks of a request look at: objects, source, issuer, contact, neighbours. I/O only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from clientcert.alerting.evaluator import Evaluator
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord, PolicyRecord
from clientcert.cache.renewal_records import RenewalRecord, WholeRequest
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.certificate_renewal.asked import AskedKeys
from clientcert.controllers.certificate_renewal.writing import RenewalWriter
from clientcert.errors import CertificateError, ClientCertError, IssuerError, Reason, SourceError
from clientcert.issuers.interface import Authority, AuthorityRequest, Issuer
from clientcert.lifecycle.contacts import Recipient, Role, needs_lookup
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.recorded_status import AcceptedCertificate
from clientcert.lifecycle.renewal.check_rules import Verdict
from clientcert.lifecycle.renewal.checks import run_checks
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.facts import Current, Facts, Problem
from clientcert.lifecycle.renewal.policy import IssuerSettings, RenewalPolicy
from clientcert.lifecycle.renewal.spec import Mode, RenewalSpec
from clientcert.lifecycle.spec import UNUSABLE_SPEC, ObjectKey
from clientcert.pki.certificate_fields import public_key_info
from clientcert.pki.key_request import KeyRequest
from clientcert.pki.leaf_content import LeafContent
from clientcert.pki.pem import read_blocks
from clientcert.pki.proof import signing_time
from clientcert.pki.public_keys import key_hash
from clientcert.sources.interface import SourceWriter

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything about one request, at one moment."""

    record: RenewalRecord
    certificate: CertificateRecord
    evaluation: RenewalEvaluation
    facts: Facts
    leaf: LeafContent | None
    """The content of the source; None if it has no certificate or could not be read."""
    authority: Authority | None
    verdicts: tuple[Verdict, ...]
    """Of all checks, by these facts: after each step the next decision looks at them again."""

    @property
    def policy(self) -> RenewalPolicy:
        """The renewal policy."""
        return self.facts.policy


class Gatherer:
    """Reads; it changes nothing but what is cached of the contact."""

    def __init__(
        self,
        cache: ObjectCache,
        sources: SourceCache,
        contacts: ContactLookup,
        evaluator: Evaluator,
        issuers: Mapping[type, Issuer],
        writers: Mapping[type, SourceWriter],
        writer: RenewalWriter,
        clock: Callable[[], datetime],
    ) -> None:
        """`issuers` by the type of the settings, `writers` by the type of the source."""
        self._cache = cache
        self._renewals = cache.renewals
        self._revocations = cache.revocations
        self._sources = sources
        self._contacts = contacts
        self._evaluator = evaluator
        self._issuers = issuers
        self._asked = AskedKeys(cache.renewals, sources, writer, writers)
        self._writer = writer
        self._clock = clock

    def objects(self, record: RenewalRecord) -> tuple[CertificateRecord | None, PolicyRecord | None]:
        """The ClientCertificate and its policy, as far as they are known."""
        certificate = self._cache.certificates.get(ObjectKey(record.key.namespace, record.certificate))
        return certificate, self._cache.policy_of(certificate) if certificate else None

    async def evaluate(self, record: RenewalRecord, request: WholeRequest) -> RenewalEvaluation:
        """The request with the evaluation of its certificate, without reading source or issuer."""
        certificate, found = self.objects(record)
        evaluation = await self._evaluate(certificate, found) if certificate else None
        return RenewalEvaluation(
            key=record.key,
            uid=record.uid,
            created=record.created,
            now=self._clock(),
            spec=request.spec,
            status=request.status,
            certificate=evaluation,
            policy=found.renewal if found else None,
            recipient=recipient_of(evaluation),
            generation=record.generation,
            observe_only=self._evaluator.observe_only,
        )

    async def gather(self, record: RenewalRecord, evaluation: RenewalEvaluation) -> Gathered:
        """Read source and issuer anew. The certificate must exist, and its policy have a renewal."""
        certificate, found = self.objects(record)
        policy, of_certificate = evaluation.policy, evaluation.certificate
        assert certificate is not None and found is not None  # noqa: S101, PT018 - as the docstring says
        assert policy is not None and of_certificate is not None  # noqa: S101, PT018
        leaf, source_problem = await self._leaf(certificate)
        authority, issuer_problem = await self._authority(record.key.namespace, policy)
        asked, request_problem = await self._asked.read(record, evaluation.spec, certificate, leaf)
        await self._cache.serials.fill()
        await self._sources.index_keys()
        facts = Facts(
            now=evaluation.now,
            renewal=evaluation.spec,
            certificate=certificate.spec,
            policy=policy,
            start_days_before=found.policy.start_days_before,
            current=Current(leaf.certificate, leaf.der) if leaf else None,
            source_problem=source_problem,
            request=asked,
            request_problem=request_problem,
            authority_ders=(authority.certificate_der, *authority.former_ders) if authority else (),
            authority_not_before=authority.not_before if authority else None,
            authority_not_after=authority.not_after if authority else None,
            issuer_problem=issuer_problem,
            sharing_serial=self._cache.serials.sharing(certificate),
            vetting_date=certificate.spec.vetting_date,
            refused_time=self._refused(record),
            current_requested=await self._requested(record, evaluation.spec, leaf),
            created=record.created,
            contact_email=_technical_address(of_certificate),
        )
        facts = await self._with_last_known(facts, record, certificate)
        facts = self._with_revocations(facts, record.key.namespace, asked)
        checks = await self.in_turn(record, evaluation.spec.proof_pem.encode(), partial(run_checks, facts))
        return Gathered(record, certificate, evaluation, facts, leaf, authority, checks)

    async def _evaluate(self, certificate: CertificateRecord, found: PolicyRecord | None) -> Evaluation:
        policy = found.policy if found else self._cache.default_policy
        if certificate.spec is not UNUSABLE_SPEC and needs_lookup(certificate.spec, policy.contacts):
            await self._contacts.refresh(certificate, policy)
        return self._evaluator.evaluate(certificate)

    async def _leaf(self, certificate: CertificateRecord) -> tuple[LeafContent | None, Problem | None]:
        if certificate.spec_problem is not None:
            return None, Problem(certificate.spec_problem.reason, certificate.spec_problem.message)
        try:
            return await self._sources.read_leaf(certificate), None
        except (SourceError, CertificateError) as error:
            return None, Problem(error.reason, error.message)

    async def _authority(self, namespace: str, policy: RenewalPolicy) -> tuple[Authority | None, Problem | None]:
        try:
            issuer = self.issuer(policy.issuer)
            return await issuer.authority(AuthorityRequest(namespace, policy.issuer, policy.trust)), None
        except ClientCertError as error:
            return None, Problem(error.reason, error.message)

    def issuer(self, settings: IssuerSettings) -> Issuer:
        """The adapter for these settings."""
        found = self._issuers.get(type(settings))
        if found is None:
            raise IssuerError(Reason.ISSUER_INVALID, "this version has no issuer of this type")
        return found

    async def in_turn(self, record: RenewalRecord, content: bytes, compute: Callable[[], _Result]) -> _Result:
        """Compute something from this content, which a person has sent: if it is large, in a thread."""
        return await self._sources.in_turn(record.key.namespace, content, compute)

    async def _requested(self, record: RenewalRecord, spec: RenewalSpec, leaf: LeafContent | None) -> datetime | None:
        """The time of the last request that was delivered, if it brought the certificate in the source.

        If that request had a proof with a later time, by a clock that was ahead, this is the time in the proof: no
        proof is accepted twice.
        """
        last = self._renewals.index.last_delivered(ObjectKey(record.key.namespace, record.certificate))
        if last is None or leaf is None or last.key == record.key:
            return None
        if last.new_serial != leaf.certificate.serial_number or not spec.proves:
            return None
        request = await self._writer.read_whole(last.key)
        proof = request.spec.proof_pem.encode() if request else b""
        signed = await self.in_turn(record, proof, partial(signing_time, proof)) if proof else None
        return max(last.created, signed) if signed else last.created

    def _refused(self, record: RenewalRecord) -> datetime | None:
        """The time of the last refusal of a request to renew this certificate, of those made before a Reissue.

        Else whoever may ask could stop every Reissue: a later refusal would ask for another vetting.
        """
        is_reissue = record.mode == Mode.REISSUE
        return self._renewals.index.last_refusal_before(record) if is_reissue else None

    async def _with_last_known(self, facts: Facts, record: RenewalRecord, certificate: CertificateRecord) -> Facts:
        """The facts with what the status says of a certificate that the source has lost.

        Else whoever can empty the source, or name another one, could do without a vetting since its revocation.
        """
        known = certificate.status.accepted
        if known is None or facts.current is not None or not facts.is_first:
            return facts
        refused = self._renewals.index.last_refusal_before(record, int(known.serial_number, 16))
        key = await self._key_of(known, certificate.key)
        return replace(facts, last_known=known, last_known_key=key, refused_time=refused)

    async def _key_of(self, known: AcceptedCertificate, certificate: ObjectKey) -> str:
        """The hash of its key, if the last request that was delivered brought it; else empty."""
        last = self._renewals.index.last_delivered(certificate)
        if last is None or not last.brought(known.serial_number):
            return ""
        request = await self._writer.read_whole(last.key)
        blocks = read_blocks(request.status.certificate_pem.encode()) if request else []
        return key_hash(public_key_info(blocks[0].der)) if blocks and blocks[0].der else ""

    def _with_revocations(self, facts: Facts, namespace: str, asked: KeyRequest | None) -> Facts:
        if asked is not None:
            facts = replace(facts, other_consumer_with_key=self._other_owner(facts, namespace, asked.key_hash))
        if asked is not None and self._revocations.is_compromised(namespace, asked.key_hash):
            facts = replace(facts, compromised_key=True)
        if facts.current is not None:
            current = facts.current.certificate
            found = self._revocations.revoked(namespace, current.issuer_dn, f"{current.serial_number:x}")
        elif facts.last_known is not None:
            known = facts.last_known
            found = self._revocations.revoked(namespace, known.issuer_dn, known.serial_number)
        else:
            return facts
        if found is None:
            return facts
        key = facts.last_known_key or (found.key_hash if facts.last_known else "")
        return replace(facts, revoked=found.reason, revocation_time=found.revocation_time, last_known_key=key)

    def _other_owner(self, facts: Facts, namespace: str, key_hash: str) -> str:
        """Another consumer whose certificate has this key, in its source or on the way there; empty: there is none."""
        requests = (self._renewals.renewals[each] for each in self._renewals.index.certifying(namespace, key_hash))
        on_the_way = [ObjectKey(namespace, each.certificate) for each in requests]
        for key in (*self._sources.owners_of_key(namespace, key_hash), *on_the_way):
            record = self._cache.certificates.get(key)
            if record is not None and record.spec.consumer != facts.certificate.consumer:
                return record.spec.consumer
        return ""


def recipient_of(evaluation: Evaluation | None) -> Recipient | None:
    """The contact of record: the first whom the contact lookup names."""
    contact = evaluation.contact if evaluation else None
    return contact.recipients[0] if contact and contact.recipients else None


def _technical_address(evaluation: Evaluation) -> str:
    recipients = evaluation.contact.recipients if evaluation.contact else ()
    return next((each.address for each in recipients if each.role is Role.TECHNICAL), "")
