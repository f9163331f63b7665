"""The error of this package."""


class NodeError(Exception):
    """The node could not be started; the message says what to fix, and shows the end of a log."""
