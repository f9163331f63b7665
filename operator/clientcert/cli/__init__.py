"""The verbs of `clientcert`; also found as `kubectl clientcert`."""

from clientcert.cli.main import cli

__all__ = ["cli"]
