"""What all letters about one certificate and its date speak of, and how sentences name it."""

from dataclasses import dataclass

from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.recorded_status import AcceptedCertificate
from clientcert.lifecycle.schedule import duration
from clientcert.messages.alert_text import Situation, Topic
from clientcert.messages.letter import Writer
from clientcert.messages.text import LONGEST_VALUE, clean, days_ago, minute


@dataclass(frozen=True, slots=True)
class Case:
    """What all letters of one message speak of."""

    situation: Situation
    topic: Topic
    writer: Writer
    accepted: AcceptedCertificate
    written_to: Role | None
    """Of an escalation: who has had the letters so far."""

    @property
    def closes(self) -> bool:
        """It is the last letter: the certificate was replaced."""
        return self.topic is Topic.RENEWED

    @property
    def has_expired(self) -> bool:
        """As the sentence of the same message says it."""
        return self.topic is Topic.EXPIRED

    @property
    def serial_number(self) -> str:
        """As a sentence shows it."""
        return clean(self.accepted.serial_number, LONGEST_VALUE)

    @property
    def duration(self) -> int:
        """Whole days to come, rounded up; at least one."""
        return max(duration(self.accepted.not_after, self.situation.assessment.now), 1)

    @property
    def ends(self) -> str:
        """How a sentence about the certificate goes on."""
        when = minute(self.accepted.not_after)
        if self.has_expired:
            return f"expired on {when}, {days_ago(self.accepted.not_after, self.situation.assessment.now)}"
        left = "24 hours" if self.duration == 1 else f"{self.duration} days"
        return f"is due to expire within the next {left}, on {when}"
