"""To whom a channel goes, in words that everybody may read."""

import pytest

from clientcert.api.policy import default_channel
from clientcert.cli.describe_recipient import addressee, recipients
from clientcert.lifecycle.contacts import Directory, DirectoryEntry, StoodIn
from clientcert.lifecycle.policy import (
    Address,
    Channel,
    ContactPolicy,
    EmailAddress,
    Role,
    Schedule,
    SlackAddress,
    UrlAddress,
)
from clientcert.lifecycle.spec import Contact, Person, SecretKeyRef
from tests.builders import declaration

JO, SAM = Person("Jo Bloggs", "jo@nhs.example"), Person("Sam Patel", "sam@nhs.example")
REF = SecretKeyRef("pager", "url")
LISTED = ContactPolicy(directory="clients")


def to(kind: str, address: Address | None) -> str:
    return addressee(Channel("team", kind, Schedule(), address), declaration(), ContactPolicy(), {})


@pytest.mark.parametrize(
    ("kind", "address", "words"),
    [
        ("Slack", SlackAddress(channel="#alerts"), "#alerts"),
        ("Slack", SlackAddress(channel="#alerts", token_ref=REF), "#alerts"),
        ("Slack", SlackAddress(webhook_ref=REF), "Slack webhook in Secret pager"),
        ("Slack", default_channel("").address, "the operator's own Slack channel, if set"),
        ("Webhook", UrlAddress(REF), "Webhook in Secret pager"),
        ("Apprise", UrlAddress(REF), "Apprise in Secret pager"),
        ("Event", None, "kubectl describe"),
        ("Pigeon", None, "nobody: Pigeon is not supported"),
    ],
)
def test_places(kind: str, address: Address | None, words: str) -> None:
    """A channel by its name, and what is a secret by where it is kept."""
    assert to(kind, address) == words


@pytest.mark.parametrize(
    ("contact", "policy", "directory", "words"),
    [
        (Contact(technical=JO, business=SAM), ContactPolicy(), {}, "technical contact"),
        (Contact(business=SAM), ContactPolicy(), {}, "business contact"),
        (Contact(business=SAM), LISTED, {"nhs": DirectoryEntry(JO)}, "technical contact"),
        (Contact(lookup=("Directory",)), LISTED, {}, "nobody: NotInDirectory"),
        (Contact(lookup=("Directory",)), LISTED, None, "nobody: DirectoryNotFound"),
        (Contact(), ContactPolicy(), {}, "nobody: NoContact"),
        (Contact(lookup=("Slack",)), ContactPolicy(), {}, "Slack user, if found"),
        (
            Contact(technical=JO),
            ContactPolicy(internal_environments=frozenset({"prod"})),
            {},
            "Slack user, or technical contact",
        ),
    ],
)
def test_contacts(contact: Contact, policy: ContactPolicy, directory: Directory | None, words: str) -> None:
    """By their role: the list of what will be sent may be shown to everybody, and their addresses may not."""
    channel = Channel("consumer", "Email", Schedule(), EmailAddress())
    assert addressee(channel, declaration(contact=contact), policy, directory) == words


ESCALATED = Channel("consumer/business", "Email", Schedule(), EmailAddress(role=Role.BUSINESS), escalate_after=14)
BOTH, ONE = Contact(technical=JO, business=SAM), Contact(business=SAM)
IN_SLACK = ContactPolicy(internal_environments=frozenset({"prod"}))


@pytest.mark.parametrize(
    ("contact", "policy", "roles", "words"),
    [
        (BOTH, ContactPolicy(), [[Role.BUSINESS]], "business contact"),
        (ONE, ContactPolicy(), [[]], "nobody: BusinessContact"),
        (BOTH, IN_SLACK, [[Role.BUSINESS], [Role.BUSINESS]], "business contact"),
        (ONE, IN_SLACK, [[Role.BUSINESS], []], "business contact, if a Slack user is found"),
    ],
)
def test_an_escalation_goes_to_the_business_contact(
    contact: Contact, policy: ContactPolicy, roles: list[list[Role]], words: str
) -> None:
    """Where somebody else has had the letters before; otherwise there is nobody whom it could be escalated to."""
    ways = recipients(ESCALATED, declaration(contact=contact), policy, {})
    assert [[each.role for each in way] for way in ways] == roles
    assert addressee(ESCALATED, declaration(contact=contact), policy, {}) == words


def test_an_escalation_to_whoever_stands_in() -> None:
    """Is none: the business contact gets the letters of the technical one, who cannot be reached."""
    refused = StoodIn(Role.BUSINESS, "the technical contact was refused")
    for policy in (ContactPolicy(), IN_SLACK):
        assert not any(recipients(ESCALATED, declaration(contact=BOTH), policy, {}, refused))


def test_whoever_asked_for_a_host_certificate() -> None:
    """Is told of it, and nobody else."""
    asked = declaration(profile="Host", contact=Contact(technical=JO, requester=SAM))
    channel = Channel("consumer", "Email", Schedule(), EmailAddress())
    assert addressee(channel, asked, ContactPolicy(), {}) == "requester"
