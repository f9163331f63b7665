"""Lists of revoked certificates for gateways, and the state of a CRL. Pure.

A gateway compares the serial number of the certificate that it is shown with lines `SERIAL/consumer`. There are two
ways to write it, so there are two lists:

| list                 | serial number                       | compared by                                          |
|----------------------|-------------------------------------|------------------------------------------------------|
| `revocations`        | `C3A1`: its octets                  | nginx and others that ask OpenSSL                    |
| `revocations-colons` | `00:C3:A1`: its octets, with a sign | applications behind an API gateway, which make it of |
|                      |                                     | the decimal number that the gateway passes on        |
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clientcert.lifecycle.renewal.revocation_entries import EVERYBODY, MOST_ENTRIES, combined, is_kept, is_listed
from clientcert.lifecycle.renewal.spec import RevocationSpec

LIST, LIST_WITH_COLONS = "revocations", "revocations-colons"
PART_BYTES = 512 * 1024
"""Of the text of both lists in one ConfigMap, which holds 1 MiB."""
LARGEST_CRL = 1024 * 1024 - 1024
"""A ConfigMap holds 1 MiB, and the state of the CRL is beside it."""
CRL_VALID = timedelta(days=30)
CRL_RENEWED_AFTER = timedelta(days=1)
_MOST_NUMBER = 2**158

Part = tuple[RevocationSpec, ...]
"""The entries of one ConfigMap."""


def arranged(parts: Sequence[Part], others: Iterable[RevocationSpec], now: datetime) -> tuple[Part, ...]:
    """The entries that are still needed, each in the part where it was, and the new ones where there is room.

    So no entry is ever missing while one ConfigMap is written after the other. `others` are those of the objects.
    There are never fewer parts than before; the last ones may be empty.
    """
    about: dict[tuple[str, str], list[RevocationSpec]] = {}
    place: dict[tuple[str, str], int] = {}
    for number, part in enumerate(parts):
        for entry in part:
            about.setdefault(_certificate(entry), []).append(entry)
            place.setdefault(_certificate(entry), number)
    for entry in others:
        about.setdefault(_certificate(entry), []).append(entry)
    found = [combined(each) if len(each) > 1 else each[0] for each in about.values()]
    kept = sorted((each for each in found if is_kept(each, now)), key=_order)
    made: list[list[RevocationSpec]] = [[] for _ in parts]
    added = []
    for entry in kept:
        at = place.get(_certificate(entry))
        added.append(entry) if at is None else made[at].append(entry)
    _add(made, added)
    return tuple(tuple(sorted(each, key=_order)) for each in made)


def gateway_lists(part: Iterable[RevocationSpec], now: datetime) -> dict[str, str]:
    """Both lists of the certificates that have not ended, by name."""
    lines = [(_lines(each)) for each in part if is_listed(each, now)]
    return {
        LIST: "".join([each for each, _ in lines]),
        LIST_WITH_COLONS: "".join([each for _, each in lines]),
    }


def _lines(entry: RevocationSpec) -> tuple[str, str]:
    """The lines of both lists. A consumer with a slash cannot be written, so the number is refused for everybody.

    The same where two revocations name different consumers.
    """
    number = int(entry.serial_number, 16)
    octets = abs(number).to_bytes(max((abs(number).bit_length() + 7) // 8, 1), "big")
    magnitude = number if number >= 0 else ~number
    coded = number.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True)
    consumer = f"/{entry.consumer}" if entry.consumer != EVERYBODY and "/" not in entry.consumer else ""
    sign = "-" if number < 0 else ""
    return f"{sign}{octets.hex().upper()}{consumer}\n", f"{coded.hex(':').upper()}{consumer}\n"


def _add(parts: list[list[RevocationSpec]], entries: Iterable[RevocationSpec]) -> None:
    """Put each entry into the first part with room; a new part is begun if there is none."""
    sizes = [sum(map(_size, each)) for each in parts]
    number = 0
    for entry in entries:
        size = _size(entry)
        while number < len(parts) and (sizes[number] + size > PART_BYTES or len(parts[number]) >= MOST_ENTRIES):
            number += 1
        if number == len(parts):
            parts.append([])
            sizes.append(0)
        parts[number].append(entry)
        sizes[number] += size


def _size(entry: RevocationSpec) -> int:
    return sum(len(each.encode()) for each in _lines(entry))


def _certificate(entry: RevocationSpec) -> tuple[str, str]:
    return entry.issuer_dn, entry.serial_number


def _order(entry: RevocationSpec) -> tuple[str, int, str]:
    return entry.issuer_dn, len(entry.serial_number), entry.serial_number


@dataclass(frozen=True, slots=True)
class CrlState:
    """The input of a CRL of ours; kept beside it."""

    number: int
    this_update: datetime
    next_update: datetime
    entries_hash: str
    content_hash: str
    """SHA-256 over the CRL."""
    issuer_fingerprint: str

    def dump(self) -> str:
        """As JSON."""
        times = [self.this_update.isoformat(), self.next_update.isoformat()]
        return json.dumps([self.number, *times, self.entries_hash, self.content_hash, self.issuer_fingerprint])

    @classmethod
    def load(cls, text: str) -> "CrlState | None":
        """Of JSON; None if it is not ours."""
        try:
            number, this_update, next_update, entries, content, issuer = json.loads(text)
            found = cls(
                int(number),
                datetime.fromisoformat(this_update),
                datetime.fromisoformat(next_update),
                str(entries),
                str(content),
                str(issuer),
            )
        except (ValueError, TypeError, RecursionError, OverflowError):
            return None
        is_dated = found.this_update.tzinfo is not None and found.next_update.tzinfo is not None
        return found if is_dated and 0 < found.number < _MOST_NUMBER else None

    def is_due(self, entries_hash: str, issuer_fingerprint: str, now: datetime) -> bool:
        """True if the CRL must be signed anew: the entries or the CA have changed, or it is a day old."""
        if (self.entries_hash, self.issuer_fingerprint) != (entries_hash, issuer_fingerprint):
            return True
        return not timedelta(0) <= now - self.this_update < CRL_RENEWED_AFTER


def next_crl_number(before: CrlState | None, now: datetime) -> int:
    """Larger than any number before (RFC 5280 section 5.2.3), also if the ConfigMap with the last one was deleted."""
    return max(before.number + 1 if before else 1, int(now.timestamp()))
