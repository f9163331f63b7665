"""A log record becomes one line, whatever attributes a library adds to it."""

import io
import json
import logging
import threading

from clientcert.logs import configure_logging


def test_extra_attributes_of_a_record_are_left_out(capsys):
    """Some cannot be copied, such as a lock: a formatter that copies them fails, and loses the line."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logging("json", "info")
        stream = io.StringIO()
        root.handlers[0].setStream(stream)
        logging.getLogger("a.library").warning("Timer is cancelled.", extra={"settings": threading.Lock()})
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "a.library", "Timer is cancelled.")
    assert "Logging error" not in capsys.readouterr().err
