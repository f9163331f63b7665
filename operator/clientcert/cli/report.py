"""`clientcert report`: what expires when, what is wrong and what is silenced, as one page, CSV or JSON."""

from typing import Any

import click

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cli.certificate_status import open_request_name
from clientcert.cli.cluster import Cluster, Target, cluster_options
from clientcert.cli.files import STDOUT, write_file
from clientcert.cli.list_certificates import no_certificate
from clientcert.cli.report_files import as_csv, as_json
from clientcert.cli.report_model import Report, entry_of, report_of
from clientcert.cli.request_list import open_requests
from clientcert.cli.scope import check_scope
from clientcert.cli.table import printable

HTML, CSV, JSON = "html", "csv", "json"
_TITLE = "Client certificates"


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
    check_scope(target, everywhere=everywhere)
    cluster, now = Cluster.connect(target), context.obj["now"]()
    requests = open_requests(cluster, everywhere=everywhere)
    known = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in requests or ()}
    entries = [
        entry_of(
            each,
            known.get((each["metadata"]["namespace"], open_request_name(each))),
            now,
            contacts=options["contacts"],
            everywhere=everywhere,
        )
        for each in cluster.each(CLIENT_CERTIFICATE, everywhere=everywhere, labels=selector)
    ]
    if not entries:
        raise no_certificate(cluster, everywhere=everywhere, is_selected=bool(selector))
    text = _written(report_of(entries, now), output, cluster.namespace, options, reads_requests=requests is not None)
    write_file(output_file, text, is_private=options["contacts"])


def _written(found: Report, output: str, namespace: str, options: dict[str, Any], *, reads_requests: bool) -> str:
    everywhere, selector = options["all_namespaces"], options["selector"]
    if output == CSV:
        return as_csv(found)
    if output == JSON:
        return as_json(found, {"namespace": None if everywhere else namespace, "selector": selector or None})
    from clientcert.cli.report_html import Heading, as_html  # which imports jinja2: only a page needs it

    scope = "All namespaces" if everywhere else f"Namespace {namespace}"
    scope += f", labels {selector}" if selector else ""
    return as_html(
        found,
        Heading(
            title=printable(options["title"].strip() or _TITLE),
            scope=printable(scope),
            everywhere=everywhere,
            contacts=options["contacts"],
            reads_requests=reads_requests,
        ),
    )
