"""The format of log lines. The code that logs decides on their content: no secrets, no addresses of contacts."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_JSON = "%(asctime)s %(levelname)s %(name)s %(message)s"
_NOISY_LIBRARIES = ("asyncio", "aiohttp", "slack_sdk", "botocore", "aiobotocore")
"""Libraries whose lines below WARNING are of no use to the person on call, or reveal too much."""

_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def without_extras(record: logging.LogRecord) -> bool:
    """Remove the attributes that a library adds to a record: some of them cannot be serialised."""
    for name in set(vars(record)) - _STANDARD_ATTRIBUTES:
        delattr(record, name)
    return True


def configure_logging(log_format: str, level: str) -> None:
    """Set up one handler on standard error for the whole process."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter(_JSON, rename_fields=names))
    else:
        handler.setFormatter(logging.Formatter(_TEXT))
    handler.addFilter(without_extras)
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _NOISY_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
