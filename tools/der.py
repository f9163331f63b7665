"""Encodes DER for certificates that no library would make."""

from datetime import datetime


def der_element(tag: int, content: bytes) -> bytes:
    """Encode one DER element with a definite length (X.690 section 8.1)."""
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def der_time(moment: datetime) -> bytes:
    """Encode a time: UTCTime to 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5)."""
    if 1950 <= moment.year < 2050:
        return der_element(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return der_element(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())
