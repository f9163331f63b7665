"""Errors of calls to the cluster: each has its exit code, and one line for the user."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

import click

from clientcert.cli.table import printable

LONGEST_ANSWER = 500
NOT_FOUND, CONFLICT, GONE, BAD_REQUEST = 404, 409, 410, 400
_TOO_LARGE = 413
_FORBIDDEN, _UNPROCESSABLE = 403, 422
_MOST_PROBLEMS = 20
_INVALID = frozenset({BAD_REQUEST, _TOO_LARGE, _UNPROCESSABLE})
_UNAUTHORIZED = 401


class ApiError(Exception):
    """The API server refuses a call, or has failed."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body

    @property
    def continue_token(self) -> str:
        """With GONE: where a list goes on, from the objects as they are now; empty if it does not."""
        try:
            return str(json.loads(self.body)["metadata"]["continue"]) if self.status == GONE else ""
        except (TypeError, ValueError, KeyError):
            return ""


class Failed(click.ClickException):
    """The call failed, and a retry may succeed: exit code 1."""

    exit_code = 1


class Unanswered(Failed):
    """The API server does not answer."""


class Conflict(Failed):
    """Somebody else has written the object meanwhile."""


class AnswerIsNo(click.ClickException):
    """The object does not exist, or the request was refused: exit code 3."""

    exit_code = 3


class NotFound(AnswerIsNo):
    """The object does not exist."""


class AlreadyExists(AnswerIsNo):
    """An object of this name exists."""


class Forbidden(AnswerIsNo):
    """The caller lacks a right, or an admission policy refuses the object."""


class Invalid(AnswerIsNo):
    """The kind does not allow such an object."""

    def __init__(self, message: str, causes: tuple[tuple[str, str], ...]) -> None:
        super().__init__(message)
        self.causes = causes
        """The field and the problem of each, which may quote the value; none if the API server names no field."""


def refuse(heading: str, problems: Sequence[str]) -> None:
    """Raise AnswerIsNo with the first problems of a file, if there are any."""
    if problems:
        more = [f"and {len(problems) - _MOST_PROBLEMS} more"] if len(problems) > _MOST_PROBLEMS else []
        raise AnswerIsNo("\n".join([heading, *problems[:_MOST_PROBLEMS], *more]))


@contextmanager
def explain_errors(what: str) -> Iterator[None]:
    """Turn the errors of a call into one line for the user."""
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiError as error:
        if error.status == NOT_FOUND:
            raise NotFound(f"{what}: not found, or its kind is not installed (crds/)") from None
        message = f"{what}: the API server refuses: {_status_message(error)}"
        if error.status == CONFLICT:
            raise Conflict(message) from None
        if error.status == _FORBIDDEN:
            raise Forbidden(message) from None
        if error.status in _INVALID:
            raise Invalid(message, _causes(error)) from None
        raise (AnswerIsNo(message) if error.status == _UNAUTHORIZED else Failed(message)) from None
    except (HTTPError, OSError, ValueError, KeyError, TypeError) as error:
        cause = getattr(error, "reason", None) or error  # why no try has succeeded
        raise Unanswered(f"{what}: the API server does not answer ({type(cause).__name__})") from None


def _status_message(error: ApiError) -> str:
    """The message of the Status in the API server's response."""
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        known = {each.value: each.phrase for each in HTTPStatus}
        message = f"{error.status} {known.get(error.status, '')}".strip()
    return printable(str(message))[:LONGEST_ANSWER]


def _causes(error: ApiError) -> tuple[tuple[str, str], ...]:
    """The causes in the Status of the API server's response."""
    try:
        found = json.loads(error.body)["details"]["causes"]
        return tuple((printable(each["field"]), printable(each["message"])) for each in found if each.get("field"))
    except (TypeError, ValueError, KeyError, AttributeError):
        return ()
