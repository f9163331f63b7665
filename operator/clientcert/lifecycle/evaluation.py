"""All facts about one certificate at one moment: the only argument of the decisions about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.contacts import Recipient, Resolution, addressed
from clientcert.lifecycle.delivery_log import DeliveryFailure, DeliveryLog
from clientcert.lifecycle.policy import AlertPolicy, Channel, EmailAddress
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus
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

    @property
    def now(self) -> datetime:
        """The moment of the evaluation, in UTC."""
        return self.assessment.now

    def recipients_for(self, channel: Channel) -> tuple[Recipient, ...]:
        """The recipients of a letter through this channel, in order; empty if it sends none or none is known."""
        if self.contact is None or not isinstance(channel.address, EmailAddress):
            return ()
        return addressed(self.contact, channel.address.role)
