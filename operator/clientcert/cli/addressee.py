"""To whom a channel goes, in words that everybody may read: a place, or the role of a contact; never an address."""

from clientcert.lifecycle.contacts import Directory, Recipient, Role, addressed, by_mail, slack_question
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
            return _contact(channel, declaration, contacts, directory)
        case UrlAddress(url_ref=ref):
            return f"{channel.type} in Secret {ref.name}"
    return "kubectl describe" if channel.type == "Event" else f"nobody: {channel.type} is not supported"


def recipients(
    channel: Channel, declaration: Declaration, contacts: ContactPolicy, directory: Directory | None
) -> tuple[Recipient, ...]:
    """Who a channel of type Email writes to, in order. A user of Slack whom nobody has looked up has no address."""
    everybody = by_mail(declaration, contacts, directory).recipients
    role = channel.address.role if isinstance(channel.address, EmailAddress) else None
    if role is not None:
        return addressed(everybody, role)
    in_slack = slack_question(declaration, contacts) is not None
    return (Recipient(Role.SLACK, ""), *everybody) if in_slack else everybody


def _contact(channel: Channel, declaration: Declaration, contacts: ContactPolicy, directory: Directory | None) -> str:
    found = [str(each.role) for each in recipients(channel, declaration, contacts, directory)]
    if not found:
        return f"nobody: {by_mail(declaration, contacts, directory).reason}"
    if slack_question(declaration, contacts) is None:
        return found[0]
    if found[0] != Role.SLACK:
        return f"{found[0]}, if no Slack user is found"
    return f"{found[0]}, or {found[1]}" if len(found) > 1 else f"{found[0]}, if found"
