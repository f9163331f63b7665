"""Nothing is lost, and nothing is repeated."""

from datetime import datetime

from tests.simulation.calm import PATIENCE
from tests.simulation.chronicle import Declaration
from tests.simulation.expected import DAY
from tests.simulation.oracle import Found, Oracle
from tests.simulation.rules_of_problems import tells_of_problem
from tests.simulation.view import SECOND, Told

RECORDED_WITHIN = 20 * SECOND
"""A status says what was sent after this time, if the API server answers."""
DIGEST_RECORDED_WITHIN = 60 * SECOND
STOP_SECONDS = 10 * SECOND
SENT_TOGETHER = 25 * SECOND
"""Messages that are under way when the first record is not answered arrive within this time."""


def nothing_is_lost(o: Oracle) -> Found:
    """Every notification that is due is delivered eventually."""
    view = o.view
    for declared, name in o.pairs():
        told = view.alerts[declared.uid, name]
        for start, end in o.calm.stretches(declared, name):
            for moment in o.calm.checks(declared, name, start, end):
                yield from _lost(o, declared, name, told, moment)


def _lost(o: Oracle, declared: Declaration, name: str, told: list[Told], moment: datetime) -> Found:
    view, late = o.view, moment + PATIENCE
    for due in view.due(declared, name, moment):
        epoch = view.epoch(declared, due.serial, late)
        if not any(
            each.time <= late and each.stage <= due.stage and not each.unexplained
            for each in told
            if each.serial == due.serial and view.epoch(declared, due.serial, each.time) == epoch
        ):
            yield moment, f"{declared.name} in {name}: stage {due.stage} of {due.serial} was due, and never sent"


def only_the_latest_is_sent(o: Oracle) -> Found:
    """Of several stages that were missed, only the latest is sent, once; none is sent before its time."""
    for declared, name, told in o.all_told():
        due = o.view.all_due(declared, name, told.time)
        stages = {each.stage for each in due if each.serial == told.serial}
        earlier = o.view.alerts[declared.uid, name]
        again = [each.stage for each in earlier if each.serial == told.serial and each.time < told.time]
        begins = told.stage in again and tells_of_problem(o, declared, [], told)
        if stages and told.stage not in stages and not begins:
            yield told.time, f"{declared.name} in {name}: stage {told.stage} was sent, due was {sorted(stages)}"


def nothing_is_repeated(o: Oracle) -> Found:
    """Nothing is repeated, except a message that was being sent when the process was killed, or whose answer was
    lost."""
    for declared, name in o.pairs():
        before: list[Told] = []
        for told in o.view.alerts[declared.uid, name]:
            epoch = o.view.epoch(declared, told.serial, told.time)
            same = [
                each
                for each in before
                if each.serial == told.serial and each.at_most <= told.stage
                if o.view.epoch(declared, each.serial, each.time) == epoch
            ]
            if tells_of_problem(o, declared, [each for each in before if each.serial == told.serial], told):
                same = []
            if not all(o.may_be_repeated(declared, name, each, told.time) for each in same):
                yield (
                    told.time,
                    (
                        f"{declared.name} in {name}: stage {told.stage} of {told.serial} was sent after"
                        f" stage {same[-1].stage} at {same[-1].time:%m-%d %H:%M:%S}"
                    ),
                )
            before.append(told)


def a_send_is_recorded(o: Oracle) -> Found:
    """A message is in flight only until a status records it, within seconds."""
    for declared, name, told in o.all_told():
        within = DIGEST_RECORDED_WITHIN if told.send.is_digest else RECORDED_WITHIN
        late = told.time + within
        is_gone = declared.deleted is not None and declared.deleted <= late
        policy = declared.specs.at(told.time).policy
        edited = declared.specs.changes(told.time - within, late) or (
            told.send.is_digest and o.chronicle.policies[policy].changes(told.time - within, late)
        )
        if is_gone or edited or not told.send.acknowledged or not o.calm.was_well(told.time - within, late):
            continue
        if not o.is_recorded(declared, name, told, late):
            yield told.time, f"{declared.name} in {name}: stage {told.stage} was sent and is in no status"


def a_digest_is_recorded_in_its_policy(o: Oracle) -> Found:
    """Right after that message, one write to the CertificatePolicy records which alerts it contained."""
    for send in o.chronicle.sends:
        policy = o.view.declaration(send.entries[0].uid).specs.at(send.time).policy
        around = (send.time - RECORDED_WITHIN, send.time + RECORDED_WITHIN)
        if not send.is_digest or not send.acknowledged or not o.calm.was_well(*around):
            continue
        edited = o.chronicle.policies[policy].changes(*around)
        if not edited and not o.is_in_policy(policy, send, around[1]):
            yield send.time, f"{send.channel}: a digest of {len(send.entries)} is not in the status of {policy}"


def a_clean_stop_loses_nothing(o: Oracle) -> Found:
    """Each delivery is recorded before the process ends after SIGTERM, if the API server answers."""
    for declared, name, told in o.all_told():
        ended = o.chronicle.stops.get(told.send.process)
        if ended is None or told.time < ended - STOP_SECONDS or not told.send.acknowledged:
            continue
        modes = set(o.chronicle.api.within(ended - STOP_SECONDS, ended))
        if modes == {"answers"} and not declared.deleted and not o.is_recorded(declared, name, told, ended):
            yield told.time, f"{declared.name} in {name}: stage {told.stage} was sent, and the stop did not record it"


def a_restart_over_unchanged_objects_is_silent(o: Oracle) -> Found:
    """A restart over unchanged objects writes nothing and sends nothing."""
    leader = o.chronicle.leader
    for at, number in zip(leader.times, leader.values, strict=True):
        if number > 1 and at + PATIENCE < o.chronicle.ends:
            for declared in o.chronicle.declarations:
                yield from _stirred(o, declared, at)


def _stirred(o: Oracle, declared: Declaration, at: datetime) -> Found:
    view, chronicle, late = o.view, o.chronicle, at + 60 * SECOND
    stopped = chronicle.leader.last_change(at)
    settled = stopped - PATIENCE
    if declared.specs.times[0] > settled or declared.deleted or not o.calm.was_well(settled, stopped - SECOND):
        return
    policy = declared.specs.at(at).policy
    lines = [declared.specs, chronicle.secrets[declared.name], chronicle.policies[policy], chronicle.api]
    lines += [chronicle.offset, *chronicle.channels.values()]
    if any(line.changes(settled - PATIENCE, late) for line in lines) or chronicle.api.at(at) != "answers":
        return
    if any(line.at(at) != "takes" for line in chronicle.channels.values()):
        return
    content, serial = view.content(declared, at), view.accepted(declared, at)
    if any(each and settled < each < late for each in (content.not_before, content.not_after)):
        return
    ends = view.contents[serial].not_after if serial else declared.created
    assert ends
    days = {(ends - view.clock(each)) // DAY for each in (settled, late)}
    due = {each for name in view.all_channels(declared) for when in (settled, late)
           for each in [(name, *view.due(declared, name, when))]}  # fmt: skip
    if len(days) > 1 or len(due) > len({each[0] for each in due}) or view.silent(declared, settled):
        return
    for told in (each for name in view.all_channels(declared) for each in view.alerts[declared.uid, name]):
        if at <= told.time <= late:
            yield told.time, f"{declared.name} in {told.send.channel}: sent by a restart over unchanged objects"
    for written in declared.writes:
        if at <= written <= late:
            yield written, f"{declared.name}: its status was written by a restart over unchanged objects"


def a_former_leader_sends_nothing(o: Oracle) -> Found:
    """A message starts only if it ends before another replica could lead."""
    for send in o.chronicle.sends:
        ended = o.chronicle.terms.get(send.process)
        if ended and send.time > ended:
            yield send.time, f"{send.channel}: a message of process {send.process}, whose term had ended"


def a_leader_stops_at_the_first_record_without_an_answer(o: Oracle) -> Found:
    """A leader stops sending at the first record without an answer, or the next leader would repeat it all."""
    api, sends = o.chronicle.api, o.chronicle.sends
    ends = [*api.times[1:], o.chronicle.ends]
    for begins, mode, end in zip(api.times, api.values, ends, strict=True):
        if mode not in {"down", "no writes"}:
            continue
        first: dict[int, datetime] = {}
        for send in sends:
            if begins < send.time < end and send.time > first.setdefault(send.process, send.time) + SENT_TOGETHER:
                yield send.time, f"{send.channel}: sent, although nothing could be recorded since {begins}"


RULES = (
    nothing_is_lost,
    only_the_latest_is_sent,
    nothing_is_repeated,
    a_send_is_recorded,
    a_digest_is_recorded_in_its_policy,
    a_clean_stop_loses_nothing,
    a_restart_over_unchanged_objects_is_silent,
    a_former_leader_sends_nothing,
    a_leader_stops_at_the_first_record_without_an_answer,
)
