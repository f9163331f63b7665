"""`clientcert version`: the versions of this program, of the operator and of the kinds, and what differs."""

import json
from dataclasses import dataclass, replace
from typing import Any

import click

from clientcert import __version__
from clientcert.api.installed_kinds import OPENAPI_PATH, installed_versions
from clientcert.api.kinds import KINDS
from clientcert.cli.cluster import Cluster, Target, connection_options
from clientcert.cli.errors import AnswerIsNo, NotFound
from clientcert.cli.output import JSON, TABLE, YAML
from clientcert.cli.table import aligned, printable
from clientcert.versions import VERSION_KEY, Skew, skew, skew_of_all

NAMESPACE, LEASE = "clientcert-system", "clientcert-operator"
_UNKNOWN = "-"
_OLDER_KINDS = (
    "The kinds are older than {whose}: the API server drops the fields that they do not know.",
    "Apply the kinds of version {operator}, as docs/upgrade.md says.",
)
_NEWER_KINDS = (
    "The kinds are newer than {whose}: fields that it does not know have no effect.",
    "Upgrade {whose}. After a rollback that is to last, docs/upgrade.md says how the kinds go back.",
)
_OTHER_CLIENT = (
    "This program has another version than the operator: use clientcert {operator}, or its output may differ from what"
    " the operator does."
)
_NO_KINDS = "No kind is installed.", "Apply them, as docs/install.md says."
_MISSING_KINDS = "Some kinds are not installed.", "Apply the kinds of version {operator}, as docs/upgrade.md says."
_NO_LEASE = (
    "There is no Lease {lease} in namespace {namespace}: the operator has never led there, or runs without leader"
    " election. If it is installed elsewhere, give -n and --lease."
)
_NO_VERSION = "The Lease names no version: its last leader was older than version 0.1.0."


@dataclass(frozen=True, slots=True)
class Installed:
    """The versions in a cluster."""

    kinds: dict[str, str]
    """By plural: the version; empty if the kind has none. Kinds that are not installed are missing."""
    operator: str | None = None
    """The version in the Lease; empty if it has none, None if the Lease was not found or may not be read."""
    leader: str = ""
    """The holder of the Lease; empty: no replica leads now."""
    lease_problem: str = ""
    """The reason why the Lease may not be read."""


@click.command()
@click.option("--client", is_flag=True, help="This program only; no cluster is asked.")
@click.option("-o", "--output", type=click.Choice([TABLE, JSON, YAML]), default=TABLE, help="[default: table]")
@click.option("--lease", default=LEASE, metavar="NAME", help=f"The name of the installation.  [default: {LEASE}]")
@click.option(
    "-n", "--namespace", default=NAMESPACE, metavar="NS", help=f"That of the operator.  [default: {NAMESPACE}]"
)
@connection_options
def version(*, target: Target, client: bool, output: str, lease: str, namespace: str) -> None:
    """Show the versions of this program, of the operator and of the kinds.

    The operator's is in its Lease; those of the kinds may be read by everybody. Exits with 3 if they differ, or if a
    part is not installed, and says what to do.
    """
    if client:
        _show({"client": {"version": __version__}}, [("clientcert", __version__, "this program")], output)
        return
    found = _installed(Cluster.connect(replace(target, namespace=namespace)), lease)
    differences = differences_of(found, __version__, lease=lease, namespace=namespace)
    _show(_document(found, differences, lease=lease, namespace=namespace), _rows(found), output)
    if output == TABLE and found.lease_problem:
        click.echo(f"\nThe operator's version is not known: {found.lease_problem}")
    if differences:
        raise AnswerIsNo(" ".join(differences))


def differences_of(found: Installed, own: str, *, lease: str, namespace: str) -> list[str]:
    """A sentence for each difference, with what to do. If the operator's version is not known, `own` is compared."""
    operator = found.operator or own
    said = [
        _NO_LEASE if found.operator is None and not found.lease_problem else "",
        _NO_VERSION if found.operator == "" else "",
        _OTHER_CLIENT if skew(operator, own) else "",
        *(" ".join(each) for each in differences_of_kinds(found.kinds, operator).values()),
    ]
    fields = {"operator": printable(operator), "whose": whose_version(found.operator), "lease": lease}
    return [each.format(**fields, namespace=namespace) for each in said if each]


def whose_version(operator: str | None) -> str:
    """The program with which the kinds are compared, for messages; `operator` is the operator's version, if known."""
    return "the operator" if operator else "this program"


def differences_of_kinds(kinds: dict[str, str], operator: str) -> dict[Skew | None, tuple[str, str]]:
    """The difference between kinds and operator, and the advice, by the skew; None: some are missing.

    The texts may have the fields `operator` and `whose`, which says whose version that is.
    """
    found: dict[Skew | None, tuple[str, str]] = {}
    if any(kind.plural not in kinds for kind in KINDS):
        found[None] = _MISSING_KINDS if kinds else _NO_KINDS
    by_kinds = skew_of_all(list(kinds.values()), operator)
    if by_kinds is not Skew.NONE:
        found[by_kinds] = _OLDER_KINDS if by_kinds is Skew.OLDER else _NEWER_KINDS
    return found


def _installed(cluster: Cluster, lease: str) -> Installed:
    try:
        kinds = installed_versions(cluster.document(OPENAPI_PATH, "the OpenAPI document of the kinds"))
    except NotFound:
        kinds = {}
    try:
        found = cluster.lease(lease)
    except NotFound:
        return Installed(kinds)
    except AnswerIsNo as error:
        return Installed(kinds, lease_problem=error.message)
    annotations = found["metadata"].get("annotations") or {}
    leader = (found.get("spec") or {}).get("holderIdentity") or ""
    return Installed(kinds, annotations.get(VERSION_KEY, ""), leader)


def _rows(found: Installed) -> list[tuple[str, str, str]]:
    leads = f"{printable(found.leader)} leads" if found.leader else "no replica leads now"
    return [
        ("clientcert", __version__, "this program"),
        ("operator", printable(found.operator or _UNKNOWN), "" if found.operator is None else leads),
        *((each.plural, *_kind_cells(found, each.plural)) for each in KINDS),
    ]


def _kind_cells(found: Installed, plural: str) -> tuple[str, str]:
    if plural not in found.kinds:
        return _UNKNOWN, "not installed"
    return printable(found.kinds[plural]) or _UNKNOWN, "kind" if found.kinds[plural] else "kind without a version"


def _document(found: Installed, differences: list[str], *, lease: str, namespace: str) -> dict[str, Any]:
    return {
        "client": {"version": __version__},
        "operator": {
            "namespace": namespace,
            "lease": lease,
            "version": found.operator or None,
            "leader": found.leader or None,
            "problem": found.lease_problem or None,
        },
        "kinds": [{"name": each.plural, "version": found.kinds.get(each.plural)} for each in KINDS],
        "differences": differences,
    }


def _show(document: dict[str, Any], rows: list[tuple[str, str, str]], output: str) -> None:
    if output == JSON:
        click.echo(json.dumps(document))
    elif output == YAML:
        import yaml

        click.echo("---\n" + yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
    else:
        for line in aligned(("PART", "VERSION", "ABOUT"), rows):
            click.echo(line)
