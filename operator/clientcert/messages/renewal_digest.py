"""One message about many requests: the digest of a team's channel, and the letter to the registration authority."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import NoticeKind
from clientcert.messages.digest import LONGEST_LINE, MOST_LINES, Digest, Line, in_cluster
from clientcert.messages.letter import LONGEST_SUBJECT, Part, PartKind, paragraph, sanitize_parts, stable_hash
from clientcert.messages.message import Message, runbook_link
from clientcert.messages.renewal_facts import RenewalFacts
from clientcert.messages.text import count, day, sanitize_line


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """One request in the message."""

    text: str
    ends: datetime
    """Of the certificate that it is about: those that end first come first."""
    key: str
    """Of this notice: equal whenever it is sent again."""


class _Words(NamedTuple):
    """The words for an event, which follow its number, and for the next step."""

    noun: str
    happened: str
    next_step: str
    names_first: bool = False
    """True if the sentence names the date on which the first certificate ends."""


_WORDS: Mapping[NoticeKind, _Words] = {
    NoticeKind.WAITING: _Words(
        "request",
        "for renewals wait for approval",
        "Compare the fingerprint of each key with the consumer by another way than mail, unless the request has a"
        " proof. Then decide: clientcert approve NAME --namespace {namespace}, or clientcert deny NAME --namespace"
        " {namespace}.",
        names_first=True,
    ),
    NoticeKind.REFUSED: _Words(
        "request",
        "for renewals were refused",
        "Have each requested anew, with the reason corrected.",
        names_first=True,
    ),
    NoticeKind.ISSUED: _Words(
        "new certificate",
        "were issued",
        "If any of these renewals is not authorised, report that at once: {whom}. The certificates go to the consumers"
        " next; hand over what is left for that: clientcert retrieve NAME --namespace {namespace}; then say so:"
        " clientcert handed-over NAME --namespace {namespace}.",
    ),
    NoticeKind.DELIVERED: _Words(
        "new certificate",
        "were delivered",
        "If any of these renewals is not authorised, report that at once: {whom}. The alerts stop when the new"
        " certificates are in their sources.",
    ),
    NoticeKind.NOT_STORED: _Words(
        "new certificate",
        "are with their consumers, but not in their sources",
        "Put each into its source: clientcert retrieve NAME --namespace {namespace}. Until then the alerts about the"
        " old ones go on.",
    ),
    NoticeKind.RETIREMENT: _Words(
        "old certificate",
        "will not be accepted any more",
        "Make sure that each consumer uses the new one. If one needs more time, say so: {whom}.",
    ),
}


def notice_line(evaluation: RenewalEvaluation, kind: NoticeKind) -> str:
    """The line about one request; empty if its ClientCertificate is gone."""
    if evaluation.certificate is None:
        return ""
    facts = RenewalFacts.of(evaluation, evaluation.certificate, "")
    ends = f"ends on {day(facts.old_until)}" if facts.old_until else ""
    found = {
        NoticeKind.WAITING: ends,
        NoticeKind.REFUSED: "; ".join(each for each in (ends, facts.refusal) if each),
        NoticeKind.RETIREMENT: _retired(facts),
        NoticeKind.RETIRING: _retired(facts),
    }
    parts = [f"{facts.name} in {facts.environment}: {facts.request}", found.get(kind, facts.new_one)]
    parts += [f"owner {facts.writer.owner}"] if facts.writer.owner else []
    return sanitize_line("; ".join(part for part in parts if part), LONGEST_LINE)


def compose_notices(first: RenewalEvaluation, kind: NoticeKind, lines: Sequence[NoticeLine], sender: str) -> Digest:
    """Combine notices of one kind. `first` is one of the requests, whose ClientCertificate exists."""
    if first.certificate is None:
        raise ValueError("the ClientCertificate is gone")
    facts, words = RenewalFacts.of(first, first.certificate, sender), _words(kind)
    ordered = sorted(lines, key=lambda each: (each.ends, each.text))
    text = f"{count(len(ordered), words.noun)} {words.happened}"
    if words.names_first and ordered[0].ends > first.now:
        text += f"; the first certificate ends on {day(ordered[0].ends)}"
    step = words.next_step.format(namespace=facts.namespace, whom=facts.whom)
    return Digest(
        text=in_cluster(facts.cluster, text),
        lines=tuple(Line(each.text, "") for each in ordered[:MOST_LINES]),
        more=max(len(ordered) - MOST_LINES, 0),
        next_step=f"{step} See them all: {_list(facts.namespace)}",
        runbook_url=runbook_link(first.certificate.policy.runbook_url),
        namespace=facts.namespace,
    )


def letter_about_many(message: Message, digest: Digest, lines: Sequence[NoticeLine]) -> Message:
    """The message of one request with a letter about all of them. The same letter again has the same key."""
    [letter] = message.letters
    step, _, command = digest.next_step.rpartition(" See them all: ")
    more = [paragraph(f"… and {digest.more} more")] if digest.more else []
    parts = [
        paragraph(f"{digest.text}:"),
        *(paragraph(each.text) for each in digest.lines),
        *more,
        paragraph(f"{step} See them all:"),
        Part(PartKind.COMMAND, command),
    ]
    subject = sanitize_line(f"{digest.text[0].upper()}{digest.text[1:]}", LONGEST_SUBJECT)
    about_many = replace(
        letter,
        subject=subject,
        parts=sanitize_parts(letter.writer.framed(letter.recipient, parts)),
        thread=stable_hash(digest.namespace, message.topic.value, letter.recipient.address),
        key=stable_hash(message.topic.value, *sorted(each.key for each in lines)),
    )
    return replace(message, letters=(about_many,))


def _words(kind: NoticeKind) -> _Words:
    return _WORDS[NoticeKind.RETIREMENT if kind is NoticeKind.RETIRING else kind]


def _list(namespace: str) -> str:
    return f"kubectl get certificaterenewals --namespace {namespace}"


def _retired(facts: RenewalFacts) -> str:
    when = f", until {day(facts.retires)}" if facts.retires else ""
    return f"serial number {facts.old_serial}{when}; the new one: {facts.new_one}"
