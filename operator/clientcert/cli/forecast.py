"""`clientcert forecast`: what will be sent to whom and when, if nothing is renewed. It sends nothing."""

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import click

from clientcert.api.client_certificate import parse_spec
from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE, moment, timestamp
from clientcert.api.status import parse_status
from clientcert.cli.cluster import AnswerIsNo, Cluster, Object, Target, cluster_options
from clientcert.cli.describe_recipient import addressee, recipients
from clientcert.cli.loading import read_directory, to_policy
from clientcert.cli.simulation import Known, Upcoming, upcoming
from clientcert.cli.table import aligned, cut, printable, to_the_minute
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.assessment import Phase
from clientcert.lifecycle.conditions import ALERTS_DELIVERED, stood_in
from clientcert.lifecycle.contacts import Directory, batch_of
from clientcert.lifecycle.due import MessageKind, silenced
from clientcert.lifecycle.policy import EVENTS_CHANNEL, AlertPolicy
from clientcert.lifecycle.schedule import DAY
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey
from clientcert.messages.message import compose

_ABOUT_THE_POLICY = frozenset({Reason.POLICY_NOT_FOUND, Reason.POLICY_INVALID})
_HEADINGS = ("TIME", "NAMESPACE", "CERTIFICATE", "CHANNEL", "STAGE", "TO")


@dataclass(frozen=True, slots=True)
class Line:
    """One message, and whom it goes to."""

    key: ObjectKey
    declaration: CertificateSpec
    upcoming: Upcoming
    to: str

    @property
    def order(self) -> tuple[Any, ...]:
        """By time; of one channel the closing message first."""
        notification = self.upcoming.notification
        return self.upcoming.when, self.key, notification.channel.name, notification.kind is MessageKind.ALERT

    @property
    def batch(self) -> Hashable:
        """Equal for all that one letter to a requester tells of; None for what has a message of its own."""
        channel, batch = self.upcoming.notification.channel, batch_of(self.key.namespace, self.declaration)
        return (batch, channel.name) if channel.to_consumer and batch is not None else None


@dataclass(frozen=True, slots=True)
class Options:
    """What a forecast is asked for."""

    days: int
    policy: str | None
    all_namespaces: bool
    events: bool


@dataclass
class Forecast:
    """All that one call finds out."""

    cluster: Cluster
    now: datetime
    options: Options
    policies: dict[ObjectKey, AlertPolicy]
    lines: list[Line] = field(default_factory=list)
    remarks: dict[str, None] = field(default_factory=dict)
    """What keeps a certificate from being alerted about as its reader may expect; nobody's name or address."""
    _directories: dict[ObjectKey, Directory | None] = field(default_factory=dict)

    def add(self, found: Object) -> None:
        """What will be sent about one ClientCertificate."""
        metadata = found["metadata"]
        key = ObjectKey(metadata["namespace"], metadata["name"])
        try:
            known = _known(found)
        except ClientCertError as error:
            self._remark(key, f"{error.message}: nobody is alerted before it is corrected")
            return
        policy = self._policy(key, known)
        self._explain(key, known)
        for each in upcoming(known, policy, self.now, self.now + self.options.days * DAY):
            if self._is_sent(key, known, policy, each):
                channel = each.notification.channel
                directory = self._directory(key.namespace, policy) if channel.to_consumer else {}
                to = addressee(channel, known.declaration, policy.contacts, directory)
                line = Line(key, known.declaration, each, to)
                self.lines.append(line if line.batch is None else replace(line, to=f"{to}, for the whole batch"))

    def in_order(self) -> Iterator[Line]:
        """All lines by time; of a batch of host certificates the first alone, whose letter tells of all of them."""
        seen: set[Hashable] = set()
        for line in sorted(self.lines, key=lambda line: line.order):
            if line.batch is None or line.batch not in seen:
                seen.add(line.batch)
                yield line

    def _is_sent(self, key: ObjectKey, known: Known, policy: AlertPolicy, each: Upcoming) -> bool:
        """Whether anybody is told: a letter is only written of what the consumer can do something about."""
        channel = each.notification.channel
        if channel.name == EVENTS_CHANNEL:
            return self.options.events
        if not channel.to_consumer:
            return True
        directory = self._directory(key.namespace, policy)
        ways = recipients(channel, known.declaration, policy.contacts, directory, known.stood_in)
        if not any(ways):
            return not channel.escalation  # of others the operator says that there is nobody
        return any(
            compose(
                key, "", known.declaration, each.assessment, policy, each.notification, each.recorded, recipients=found
            ).letters
            for found in ways
        )

    def _policy(self, key: ObjectKey, known: Known) -> AlertPolicy:
        name = known.declaration.policy
        policy = self.policies.get(ObjectKey(key.namespace, name))
        if name and policy is None:
            self._remark(key, f"there is no CertificatePolicy {name}, so the defaults hold")
        if policy is not None and policy.problems:
            self._remark(ObjectKey(key.namespace, name), f"CertificatePolicy: {policy.problems[0]}")
        return policy or to_policy(None)

    def _explain(self, key: ObjectKey, known: Known) -> None:
        silence = known.declaration.silence
        if silence is not None and silenced(silence, self.now):
            self._remark(key, f"silenced until {to_the_minute(silence.until)}: {silence.reason}")
        if known.phase in {"", Phase.PENDING}:
            self._remark(key, "the operator has not read it yet, so nobody knows when it ends")
        elif known.recorded.accepted is None:
            self._remark(key, "no certificate was ever read; it is alerted about every day until one is")
        delivered = known.recorded.condition(ALERTS_DELIVERED)
        if delivered is not None and delivered.status == "False" and delivered.reason not in _ABOUT_THE_POLICY:
            self._remark(key, f"not all alerts arrive: {delivered.message}")

    def _directory(self, namespace: str, policy: AlertPolicy) -> Directory | None:
        key = ObjectKey(namespace, policy.contacts.directory)
        if key not in self._directories:
            self._directories[key] = read_directory(self.cluster, namespace, policy)
        return self._directories[key]

    def _remark(self, key: ObjectKey, words: str) -> None:
        self.remarks[printable(f"{key}: {words}")] = None


@click.command()
@click.option("--days", type=click.IntRange(0, 366), default=30, show_default=True, help="How far ahead.")
@click.option("--policy", metavar="P", help="Only certificates of this CertificatePolicy.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Of every namespace.")
@click.option("--events", is_flag=True, help="Kubernetes Events, too.")
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table", help="json: an object a line.")
@cluster_options
@click.pass_context
def forecast(context: click.Context, /, target: Target, output: str, **options: Any) -> None:
    """Print what the operator will send to whom and when, if nothing is renewed. It sends nothing.

    STAGE is in days before notAfter: 0 is the last 24 hours, negative after it. Exits with 3 if there is no
    ClientCertificate to tell of.
    """
    wanted = Options(**options)
    if wanted.all_namespaces and target.namespace is not None:
        raise click.UsageError("give --namespace or --all-namespaces, not both")
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
        raise AnswerIsNo("there is no ClientCertificate" + (f" of CertificatePolicy {policy}" if policy else ""))
    policies = {
        ObjectKey(each["metadata"]["namespace"], each["metadata"]["name"]): to_policy(each)
        for each in cluster.list(CERTIFICATE_POLICY, everywhere=everywhere)
    }
    result = Forecast(cluster, now, options, policies)
    for each in found:
        result.add(each)
    return result


def _known(found: Object) -> Known:
    """Raises ClientCertError where the spec cannot be used."""
    status = found.get("status") or {}
    metadata, recorded = found["metadata"], parse_status(status)
    created = moment(metadata["creationTimestamp"])
    assert created is not None  # noqa: S101 - every object that the API server has stored has it
    refused = stood_in(recorded) if status.get("observedGeneration") == metadata.get("generation") else None
    return Known(parse_spec(found["spec"]), recorded, str(status.get("phase", "")), created, refused)


def _print_json(found: Forecast) -> None:
    for line in found.in_order():
        notification = line.upcoming.notification
        document: dict[str, Any] = {
            "time": timestamp(line.upcoming.when),
            "namespace": line.key.namespace,
            "certificate": line.key.name,
            "consumer": line.declaration.consumer,
            "environment": line.declaration.environment,
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
        notification = line.upcoming.notification
        yield (
            "now" if line.upcoming.when == found.now else to_the_minute(line.upcoming.when),
            line.key.namespace,
            line.key.name,
            notification.channel.name,
            "renewed" if notification.kind is MessageKind.CLOSING else str(notification.stage),
            cut(printable(line.to)),
        )
