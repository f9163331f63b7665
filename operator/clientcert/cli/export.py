"""`clientcert export`: what is in the cluster as manifests, and the register as CSV."""

from pathlib import Path

import click

from clientcert.api.kinds import (
    CERTIFICATE_POLICY,
    CERTIFICATE_RENEWAL,
    CERTIFICATE_REVOCATION,
    CERTIFICATE_STORE,
    CLIENT_CERTIFICATE,
)
from clientcert.cli.client_lists import client_lists
from clientcert.cli.cluster import Cluster, Target, cluster_options
from clientcert.cli.export_directory import ExportDirectory
from clientcert.cli.report_files import as_csv
from clientcert.cli.report_model import Entry, entry_of, report_of
from clientcert.cli.request_register import RenewalLine, renewal_line, renewals_csv
from clientcert.cli.scope import check_scope

REGISTER, RENEWALS = "register.csv", "renewals.csv"


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--contacts", is_flag=True, help="With the addresses of contacts in the register.")
@click.option("-A", "--all-namespaces", is_flag=True, help="The objects of every namespace.")
@cluster_options
@click.pass_context
def export(context: click.Context, /, target: Target, directory: Path, *, contacts: bool, all_namespaces: bool) -> None:
    """Write a manifest for each object to DIR, one file each, with a kustomization.yaml and two registers as CSV.

    Certificates, policies, stores, revocations and client lists are manifests: contacts are part of them. register.csv
    has a line for each certificate, renewals.csv one for each renewal; there are no addresses in them without
    --contacts. No Secret is read. DIR must be new or empty, and is for its owner alone. Nothing is changed in the
    cluster. Manifests say nothing about the alerts that were sent: to move, use clientcert backup.
    """
    check_scope(target, everywhere=all_namespaces)
    cluster, now = Cluster.connect(target), context.obj["now"]()
    entries: list[Entry] = []
    with ExportDirectory.draft(directory) as draft:
        policies = cluster.list(CERTIFICATE_POLICY, everywhere=all_namespaces)
        draft.add(policies)
        draft.add(client_lists(cluster, policies))
        for kind in (CERTIFICATE_STORE, CERTIFICATE_REVOCATION):
            draft.add(cluster.each(kind, everywhere=all_namespaces))
        for each in cluster.each(CLIENT_CERTIFICATE, everywhere=all_namespaces):
            draft.add([each])
            entries.append(entry_of(each, None, now, contacts=contacts, everywhere=all_namespaces))
        renewals: list[RenewalLine] = [
            renewal_line(each, contacts=contacts)
            for each in cluster.each(CERTIFICATE_RENEWAL, everywhere=all_namespaces)
        ]
        draft.write(REGISTER, as_csv(report_of(entries, now)))
        draft.write(RENEWALS, renewals_csv(renewals))
    click.echo(f"{draft.objects} manifests, {REGISTER} ({len(entries)} certificates), {RENEWALS} ({len(renewals)})")
