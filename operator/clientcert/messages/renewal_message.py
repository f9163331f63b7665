"""The message about a request: for the team's channels as it is, and with a letter for a person."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Notice, NoticeKind
from clientcert.lifecycle.renewal.status import HANDED_OVER, DeliveryRecord
from clientcert.messages.alert_text import LONGEST_STEP, LONGEST_TEXT
from clientcert.messages.message import About, AboutRenewal, Message, runbook_link
from clientcert.messages.renewal_facts import RenewalFacts, new_certificate
from clientcert.messages.renewal_letters import Enclosed, renewal_letter
from clientcert.messages.text import LONGEST_NAME, day, minute, sanitize_line
from clientcert.messages.topic import Topic


class _Words(NamedTuple):
    """The words of the occasion."""

    topic: Topic
    reason: str
    text: str
    next_step: str


def compose_renewal(
    evaluation: RenewalEvaluation, notice: Notice, sender: str, enclosed: Enclosed | None = None
) -> Message:
    """The message of a notice. `sender` is the From of the operator's mails; empty if it sends none.

    Raises ValueError if the ClientCertificate is gone: then nobody is told anything.
    """
    certificate = evaluation.certificate
    if certificate is None:
        raise ValueError("the ClientCertificate is gone")
    if notice.kind is NoticeKind.DELIVERY and notice.recipient is not None:
        # The facts at its arrival: the old certificate's retirement counts from now.
        arrived = DeliveryRecord(evaluation.now, notice.recipient.role.value, "")
        evaluation = replace(evaluation, status=replace(evaluation.status, delivery=arrived))
    facts = RenewalFacts.of(evaluation, certificate, sender)
    words, letter = _WORDS[notice.kind](facts), renewal_letter(evaluation, notice, facts, enclosed)
    return Message(
        kind=MessageKind.NOTICE,
        topic=words.topic,
        reason=words.reason,
        text=sanitize_line(words.text, LONGEST_TEXT),
        facts=tuple(_facts(facts, names=not _has_authority(evaluation, sender))),
        contact=facts.role or "none is known",
        problem="",
        ends_first="",
        next_step=sanitize_line(words.next_step, LONGEST_STEP),
        details=tuple(_details(evaluation, facts)),
        runbook_url=runbook_link(certificate.policy.runbook_url),
        object_key=certificate.key,
        object_uid=certificate.uid,
        about=_about(evaluation, certificate, notice, facts.cluster),
        letters=(letter,) if letter else (),
    )


def _has_authority(evaluation: RenewalEvaluation, sender: str) -> bool:
    return evaluation.policy is not None and bool(evaluation.policy.notify) and bool(sender)


def _facts(facts: RenewalFacts, *, names: bool) -> list[tuple[str, str]]:
    """With the names of users where the policy names no registration authority, which is told them otherwise."""
    found = [("Consumer", facts.name), ("Environment", facts.environment)]
    found += [("Cluster", facts.cluster)] if facts.cluster else []
    found.append(("Request", facts.request))
    found += [("Replaces", f"serial number {facts.old_serial}")] if facts.old_serial else []
    found += [("Serial number", facts.serial)] if facts.serial else []
    found += [("Valid until", minute(facts.until))] if facts.until and facts.serial else []
    found.append(("Key (SHA-256)", facts.key_hash))
    found += [("Changed", facts.changed)] if facts.changed else []
    found += [("Owner", facts.writer.owner)] if facts.writer.owner else []
    if names:
        found += [("Requested by", facts.requested_by)] if facts.requested_by else []
        found += [("Decided by", facts.decided_by)] if facts.decided_by else []
    return found


def _details(evaluation: RenewalEvaluation, facts: RenewalFacts) -> list[tuple[str, str]]:
    found = [
        ("Object", f"CertificateRenewal {facts.request} in namespace {facts.namespace}"),
        ("Asked on", minute(facts.created)),
        ("Mode", evaluation.spec.mode.value),
        ("Proof of possession", "by the current key" if facts.proved else "none"),
        ("Source", facts.source),
    ]
    found += [
        (f"Check {sanitize_line(each.name, LONGEST_NAME)}", sanitize_line(each.message, LONGEST_NAME) or "passed")
        for each in evaluation.status.checks
    ]
    look = f"kubectl describe certificaterenewal {facts.request} --namespace {facts.namespace}"
    return [*found, ("Look closer", look)]


def _about(evaluation: RenewalEvaluation, certificate: Evaluation, notice: Notice, cluster: str) -> About:
    """The certificate as it stands now, and the request."""
    assessment, spec, new = certificate.assessment, certificate.spec, new_certificate(evaluation)
    accepted, issuance = assessment.accepted, evaluation.status.issuance
    return About(
        time=evaluation.now,
        consumer=spec.consumer,
        environment=spec.environment,
        owner=spec.owner,
        profile=spec.profile,
        phase=assessment.phase.value,
        days_remaining=assessment.days_remaining,
        not_before=accepted.not_before if accepted else None,
        not_after=accepted.not_after if accepted else None,
        serial_number=accepted.serial_number if accepted else "",
        fingerprint_sha256=accepted.fingerprint_sha256 if accepted else "",
        expires=assessment.expires if accepted else None,
        channel=notice.channel.name,
        stage=None,
        replaced_fingerprint="",
        previous=None,
        problem="",
        begins="",
        renewal=AboutRenewal(
            name=evaluation.key.name,
            uid=evaluation.uid,
            state=evaluation.status.state.value,
            mode=evaluation.spec.mode.value,
            old_serial_number=evaluation.spec.serial_number,
            serial_number=f"{new.serial_number:x}" if new else (issuance.serial_number if issuance else ""),
            not_after=new.not_after if new else (issuance.not_after if issuance else None),
            key_hash=evaluation.status.key_hash,
            occasion=f"{notice.name} {notice.number}",
        ),
        cluster=cluster,
    )


def _waiting(facts: RenewalFacts) -> _Words:
    compare = "The request has a proof by the current key."
    if not facts.proved:
        compare = "Compare the key's fingerprint with the consumer by another way than mail."
    return _Words(
        Topic.RENEWAL_WAITING,
        "AwaitingApproval",
        f"A request to renew {facts.whose} waits for approval",
        f"{compare} Then decide: {facts.command('approve')}, or {facts.command('deny')}.",
    )


def _refused(facts: RenewalFacts) -> _Words:
    where = f"{facts.certificate} --namespace {facts.namespace}"
    return _Words(
        Topic.RENEWAL_REFUSED,
        "Refused",
        f"A request to renew {facts.whose} was refused: {facts.refusal}",
        "Have it requested anew, with that corrected. Where it cannot be renewed at all, verify who the consumer is:"
        f" clientcert vet {where}; then: clientcert renew {where} --reissue --public-key FILE.",
    )


def _issued(facts: RenewalFacts) -> _Words:
    where = f"{facts.request} --namespace {facts.namespace}"
    return _Words(
        Topic.RENEWAL_ISSUED,
        "Issued",
        f"A new certificate for {facts.name} in {facts.environment} was issued: {facts.new_one}",
        f"If this renewal is not authorised, report that at once: {facts.whom}. The certificate goes to the consumer"
        f" next; if it is left for retrieval, hand it over: clientcert retrieve {where}; then say so:"
        f" clientcert handed-over {where}. {facts.old_one_ends}",
    )


def _delivered(facts: RenewalFacts) -> _Words:
    how = "was handed over" if facts.role == HANDED_OVER else f"was sent to the {facts.role}"
    return _Words(
        Topic.RENEWAL_DELIVERED,
        "Delivered",
        f"The new certificate for {facts.name} in {facts.environment} {how}: {facts.new_one}",
        f"If this renewal is not authorised, report that at once: {facts.whom}. The alerts stop when the new"
        f" certificate is in {facts.source}. {facts.old_one_ends}",
    )


def _not_stored(facts: RenewalFacts) -> _Words:
    return _Words(
        Topic.RENEWAL_NOT_STORED,
        "NotStored",
        f"The new certificate for {facts.name} in {facts.environment} is with the consumer, but not in its source:"
        f" {facts.not_stored or 'the reason is in the status'}",
        f"Put it into {facts.source}: {facts.command('retrieve')}. Until then the alerts about the old one go on.",
    )


def _retirement(facts: RenewalFacts) -> _Words:
    when = f" from {day(facts.retires)} on" if facts.retires else ""
    return _Words(
        Topic.RENEWAL_RETIREMENT,
        "Retirement",
        f"The old certificate for {facts.name} in {facts.environment}, serial number {facts.old_serial}, is not"
        f" accepted any more{when}",
        f"Make sure that {facts.name} uses the new one, {facts.new_one}. If they need more time, say so: {facts.whom}.",
    )


_WORDS: Mapping[NoticeKind, Callable[[RenewalFacts], _Words]] = {
    NoticeKind.RECEIPT: _waiting,
    NoticeKind.WAITING: _waiting,
    NoticeKind.REFUSED: _refused,
    NoticeKind.ISSUED: _issued,
    NoticeKind.DELIVERY: _delivered,
    NoticeKind.DELIVERED: _delivered,
    NoticeKind.NOT_STORED: _not_stored,
    NoticeKind.RETIREMENT: _retirement,
    NoticeKind.RETIRING: _retirement,
}
