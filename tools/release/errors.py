"""The error of this package."""


class ReleaseError(Exception):
    """A step failed, or the checkout must not be released; the message says what to fix."""
