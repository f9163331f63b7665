"""Finds the contacts of a consumer, from the spec and the client list.

The order is that of the procedure (docs/contacts.md): internal users and development environments by Slack; external
clients by the technical contact's e-mail; if only a business contact is known, it is asked for a technical one.
"""

import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from clientcert.lifecycle.policy import ContactPolicy
from clientcert.lifecycle.policy import Role as Role
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.lifecycle.spec import HOST, CertificateSpec, Contact, Person


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person. Address and name are personal: never in a log, a status, a metric or an error."""

    role: Role
    address: str = field(repr=False)
    """An e-mail address, or the member ID of a Slack user."""
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """The entry of one consumer in the client list."""

    technical: Person | None = None
    business: Person | None = None
    problem: str = ""
    """The reason why the whole entry cannot be used: the key and what to correct, and nobody's name or address."""
    remark: str = ""
    """The same for an entry that can be used, but should be corrected."""


OTHER_CASE = "it has the consumer's name in another case: write both in the same"


@dataclass(frozen=True, slots=True)
class SlackQuestion:
    """The Slack user to look up, by the first of these values that is set."""

    member_id: str = ""
    email: str = field(default="", repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The result of a contact lookup: the recipients in order of preference; none if it is not `resolved`."""

    reason: str
    message: str
    """For the condition ContactResolved: roles, and what to do; no names."""
    recipients: tuple[Recipient, ...] = ()
    fallback_recipient: FallbackRecipient | None = None
    """The recipient of the last letter, if that was not the first of the recipients."""
    complete: bool = True
    """False if a better recipient may be on record; the message says where."""
    transient: bool = False
    """True if the contact is only unknown at the moment."""
    retried: bool = False
    """True if the lookup is repeated, so nobody has to do anything."""
    message_without_letters: str = ""
    """The message if no channel of the policy writes to contacts; empty: the same."""

    @property
    def resolved(self) -> bool:
        """True if a recipient was found."""
        return bool(self.recipients)

    @property
    def pending(self) -> bool:
        """True while a recipient may still be found without anybody's help."""
        return not self.resolved and (self.transient or self.retried) and self.reason != NOT_LOOKED_UP.reason


UNAVAILABLE = Resolution(
    "LookupUnavailable",
    "the contact cannot be looked up at the moment: the lookup is retried",
    transient=True,
    retried=True,
)
NOT_LOOKED_UP = Resolution(
    "NotLookedUp", "the contact is a Slack user, and no channel of the policy writes to contacts", transient=True
)

__all__ = [
    "NOT_LOOKED_UP",
    "UNAVAILABLE",
    "Directory",
    "DirectoryEntry",
    "Recipient",
    "Resolution",
    "Role",
    "SlackQuestion",
    "addressed",
    "batch_of",
    "contact_key",
    "needs_lookup",
    "resolve_email",
    "same_people",
    "slack_first",
    "slack_question",
    "unwritten",
]

Directory = Mapping[str, DirectoryEntry]
"""The client list, by consumer; also by lower-case names, for entries that match one in another case."""


def slack_question(declaration: CertificateSpec, policy: ContactPolicy) -> SlackQuestion | None:
    """The Slack user to look up; None if the contact cannot be a Slack user."""
    contact = declaration.contact
    if declaration.profile == HOST and contact.requester is not None:
        return None
    internal = declaration.environment in policy.internal_environments or "Slack" in contact.lookup
    named = bool(contact.slack_member_id or contact.slack_email)
    if not internal and not (named and not _people(contact)):
        return None
    return SlackQuestion(contact.slack_member_id, contact.slack_email, declaration.consumer)


def needs_lookup(spec: CertificateSpec, policy: ContactPolicy) -> bool:
    """True if the spec alone does not determine the contact: a client list or Slack has to be asked."""
    return bool(policy.directory) or slack_question(spec, policy) is not None


def resolve_email(declaration: CertificateSpec, policy: ContactPolicy, directory: Directory | None) -> Resolution:
    """The recipients of a mail. `directory` is None if there is a client list and it cannot be read."""
    contact = declaration.contact
    if declaration.profile == HOST and contact.requester is not None:
        return _found(
            "Requester",
            "as spec.contact says",
            (Recipient(Role.REQUESTER, contact.requester.email, contact.requester.name),),
        )
    entry = _entry(declaration.consumer, directory) if directory else DirectoryEntry()
    declared, listed = "as spec.contact says", "as the client list says"
    if entry.remark:
        listed = f"{listed}; its {entry.remark}"
    found = [
        (Role.TECHNICAL, contact.technical, declared),
        (Role.TECHNICAL, entry.technical, listed),
        (Role.BUSINESS, contact.business, declared),
        (Role.BUSINESS, entry.business, listed),
    ]
    known = [(role, person, why) for role, person, why in found if person is not None and person.email]
    recipients = tuple([Recipient(role, person.email, person.name) for role, person, _ in known])
    if known and known[0][0] is Role.TECHNICAL:
        return _found("TechnicalContact", known[0][2], recipients)
    unread = _unread(policy, directory, entry)
    if known and unread is not None:
        why = f"{declared}, because {unread.message}"
        return replace(_found(unread.reason, why, recipients), complete=False)
    if known:
        return _found("BusinessContact", known[0][2], recipients)
    if unread is not None:
        return unread
    if policy.directory:
        return Resolution(
            "NotInDirectory",
            f"the client list, ConfigMap {policy.directory}, has no e-mail address for the consumer: add one with"
            " `clientcert contact set`, or to spec.contact" + (f"; {entry.remark}" if entry.remark else ""),
        )
    return Resolution("NoContact", "no e-mail address is known: add spec.contact.technical, or a client list")


def _entry(consumer: str, directory: Directory) -> DirectoryEntry:
    entry = directory.get(consumer)
    if entry is not None:
        return entry
    other = directory.get(consumer.casefold())
    if other is None:
        return DirectoryEntry()
    return DirectoryEntry(problem=other.problem or f"the entry of {consumer.casefold()}: {OTHER_CASE}")


def _unread(policy: ContactPolicy, directory: Directory | None, entry: DirectoryEntry) -> Resolution | None:
    """The reason why the consumer's entry in the client list is unknown; None if it is known."""
    if directory is None:
        words = (
            f"the client list, ConfigMap {policy.directory}, cannot be read: create it, have the operator's"
            " ServiceAccount allowed to get it, or correct spec.contacts.directoryRef of the CertificatePolicy"
        )
        return Resolution("DirectoryNotFound", words)
    if entry.problem:
        words = f"the client list, ConfigMap {policy.directory}, has an entry for the consumer that cannot be used:"
        return Resolution("NotInDirectory", f"{words} correct {entry.problem}")
    return None


def contact_key(declaration: CertificateSpec | None) -> Hashable:
    """Equal for all specs with the same contact lookup; None for a spec that cannot be used."""
    if declaration is None:
        return None
    found = declaration
    return found.consumer, found.environment, found.contact, found.profile, found.policy


def slack_first(found: Resolution, instead: Resolution) -> Resolution:
    """Combine the result of a lookup in Slack, `found`, with the recipients of a mail, `instead`."""
    if not found.resolved:
        return replace(instead, message=f"{instead.message}; {found.message}") if instead.resolved else found
    return replace(found, recipients=(*found.recipients, *instead.recipients))


def addressed(found: Resolution, role: Role | None) -> tuple[Recipient, ...]:
    """The recipients of a letter, in order. With `role`, the letter is an escalation to recipients of that role.

    An escalation has no recipient if that role gets all letters anyway, as the first recipient or as its fallback.
    """
    everybody = found.recipients
    if role is None:
        return everybody
    fallback = found.fallback_recipient
    if not everybody or role in {everybody[0].role, fallback and fallback.role}:
        return ()
    return tuple(each for each in everybody if each.role is role)


def batch_of(namespace: str, declaration: CertificateSpec) -> Hashable:
    """Equal for all host certificates that share one letter to their requester; None for any other certificate."""
    requester = declaration.contact.requester
    if declaration.profile != HOST or not declaration.batch or requester is None:
        return None
    return namespace, declaration.policy, declaration.batch, requester.email


def with_contact(
    declaration: CertificateSpec, found: Resolution | None, before: tuple[Recipient, ...] = ()
) -> CertificateSpec:
    """The spec as alerts to the team show it: if it declares no contact, with the contact that was found.

    While the lookup is unavailable, it shows the recipients that were found `before`, or else a pending lookup.
    """
    contact = declaration.contact
    if found is None or _people(contact) or contact.slack_email or contact.slack_member_id:
        return declaration
    recipients = found.recipients or (before if found.transient else ())
    if not recipients:
        return replace(declaration, contact=replace(contact, pending=True)) if found.retried else declaration
    first = recipients[0]
    person = Person(first.name, first.address)
    match first.role:
        case Role.SLACK:
            contact = replace(contact, slack_member_id=first.address)
        case Role.BUSINESS:
            contact = replace(contact, business=person)
        case Role.TECHNICAL:
            contact = replace(contact, technical=person)
        case Role.REQUESTER:
            contact = replace(contact, requester=person)
    return replace(declaration, contact=contact)


def unwritten(found: Resolution) -> Resolution:
    """The same result for a policy without a channel that writes to contacts."""
    if not found.resolved:
        return found
    return replace(found, message=found.message_without_letters or found.message)


def same_people(some: tuple[Recipient, ...], others: tuple[Recipient, ...]) -> bool:
    """True if both have the same roles and addresses, in the same order."""
    return [(each.role, each.address) for each in some] == [(each.role, each.address) for each in others]


def _found(reason: str, why: str, recipients: tuple[Recipient, ...]) -> Resolution:
    """The result with each address once, in the first of its roles."""
    first_with: dict[str, Recipient] = {}
    for recipient in recipients:
        first_with.setdefault(recipient.address, recipient)
    role = recipients[0].role
    return Resolution(
        reason,
        sys.intern(f"the {role} is written to, {why}"),
        tuple(first_with.values()),
        message_without_letters=sys.intern(
            f"the {role} is known, {why}, and no channel of the policy writes to contacts"
        ),
    )


def _people(contact: Contact) -> bool:
    return any(person is not None and person.email for person in (contact.technical, contact.business))
