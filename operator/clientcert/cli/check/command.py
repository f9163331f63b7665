"""The verb `check`: its options, its output and its exit code."""

from typing import Any

import click

from clientcert.cli import waiting
from clientcert.cli.check.finding import Check, Outcome
from clientcert.cli.check.folder import Folder, read_folder
from clientcert.cli.check.gathering import Gathering, Wanted
from clientcert.cli.check.manifests import Sorted, sort_documents
from clientcert.cli.check.operator_account import OperatorAccount
from clientcert.cli.check.report import counted, document, lines
from clientcert.cli.cluster import Cluster, Target, cluster_options, is_name
from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.output import JSON, TABLE
from clientcert.cli.scope import check_scope
from clientcert.cli.table import printable
from clientcert.cli.version import LEASE, NAMESPACE

_CHECKS = tuple(check.value for check in Check)
_KUSTOMIZATION = (
    "{files} not built: the manifests are read as they are. `kubectl kustomize DIR | clientcert check -` checks what is"
    " applied."
)


def _account(_: click.Context, __: click.Parameter, value: str | None) -> OperatorAccount | None:
    if value is None:
        return None
    namespace, _separator, name = value.partition(":")
    if not (is_name(namespace) and is_name(name)):
        raise click.BadParameter("must be namespace and name, such as clientcert-system:clientcert-operator")
    return OperatorAccount(namespace, name)


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(exists=True, allow_dash=True))
@click.option("-l", "--selector", default="", metavar="LABELS", help="Certificates with these labels; not with DIR.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of every namespace; not with DIR.")
@click.option(
    "--wait",
    callback=waiting.seconds,
    metavar="DURATION",
    help="The longest wait until an operator leads and has read all objects.",
)
@click.option(
    "--skip", multiple=True, type=click.Choice(_CHECKS), metavar="CHECK", help="A check to leave out; repeatable."
)
@click.option(
    "--operator-namespace", default=NAMESPACE, metavar="NS", help=f"That of the operator.  [default: {NAMESPACE}]"
)
@click.option("--lease", default=LEASE, metavar="NAME", help=f"The name of the installation.  [default: {LEASE}]")
@click.option(
    "--operator-service-account",
    "account",
    callback=_account,
    metavar="NS:NAME",
    help="[default: that of its Deployment]",
)
@click.option("-o", "--output", type=click.Choice([TABLE, JSON]), default=TABLE, help="[default: table]")
@cluster_options
@click.pass_context
def check(context: click.Context, /, target: Target, folder: str | None, output: str, **options: Any) -> None:
    """Find what will not work: in the manifests of DIR, or in the cluster.

    DIR is a folder, a file, or - for standard input. Nothing is changed. Manifests are sent as dry runs, with your
    rights. Values of Secrets are not shown. CHECK is one of versions, leader, rights, manifests, references, secrets,
    duplicates and conditions.

    Exits with 3 if something will not work, with 1 if a check could not be made.
    """
    everywhere, selector = options["all_namespaces"], options["selector"]
    check_scope(target, everywhere=everywhere)
    if folder is not None and (everywhere or selector):
        raise click.UsageError("with DIR give neither --all-namespaces nor --selector: its objects are checked")
    cluster, found = Cluster.connect(target), None if folder is None else read_folder(folder)
    wanted = Wanted(
        folder=_sorted(found, cluster.namespace) if found else None,
        everywhere=everywhere,
        selector=selector,
        skipped=frozenset(map(Check, options["skip"])),
        operator_namespace=options["operator_namespace"],
        lease=options["lease"],
        account=options["account"],
        wait_seconds=options["wait"],
    )
    gathering = Gathering(cluster, wanted, context.obj["now"])
    try:
        if wanted.wait_seconds:
            gathering.wait(context.obj["sleep"])
        outcome, objects = gathering.outcome()
    except AnswerIsNo as error:  # the refusal of a call that all checks need is no finding
        raise Failed(error.message) from None
    if output == JSON:
        click.echo(document(outcome, objects, list(options["skip"])))
    else:
        for line in lines(outcome, objects, with_namespaces=_has_several(wanted)):
            click.echo(line)
        if found and (files := found.kustomizations):
            named = f"{printable(files[0])} is" if len(files) == 1 else f"{len(files)} kustomizations are"
            click.echo(_KUSTOMIZATION.format(files=named), err=True)
    _end(outcome)


def _sorted(found: Folder, namespace: str) -> Sorted:
    """The documents of a folder; raises AnswerIsNo if none of them is ours: it may be the wrong folder."""
    result = sort_documents(found.documents, namespace)
    if not (result.manifests or result.findings or found.findings):
        raise AnswerIsNo("no manifest of clientcert.dev is there")
    return Sorted(result.manifests, result.declared, (*found.findings, *result.findings))


def _has_several(wanted: Wanted) -> bool:
    """True if objects of several namespaces are checked."""
    if wanted.folder is None:
        return wanted.everywhere
    return len({each.key.namespace for each in wanted.folder.manifests}) > 1


def _end(outcome: Outcome) -> None:
    """Raise AnswerIsNo if there is a fault, and Failed if a check could not be made."""
    missing = counted(len(outcome.not_made), "check could not be made", "checks could not be made")
    if outcome.faults:
        words = counted(len(outcome.faults), "finding", "findings")
        raise AnswerIsNo(f"{words}; {missing}" if outcome.not_made else words)
    if outcome.not_made:
        advice = "grant the rights" if all(each.right for each in outcome.not_made) else "see what each line says"
        raise Failed(f"nothing was found, but {missing}: {advice}, or leave the checks out with --skip")
