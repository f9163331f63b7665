"""All facts about one request at one moment: the only argument of the decisions and messages about it."""

from dataclasses import dataclass, field
from datetime import datetime

from clientcert.lifecycle.contacts import Recipient
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.renewal.spec import RenewalSpec
from clientcert.lifecycle.renewal.status import RenewalStatus
from clientcert.lifecycle.spec import ObjectKey


@dataclass(frozen=True, slots=True)
class RenewalEvaluation:
    """One CertificateRenewal at `now`."""

    key: ObjectKey
    uid: str
    created: datetime
    now: datetime
    spec: RenewalSpec
    status: RenewalStatus
    """With what this reconcile has decided so far."""
    certificate: Evaluation | None
    """Of the ClientCertificate: its spec, policy, assessment and contact; None if it is gone."""
    policy: RenewalPolicy | None
    """None if the certificate's policy has no renewal, or one that cannot be used."""
    recipient: Recipient | None = field(default=None, repr=False)
    """The contact of record: the first whom the contact lookup names; None if none is known."""
    generation: int = 0
    """Of the object whose spec this is."""
    observe_only: bool = False
    """True if the operator only observes, whether the ClientCertificate is still there or not."""
