"""The options --namespace and --all-namespaces, which exclude each other."""

import click

from clientcert.cli.cluster import Target


def check_scope(target: Target, *, everywhere: bool) -> None:
    """Raise click.UsageError if both are given."""
    if everywhere and target.namespace is not None:
        raise click.UsageError("give --namespace or --all-namespaces, not both")
