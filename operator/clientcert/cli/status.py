"""`clientcert status`: everything about one certificate, why it is so, and what to do next."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from clientcert.api.kinds import CERTIFICATE_RENEWAL, CLIENT_CERTIFICATE, moment_or_none
from clientcert.cli.certificate_status import conditions_of, end_of, ends_first, open_request_name
from clientcert.cli.cluster import Cluster, Object, Target, cluster_options
from clientcert.cli.completion import certificates
from clientcert.cli.describe_recipient import describe_recipient
from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.forecast import Forecast, Options
from clientcert.cli.loading import LoadedCertificate, load_referenced
from clientcert.cli.next_step import what_to_do
from clientcert.cli.output import TABLE, output_option, print_objects
from clientcert.cli.table import aligned, aligned_facts, printable, to_the_minute
from clientcert.lifecycle.contacts import resolve_email, slack_question
from clientcert.lifecycle.policy import EVENTS_CHANNEL
from clientcert.lifecycle.spec import ObjectKey

_DAYS_AHEAD = 366
_LONGEST_EVENTS = 10
_AS_IT_SHOULD_BE = {"Silenced": "", "Expiring": "False"}
"""The status of a condition that needs no explanation; of the others it is True. Silenced is a fact above."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One certificate, and what belongs to it."""

    now: datetime
    found: Object
    loaded: LoadedCertificate | None
    """None if its spec is invalid, or its policy may not be read."""
    upcoming: dict[str, str]
    """By channel: when it will be told next."""
    request: Object | None
    """The open request for its renewal."""
    events: tuple[Object, ...] | None
    """Newest first; None if the caller may not read them."""

    @property
    def name(self) -> str:
        """Of the ClientCertificate."""
        return str(self.found["metadata"]["name"])

    @property
    def status(self) -> dict[str, Any]:
        """Empty before the operator has looked at it."""
        return dict(self.found.get("status") or {})


@click.command()
@click.argument("name", shell_complete=certificates)
@output_option()
@cluster_options
@click.pass_context
def status(context: click.Context, /, target: Target, name: str, output: str) -> None:
    """Show everything about ClientCertificate NAME, why it is so, and what to do next.

    Contacts are shown by their roles; `clientcert contact show` has names and addresses. NEXT is when a channel will be
    told again if nothing is renewed; - means not within a year.
    """
    cluster = Cluster.connect(target)
    found = cluster.get(CLIENT_CERTIFICATE, name)
    if output != TABLE:
        print_objects([found], output)
        return
    for line in lines_of(_standing(cluster, found, context.obj["now"]())):
        click.echo(line)


def lines_of(known: Standing) -> Iterator[str]:
    """All lines of the output, for people."""
    yield from aligned_facts(_facts(known))
    if explained := [*_conditions(known)]:
        yield ""
        yield from aligned(("CONDITION", "STATUS", "REASON", "MESSAGE"), explained)
    yield ""
    yield from aligned(("CHANNEL", "TO", "LAST TOLD", "NEXT"), [*_channels(known)])
    if known.events:
        yield ""
        yield from aligned(("LAST SEEN", "TYPE", "REASON", "EVENT"), [*map(_event, known.events)])
    yield ""
    yield what_to_do(known.found, known.request, known.now)


def _standing(cluster: Cluster, found: Object, now: datetime) -> Standing:
    loaded, upcoming, metadata = None, dict[str, str](), found["metadata"]
    with suppress(AnswerIsNo):  # an invalid spec, or no right to read the policy: the rest is shown all the same
        loaded = load_referenced(cluster, found)
        upcoming = _upcoming(cluster, found, loaded, now)
    return Standing(now, found, loaded, upcoming, _request(cluster, found), _events(cluster, metadata["name"]))


def _upcoming(cluster: Cluster, found: Object, loaded: LoadedCertificate, now: datetime) -> dict[str, str]:
    """The time at which each channel will be told next, if nothing is renewed."""
    where = found["metadata"]["namespace"]
    policy = {ObjectKey(where, loaded.spec.policy): loaded.policy} if loaded.has_policy else {}
    options = Options(days=_DAYS_AHEAD, policy=None, all_namespaces=False, events=False)
    forecast = Forecast(cluster, now, options, policy)
    forecast.add(found)
    upcoming: dict[str, str] = {}
    for line in forecast.in_order():
        when = "now" if line.message.when == now else to_the_minute(line.message.when)
        upcoming.setdefault(line.message.notification.channel.name, when)
    return upcoming


def _request(cluster: Cluster, found: Object) -> Object | None:
    name = open_request_name(found)
    if not name:
        return None
    try:
        return cluster.find(CERTIFICATE_RENEWAL, name)
    except AnswerIsNo:
        return None


def _events(cluster: Cluster, name: str) -> tuple[Object, ...] | None:
    try:
        found = cluster.events(CLIENT_CERTIFICATE, name)
    except (AnswerIsNo, Failed):
        return None
    return tuple(sorted(found, key=_seen, reverse=True)[:_LONGEST_EVENTS])


def _facts(known: Standing) -> Iterator[tuple[str, str]]:
    spec, certificate = known.found["spec"], known.status.get("certificate") or {}
    yield "Certificate", f"{known.name} ({spec['consumer']} in {spec['environment']})"
    yield "Status", _phase(known)
    for title, field in (("Subject", "subjectDN"), ("Issuer", "issuerDN"), ("Serial number", "serialNumber")):
        if certificate.get(field):
            yield title, certificate[field]
    if (first := ends_first(known.found)) is not None:
        yield "Ends first", f"{first.get('subjectDN') or 'another certificate'}, in the same file"
    for warning in certificate.get("warnings") or ():
        yield "Warning", warning
    yield "Source", _source(spec["source"])
    if known.loaded is not None:
        yield "Contact", _contact(known.loaded)
    if spec.get("owner"):
        yield "Owner", spec["owner"]
    policy = (spec.get("policyRef") or {}).get("name")
    unread = ", which you may not read" if policy and known.loaded is None else ""
    yield "Policy", f"{policy}{unread}" if policy else "none: the defaults"
    if silence := spec.get("silence"):
        yield "Silenced", f"until {_at(silence['until'])}: {silence['reason']}"
    if acknowledged := spec.get("acknowledgement"):
        why = f": {acknowledged['reason']}" if acknowledged.get("reason") else ""
        yield "Acknowledged", f"serial number {acknowledged['serialNumber']}{why}"
    yield from _renewal(known)
    for replaced in known.status.get("history") or ():
        yield "Before", f"{replaced['serialNumber']}, replaced {_at(replaced['replacedTime'])}"


def _phase(known: Standing) -> str:
    phase = str(known.status.get("phase") or "Pending")
    ends = end_of(known.found)
    if ends is None:
        return phase
    days = abs(ends - known.now).days
    many = "less than a day" if days == 0 else "1 day" if days == 1 else f"{days} days"
    return f"{phase}, {f'{many} left' if ends > known.now else f'expired {many} ago'}: {to_the_minute(ends)}"


def _source(source: dict[str, Any]) -> str:
    if source["type"] == "S3":
        return f"{source['s3']['key']} in CertificateStore {source['s3']['storeRef']['name']}"
    return f"key {source['secret'].get('key') or 'tls.crt'} of Secret {source['secret']['name']}"


def _contact(loaded: LoadedCertificate) -> str:
    """The role of the contact, without name and address."""
    spec, policy = loaded.spec, loaded.policy
    found = resolve_email(spec, policy.contacts, loaded.client_list)
    roles = [each.role.value for each in found.recipients]
    if slack_question(spec, policy.contacts) is not None:
        roles.insert(0, "Slack user, if the operator finds one")
    return ", then ".join(roles) if roles else f"nobody: {found.message}"


def _renewal(known: Standing) -> Iterator[tuple[str, str]]:
    renewal = known.status.get("renewal")
    if not renewal:
        return
    opens, closes = renewal.get("opensTime"), renewal.get("closesTime")
    window = f" (from {_at(opens)} to {_at(closes)})" if opens and closes else ""
    yield "Renewal", f"{renewal.get('reason', '')}: {renewal.get('message', '')}".strip(": ") + window
    if known.request is not None:
        yield "Request", known.request["metadata"]["name"]


def _conditions(known: Standing) -> Iterator[tuple[str, ...]]:
    """Those that are not as they should be, with their messages."""
    for name, each in conditions_of(known.found).items():
        if each["status"] != _AS_IT_SHOULD_BE.get(name, "True") and name != "Silenced":
            cells = (name, each["status"], each.get("reason") or "", each.get("message") or "")
            yield tuple(map(printable, cells))


def _channels(known: Standing) -> Iterable[tuple[str, str, str, str]]:
    """Each channel of the policy: whom it tells, what it was told last, and when it will be told again."""
    told = {each["name"]: each for each in (known.status.get("alerts") or {}).get("channels") or ()}
    if known.loaded is None:
        for name, record in told.items():
            yield printable(name), "?", _told(record), "?"
        return
    spec, policy, client_list = known.loaded.spec, known.loaded.policy, known.loaded.client_list
    for channel in policy.channels:
        if channel.name != EVENTS_CHANNEL:
            to = describe_recipient(channel, spec, policy.contacts, client_list)
            record = told.get(channel.name) or {}
            yield channel.name, printable(to), _told(record), known.upcoming.get(channel.name, "-")


def _told(record: dict[str, Any]) -> str:
    stage, sent = record.get("stage"), record.get("lastSentTime")
    said = "never" if not sent else _at(sent) + ("" if stage is None else f", stage {stage}")
    return f"{said}; failing since {_at(failing)}" if (failing := record.get("lastFailureTime")) else said


def _seen(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def _event(event: Object) -> tuple[str, str, str, str]:
    message = " ".join(str(event.get("message", "")).split())
    kind, reason = printable(event.get("type") or ""), printable(event.get("reason") or "")
    return _at(_seen(event)), kind, reason, printable(message)


def _at(text: str) -> str:
    found = moment_or_none(text)
    return to_the_minute(found) if found else "-"
