"""To whom a channel goes, in words that everybody may read: a place, or the role of a contact; never an address."""

from dataclasses import replace

from clientcert.lifecycle.contacts import (
    Directory,
    Recipient,
    Resolution,
    Role,
    StoodIn,
    addressed,
    resolve_email,
    slack_first,
    slack_question,
)
from clientcert.lifecycle.policy import Channel, ContactPolicy, EmailAddress, SlackAddress, UrlAddress
from clientcert.lifecycle.spec import CertificateSpec

_USER = Resolution("SlackUser", "", (Recipient(Role.SLACK, ""),))
_NO_USER = Resolution("SlackUserNotFound", "")


def addressee(
    channel: Channel, declaration: CertificateSpec, contacts: ContactPolicy, directory: Directory | None
) -> str:
    """`directory` is the client list, and only needed for a channel that goes to contacts; None: it cannot be read."""
    match channel.address:
        case SlackAddress(webhook_ref=ref) if ref is not None:
            return f"Slack webhook in Secret {ref.name}"
        case SlackAddress(channel=""):
            return "the operator's own Slack channel, if set"
        case SlackAddress(channel=place):
            return place
        case EmailAddress():
            return _contact(channel, declaration, contacts, directory)
        case UrlAddress(url_ref=ref):
            return f"{channel.type} in Secret {ref.name}"
    return "kubectl describe" if channel.type == "Event" else f"nobody: {channel.type} is not supported"


def recipients(
    channel: Channel,
    declaration: CertificateSpec,
    contacts: ContactPolicy,
    directory: Directory | None,
    stood_in: StoodIn | None = None,
) -> tuple[tuple[Recipient, ...], ...]:
    """Who a channel of type Email writes to, in order: where a user of Slack is found, and where none is.

    One way only where none is looked for. A user whom nobody has looked up has no address. `stood_in` got the last
    letter.
    """
    instead = resolve_email(declaration, contacts, directory)
    asked = slack_question(declaration, contacts) is not None
    ways = [slack_first(found, instead) for found in (_USER, _NO_USER)] if asked else [instead]
    role = channel.address.role if isinstance(channel.address, EmailAddress) else None
    return tuple(addressed(replace(way, stood_in=stood_in), role) for way in ways)


def _contact(
    channel: Channel, declaration: CertificateSpec, contacts: ContactPolicy, directory: Directory | None
) -> str:
    ways = recipients(channel, declaration, contacts, directory)
    first, last = (str(way[0].role) if way else "" for way in (ways[0], ways[-1]))
    if first == last:
        return first or f"nobody: {resolve_email(declaration, contacts, directory).reason}"
    if last:
        return f"{first}, or {last}"
    return f"{first}, if found" if first == Role.SLACK else f"{first}, if a Slack user is found"
