"""Errors of calls to the cluster: each has its exit code, and one line for the user."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from clientcert.cli.table import printable

LONGEST_ANSWER = 500
CONFLICT, GONE, BAD_REQUEST = 409, 410, 400
_NOT_FOUND = 404
_REFUSALS = frozenset({BAD_REQUEST, 401, 403, 404, 422})


class Failed(click.ClickException):
    """The call failed, and a retry may succeed: exit code 1."""

    exit_code = 1


class Conflict(Failed):
    """Somebody else has written the object meanwhile."""


class AnswerIsNo(click.ClickException):
    """The object does not exist, or the request was refused: exit code 3."""

    exit_code = 3


class NotFound(AnswerIsNo):
    """The object does not exist."""


class AlreadyExists(AnswerIsNo):
    """An object of this name exists."""


def api_exception() -> Any:
    """The exception of the `kubernetes` package, which is imported only when a verb connects."""
    from kubernetes.client.exceptions import ApiException

    return ApiException


@contextmanager
def explain_errors(what: str) -> Iterator[None]:
    """Turn the exceptions of the client into one line for the user."""
    from urllib3.exceptions import HTTPError

    try:
        yield
    except api_exception() as error:
        if error.status == _NOT_FOUND:
            raise NotFound(f"{what}: not found, or its kind is not installed (crds/)") from None
        message = f"{what}: the API server refuses: {_status_message(error)}"
        if error.status == CONFLICT:
            raise Conflict(message) from None
        raise (AnswerIsNo(message) if error.status in _REFUSALS else Failed(message)) from None
    except (HTTPError, OSError) as error:
        raise Failed(f"{what}: the API server does not answer ({type(error).__name__})") from None


def _status_message(error: Any) -> str:
    """The message of the Status in the API server's response."""
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = f"{error.status} {error.reason}"
    return printable(str(message))[:LONGEST_ANSWER]
