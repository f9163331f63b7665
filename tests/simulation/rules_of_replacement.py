"""An old certificate is closed and never mentioned again; one that has expired is never silent."""

from datetime import datetime

from tests.simulation.calm import PATIENCE
from tests.simulation.chronicle import Declaration, Send
from tests.simulation.expected import DAY
from tests.simulation.oracle import Found, Oracle
from tests.simulation.view import Told


def an_old_certificate_is_not_mentioned(o: Oracle) -> Found:
    """After its replacement was seen, an old certificate is never mentioned again."""
    view = o.view
    for declared, name, told in o.all_told():
        seen = [view.content(declared, moment) for moment in view.moments(declared, told.time)]
        others = [each.serial != told.serial and view.replaces(declared, each, told.time) for each in seen]
        if all(others):
            yield told.time, f"{declared.name} in {name}: an alert about {told.serial}, which was replaced"


def a_closing_message_is_sent_once(o: Oracle) -> Found:
    """One closing message to each channel that had an alert."""
    view = o.view
    for (uid, name), closings in view.closings.items():
        declared, told = view.declaration(uid), view.alerts[uid, name]
        sent: list[Send] = []
        for send, replaced, _ in closings:
            if not any(each.serial == replaced and each.time < send.time for each in told):
                yield send.time, f"{declared.name} in {name}: closes {replaced}, of which nobody was told"
            earlier = [
                each
                for each, before in zip(sent, (each[1] for each in closings), strict=False)
                if before == replaced
                and not any(again.serial == replaced and each.time < again.time < send.time for again in told)
            ]
            if not all(_may_close_again(o, declared, name, each, send.time) for each in earlier):
                yield send.time, f"{declared.name} in {name}: {replaced} was closed twice"
            sent.append(send)


def _may_close_again(o: Oracle, declared: Declaration, name: str, send: Send, until: datetime) -> bool:
    ends = [each for each in o.chronicle.terms.values() if send.time <= each <= until]
    serial = send.entries[0].serial
    told = Told(send, serial, 10**6, 10**6)
    return not send.acknowledged or any(not o.is_recorded(declared, name, told, each) for each in ends)


def the_closing_message_is_never_lost(o: Oracle) -> Found:
    """The closing message is never lost."""
    view = o.view
    for declared, name in o.pairs():
        closings = view.closings[declared.uid, name]
        for start, _ in o.calm.stretches(declared, name):
            late = start + PATIENCE
            accepted = view.accepted(declared, late)
            record = o.record(declared, name, late)
            if record and record[1] is not None and record[0] not in {accepted, ""}:
                yield late, f"{declared.name} in {name}: {record[0]} was replaced, and its alert is not closed"
        previous: tuple[str, int | None] | None = None
        for at in declared.statuses.times:
            record = o.record(declared, name, at)
            is_closed = previous and record and previous[1] is not None and record[0] != previous[0]
            if is_closed and not any(each[1] == previous[0] and each[0].time <= at for each in closings):
                yield at, f"{declared.name} in {name}: {previous[0]} counts as closed, and nobody was told"
            previous = record or previous


def the_status_shows_the_certificate(o: Oracle) -> Found:
    """A certificate of another identity, one that is not valid yet, or none at all is no replacement."""
    view = o.view
    for declared, name in o.pairs():
        for start, _ in o.calm.stretches(declared, name):
            content, late = view.content(declared, start), start + PATIENCE
            if view.replaces(declared, content, start) and view.accepted(declared, late) != content.serial:
                yield late, f"{declared.name}: the status does not show {content.serial}, which is in the source"
    for declared in o.chronicle.declarations:
        before = ""
        for at in declared.statuses.times:
            after = view.accepted(declared, at)
            if before and after != before:
                seen = [view.content(declared, moment) for moment in view.moments(declared, at)]
                if not any(each.serial == after and view.replaces(declared, each, at) for each in seen):
                    yield at, f"{declared.name}: {after} counts as the replacement of {before}"
            before = after


def expired_is_never_silent(o: Oracle) -> Found:
    """Alerts about an expired certificate never stop until it is replaced, or silenced by its exact name."""
    view = o.view
    for declared, name in o.pairs():
        stretches = list(o.calm.stretches(declared, name))
        for start, end in stretches:
            channel = view.channel(declared, name, start)
            serial = view.accepted(declared, start + PATIENCE)
            if channel is None or not serial or channel.plan.after_for is not None:
                continue
            content = view.content(declared, start)
            expired = view.contents[serial].not_after
            longest = (channel.plan.after_every + 4) * DAY
            assert expired
            if end - start < longest or expired > start or o.view.replaces(declared, content, start):
                continue
            told = [each.time for each in view.alerts[declared.uid, name] if start <= each.time <= end]
            if not told or max(b - a for a, b in zip([start, *told], [*told, end], strict=True)) > longest:
                yield end, f"{declared.name} in {name}: {serial} had expired, and nobody was told for {longest}"


RULES = (
    an_old_certificate_is_not_mentioned,
    a_closing_message_is_sent_once,
    the_closing_message_is_never_lost,
    the_status_shows_the_certificate,
    expired_is_never_silent,
)
