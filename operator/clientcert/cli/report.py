"""`clientcert report`: what expires when, what is wrong and what is silenced, as one page, CSV or JSON."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from clientcert.api.kinds import CERTIFICATE_RENEWAL, CLIENT_CERTIFICATE
from clientcert.cli.cluster import Cluster, Object, Target, cluster_options
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.files import STDOUT, write_file
from clientcert.cli.list_certificates import no_certificate
from clientcert.cli.report_files import as_csv, as_json
from clientcert.cli.report_model import Entry, Report, entry_of, report_of
from clientcert.cli.table import printable
from clientcert.lifecycle.renewal.status import FINAL

HTML, CSV, JSON = "html", "csv", "json"
_TITLE = "Client certificates"
_OPEN = ",".join(f"status.state!={state}" for state in sorted(FINAL))


@click.command()
@click.option("-o", "--output", type=click.Choice((HTML, CSV, JSON)), default=HTML, help="[default: html]")
@click.option("--output-file", metavar="FILE", default=STDOUT, help="[default: standard output]")
@click.option("--contacts", is_flag=True, help="With the addresses that the certificates name.")
@click.option("--title", metavar="WORDS", default=_TITLE, help=f"Of the page.  [default: {_TITLE}]")
@click.option("-l", "--selector", default="", metavar="LABELS", help="Certificates with these labels, as in kubectl.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Certificates of every namespace.")
@cluster_options
@click.pass_context
def report(context: click.Context, /, target: Target, output: str, output_file: str, **options: Any) -> None:
    """Report on ClientCertificates: what expires when, what is wrong, and what is silenced, why and until when.

    html is one page that loads nothing from elsewhere, for a browser and for paper. csv and json have a line or an
    object for each certificate. There are names and roles of contacts, and no addresses without --contacts. Exits with
    3 if no ClientCertificate matches.
    """
    everywhere, selector = options["all_namespaces"], options["selector"]
    if everywhere and target.namespace is not None:
        raise click.UsageError("give --namespace or --all-namespaces, not both")
    cluster, now = Cluster.connect(target), context.obj["now"]()
    entries = _entries(cluster, now, everywhere=everywhere, selector=selector, contacts=options["contacts"])
    found = report_of(entries, now)
    if not found.entries:
        raise no_certificate(cluster, everywhere=everywhere, is_selected=bool(selector))
    write_file(output_file, _written(found, output, cluster.namespace, options))


def _entries(cluster: Cluster, now: datetime, *, everywhere: bool, selector: str, contacts: bool) -> Iterator[Entry]:
    requests = _open_requests(cluster, everywhere=everywhere)
    for each in cluster.each(CLIENT_CERTIFICATE, everywhere=everywhere, labels=selector):
        reference = ((each.get("status") or {}).get("renewal") or {}).get("requestRef") or {}
        request = requests.get((each["metadata"]["namespace"], reference.get("name", "")))
        yield entry_of(each, request, now, contacts=contacts)


def _open_requests(cluster: Cluster, *, everywhere: bool) -> dict[tuple[str, str], Object]:
    """By namespace and name; empty if the caller may not read them: a report says less then, and is right."""
    try:
        found = cluster.each(CERTIFICATE_RENEWAL, everywhere=everywhere, fields=_OPEN)
        return {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in found}
    except AnswerIsNo:
        return {}


def _written(found: Report, output: str, namespace: str, options: dict[str, Any]) -> str:
    everywhere, selector = options["all_namespaces"], options["selector"]
    if output == CSV:
        return as_csv(found)
    if output == JSON:
        return as_json(found, {"namespace": None if everywhere else namespace, "selector": selector or None})
    from clientcert.cli.report_html import Heading, as_html  # which imports jinja2: only a page needs it

    scope = "All namespaces" if everywhere else f"Namespace {namespace}"
    scope += f", labels {selector}" if selector else ""
    title = printable(options["title"])
    return as_html(found, Heading(title, printable(scope), everywhere, options["contacts"]))
