"""The input of the decision about the next step of a request, and the decision."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from clientcert.errors import Reason
from clientcert.lifecycle.renewal.check_rules import Verdict
from clientcert.lifecycle.renewal.facts import Problem
from clientcert.lifecycle.renewal.spec import RenewalSpec
from clientcert.lifecycle.renewal.status import RenewalStatus


class Step(StrEnum):
    """The next step of the reconciler. After a step that changes the status it decides again, and writes the result."""

    NOTHING = "Nothing"
    """The request has come to its end."""
    REFUSE = "Refuse"
    DENY = "Deny"
    END = "End"
    WAIT = "Wait"
    AWAIT_APPROVAL = "AwaitApproval"
    WRITE_AHEAD = "WriteAhead"
    """Record what is to be signed."""
    SIGN = "Sign"
    """Have exactly that signed, or ask for the result."""
    DELIVER = "Deliver"
    STORE = "Store"
    """Write the new certificate to the source."""
    FINISH = "Finish"


class SourceHolds(StrEnum):
    """The content of the source, as far as the new certificate is concerned."""

    OLD = "Old"
    """The certificate that is renewed; for a consumer's first, nothing."""
    NEW = "New"
    """The new one."""
    OTHER = "Other"
    """Another certificate: somebody has replaced the old one."""
    UNKNOWN = "Unknown"
    """It cannot be read."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything that the next step of one request depends on, gathered at `now`."""

    now: datetime
    spec: RenewalSpec
    status: RenewalStatus
    """As recorded, with what was sent or done since."""
    certificate_found: bool = True
    """False if the ClientCertificate was deleted."""
    configured: bool = True
    """False if its policy has no renewal."""
    certificate_ends: datetime | None = None
    """The notAfter of the certificate that is renewed, if it is known."""
    key_hash: str = ""
    """Of the key that is asked for now; empty while it is unknown."""
    recipient_hash: str = ""
    """Of the contact of record now; empty: there is none."""
    recipient_role: str = ""
    declared_hash: str = ""
    """The declaration of the certificate's spec now."""
    changed: tuple[str, ...] = ()
    """The fields of it that were changed since the last delivery or first look."""
    contact_pending: bool = False
    """True while the contact may still be found."""
    verdicts: tuple[Verdict, ...] = ()
    """Of the checks, run just now; needed until the certificate is recorded."""
    needs_approval: str = ""
    """The reason why a person has to approve; empty: nobody has to."""
    issuance_stale: bool = False
    """True if what would be signed is no longer what the write-ahead says."""
    pending: str = ""
    """The cause for which the issuer waits, after it was asked; empty: it was not asked yet."""
    signing_problem: Problem | None = None
    """The reason why nothing could be written ahead or signed, just now."""
    undeliverable: str = ""
    """The reason why no mail can bring the certificate, and what to do (`due_notices.can_be_mailed`)."""
    delivery_problem: Problem | None = None
    """The reason why the mail could not be sent, just now."""
    source_holds: SourceHolds = SourceHolds.UNKNOWN
    store_problem: Problem | None = None
    """The reason why the new certificate cannot be written to the source, or the source cannot be read."""
    observe_only: bool = False
    """True if the operator only observes: it takes no step that does anything outside of statuses."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step, and the status as it is to be written."""

    step: Step
    status: RenewalStatus
    waits_for: str = ""
    """The column WAITS FOR."""
    reason: str = field(default="")
    """The reason why it waits or ended; a `Reason` in most cases."""


APPROVAL = "approval"
ISSUER = "issuer"
SOURCE = "source"
MAIL_SERVER = "mail server"
CONSUMER = "consumer (retrieve)"
CONTACT = "contact lookup"
POLICY = "spec.renewal of the policy"
SERIAL = "the other ClientCertificate"
ADMISSION_POLICIES = "admission policies"
OBSERVER = "operator (it only observes)"

WAITS_FOR = {"SourceReadable": SOURCE, "IssuerReady": ISSUER, "SerialUnshared": SERIAL}
"""By the name of the check that waits."""
FINAL_PROBLEMS = frozenset({Reason.ISSUANCE_REFUSED, Reason.CERTIFICATE_REFUSED, Reason.CIPHERTEXT_TOO_LARGE})
"""Problems of signing after which the same request cannot succeed."""
ADDRESS_PROBLEMS = frozenset(
    {
        Reason.RECIPIENT_REFUSED,
        Reason.RECIPIENT_NOT_ALLOWED,
        Reason.RECIPIENT_UNAVAILABLE,
        Reason.CONTACT_INVALID,
        Reason.CONTACT_NOT_FOUND,
        Reason.MAIL_NOT_CONFIGURED,
        Reason.MESSAGE_REFUSED,
        Reason.TOO_LARGE,
    }
)
"""Problems of a mail that no retry solves: the certificate is left for `clientcert retrieve`."""
