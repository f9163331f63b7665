"""Puts together what the decision about a request looks at. Pure."""

from dataclasses import dataclass
from datetime import datetime

from clientcert.controllers.certificate_renewal.gather import Gathered
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.renewal.approval import needs_approval
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.facts import Problem
from clientcert.lifecycle.renewal.naming import recipient_hash
from clientcert.lifecycle.renewal.progress import Progress, SourceHolds


@dataclass(frozen=True, slots=True)
class Attempt:
    """The results of the steps of this reconcile so far."""

    keys_known: bool = False
    """True if the keys of all neighbours were known before the checks."""
    issuance_stale: bool = False
    planned: bool = False
    """True once a write-ahead was made: it is not made again at once, if the issuer refuses that one, too."""
    pending: str = ""
    signing_problem: Problem | None = None
    delivery_problem: Problem | None = None
    store_problem: Problem | None = None
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """Facts that need no check."""

    undeliverable: str
    """The reason why no mail can bring the certificate; empty: one can."""
    source_holds: SourceHolds
    declared_hash: str
    changed: tuple[str, ...]


def progress_of(
    evaluation: RenewalEvaluation, gathered: Gathered | None, attempt: Attempt, observed: Observed
) -> Progress:
    """Everything that the next step depends on."""
    certificate, recipient = evaluation.certificate, evaluation.recipient
    facts = gathered.facts if gathered else None
    asked = facts.request if facts else None
    return Progress(
        now=evaluation.now,
        spec=evaluation.spec,
        status=evaluation.status,
        certificate_found=certificate is not None,
        configured=evaluation.policy is not None,
        certificate_ends=_ends(evaluation, certificate),
        key_hash=asked.key_hash if asked else "",
        recipient_hash=recipient_hash(certificate.uid, recipient.address) if certificate and recipient else "",
        recipient_role=recipient.role.value if recipient else "",
        declared_hash=observed.declared_hash,
        changed=observed.changed,
        contact_pending=is_contact_pending(certificate),
        verdicts=gathered.verdicts if gathered else (),
        needs_approval=needs_approval(facts, observed.changed) if facts else "",
        issuance_stale=attempt.issuance_stale,
        pending=attempt.pending,
        signing_problem=attempt.signing_problem,
        undeliverable=observed.undeliverable,
        delivery_problem=attempt.delivery_problem,
        source_holds=SourceHolds.NEW if attempt.stored else observed.source_holds,
        store_problem=attempt.store_problem,
        observe_only=evaluation.observe_only,
    )


def is_contact_pending(certificate: Evaluation | None) -> bool:
    """True while the contact may still be found without anybody's help."""
    if certificate is None:
        return False
    return certificate.contact is None or certificate.contact.pending


def _ends(evaluation: RenewalEvaluation, certificate: Evaluation | None) -> datetime | None:
    """The notAfter of the certificate that is renewed, if the ClientCertificate has it."""
    accepted = certificate.assessment.accepted if certificate else None
    if accepted is None or accepted.serial_number.lstrip("0") != evaluation.spec.serial_number.lstrip("0"):
        return None
    return accepted.not_after
