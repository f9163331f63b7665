"""The description of a channel's recipient, which everybody may read."""

import pytest

from clientcert.api.policy import default_channel
from clientcert.cli.describe_recipient import describe_recipient, possible_recipients
from clientcert.lifecycle.contacts import Directory, DirectoryEntry
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
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.lifecycle.spec import Contact, Person, SecretKeyRef
from tests.builders import declaration

JO, SAM = Person("Jo Bloggs", "jo@nhs.example"), Person("Sam Patel", "sam@nhs.example")
REF = SecretKeyRef("pager", "url")
LISTED = ContactPolicy(directory="clients")


def to(kind: str, address: Address | None) -> str:
    return describe_recipient(Channel("team", kind, Schedule(), address), declaration(), ContactPolicy(), {})


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
        ("Pigeon", None, "nobody: type Pigeon is not supported"),
    ],
)
def test_places(kind: str, address: Address | None, words: str) -> None:
    """A channel is described by its name, and a secret address by the Secret that holds it."""
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
    """Contacts are described by role: everybody may see a forecast, but not the addresses."""
    channel = Channel("consumer", "Email", Schedule(), EmailAddress())
    assert describe_recipient(channel, declaration(contact=contact), policy, directory) == words


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
    """If somebody else got the letters before; otherwise an escalation has no recipient."""
    outcomes = possible_recipients(ESCALATED, declaration(contact=contact), policy, {})
    assert [[each.role for each in recipients] for recipients in outcomes] == roles
    assert describe_recipient(ESCALATED, declaration(contact=contact), policy, {}) == words


def test_no_escalation_to_the_fallback_recipient() -> None:
    """The business contact already gets the letters of the technical one, who cannot be reached."""
    fallback = FallbackRecipient(Role.BUSINESS, "the technical contact was refused")
    for policy in (ContactPolicy(), IN_SLACK):
        assert not any(possible_recipients(ESCALATED, declaration(contact=BOTH), policy, {}, fallback))


def test_a_host_certificate() -> None:
    """Its requester is notified, and nobody else."""
    asked = declaration(profile="Host", contact=Contact(technical=JO, requester=SAM))
    channel = Channel("consumer", "Email", Schedule(), EmailAddress())
    assert describe_recipient(channel, asked, ContactPolicy(), {}) == "requester"
