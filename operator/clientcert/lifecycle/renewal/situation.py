"""The state of the renewal of a certificate, for its alerts, letters and status."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.renewal.status import FINAL, State
from clientcert.lifecycle.spec import ObjectKey


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """The part of a CertificateRenewal that the certificate's own decisions need."""

    key: ObjectKey
    uid: str
    created: datetime
    state: State
    mode: str
    waits_for: str
    """As the column WAITS FOR."""
    old_serial: int | None
    """The serial number of the certificate to be renewed; None if the request names none."""
    new_serial: int | None
    """None until it is known."""
    delivered: datetime | None
    mailed: bool
    """True if the operator's mail brought it, so that no closing letter is owed."""
    ended: datetime | None
    declared_hash: str
    has_ciphertext: bool = False
    names_key: bool = False
    """True if the consumer sent a CSR or a public key: `reuse` goes by the last one that did."""
    refusal_told: datetime | None = None
    """The time when somebody was told last that it was refused."""
    reason: str = ""
    """The check that refused it, or waits."""
    retirement_announced: datetime | None = None
    """The time of the last announcement of the old certificate's retirement; None: not yet, or it is retired."""
    is_retired: bool = False
    """True if the old certificate is, and the status says so."""
    awaiting_approval_since: datetime | None = None
    """The time since which it has been in the state AwaitingApproval; None in any other state."""

    @property
    def name(self) -> str:
        """The name of the object, which is the id of the request."""
        return self.key.name

    def renews(self, serial_number: str) -> bool:
        """True if it asks to replace the certificate with this serial number, in hex."""
        return _is_serial(self.old_serial, serial_number)

    def brought(self, serial_number: str) -> bool:
        """True if it brought the certificate with this serial number, in hex."""
        return _is_serial(self.new_serial, serial_number)


@dataclass(frozen=True, slots=True)
class RenewalSituation:
    """Everything about the renewal of one certificate."""

    policy: RenewalPolicy
    open_request: RequestSummary | None = None
    """The oldest that has not ended."""
    last_ended: RequestSummary | None = None
    """The latest that has ended."""
    last_delivered: RequestSummary | None = None
    revoked: bool = False
    """True if the current certificate is revoked."""
    of_former_ca: bool | None = None
    """True if the issuer no longer signs with the CA that issued the certificate; None: that was not found out yet."""
    revocations_known: bool = True
    """False until the revocations of deleted objects were read: then `revoked` is what the status says."""


def situation_of(
    policy: RenewalPolicy, requests: Iterable[RequestSummary], *, revoked: bool, of_former_ca: bool | None = None
) -> RenewalSituation:
    """The situation, from all requests about one certificate."""
    every = sorted(requests, key=lambda each: (each.created, each.name))
    opened = [each for each in every if each.state not in FINAL]
    ended = sorted((each for each in every if each.ended is not None), key=lambda each: each.ended or each.created)
    delivered = sorted((each for each in every if each.delivered), key=lambda each: each.delivered or each.created)
    return RenewalSituation(
        policy,
        opened[0] if opened else None,
        ended[-1] if ended else None,
        delivered[-1] if delivered else None,
        revoked,
        of_former_ca,
    )


def _is_serial(number: int | None, digits: str) -> bool:
    """True if they are equal; a status may have zeros in front, or no number at all."""
    return number is not None and f"{number:x}" == (digits.lstrip("0") or "0")
