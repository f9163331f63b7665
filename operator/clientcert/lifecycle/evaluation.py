"""All facts about one certificate at one moment: the only argument of the decisions about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.contacts import Recipient, Resolution, addressed
from clientcert.lifecycle.delivery_log import DeliveryFailure, DeliveryLog
from clientcert.lifecycle.policy import AlertPolicy, Channel, EmailAddress, Role
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus
from clientcert.lifecycle.renewal.situation import RenewalSituation
from clientcert.lifecycle.schedule import DAY
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One certificate at `now`."""

    key: ObjectKey
    uid: str
    spec: CertificateSpec
    status: CertificateStatus
    """The recorded status."""
    policy: AlertPolicy
    """With the operator's own channel, while that is the fallback."""
    assessment: Assessment
    log: DeliveryLog
    policy_found: bool = True
    """False if the defaults are used, because the spec names no policy or one that does not exist."""
    contact: Resolution | None = None
    """None: the contact was not looked up yet."""
    earlier_recipients: tuple[Recipient, ...] = ()
    """The result of the last lookup that found a recipient."""
    earlier_letters: tuple[ChannelStatus, ...] = ()
    """The last deliveries to the previous recipients."""
    contact_since: datetime | None = None
    """The time at which these recipients replaced others, if that was observed."""
    failures: Mapping[str, DeliveryFailure] = field(default_factory=dict)
    """By the channel's name."""
    renewal: RenewalSituation | None = None
    """None: the policy has no renewal."""
    cluster: str = ""
    """The name of the cluster, for messages; empty: none is shown."""
    observe_only: bool = False
    """True if the operator only observes: nothing is sent, and nothing is recorded as sent."""

    @property
    def now(self) -> datetime:
        """The moment of the evaluation, in UTC."""
        return self.assessment.now

    def recipients_for(self, channel: Channel) -> tuple[Recipient, ...]:
        """The recipients of a letter through this channel, in order; empty if it sends none or none is known."""
        if self.contact is None or not isinstance(channel.address, EmailAddress):
            return ()
        return addressed(self.contact, channel.address.role)

    def is_overdue(self, channel: Channel) -> bool:
        """True if the first recipient of a mail has not been reached for a day, or not by the last letter.

        The status records both, so a restart does not extend the day. A new contact begins another one.
        """
        if self.contact is not None and self.contact.fallback_recipient is not None:
            first = next((each.role for each in self.contact.recipients if each.role is not Role.SLACK), None)
            if self.contact.fallback_recipient.role is not first:
                return True
        told = self.log.channel(channel.name)
        if told is None or told.last_failure is None:
            return False
        return self.now - max(told.last_failure, self.contact_since or told.last_failure) >= DAY
