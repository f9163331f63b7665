"""The renewal window: from when to when a certificate may be renewed under a policy."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.schedule import DAY
from clientcert.pki.certificate import Expiry
from clientcert.pki.der import shifted


class Dated(Protocol):
    """A certificate, as parsed or as recorded."""

    @property
    def not_before(self) -> datetime:
        """In UTC."""

    @property
    def not_after(self) -> datetime:
        """In UTC."""

    @property
    def ends_first(self) -> Expiry | None:
        """The certificate of its chain that ends before it; None: this one's own date counts."""


@dataclass(frozen=True, slots=True)
class Window:
    """The interval in which a certificate may be renewed; both ends belong to it."""

    opens: datetime
    closes: datetime

    def is_open(self, now: datetime) -> bool:
        """True while the certificate may be renewed."""
        return self.opens <= now <= self.closes


def renewal_window(
    certificate: Dated, policy: RenewalPolicy, start_days_before: int, *, of_former_ca: bool = False
) -> Window:
    """The window of a certificate.

    It opens `opens_days_after_issue` after notBefore, but never later than the alerts begin, which count from the date
    of the chain that comes first; at notBefore if that is 0, or if the issuer no longer signs with the CA that issued
    the certificate (`of_former_ca`). It closes with the certificate.
    """
    not_before, not_after = certificate.not_before, certificate.not_after
    if of_former_ca or policy.opens_days_after_issue == 0:
        return Window(not_before, not_after)
    expires = certificate.ends_first.time if certificate.ends_first else not_after
    opens = min(days_after(not_before, policy.opens_days_after_issue), days_after(expires, -start_days_before))
    return Window(max(opens, not_before), not_after)


def days_after(moment: datetime, days: int) -> datetime:
    """The moment this number of days later, each of 24 hours; the end of the calendar if there is no such time."""
    return shifted(moment, days * DAY)
