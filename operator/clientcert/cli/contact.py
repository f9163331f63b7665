"""`clientcert contact`: who is behind a consumer, and what somebody has answered."""

from collections.abc import Mapping
from typing import Any

import click

from clientcert.api.client_list import (
    LONGEST_NAME,
    LONGEST_NOTE,
    ONE_LINE,
    PLAIN_ADDRESS,
    ClientList,
    Listing,
    is_one_line,
    is_plain_address,
    render_listing,
)
from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cli.cluster import AnswerIsNo, Cluster, Target, cluster_options
from clientcert.cli.contact_import import import_list
from clientcert.cli.loading import TAKES_EFFECT, Declared, read_declared
from clientcert.cli.table import aligned, printable
from clientcert.lifecycle.contacts import DirectoryEntry, Recipient, SlackQuestion, resolve_email, slack_question
from clientcert.lifecycle.policy import EmailAddress
from clientcert.lifecycle.spec import HOST, Person

_NOBODY = 3


@click.group()
def contact() -> None:
    """Show and record the people behind a consumer."""


contact.add_command(import_list)


@contact.command(name="set")
@click.argument("name")
@click.option("--technical", metavar="ADDRESS", help="E-mail address of who renews the certificate.")
@click.option("--technical-name", metavar="WORDS", help="Their name.")
@click.option("--business", metavar="ADDRESS", help="E-mail address of who answers for it.")
@click.option("--business-name", metavar="WORDS", help="Their name.")
@click.option("--note", metavar="WORDS", help="For the client list: what people should know of the consumer.")
@click.option("--object", "in_object", is_flag=True, help="Write spec.contact even if there is a client list.")
@cluster_options
def set_contact(target: Target, name: str, note: str | None, in_object: bool, **people: str | None) -> None:
    """Record the contact of the consumer of ClientCertificate NAME.

    It goes into the client list that the CertificatePolicy names, and so counts for every certificate of the
    consumer; where there is no client list, into spec.contact of this one.
    """
    entry = DirectoryEntry(_person("technical", people), _person("business", people))
    if entry == DirectoryEntry() and note is None:
        raise click.UsageError("say whom: give --technical, --business or --note")
    if note and len(note) > LONGEST_NOTE:
        raise click.UsageError(f"--note has more than {LONGEST_NOTE} characters: shorten it")
    cluster = Cluster.connect(target)
    declared = read_declared(cluster, name)
    listed = declared.policy.contacts.directory
    if listed and not in_object:
        _write_listing(cluster, listed, declared.declaration.consumer, entry, note)
        place, when = f"the client list, ConfigMap {listed}", TAKES_EFFECT
    elif note is not None:
        raise click.UsageError("only the client list holds a note: leave out --note")
    else:
        cluster.patch(CLIENT_CERTIFICATE, name, {"spec": {"contact": _spec(entry)}})
        place, when = f"spec.contact of {name}", "The operator takes it at once."
    click.echo(f"Recorded in {place}. {when}")
    after = read_declared(cluster, name)
    _warn_of_another(after, entry)
    click.echo(f"{_sentence(after)}.")


@contact.command(name="show")
@click.argument("name")
@cluster_options
@click.pass_context
def show(context: click.Context, target: Target, name: str) -> None:
    """Say who would be written to about ClientCertificate NAME, and why: the first, or the next who can be reached.

    Users of Slack are looked up by the operator only. Exits with 3 if nobody is known.
    """
    declared = read_declared(Cluster.connect(target), name)
    found = resolve_email(declared.declaration, declared.policy.contacts, declared.directory)
    question = slack_question(declared.declaration, declared.policy.contacts)
    rows = [_row(recipient) for recipient in found.recipients]
    if question is not None:
        rows.insert(0, ("Slack user", printable(question.name), _looked_up(question)))
    if rows:
        for line in aligned(("ROLE", "NAME", "ADDRESS"), rows):
            click.echo(line)
        click.echo("")
    click.echo(f"{_sentence(declared)}.")
    if not any(isinstance(channel.address, EmailAddress) for channel in declared.policy.channels):
        click.echo("But no channel of its policy is of type Email, so the operator writes to nobody.")
    if not rows:
        context.exit(_NOBODY)


def _row(recipient: Recipient) -> tuple[str, str, str]:
    return recipient.role.value, printable(recipient.name) or "-", printable(recipient.address)


def _looked_up(question: SlackQuestion) -> str:
    if question.member_id:
        return f"by member ID {printable(question.member_id)}"
    return f"by {printable(question.email)}" if question.email else "by the consumer's name"


def _sentence(declared: Declared) -> str:
    """Who is written to, by role and without a name."""
    found = resolve_email(declared.declaration, declared.policy.contacts, declared.directory)
    words = f"{found.message} ({found.reason})"
    if slack_question(declared.declaration, declared.policy.contacts) is not None:
        instead = words if found.resolved else "nobody else is known"
        words = f"a user is looked up in Slack, by the operator only; where none is found, {instead}"
    return printable(words[:1].upper() + words[1:])


def _person(role: str, options: Mapping[str, str | None]) -> Person | None:
    """As the schema takes it; raises click.UsageError in words that quote nobody."""
    address, name = options[role], options[f"{role}_name"]
    if address is None:
        if name is not None:
            raise click.UsageError(f"--{role}-name is the name of a new --{role}: give the address, too")
        return None
    if not is_plain_address(address):
        raise click.UsageError(f"--{role} must be {PLAIN_ADDRESS}")
    if name and not is_one_line(name, LONGEST_NAME):
        raise click.UsageError(f"--{role}-name must be {ONE_LINE}, of at most {LONGEST_NAME} characters")
    return Person(name or "", address)


def _spec(entry: DirectoryEntry) -> dict[str, Any]:
    """A merge patch: the name of whoever it was before goes."""
    people = (("technical", entry.technical), ("business", entry.business))
    return {role: {"name": person.name or None, "email": person.email} for role, person in people if person}


def _write_listing(cluster: Cluster, listed: str, consumer: str, entry: DirectoryEntry, note: str | None) -> None:
    def change(held: Mapping[str, str]) -> Mapping[str, str]:
        known = ClientList.of(held)
        key, problem = known.key(consumer), known.problem(consumer)
        if problem:
            raise AnswerIsNo(f"ConfigMap {listed}, key {key}: {problem}; then try again")
        before = known.listing(consumer)
        people, kept = (before.entry, before.note) if before else (DirectoryEntry(), "")
        people = DirectoryEntry(entry.technical or people.technical, entry.business or people.business)
        after = Listing(consumer, people, kept if note is None else note)
        return {} if after == before else {key: render_listing(after, key)}

    cluster.change_config_map(listed, change)


def _warn_of_another(after: Declared, entry: DirectoryEntry) -> None:
    """What the object itself says comes first (lifecycle/contacts.py)."""
    own = after.declaration.contact
    for role, wanted, stands in (
        ("technical", entry.technical, own.technical),
        ("business", entry.business, own.business),
    ):
        if wanted and stands and stands.email != wanted.email:
            words = f"spec.contact.{role} of the object says another, which comes first: remove it, or use --object"
            click.echo(f"But {words}.", err=True)
    if after.declaration.profile == HOST and own.requester is not None:
        words = "this is a host certificate, of which its requester alone is told: the answer counts for others"
        click.echo(f"But {words}.", err=True)
