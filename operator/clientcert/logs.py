"""How log lines look. What may be in them is decided where they are written: no secrets, no contact's address."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_JSON = "%(asctime)s %(levelname)s %(name)s %(message)s"
_CHATTY = ("kopf", "asyncio", "aiohttp", "slack_sdk", "botocore", "aiobotocore")
"""Libraries whose lines below a warning say nothing to who is on call, or say too much."""


_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def without_extras(record: logging.LogRecord) -> bool:
    """Take from a record what a library hangs onto it: kopf hangs its whole settings there, which no line can hold."""
    for name in set(vars(record)) - _OF_EVERY_RECORD:
        delattr(record, name)
    return True


def configure_logging(log_format: str, level: str) -> None:
    """One handler on standard error for the whole process."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter(_JSON, rename_fields=names))
    else:
        handler.setFormatter(logging.Formatter(_TEXT))
    handler.addFilter(without_extras)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
