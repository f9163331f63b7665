"""A new record of one certificate, for tests of functions that take a record."""

from dataclasses import replace
from typing import Any

from clientcert.cache.objects import CertificateRecord
from clientcert.lifecycle.recorded_status import CertificateStatus
from tests.builders import CREATED, KEY, UID, declaration


def record(**changes: Any) -> CertificateRecord:
    plain = CertificateRecord(
        key=KEY,
        uid=UID,
        resource_version="1",
        generation=1,
        created=CREATED,
        spec=declaration(),
        spec_problem=None,
        status=CertificateStatus(),
        status_hash=b"",
    )
    return replace(plain, **changes)
