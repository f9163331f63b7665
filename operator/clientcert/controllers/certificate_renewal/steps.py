"""The steps of a request that do something outside: write ahead, sign, deliver, store."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from clientcert.alerting.renewal_notices import RenewalNotices
from clientcert.cache.informers import Informers
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.cache.renewal_records import RenewalRecord
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.certificate_renewal.gather import Gathered, Gatherer
from clientcert.controllers.certificate_renewal.issuing import Issuing
from clientcert.controllers.certificate_renewal.observe import Attempt, Observed, is_contact_pending
from clientcert.delivery.forms import attachments
from clientcert.delivery.instructions import instructions
from clientcert.errors import ClientCertError, KubeError, Reason
from clientcert.issuers.interface import Issued, Pending
from clientcert.kube.admission_proof import AdmissionProof
from clientcert.lifecycle.renewal.declaration import changed_fields, declared_hash
from clientcert.lifecycle.renewal.due_notices import can_be_mailed
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.facts import Problem
from clientcert.lifecycle.renewal.progress import SourceHolds, Step
from clientcert.lifecycle.renewal.status import Issuance, RenewalStatus
from clientcert.lifecycle.spec import ObjectKey
from clientcert.pki.der import MalformedError
from clientcert.pki.lenient import read_outline
from clientcert.pki.pem import read_blocks
from clientcert.sources.interface import SourceWriter, WriteOrder

Taken = tuple[RenewalStatus | None, Attempt]
"""The status after a step, None while the step waits for its turn; and what was tried."""


class Steps:
    """Takes one step at a time. A failure becomes a problem, which the next decision looks at."""

    kinds = frozenset({Step.WRITE_AHEAD, Step.SIGN, Step.DELIVER, Step.STORE})

    def __init__(
        self,
        cache: ObjectCache,
        informers: Informers,
        gatherer: Gatherer,
        issuing: Issuing,
        admission: AdmissionProof,
        notices: RenewalNotices,
        sources: SourceCache,
        writers: Mapping[type, SourceWriter],
    ) -> None:
        """`writers` by the type of the source."""
        self._cache = cache
        self._informers = informers
        self._gatherer = gatherer
        self._issuing = issuing
        self._admission = admission
        self._notices = notices
        self._sources = sources
        self._writers = writers
        self._unread: dict[str, list[ObjectKey]] = {}
        """By namespace: ClientCertificates, but for those whose source was looked at since this replica leads."""

    def begin_term(self) -> None:
        """Forget whose sources were looked at: they may have changed while another replica led."""
        self._unread.clear()

    def knows_keys(self, record: RenewalRecord) -> bool:
        """True once the source of each other ClientCertificate of the namespace was looked at: `KeyAllowed` needs it.

        After a start they are read one after the other, those that expire first, while requests are reconciled, too.
        """
        namespace, own = record.key.namespace, ObjectKey(record.key.namespace, record.certificate)
        if not self._informers.know_renewals(namespace):
            return False
        if namespace not in self._unread:
            self._unread[namespace] = [key for key in self._cache.certificates if key.namespace == namespace]
        unread = self._unread[namespace]
        while unread and unread != [own]:
            last = unread.pop()
            if last == own:
                unread.insert(0, own)  # it is read anew for the checks, and the others may be unread
            elif (known := self._cache.certificates.get(last)) is not None and self._sources.is_unread(known):
                unread.append(last)
                return False
        return True

    def observed(self, record: RenewalRecord, evaluation: RenewalEvaluation) -> Observed:
        """The known state of the certificate's spec, its source and its contact, from memory."""
        certificate, _ = self._gatherer.objects(record)
        has_mail = self._notices.has_mail_server(record.key.namespace)
        undeliverable = can_be_mailed(evaluation, has_mail_server=has_mail)
        if certificate is None or evaluation.certificate is None:
            return Observed(undeliverable, SourceHolds.UNKNOWN, "", ())
        before = certificate.status.renewal.declared_hash if certificate.status.renewal else ""
        if is_contact_pending(evaluation.certificate):
            return Observed(undeliverable, self._source_holds(certificate, evaluation.status), "", ())
        recipients = evaluation.certificate.contact.recipients if evaluation.certificate.contact else ()
        addresses = tuple([each.address for each in recipients])
        declared = declared_hash(certificate.uid, certificate.spec, addresses)
        holds = self._source_holds(certificate, evaluation.status)
        return Observed(undeliverable, holds, declared, changed_fields(before, declared) if before else ())

    async def take(
        self, step: Step, gathered: Gathered | None, evaluation: RenewalEvaluation, attempt: Attempt
    ) -> Taken:
        """Take the step. Raises KubeError of an outage of the API server."""
        match step:
            case Step.WRITE_AHEAD if gathered is not None:
                return await self._write_ahead(gathered, evaluation, attempt)
            case Step.SIGN if gathered is not None:
                return await self._sign(gathered, evaluation, attempt)
            case Step.DELIVER:
                return await self._deliver(evaluation, attempt)
            case Step.STORE:
                return await self._store(evaluation, attempt)
        raise ValueError(f"no step that does anything: {step}")

    async def _write_ahead(self, gathered: Gathered, evaluation: RenewalEvaluation, attempt: Attempt) -> Taken:
        namespace, attempt = evaluation.key.namespace, replace(attempt, issuance_stale=False)
        unproven = await self._admission.prove(namespace)
        if unproven:
            problem = Problem(Reason.ADMISSION_POLICY_MISSING, unproven)
            return evaluation.status, replace(attempt, signing_problem=problem)
        is_known = self._informers.know_renewals(namespace) and self._cache.revocations.knows_kept(namespace)
        if not (is_known and attempt.keys_known):
            words = "not all certificates, requests and revocations of this namespace were read yet: it is retried"
            problem = Problem(Reason.API_UNAVAILABLE, words)
            return evaluation.status, replace(attempt, signing_problem=problem)
        try:
            return await self._issuing.write_ahead(gathered, evaluation.status), replace(attempt, planned=True)
        except KubeError:
            raise
        except (ClientCertError, MalformedError) as error:
            return evaluation.status, replace(attempt, signing_problem=_problem(error))

    async def _sign(self, gathered: Gathered, evaluation: RenewalEvaluation, attempt: Attempt) -> Taken:
        issuance = evaluation.status.issuance
        if issuance is None:
            raise ValueError("nothing is signed without a write-ahead")
        try:
            issued = await self._issuing.sign(gathered, issuance)
        except KubeError:
            raise
        except ClientCertError as error:
            if error.reason is Reason.ISSUANCE_CHANGED and not attempt.planned:
                return evaluation.status, replace(attempt, issuance_stale=True)
            return evaluation.status, replace(attempt, signing_problem=_problem(error))
        if isinstance(issued, Pending):
            return evaluation.status, replace(attempt, pending=issued.message)
        return replace(
            evaluation.status, certificate_pem=issued.certificate_pem, issuance=_known(issuance, issued)
        ), attempt

    async def _deliver(self, evaluation: RenewalEvaluation, attempt: Attempt) -> Taken:
        try:
            files = attachments(evaluation.status.ciphertext, evaluation.status.certificate_pem)
            delivery = await self._notices.deliver(evaluation, files, instructions(files))
        except ClientCertError as error:
            return evaluation.status, replace(attempt, delivery_problem=_problem(error))
        if delivery is None:
            return None, attempt
        return replace(evaluation.status, delivery=delivery), attempt

    async def _store(self, evaluation: RenewalEvaluation, attempt: Attempt) -> Taken:
        key = ObjectKey(evaluation.key.namespace, evaluation.spec.certificate)
        certificate, status = self._cache.certificates.get(key), evaluation.status
        if certificate is None:
            return status, attempt  # the next decision ends the request
        issuance, source = status.issuance, certificate.spec.source
        csr = issuance.request_pem if issuance and "CERTIFICATE REQUEST" in issuance.request_pem else ""
        order = WriteOrder(_fingerprint(status.previous_certificate_pem), status.certificate_pem.encode(), csr.encode())
        try:
            await self._writers[type(source)].write(key.namespace, source, order)
        except ClientCertError as error:
            if error.reason is Reason.SOURCE_CHANGED:
                self._cache.reread(key)  # what it holds decides whether the request is done
            return status, replace(attempt, store_problem=_problem(error))
        self._cache.renewed(evaluation.key, key)
        return status, replace(attempt, stored=True)

    def _source_holds(self, certificate: CertificateRecord, status: RenewalStatus) -> SourceHolds:
        """By what was read last; the writer reads the source anew, so one that was not read yet may hold the old."""
        if not status.certificate_pem:
            return SourceHolds.UNKNOWN
        if self._sources.state(certificate) is None and certificate.spec_problem is None:
            return SourceHolds.OLD
        observation = self._sources.observation(certificate)
        old, new = _fingerprint(status.previous_certificate_pem), _fingerprint(status.certificate_pem)
        seen = observation.certificate.fingerprint_sha256 if observation.certificate else ""
        if not seen:
            return SourceHolds.UNKNOWN if old else SourceHolds.OLD
        return {new: SourceHolds.NEW, old: SourceHolds.OLD}.get(seen, SourceHolds.OTHER)


def _fingerprint(pem: str) -> str:
    """SHA-256 of the first certificate; empty if there is none."""
    blocks = read_blocks(pem.encode()) if pem else []
    return hashlib.sha256(blocks[0].der).hexdigest() if blocks and blocks[0].der else ""


def _known(issuance: Issuance, issued: Issued) -> Issuance:
    """With the serial number that the issuer has chosen, if it is one that chooses."""
    blocks = [] if issuance.serial_number else read_blocks(issued.certificate_pem.encode())
    if not blocks or blocks[0].der is None:
        return issuance
    return replace(issuance, serial_number=f"{read_outline(blocks[0].der).serial_number:x}")


def _problem(error: Exception) -> Problem:
    if isinstance(error, ClientCertError):
        return Problem(error.reason, error.message)
    return Problem(Reason.INVALID_CERTIFICATE, "the current certificate cannot be read: reissue it")
