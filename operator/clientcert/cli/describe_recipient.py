"""Describe the recipient of a channel without personal data: by a channel's name or a contact's role, no address."""

from dataclasses import replace

from clientcert.lifecycle.contacts import (
    Directory,
    Recipient,
    Resolution,
    Role,
    addressed,
    resolve_email,
    slack_first,
    slack_question,
)
from clientcert.lifecycle.policy import Channel, ContactPolicy, EmailAddress, SlackAddress, UrlAddress
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.lifecycle.spec import CertificateSpec

_USER = Resolution("SlackUser", "", (Recipient(Role.SLACK, ""),))
_NO_USER = Resolution("SlackUserNotFound", "")


def describe_recipient(
    channel: Channel, spec: CertificateSpec, contacts: ContactPolicy, client_list: Directory | None
) -> str:
    """Say in a few words where a channel sends to.

    `client_list` is used only for a channel that sends to contacts; None means that it cannot be read.
    """
    match channel.address:
        case SlackAddress(webhook_ref=ref) if ref is not None:
            return f"Slack webhook in Secret {ref.name}"
        case SlackAddress(channel=""):
            return "the operator's own Slack channel, if set"
        case SlackAddress(channel=name):
            return name
        case EmailAddress():
            return _describe_contact(channel, spec, contacts, client_list)
        case UrlAddress(url_ref=ref):
            return f"{channel.type} in Secret {ref.name}"
    return "kubectl describe" if channel.type == "Event" else f"nobody: type {channel.type} is not supported"


def possible_recipients(
    channel: Channel,
    spec: CertificateSpec,
    contacts: ContactPolicy,
    client_list: Directory | None,
    fallback: FallbackRecipient | None = None,
) -> tuple[tuple[Recipient, ...], ...]:
    """The recipients of a channel of type Email, in order, for each possible outcome of the search in Slack.

    If a Slack user is looked up, there are two outcomes: found and not found; otherwise there is one. A Slack user has
    no address here, as only the operator can look it up. `fallback` is the fallback recipient of the last letter.
    """
    by_email = resolve_email(spec, contacts, client_list)
    looked_up = slack_question(spec, contacts) is not None
    outcomes = [slack_first(found, by_email) for found in (_USER, _NO_USER)] if looked_up else [by_email]
    role = channel.address.role if isinstance(channel.address, EmailAddress) else None
    return tuple(addressed(replace(outcome, fallback_recipient=fallback), role) for outcome in outcomes)


def _describe_contact(
    channel: Channel, spec: CertificateSpec, contacts: ContactPolicy, client_list: Directory | None
) -> str:
    outcomes = possible_recipients(channel, spec, contacts, client_list)
    first, last = (str(recipients[0].role) if recipients else "" for recipients in (outcomes[0], outcomes[-1]))
    if first == last:
        return first or f"nobody: {resolve_email(spec, contacts, client_list).reason}"
    if last:
        return f"{first}, or {last}"
    return f"{first}, if found" if first == Role.SLACK else f"{first}, if a Slack user is found"
