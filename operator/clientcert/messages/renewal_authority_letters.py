"""Letters to the registration authority, with the users who asked and decided, and the commands for the next step."""

from collections.abc import Callable, Mapping

from clientcert.lifecycle.renewal.notices import NoticeKind
from clientcert.messages.letter import Part, PartKind, paragraph
from clientcert.messages.renewal_facts import RenewalFacts
from clientcert.messages.text import day, minute, sentence

Words = tuple[str, list[Part]]


def _waiting(facts: RenewalFacts) -> Words:
    compare = "The request has a proof by the key of the current certificate."
    if not facts.proved:
        compare = (
            "Before you approve, compare the fingerprint with the consumer, by another way than mail: a mail proves"
            " nothing."
        )
    changed = f" Since the last delivery this was changed in the ClientCertificate: {facts.changed}." * bool(
        facts.changed
    )
    ends = f" Undecided, it ends with the certificate, on {day(facts.old_until)}." if facts.old_until else ""
    return f"Waits for approval: a new certificate for {facts.name} in {facts.environment}", [
        paragraph(f"The request for a new certificate waits for approval. {_who(facts)}{changed}{ends}"),
        paragraph(f"{compare} The SHA-256 fingerprint of the key:"),
        Part(PartKind.COMMAND, facts.key_hash),
        paragraph("Then decide:"),
        Part(PartKind.COMMAND, facts.command("approve")),
        Part(PartKind.COMMAND, f"{facts.command('deny')} --reason REASON --message WORDS"),
    ]


def _refused(facts: RenewalFacts) -> Words:
    where = f"{facts.certificate} --namespace {facts.namespace}"
    return f"Refused: the request for a new certificate for {facts.name} in {facts.environment}", [
        paragraph(f"The request for a new certificate was refused. {_who(facts)}"),
        paragraph(f"The reason: {sentence(facts.refusal)}"),
        paragraph(
            "Where that can be corrected, have it requested anew. Where it cannot be renewed at all, verify who the"
            " consumer is, record that, and have a certificate issued anew:"
        ),
        Part(PartKind.COMMAND, f"clientcert vet {where}"),
        Part(PartKind.COMMAND, f"clientcert renew {where} --reissue --public-key FILE"),
    ]


def _issued(facts: RenewalFacts) -> Words:
    old = f" {facts.old_one_ends}" if facts.old_one_ends else ""
    return f"Issued: a new certificate for {facts.name} in {facts.environment}", [
        paragraph(f"A new certificate was issued: {facts.new_one}. {_who(facts)}{old}"),
        paragraph("The SHA-256 fingerprint of the key of the request:"),
        Part(PartKind.COMMAND, facts.key_hash),
        paragraph(f"If this renewal is not authorised, report that at once: {facts.whom}."),
    ]


def _retirement(facts: RenewalFacts) -> Words:
    when = f" from {day(facts.retires)} on" if facts.retires else ""
    return f"The old certificate for {facts.name} in {facts.environment} is retired{when}", [
        paragraph(f"{facts.old_one_ends} {_who(facts)}"),
        paragraph(f"The new one: {facts.new_one}. If the consumer needs more time, say so: {facts.whom}."),
    ]


def _who(facts: RenewalFacts) -> str:
    """The request, and everybody behind it."""
    parts = [
        f"Consumer: {facts.name}, environment: {facts.environment}",
        f"cluster: {facts.cluster}" if facts.cluster else "",
        f"request: {facts.request} in namespace {facts.namespace}, of {minute(facts.created)}",
        f"requested by {facts.requested_by}" if facts.requested_by else "",
        f"decided by {facts.decided_by}" if facts.decided_by else "",
        f"replaces serial number {facts.old_serial}" if facts.old_serial else "",
        f"recipient: {facts.role}" if facts.role else "",
    ]
    return ", ".join(part for part in parts if part) + "."


TO_AUTHORITY: Mapping[NoticeKind, Callable[[RenewalFacts], Words]] = {
    NoticeKind.WAITING: _waiting,
    NoticeKind.REFUSED: _refused,
    NoticeKind.ISSUED: _issued,
    NoticeKind.RETIREMENT: _retirement,
    NoticeKind.RETIRING: _retirement,
}
