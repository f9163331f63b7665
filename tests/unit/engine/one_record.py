"""The record of one certificate of which nothing is known yet, for tests of what is done with one."""

from clientcert.cache.objects import CertificateRecord, Failure
from clientcert.lifecycle.recorded_status import CertificateStatus
from tests.builders import CREATED, KEY, UID, declaration


def record(**failing: Failure) -> CertificateRecord:
    """By the channel's name what failed there."""
    return CertificateRecord(
        key=KEY,
        uid=UID,
        resource_version="1",
        generation=1,
        created=CREATED,
        declaration=declaration(),
        spec_problem=None,
        recorded=CertificateStatus(),
        status_digest=b"",
        failing=failing or None,
    )
