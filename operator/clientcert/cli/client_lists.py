"""The ConfigMaps that policies name as their client lists."""

from collections.abc import Iterable, Iterator

import click

from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import NotFound
from clientcert.cli.loading import policy_of
from clientcert.cli.table import printable


def client_lists(cluster: Cluster, policies: Iterable[Object]) -> Iterator[Object]:
    """Each list once, in order; one that does not exist is named on standard error. Raises AnswerIsNo and Failed."""
    wanted = {
        (each["metadata"]["namespace"], name) for each in policies if (name := policy_of(each).contacts.directory)
    }
    for namespace, name in sorted(wanted):
        try:
            yield cluster.whole_config_map(name, namespace)
        except NotFound:
            where = f"namespace {namespace}"
            click.echo(f"ConfigMap {printable(name)} in {where}: a policy names it, and it does not exist", err=True)
