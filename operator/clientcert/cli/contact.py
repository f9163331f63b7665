"""`clientcert contact`: show and record the contacts of a consumer."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from clientcert.api.client_list import (
    LONGEST_NAME,
    LONGEST_NOTE,
    ONE_LINE,
    ClientList,
    Listing,
    address_problem,
    is_one_line,
    render_listing,
)
from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cli.cluster import Cluster, Target, cluster_options
from clientcert.cli.completion import certificates
from clientcert.cli.contact_import import import_list
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.loading import TAKES_EFFECT, LoadedCertificate, load_certificate
from clientcert.cli.table import aligned, printable
from clientcert.cli.write_options import WritingCommand, write_options
from clientcert.lifecycle.contacts import DirectoryEntry, Recipient, SlackQuestion, resolve_email, slack_question
from clientcert.lifecycle.policy import EmailAddress
from clientcert.lifecycle.spec import HOST, Person

_NO_CONTACT = 3


@click.group()
def contact() -> None:
    """Show and record the people behind a consumer."""


contact.add_command(import_list)


@contact.command(name="set", cls=WritingCommand)
@click.argument("name", shell_complete=certificates)
@click.option("--technical", metavar="ADDRESS", help="E-mail address of the person who renews the certificate.")
@click.option("--technical-name", metavar="WORDS", help="The person's name.")
@click.option("--business", metavar="ADDRESS", help="E-mail address of the person responsible for it.")
@click.option("--business-name", metavar="WORDS", help="The person's name.")
@click.option("--note", metavar="WORDS", help="A note about the consumer, for the client list.")
@click.option("--object", "in_object", is_flag=True, help="Write spec.contact even if there is a client list.")
@write_options
def set_contact(target: Target, name: str, note: str | None, in_object: bool, **people: str | None) -> Iterator[str]:
    """Record the contact of the consumer of ClientCertificate NAME.

    It is written to the client list that the CertificatePolicy names, and applies to all certificates of the consumer.
    Without a client list it is written to spec.contact of this certificate.
    """
    entry = DirectoryEntry(_person("technical", people), _person("business", people))
    if entry == DirectoryEntry() and note is None:
        raise click.UsageError("nothing to record: give --technical, --business or --note")
    if note and len(note) > LONGEST_NOTE:
        raise click.UsageError(f"--note has more than {LONGEST_NOTE} characters: shorten it")
    cluster = Cluster.connect(target)
    loaded = load_certificate(cluster, name)
    client_list = loaded.policy.contacts.directory
    if client_list and not in_object:
        _write_listing(cluster, client_list, loaded.spec.consumer, entry, note)
        place, when = f"the client list, ConfigMap {client_list}", TAKES_EFFECT
    elif note is not None:
        raise click.UsageError("only a client list has notes: leave out --note")
    else:
        cluster.patch(CLIENT_CERTIFICATE, name, {"spec": {"contact": _spec(entry)}})
        place, when = f"spec.contact of {name}", "The operator uses it at once."
    yield f"Recorded in {place}. {when}"
    after = load_certificate(cluster, name)
    _warn_if_overridden(after, entry)
    yield f"{_sentence(after)}."


@contact.command(name="show")
@click.argument("name", shell_complete=certificates)
@cluster_options
@click.pass_context
def show(context: click.Context, target: Target, name: str) -> None:
    """Show who would be contacted about ClientCertificate NAME, and why.

    Contacts are listed in the order in which they are tried. Slack users are looked up by the operator only. Exits with
    3 if no contact is known.
    """
    loaded = load_certificate(Cluster.connect(target), name)
    found = resolve_email(loaded.spec, loaded.policy.contacts, loaded.client_list)
    question = slack_question(loaded.spec, loaded.policy.contacts)
    rows = [_row(recipient) for recipient in found.recipients]
    if question is not None:
        rows.insert(0, ("Slack user", printable(question.name), _looked_up(question)))
    if rows:
        for line in aligned(("ROLE", "NAME", "ADDRESS"), rows):
            click.echo(line)
        click.echo("")
    click.echo(f"{_sentence(loaded)}.")
    if not any(isinstance(channel.address, EmailAddress) for channel in loaded.policy.channels):
        click.echo("Note: its policy has no channel of type Email, so the operator does not write to contacts.")
    if not rows:
        context.exit(_NO_CONTACT)


def _row(recipient: Recipient) -> tuple[str, str, str]:
    return recipient.role.value, printable(recipient.name) or "-", printable(recipient.address)


def _looked_up(question: SlackQuestion) -> str:
    if question.member_id:
        return f"by member ID {printable(question.member_id)}"
    return f"by {printable(question.email)}" if question.email else "by the consumer's name"


def _sentence(loaded: LoadedCertificate) -> str:
    """The recipient, by role and without a name."""
    found = resolve_email(loaded.spec, loaded.policy.contacts, loaded.client_list)
    words = f"{found.message} ({found.reason})"
    if slack_question(loaded.spec, loaded.policy.contacts) is not None:
        otherwise = words if found.resolved else "no other contact is known"
        words = f"the operator looks up a Slack user, which this command cannot; if none is found, {otherwise}"
    return printable(words[:1].upper() + words[1:])


def _person(role: str, options: Mapping[str, str | None]) -> Person | None:
    """A person that the schema accepts; raises click.UsageError with a message that quotes no name and no address."""
    address, name = options[role], options[f"{role}_name"]
    if address is None:
        if name is not None:
            raise click.UsageError(f"--{role}-name needs --{role}: give the address, too")
        return None
    if problem := address_problem(address):
        raise click.UsageError(f"--{role} must be {problem}")
    if name and not is_one_line(name, LONGEST_NAME):
        raise click.UsageError(f"--{role}-name must be {ONE_LINE}, of at most {LONGEST_NAME} characters")
    return Person(name or "", address)


def _spec(entry: DirectoryEntry) -> dict[str, Any]:
    """A merge patch of spec.contact, which also removes the name of the person before."""
    people = (("technical", entry.technical), ("business", entry.business))
    return {role: {"name": person.name or None, "email": person.email} for role, person in people if person}


def _write_listing(cluster: Cluster, configmap: str, consumer: str, entry: DirectoryEntry, note: str | None) -> None:
    def change(held: Mapping[str, str]) -> Mapping[str, str]:
        known = ClientList.of(held)
        key, problem = known.key(consumer), known.problem(consumer)
        if problem:
            raise AnswerIsNo(f"ConfigMap {configmap}, key {key}: {problem}; then try again")
        before = known.listing(consumer)
        people, kept = (before.entry, before.note) if before else (DirectoryEntry(), "")
        people = DirectoryEntry(entry.technical or people.technical, entry.business or people.business)
        after = Listing(consumer, people, kept if note is None else note)
        return {} if after == before else {key: render_listing(after, key)}

    cluster.change_config_map(configmap, change)


def _warn_if_overridden(after: LoadedCertificate, entry: DirectoryEntry) -> None:
    """Warn if the object's own contact takes precedence (lifecycle/contacts.py)."""
    own = after.spec.contact
    for role, wanted, current in (
        ("technical", entry.technical, own.technical),
        ("business", entry.business, own.business),
    ):
        if wanted and current and current.email != wanted.email:
            problem = f"spec.contact.{role} of the object names another person and comes first"
            click.echo(f"Warning: {problem}: remove it, or use --object.", err=True)
    if after.spec.profile == HOST and own.requester is not None:
        problem = "letters about this host certificate go to its requester only"
        click.echo(f"Warning: {problem}; the contact applies to other certificates of the consumer.", err=True)
