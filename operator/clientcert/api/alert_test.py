"""Parses and renders test alerts: the annotations that ask for one, and `status.test`, which only the operator writes.

Annotations are of any size and form. Their beginnings are kept, and an unreadable record counts as none.
"""

from collections.abc import Mapping
from typing import Any

from clientcert.api.kinds import CHANNELS, GROUP, LONGEST_TEXT, LONGEST_WORD, cut, moment, timestamp
from clientcert.lifecycle.alert_test import AlertTest, ChannelOutcome, RecordedTest

VALUE, TO = f"{GROUP}/test-alert", f"{GROUP}/test-alert-to"
"""The annotations: a new value of the first asks for a test, the second is the recipient of its letters."""
LONGEST_VALUE, LONGEST_TO = 64, 254


def parse_alert_test(annotations: Mapping[str, str] | None, status: Mapping[str, Any]) -> AlertTest | None:
    """The tests of an object; None if it asks for none and records none."""
    asked, recorded = annotations or {}, _recorded(status.get("test"))
    value = asked.get(VALUE, "")[:LONGEST_VALUE]
    if not value and recorded is None:
        return None
    # A longer address is not cut to another one: what is left of it is none.
    return AlertTest(value, asked.get(TO, "")[: LONGEST_TO + 1], recorded)


def render_test(test: RecordedTest | None) -> dict[str, Any]:
    """The status with the test and nothing else, absent fields as null."""
    if test is None:
        return {"test": None}
    return {
        "test": {
            "value": test.value,
            "dueTime": timestamp(test.due) if test.due else None,
            "time": timestamp(test.began) if test.began else None,
            "attempts": test.attempts or None,
            "endTime": timestamp(test.ended) if test.ended else None,
            "channels": [_channel(each) for each in test.channels[:CHANNELS]] or None,
        }
    }


def _channel(outcome: ChannelOutcome) -> dict[str, str]:
    fields = {
        "name": cut(outcome.name, LONGEST_WORD),
        "type": cut(outcome.type, LONGEST_WORD),
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "message": cut(outcome.message, LONGEST_TEXT),
    }
    return {name: value for name, value in fields.items() if value}


def _recorded(found: Mapping[str, Any] | None) -> RecordedTest | None:
    try:
        return _parse(found) if found else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _parse(found: Mapping[str, Any]) -> RecordedTest:
    return RecordedTest(
        value=found["value"],
        due=moment(found.get("dueTime")),
        began=moment(found.get("time")),
        attempts=int(found.get("attempts") or 0),
        ended=moment(found.get("endTime")),
        channels=tuple(
            ChannelOutcome(
                each["name"], each.get("type", ""), each["outcome"], each.get("reason", ""), each.get("message", "")
            )
            for each in found.get("channels") or ()
        ),
    )
