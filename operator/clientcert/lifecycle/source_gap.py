"""The gaps of a source: the times at which it was gone or empty, and the time from which that is an alarm.

A gap is no alarm before it has lasted for the policy's grace. Short gaps that follow each other add up, and fade while
the source is there: so one that is gone for a second every few minutes is no alarm, and one that is gone for more than
a tenth of the time is, at last.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.errors import Reason
from clientcert.lifecycle.recorded_status import SourceGap
from clientcert.pki.certificate import Certificate
from clientcert.pki.der import shifted

GONE = frozenset(
    {
        Reason.SOURCE_NOT_FOUND,
        Reason.STORE_NOT_FOUND,
        Reason.BUCKET_NOT_FOUND,
        Reason.KEY_MISSING,
        Reason.PASSWORD_NOT_FOUND,
        Reason.CREDENTIALS_NOT_FOUND,
        Reason.EMPTY,
    }
)
"""The problems of a source with nothing in it. They may be over in a moment; any other problem is told at once."""
NOTHING_THERE = frozenset({Reason.SOURCE_NOT_FOUND, Reason.KEY_MISSING, Reason.EMPTY})
"""Those of a source that a certificate without a predecessor may be written to."""
_ADDED_UP = 5
"""Short gaps are an alarm when they add up to this many times the grace."""
_FADING = 10
"""Seconds after which a gap of one second is forgotten."""
_SECOND = timedelta(seconds=1)
TEMPORARY_ISSUER = "cert-manager.local"
"""The CN of the CA of cert-manager's temporary certificates; the CA is thrown away."""
TEMPORARY = "the temporary certificate that cert-manager puts there until the real one is issued"
_TEMPORARY_SERIAL_NUMBER = 0x1234567890
_TEMPORARY_ATTRIBUTES = frozenset({"2.5.4.5=1234567890", "SERIALNUMBER=1234567890"})


def is_temporary(certificate: Certificate) -> bool:
    """True for the placeholder that cert-manager puts into a Secret until the certificate is issued.

    Its subject has a fixed serialNumber; in former versions, the certificate itself had a fixed serial number.
    """
    if certificate.issuer_common_name != TEMPORARY_ISSUER:
        return False
    attributes = certificate.subject_dn.upper().replace("+", ",").split(",")
    return certificate.serial_number == _TEMPORARY_SERIAL_NUMBER or not _TEMPORARY_ATTRIBUTES.isdisjoint(attributes)


def gap_after(before: SourceGap | None, now: datetime, grace: timedelta, *, gone: bool) -> SourceGap | None:
    """The gap after a read of the source, which was `gone`, or there. `before` is the gap as it was known until then.

    A gap begins at the first full second at which the source was seen gone: so it never seems longer than it was.
    """
    moment = _full_second(now)
    if before is None or before.end is not None:
        return SourceGap(moment, None, _fading(before, moment, grace)) if gone else before
    if not gone:
        return replace(before, end=moment)
    # A begin in the future was recorded while a clock ran ahead.
    return replace(before, begin=moment) if before.begin > moment else before


def with_key_gone(gap: SourceGap, now: datetime, *, gone: bool) -> SourceGap:
    """The gap with the time since which the bucket is there without the object, if it is so now (`gone`)."""
    moment = _full_second(now)
    return replace(gap, key_gone=min(gap.key_gone or moment, moment) if gone else None)


def alarm_time(gap: SourceGap, grace: timedelta) -> datetime:
    """The time from which the source is an alarm, unless it comes back before."""
    left = _ADDED_UP * grace - timedelta(seconds=gap.fading_seconds) / _FADING
    return shifted(gap.begin, max(min(grace, left), timedelta(0)))


def _full_second(now: datetime) -> datetime:
    """The first one that is not before."""
    return now.replace(microsecond=0) + (_SECOND if now.microsecond else timedelta(0))


def _fading(gap: SourceGap | None, now: datetime, grace: timedelta) -> int:
    """The seconds until the earlier gaps are forgotten."""
    if gap is None or gap.end is None:
        return 0
    lasted, since = max(gap.end - gap.begin, timedelta(0)), max(now - gap.end, timedelta(0))
    left = timedelta(seconds=gap.fading_seconds) + min(lasted, grace) * _FADING - since
    return int(max(min(left, _ADDED_UP * grace * _FADING), timedelta(0)).total_seconds())
