"""Silences, channels, rate limits and digests."""

from collections import Counter, defaultdict
from datetime import datetime

from tests.simulation.calm import PATIENCE
from tests.simulation.chronicle import Send
from tests.simulation.oracle import Found, Oracle
from tests.simulation.view import SECOND

SAME_BURST = 60 * SECOND
"""Alerts that fall due at the same time are sent within this time."""
ALONE = 75 * SECOND
"""Alerts that are too few for a digest do not wait for each other again for a minute."""
UNDER_WAY = 2 * SECOND
"""A message that has its slot already is sent."""
GROUPED = {"Auto": 21, "Policy": 2}
"""From this number of alerts on they are one digest."""


def silence_is_kept(o: Oracle) -> Found:
    """`silence` stops all alerts for a time."""
    view = o.view
    messages = [(declared, told.send) for declared, _, told in o.all_told()]
    messages += [(view.declaration(uid), each[0]) for (uid, _), all_ in view.closings.items() for each in all_]
    for declared, send in messages:
        if all(view.silent(declared, moment) for moment in view.moments(declared, send.time)):
            yield send.time, f"{declared.name} in {send.channel}: it is silenced"


def only_the_channels_of_the_policy_are_told(o: Oracle) -> Found:
    """A channel that is no longer in the policy gets nothing."""
    view = o.view
    for send in o.chronicle.sends:
        for entry in send.entries:
            declared = view.declaration(entry.uid)
            found = [view.channel(declared, send.channel, each) for each in view.moments(declared, send.time)]
            if not any(each and each.destination == send.destination for each in found):
                yield send.time, f"{declared.name}: {send.destination} is not in its policy"


def a_channel_that_asks_to_wait_is_left_alone(o: Oracle) -> Found:
    """A rate limit is kept: nothing is sent before the time that the channel asked for."""
    for wait in o.chronicle.waits:
        for when, process, where in o.chronicle.tries:
            if (process, where) == (
                wait.process,
                wait.destination,
            ) and wait.time + UNDER_WAY < when < wait.until - SECOND:
                yield when, f"{where}: tried before {wait.until:%H:%M:%S}"


def each_member_is_in_its_digest_once(o: Oracle) -> Found:
    """A digest contains each certificate that is due, once, and nothing else."""
    for send in o.chronicle.sends:
        for uid, count in Counter(entry.uid for entry in send.entries).items():
            if count > 1:
                yield send.time, f"{o.view.declaration(uid).name} is {count} times in one digest"
    for declared, name, told in o.all_told():
        if told.unexplained or not o.view.all_due(declared, name, told.time):
            yield told.time, f"{declared.name} in {name}: {told.serial} was sent, and nothing was due"


def many_alerts_are_one_message(o: Oracle) -> Found:
    """Alerts that are due at once in one channel become one message, as `group` says."""
    together: dict[tuple[str, str, datetime], set[str]] = defaultdict(set)
    for send in o.chronicle.sends:
        if "slack" in send.channel and not send.is_digest and not send.entries[0].closing:
            slot, policy = _fell_due(o, send), o.view.declaration(send.entries[0].uid).specs.at(send.time).policy
            if slot is not None:
                together[policy, send.destination, slot].add(send.entries[0].uid)
    for (policy, where, slot), uids in together.items():
        alerts = (o.chronicle.policies[policy].at(slot) or {}).get("alerts") or {}
        least = GROUPED.get(alerts.get("group", ""))
        if least is not None and len(uids) >= least and _is_undisturbed(o, policy, slot):
            yield slot, f"{where}: {len(uids)} alerts were sent one by one"


def _fell_due(o: Oracle, send: Send) -> datetime | None:
    """The slot of this alert, if it was sent at its slot; None for one that was due before."""
    declared, serial = o.view.declaration(send.entries[0].uid), send.entries[0].serial
    begins = send.time - SAME_BURST
    before = [each.time for each in o.view.alerts[declared.uid, send.channel] if each.time < send.time]
    if o.view.accepted(declared, begins) != serial or (before and before[-1] > send.time - ALONE):
        return None
    return max(o.view.slots(declared, send.channel, serial, (begins, send.time)), default=None)


def _is_undisturbed(o: Oracle, policy: str, slot: datetime) -> bool:
    chronicle, begins, ends = o.chronicle, slot - PATIENCE, slot + SAME_BURST
    lines = [
        chronicle.policies[policy],
        chronicle.offset,
        *chronicle.channels.values(),
        *chronicle.secrets.values(),
    ]
    lines += [each.specs for each in chronicle.declarations]
    changed = any(line.changes(begins, ends) for line in lines)
    return not changed and o.calm.was_well(begins, ends)


RULES = (
    silence_is_kept,
    only_the_channels_of_the_policy_are_told,
    a_channel_that_asks_to_wait_is_left_alone,
    each_member_is_in_its_digest_once,
    many_alerts_are_one_message,
)
