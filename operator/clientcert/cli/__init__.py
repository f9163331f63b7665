"""The verbs of `clientcert`, also available as `kubectl clientcert`."""

from clientcert.cli.main import cli

__all__ = ["cli"]
