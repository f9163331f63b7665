"""A problem with the source is told at once, once for each reason, and then with each daily stage."""

from datetime import timedelta

from tests.simulation.calm import PATIENCE
from tests.simulation.chronicle import Declaration
from tests.simulation.oracle import Found, Oracle
from tests.simulation.view import GRACE, LAG, Told

TOLD_AGAIN_AFTER = timedelta(hours=1)
_EMAIL = "mail"


def tells_of_problem(o: Oracle, declared: Declaration, before: list[Told], told: Told) -> bool:
    """True if this message may tell of a problem that the channel does not know, although its stage was told.

    A problem that was over begins anew; but it is told at most once an hour. The message of a stage tells of one.
    """
    view, chronicle = o.view, o.chronicle
    if told.send.destination == _EMAIL:
        return False
    latest = min((each.stage for each in before), default=0)
    of_this_stage = [each for each in before if each.stage == latest]
    for problem in view.problems(declared, told.serial, told.time) - {""}:
        knowing = [each for each in of_this_stage if view.problems(declared, each.serial, each.time) == {problem}]
        if not knowing:
            return True
        last = knowing[-1].time
        values = chronicle.secrets[declared.name].within(last, told.time)
        was_over = any(not view.problem(declared, told.serial, last, each) for each in values)
        if chronicle.offset.changes(last, told.time) or (was_over and told.time - last > TOLD_AGAIN_AFTER - LAG):
            return True
    return False


def a_problem_is_told_at_once(o: Oracle) -> Found:
    """A problem that begins, or whose reason changes, is due at once in each channel, whatever stage was told there."""
    view = o.view
    for declared, name in o.pairs():
        line, told = o.chronicle.secrets[declared.name], view.alerts[declared.uid, name]
        for start, end in o.calm.stretches(declared, name):
            late = start + TOLD_AGAIN_AFTER + GRACE + PATIENCE
            channel, serial = view.channel(declared, name, start), view.accepted(declared, start + PATIENCE)
            problem = view.problem(declared, serial, start, view.content(declared, start))
            if late > end or not problem or channel is None or channel.type == "Email":
                continue
            began = start
            for at, content in reversed(list(zip(line.times, line.values, strict=True))):
                if at <= start and not view.problem(declared, serial, start, content):
                    break  # it was over until then
                began = min(began, at)
            began -= TOLD_AGAIN_AFTER + LAG
            knowing = [each for each in told if began <= each.time <= late]
            if view.due(declared, name, late) and not any(
                problem in view.problems(declared, each.serial, each.time) for each in knowing
            ):
                yield late, f"{declared.name} in {name}: nobody was told that its source is {problem}"


RULES = (a_problem_is_told_at_once,)
