"""The line of one certificate in `clientcert list`, and the rest of a list that expired."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import click
import pytest

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cli.cluster import Cluster
from clientcert.cli.durations import DurationType, parse_from_now
from clientcert.cli.errors import GONE, ApiError, Failed
from clientcert.cli.list_certificates import Filter, Listed, _alerts, _left, _line, _status

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NHS = Listed(
    namespace="team",
    name="nhs-prod",
    consumer="nhs",
    environment="prod",
    status="ExpiringSoon",
    days=3,
    expires="2026-11-25T12:00:00Z",
    alerts="Delivered",
    silenced="",
    owner="integration-team",
    source="Secret",
    serial="1a2b3",
    renewal="Open",
)


def asked(**options: Any) -> Filter:
    return Filter(**{"now": NOW, "expiring_in": None, "owner": None, "phase": None, **options})


@pytest.mark.parametrize(
    ("options", "matches"),
    [
        ({}, True),
        ({"owner": "integration-team"}, True),
        ({"owner": "integration"}, False),
        ({"phase": "ExpiringSoon"}, True),
        ({"phase": "Expired"}, False),
        ({"expiring_in": timedelta(days=4)}, True),
        ({"expiring_in": timedelta(days=3)}, False),
        ({"expiring_in": timedelta(days=3, hours=3)}, True),
        ({"expiring_in": timedelta(days=4), "owner": "another"}, False),
    ],
)
def test_filters(options: dict[str, Any], matches: bool) -> None:
    """To the second, not to the day."""
    assert asked(**options).matches(NHS) is matches


@pytest.mark.parametrize("expires", ["", "soon", "9999-12-31T23:59:59-05:00"])
def test_what_has_no_date_is_not_among_those_that_expire(expires: str) -> None:
    assert not asked(expiring_in=timedelta(days=9999)).matches(replace(NHS, expires=expires))


@pytest.mark.parametrize(
    ("days", "cells"), [(None, 0), (-1, 0), (0, 1), (17, 1), (18, 2), (28, 3), (89, 9), (90, 10), (9999, 10)]
)
def test_the_bar_of_the_days_left(days: int | None, cells: int) -> None:
    """One cell for nine days, at least one; none once it has expired."""
    assert _left(replace(NHS, days=days), NOW)[0] == "#" * cells


def test_alerts_and_silence() -> None:
    assert _alerts(NHS, NOW) == ("Delivered", "")
    assert _alerts(replace(NHS, alerts=""), NOW) == ("", "")
    assert _alerts(replace(NHS, alerts="PolicyNotFound"), NOW) == ("PolicyNotFound", "red")
    silenced = replace(NHS, alerts="PolicyNotFound", silenced="2026-12-24T00:00:00Z")
    assert _alerts(silenced, NOW) == ("silenced until 2026-12-24", "")
    assert _alerts(silenced, NOW + timedelta(days=60)) == ("PolicyNotFound", "red")


def test_text_of_a_stranger_controls_no_terminal() -> None:
    assert _status(replace(NHS, status="\x1b[2J"), NOW)[0] == "\\x1b[2J"
    assert _alerts(replace(NHS, alerts="\x1b[2J"), NOW)[0] == "\\x1b[2J"


def test_a_colour_does_not_move_a_column() -> None:
    plain = _line([("Expired", ""), ("nhs", "")], [9, 3])
    assert click.unstyle(_line([("Expired", "red"), ("nhs", "")], [9, 3])) == plain == "Expired    nhs"


@pytest.mark.parametrize("text", ["", "30", "d", "-5d", "5m", "99999d", "٣d", "30 d", "30d\n"])
def test_what_is_no_duration(text: str) -> None:
    assert parse_from_now(text) is None
    with pytest.raises(click.BadParameter):
        DurationType().convert(text, None, None)


def test_durations() -> None:
    assert [parse_from_now(each) for each in ("12h", "30d", "2w")] == [
        timedelta(hours=12),
        timedelta(days=30),
        timedelta(weeks=2),
    ]


class Server:
    """An API server whose list expires after the first page."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.asked: list[dict[str, str]] = []

    def call(self, _method: str, _path: str, *, query: dict[str, str], media: tuple[str, str]) -> dict[str, Any]:
        self.asked.append(query)
        if query.get("continue") == "expired":
            raise ApiError(GONE, json.dumps({"metadata": {"continue": self._token}}).encode())
        content = {"rows": []} if "as=Table" in media[1] else {"items": ["a certificate"]}
        return {**content, "metadata": {} if "continue" in query else {"continue": "expired"}}


def pages(server: Server) -> Iterator[dict[str, Any]]:
    return Cluster(cast("Any", server), "team").tables(CLIENT_CERTIFICATE)


def objects(server: Server) -> Iterator[dict[str, Any]]:
    return Cluster(cast("Any", server), "team").each(CLIENT_CERTIFICATE)


@pytest.mark.parametrize("read", [pages, objects])
def test_a_list_that_expires_goes_on_with_what_is_there_by_then(read: Callable[[Server], Iterator[Any]]) -> None:
    """Rows that are printed cannot be taken back."""
    server = Server("as-it-is-now")
    assert len(list(read(server))) == 2
    assert [each.get("continue") for each in server.asked] == [None, "expired", "as-it-is-now"]


@pytest.mark.parametrize("token", ["", "expired"])
def test_a_list_that_cannot_go_on_is_an_error(token: str) -> None:
    with pytest.raises(Failed, match="the list of clientcertificates"):
        list(pages(Server(token)))
