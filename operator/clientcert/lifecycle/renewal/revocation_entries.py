"""The entries of revocation lists: of each certificate that must no longer be accepted, one. Pure.

An entry stays until the certificate ends, also when its CertificateRevocation is deleted: revoked is final, and no
admission rule has a clock to forbid a deletion. That of a compromised key stays for ever, since the key must never be
certified again. So the entries are kept beside the list that is made from them, and are read back after a restart.
"""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from clientcert.lifecycle.renewal.spec import RevocationReason, RevocationSpec

EVERYBODY = ""
"""In place of a consumer: the number is refused, whoever shows it."""
MOST_ENTRIES = 4000
"""Of one part: so many are less than half of what a ConfigMap holds, however incompressible."""
_MOST_BYTES = 8 * 1024 * 1024
_SERIAL = re.compile(r"-?[0-9a-f]{1,128}")
_LONGEST_CONSUMER = 253


def is_listed(entry: RevocationSpec, now: datetime) -> bool:
    """True until the last second of the certificate."""
    return entry.not_after >= now


def is_kept(entry: RevocationSpec, now: datetime) -> bool:
    """True while it is listed, and for ever if it bars a key."""
    return is_listed(entry, now) or bars_key(entry)


def bars_key(entry: RevocationSpec) -> bool:
    """True if its key was compromised, and is known."""
    return entry.reason is RevocationReason.KEY_COMPROMISE and bool(entry.key_hash)


def combined(entries: Iterable[RevocationSpec]) -> RevocationSpec:
    """One entry of several about the same certificate: the earliest, of a compromised key if one says so.

    Of several consumers it is about everybody: else a later revocation with a wrong name would undo the first one.
    """
    first, *others = sorted(entries, key=lambda each: (each.revocation_time, each.consumer, each.reason))
    every = (first, *others)
    compromised = any(each.reason is RevocationReason.KEY_COMPROMISE for each in every)
    return replace(
        first,
        consumer=first.consumer if len({each.consumer for each in every}) == 1 else EVERYBODY,
        reason=RevocationReason.KEY_COMPROMISE if compromised else first.reason,
        not_after=max(each.not_after for each in every),
        key_hash=next((each.key_hash for each in every if each.key_hash), ""),
    )


def dump_entries(entries: Iterable[RevocationSpec]) -> bytes:
    """One line of JSON for each entry, compressed: what `load_entries` reads."""
    lines = [
        json.dumps(
            [
                each.serial_number,
                each.consumer,
                each.reason.value,
                each.revocation_time.isoformat(),
                each.not_after.isoformat(),
                each.key_hash,
                each.issuer_dn,
            ],
            separators=(",", ":"),
            ensure_ascii=False,
        )
        for each in entries
    ]
    return zlib.compress("\n".join(lines).encode(), 6)


def load_entries(content: bytes) -> tuple[RevocationSpec, ...]:
    """The entries that a ConfigMap of ours holds; what is not ours is left out."""
    try:
        text = zlib.decompressobj().decompress(content, _MOST_BYTES).decode()
    except (zlib.error, UnicodeDecodeError):
        return ()
    return tuple(_entries(text.split("\n", 2 * MOST_ENTRIES)[: 2 * MOST_ENTRIES]))


def _entries(lines: Iterable[str]) -> Iterator[RevocationSpec]:
    for line in lines:
        try:
            serial, consumer, reason, revoked, ends, key_hash, issuer_dn = json.loads(line)
            entry = RevocationSpec(
                issuer_dn=issuer_dn,
                serial_number=serial,
                consumer=consumer,
                reason=RevocationReason(reason),
                revocation_time=datetime.fromisoformat(revoked),
                not_after=datetime.fromisoformat(ends),
                key_hash=key_hash,
            )
            if _is_usable(entry):
                yield entry
        except (ValueError, TypeError, RecursionError):
            continue


def _is_usable(entry: RevocationSpec) -> bool:
    """True if `dump_entries` may have written it."""
    texts = (entry.serial_number, entry.consumer, entry.key_hash, entry.issuer_dn)
    if not all(isinstance(each, str) for each in texts) or len(entry.consumer) > _LONGEST_CONSUMER:
        return False
    is_dated = entry.revocation_time.tzinfo is not None and entry.not_after.tzinfo is not None
    return is_dated and "\n" not in entry.consumer and bool(_SERIAL.fullmatch(entry.serial_number))
