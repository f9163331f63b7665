"""The entries of the gateways' lists: nobody who may revoke can take a certificate off a list again."""

from datetime import timedelta

import pytest

from clientcert.lifecycle.renewal.revocation_entries import dump_entries, load_entries
from clientcert.lifecycle.renewal.revocation_lists import arranged, gateway_lists
from clientcert.lifecycle.renewal.spec import RevocationReason, RevocationSpec
from tests.builders import DAY, NOW


def entry(consumer: str, since: timedelta = DAY) -> RevocationSpec:
    return RevocationSpec(
        issuer_dn="CN=Client CA",
        serial_number="4af2",
        consumer=consumer,
        reason=RevocationReason.SUPERSEDED,
        revocation_time=NOW - since,
        not_after=NOW + 100 * DAY,
    )


def lines(*entries: RevocationSpec) -> list[str]:
    """Those of the list, after it was read back from its ConfigMap and written again."""
    [part] = arranged((), entries, NOW)
    [again] = arranged([load_entries(dump_entries(part))], entries, NOW)
    return gateway_lists(again, NOW)["revocations"].splitlines()


@pytest.mark.parametrize("since", [2 * DAY, DAY, DAY / 2])
@pytest.mark.parametrize("other", ["admin", "zoo", ""])
def test_of_two_consumers_the_certificate_is_refused_to_everybody(other: str, since: timedelta) -> None:
    """One of both has another's name: with that alone the gateway would let the right one pass."""
    assert lines(entry("nhs")) == lines(entry("nhs"), entry("nhs", since)) == ["4AF2/nhs"]
    assert lines(entry("nhs"), entry(other, since)) == ["4AF2"]
