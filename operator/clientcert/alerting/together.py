"""One of those that a message about many speaks of."""

import logging
from dataclasses import dataclass

from clientcert.alerting.messages import message_about
from clientcert.cache.objects import CertificateRecord
from clientcert.errors import where
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.due import DueNotification
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.spec import CertificateSpec
from clientcert.messages.message import Message

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of it, and what it will be recorded as."""

    record: CertificateRecord
    assessment: Assessment
    notification: DueNotification
    message: Message


def told_of(
    record: CertificateRecord,
    declaration: CertificateSpec,
    assessment: Assessment,
    policy: AlertPolicy,
    notification: DueNotification,
) -> Told | None:
    """None where no words can be found for it: that keeps no other one waiting, and is told when it tries alone."""
    try:
        message = message_about(record, declaration, assessment, policy, notification)
    except Exception as error:  # noqa: BLE001
        logger.error("%s: left out of a message about many: unexpected %s", record.key, where(error))  # noqa: TRY400
        return None
    return Told(record, assessment, notification, message)
