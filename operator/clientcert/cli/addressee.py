"""To whom a channel goes, in words that everybody may read: a place, or the role of a contact; never an address."""

from clientcert.lifecycle.contacts import Directory, Role, by_mail, slack_question
from clientcert.lifecycle.declaration import Declaration
from clientcert.lifecycle.policy import Channel, ContactPolicy, EmailAddress, SlackAddress, UrlAddress


def addressee(channel: Channel, declaration: Declaration, contacts: ContactPolicy, directory: Directory | None) -> str:
    """`directory` is the client list, and only needed for a channel that goes to contacts; None: it cannot be read."""
    match channel.address:
        case SlackAddress(webhook_ref=ref) if ref is not None:
            return f"Slack webhook in Secret {ref.name}"
        case SlackAddress(channel=""):
            return "the operator's own Slack channel, if set"
        case SlackAddress(channel=place):
            return place
        case EmailAddress():
            return _contact(declaration, contacts, directory)
        case UrlAddress(url_ref=ref):
            return f"{channel.type} in Secret {ref.name}"
    return "kubectl describe" if channel.type == "Event" else f"nobody: {channel.type} is not supported"


def _contact(declaration: Declaration, contacts: ContactPolicy, directory: Directory | None) -> str:
    found = by_mail(declaration, contacts, directory)
    if slack_question(declaration, contacts) is not None:
        return f"{Role.SLACK}, or {found.recipients[0].role}" if found.resolved else f"{Role.SLACK}, if found"
    return str(found.recipients[0].role) if found.resolved else f"nobody: {found.reason}"
