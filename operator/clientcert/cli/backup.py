"""`clientcert backup`: everything that has to be kept of the cluster, in one file."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import click

from clientcert.api.kinds import (
    CERTIFICATE_POLICY,
    CERTIFICATE_RENEWAL,
    CERTIFICATE_REVOCATION,
    CERTIFICATE_STORE,
    CLIENT_CERTIFICATE,
)
from clientcert.cli.backup_file import CONFIG_MAP, end_line, head_line, object_line
from clientcert.cli.client_lists import client_lists
from clientcert.cli.cluster import Cluster, Object, Target, cluster_options
from clientcert.cli.files import STDOUT, write_pieces
from clientcert.cli.scope import check_scope

_OTHERS = (CERTIFICATE_STORE, CERTIFICATE_REVOCATION, CLIENT_CERTIFICATE, CERTIFICATE_RENEWAL)
"""The kinds after the policies and their client lists, in the order of the file."""
_PRIVATE = "The file holds the addresses of contacts, and no Secret."


@click.command()
@click.option("-o", "--output", metavar="FILE", default=STDOUT, help="[default: standard output]")
@click.option("-A", "--all-namespaces", is_flag=True, help="The objects of every namespace.")
@cluster_options
@click.pass_context
def backup(context: click.Context, /, target: Target, output: str, *, all_namespaces: bool) -> None:
    """Write the objects with their statuses to one file, for clientcert restore.

    It holds certificates, policies, stores, revocations and client lists: contacts and their addresses are part of
    them. Renewals are in it as a record. No Secret is read, and no key is in it. A new file is for its owner alone, and
    is there whole or not at all.
    """
    check_scope(target, everywhere=all_namespaces)
    cluster, now, counts = Cluster.connect(target), context.obj["now"](), Counter[str]()
    write_pieces(output, _lines(cluster, now, counts, everywhere=all_namespaces), is_private=True)
    if output != STDOUT:
        for kind in (CERTIFICATE_POLICY.name, CONFIG_MAP, *(each.name for each in _OTHERS)):
            click.echo(f"{kind + ':':<23} {counts[kind]}")
        click.echo(_PRIVATE)


def _lines(cluster: Cluster, now: datetime, counts: Counter[str], *, everywhere: bool) -> Iterator[bytes]:
    """The lines of the file, a page of objects at a time; `counts` has the objects of each kind afterwards."""
    yield head_line(now, None if everywhere else cluster.namespace)
    for found in _objects(cluster, everywhere=everywhere):
        if "deletionTimestamp" not in found["metadata"]:
            counts[found["kind"]] += 1
            yield object_line(found)
    yield end_line(counts.total())


def _objects(cluster: Cluster, *, everywhere: bool) -> Iterator[Object]:
    policies = cluster.list(CERTIFICATE_POLICY, everywhere=everywhere)
    yield from policies
    yield from client_lists(cluster, policies)
    for kind in _OTHERS:
        yield from cluster.each(kind, everywhere=everywhere)
