"""`clientcert forecast`: show what will be sent, to whom and when, if nothing is renewed. It sends nothing."""

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import click

from clientcert.api.client_certificate import parse_spec
from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE, moment, timestamp
from clientcert.api.status import parse_status
from clientcert.cli.cluster import Cluster, Object, Target, cluster_options
from clientcert.cli.describe_recipient import describe_recipient, possible_recipients
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.loading import load_client_list, policy_of
from clientcert.cli.scope import check_scope
from clientcert.cli.simulation import KnownCertificate, UpcomingMessage, simulate
from clientcert.cli.table import aligned, cut, printable, to_the_minute
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.conditions import ALERTS_DELIVERED, without_contact
from clientcert.lifecycle.contacts import Directory, batch_of
from clientcert.lifecycle.delivery_log import DeliveryLog, MessageKind
from clientcert.lifecycle.due import silenced
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.policy import EVENTS_CHANNEL, AlertPolicy
from clientcert.lifecycle.schedule import DAY
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey
from clientcert.messages.message import compose

_ABOUT_THE_POLICY = frozenset({Reason.POLICY_NOT_FOUND, Reason.POLICY_INVALID})
_HEADINGS = ("TIME", "NAMESPACE", "CERTIFICATE", "CHANNEL", "STAGE", "TO")


@dataclass(frozen=True, slots=True)
class Line:
    """One message and its recipient."""

    key: ObjectKey
    spec: CertificateSpec
    message: UpcomingMessage
    to: str

    @property
    def order(self) -> tuple[Any, ...]:
        """By time; for one channel the closing message comes first."""
        notification = self.message.notification
        return self.message.when, self.key, notification.channel.name, notification.kind is MessageKind.ALERT

    @property
    def batch(self) -> Hashable:
        """Equal for all messages that are sent as one letter to a requester; None for a message of its own."""
        channel, batch = self.message.notification.channel, batch_of(self.key.namespace, self.spec)
        return (batch, channel.name) if channel.to_consumer and batch is not None else None


@dataclass(frozen=True, slots=True)
class Options:
    """The options that select the certificates and the messages."""

    days: int
    policy: str | None
    all_namespaces: bool
    events: bool


@dataclass
class Forecast:
    """The result of one call."""

    cluster: Cluster
    now: datetime
    options: Options
    policies: dict[ObjectKey, AlertPolicy]
    lines: list[Line] = field(default_factory=list)
    remarks: dict[str, None] = field(default_factory=dict)
    """Reasons for alerts that the reader may not expect, without names and addresses; a dict for its order."""
    _client_lists: dict[ObjectKey, Directory | None] = field(default_factory=dict)

    def add(self, found: Object) -> None:
        """Add the messages about one ClientCertificate."""
        metadata = found["metadata"]
        key = ObjectKey(metadata["namespace"], metadata["name"])
        try:
            known = _known(found)
        except ClientCertError as error:
            self._remark(key, f"{error.message}: no alert is sent before it is corrected")
            return
        policy = self._policy(key, known)
        self._explain(key, known)
        for each in simulate(known, policy, self.now, self.now + self.options.days * DAY):
            if self._is_sent(key, known, policy, each):
                channel = each.notification.channel
                client_list = self._client_list(key.namespace, policy) if channel.to_consumer else {}
                to = describe_recipient(channel, known.spec, policy.contacts, client_list)
                line = Line(key, known.spec, each, to)
                self.lines.append(line if line.batch is None else replace(line, to=f"{to}, for the whole batch"))

    def in_order(self) -> Iterator[Line]:
        """All lines by time; of a batch of host certificates only the first, as one letter covers them all."""
        seen: set[Hashable] = set()
        for line in sorted(self.lines, key=lambda line: line.order):
            if line.batch is None or line.batch not in seen:
                seen.add(line.batch)
                yield line

    def _is_sent(self, key: ObjectKey, known: KnownCertificate, policy: AlertPolicy, each: UpcomingMessage) -> bool:
        """True if there is a recipient: a letter is written only about problems that the consumer can solve."""
        channel = each.notification.channel
        if channel.name == EVENTS_CHANNEL:
            return self.options.events
        if not channel.to_consumer:
            return True
        client_list = self._client_list(key.namespace, policy)
        fallback = DeliveryLog(known.status.channels).fallback_recipient(policy.channels)
        outcomes = possible_recipients(channel, known.spec, policy.contacts, client_list, fallback)
        if not any(outcomes):
            return not channel.escalation  # for any other channel the operator reports that there is no recipient
        return any(compose(each.evaluation, each.notification, recipients).letters for recipients in outcomes)

    def _policy(self, key: ObjectKey, known: KnownCertificate) -> AlertPolicy:
        name = known.spec.policy
        policy = self.policies.get(ObjectKey(key.namespace, name))
        if name and policy is None:
            self._remark(key, f"there is no CertificatePolicy {name}, so the defaults are used")
        if policy is not None and policy.problems:
            self._remark(ObjectKey(key.namespace, name), f"CertificatePolicy: {policy.problems[0]}")
        return policy or policy_of(None)

    def _explain(self, key: ObjectKey, known: KnownCertificate) -> None:
        silence = known.spec.silence
        if silence is not None and silenced(silence, self.now):
            self._remark(key, f"silenced until {to_the_minute(silence.until)}: {silence.reason}")
        if known.status.phase in {"", Phase.PENDING}:
            self._remark(key, "the operator has not read it yet, so its expiry is not known")
        elif known.status.accepted is None:
            self._remark(key, "no certificate has been read yet; there is an alert every day until one is")
        delivered = known.status.condition(ALERTS_DELIVERED)
        if delivered is not None and delivered.status == "False" and delivered.reason not in _ABOUT_THE_POLICY:
            self._remark(key, f"not all alerts are delivered: {delivered.message}")
        elif delivered is not None and delivered.reason == Reason.OBSERVE_ONLY:
            self.remarks[printable(delivered.message)] = None  # the same for all certificates

    def _client_list(self, namespace: str, policy: AlertPolicy) -> Directory | None:
        key = ObjectKey(namespace, policy.contacts.directory)
        if key not in self._client_lists:
            self._client_lists[key] = load_client_list(self.cluster, namespace, policy)
        return self._client_lists[key]

    def _remark(self, key: ObjectKey, text: str) -> None:
        self.remarks[printable(f"{key}: {text}")] = None


@click.command()
@click.option("--days", type=click.IntRange(0, 366), default=30, show_default=True, help="How many days ahead.")
@click.option("--policy", metavar="P", help="Only certificates of this CertificatePolicy.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Certificates of every namespace.")
@click.option("--events", is_flag=True, help="Include Kubernetes Events.")
@click.option(
    "-o", "--output", type=click.Choice(("table", "json")), default="table", help="json: one object per line."
)
@cluster_options
@click.pass_context
def forecast(context: click.Context, /, target: Target, output: str, **options: Any) -> None:
    """Print what the operator will send, to whom and when, if nothing is renewed. It sends nothing.

    STAGE is in days before expiry: 0 in the last 24 hours, negative after expiry. Exits with 3 if no
    ClientCertificate matches.
    """
    wanted = Options(**options)
    check_scope(target, everywhere=wanted.all_namespaces)
    found = _forecast(Cluster.connect(target), context.obj["now"](), wanted)
    (_print_json if output == "json" else _print_table)(found)


def _forecast(cluster: Cluster, now: datetime, options: Options) -> Forecast:
    policy, everywhere = options.policy, options.all_namespaces
    found = [
        each
        for each in cluster.list(CLIENT_CERTIFICATE, everywhere=everywhere)
        if policy is None or (each["spec"].get("policyRef") or {}).get("name") == policy
    ]
    if not found:
        raise AnswerIsNo("there is no ClientCertificate" + (f" with CertificatePolicy {policy}" if policy else ""))
    policies = {
        ObjectKey(each["metadata"]["namespace"], each["metadata"]["name"]): policy_of(each)
        for each in cluster.list(CERTIFICATE_POLICY, everywhere=everywhere)
    }
    result = Forecast(cluster, now, options, policies)
    for each in found:
        result.add(each)
    return result


def _known(found: Object) -> KnownCertificate:
    """A ClientCertificate for the simulation; raises ClientCertError if its spec is invalid."""
    metadata, content = found["metadata"], found.get("status") or {}
    status = parse_status(content)
    if content.get("observedGeneration") != metadata.get("generation"):
        status = without_contact(status)
    created = moment(metadata["creationTimestamp"])
    assert created is not None  # noqa: S101 - the API server sets it in every object
    key = ObjectKey(metadata["namespace"], metadata["name"])
    return KnownCertificate(key, parse_spec(found["spec"]), status, created)


def _print_json(found: Forecast) -> None:
    for line in found.in_order():
        notification = line.message.notification
        document: dict[str, Any] = {
            "time": timestamp(line.message.when),
            "namespace": line.key.namespace,
            "certificate": line.key.name,
            "consumer": line.spec.consumer,
            "environment": line.spec.environment,
            "channel": notification.channel.name,
            "type": notification.channel.type,
            "kind": notification.kind.value,
            "stage": notification.stage,
            "to": line.to,
        }
        click.echo(json.dumps(document))
    for remark in found.remarks:
        click.echo(remark, err=True)


def _print_table(found: Forecast) -> None:
    shown = [at for at, heading in enumerate(_HEADINGS) if found.options.all_namespaces or heading != "NAMESPACE"]
    rows = [[row[at] for at in shown] for row in _rows(found)]
    if rows:
        for line in aligned([_HEADINGS[at] for at in shown], rows, right=("STAGE",)):
            click.echo(line)
    else:
        click.echo(f"Nothing will be sent in the next {found.options.days} days.")
    if found.remarks:
        click.echo("")
    for remark in found.remarks:
        click.echo(remark)


def _rows(found: Forecast) -> Iterator[tuple[str, ...]]:
    for line in found.in_order():
        notification = line.message.notification
        yield (
            "now" if line.message.when == found.now else to_the_minute(line.message.when),
            line.key.namespace,
            line.key.name,
            notification.channel.name,
            "renewed" if notification.kind is MessageKind.CLOSING else str(notification.stage),
            cut(printable(line.to)),
        )
