"""Completion of the names of objects, of namespaces and of contexts, in the shell and as `kubectl clientcert`.

A shell waits for it, so it is given up after two seconds; and an error is no completion.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, ShellComplete

from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_RENEWAL, CLIENT_CERTIFICATE, Kind

if TYPE_CHECKING:
    from clientcert.cli.cluster import Cluster

Complete = Callable[[click.Context, click.Parameter, str], list[str]]

_SECONDS = 2.0
_NO_FILES, _FILES = 4, 0
"""The last line of an answer to kubectl (ShellCompDirective of cobra): may the shell complete names of files?"""


def _names_of(kind: Kind) -> Complete:
    """The names of the objects of this kind, in the namespace that the call names so far."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        with _within_seconds():
            return _beginning(_cluster(context).names(kind.collection), incomplete)
        return []

    return complete


certificates, requests = _names_of(CLIENT_CERTIFICATE), _names_of(CERTIFICATE_RENEWAL)
policies = _names_of(CERTIFICATE_POLICY)


def namespaces(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The namespaces of the cluster, if the caller may list them."""
    with _within_seconds():
        return _beginning(_cluster(context).names(lambda _: "/api/v1/namespaces"), incomplete)
    return []


def contexts(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The contexts of the kubeconfig."""
    from clientcert.cli.api_server import kubeconfig_path
    from clientcert.kube.kubeconfig import context_names

    with _within_seconds():
        return _beginning(context_names(kubeconfig_path(context.params.get("kubeconfig"))), incomplete)
    return []


def for_kubectl(program: click.Command, words: Sequence[str], obj: Any) -> None:
    """Print what may follow these words, of which the last one is incomplete, as kubectl asks a plugin."""
    *before, incomplete = words or ("",)
    found: list[CompletionItem] = []
    with suppress(Exception):
        found = ShellComplete(program, {"obj": obj}, "clientcert", "").get_completions(before, incomplete)
    named = [each for each in found if each.type == "plain"]
    for each in named:
        sys.stdout.write(f"{each.value}\t{each.help}\n" if each.help else f"{each.value}\n")
    sys.stdout.write(f":{_FILES if len(named) < len(found) else _NO_FILES}\n")


def _cluster(context: click.Context) -> "Cluster":
    """The cluster that the options of the call name so far."""
    from clientcert.cli.cluster import Cluster, Target

    given = context.params
    groups = tuple(given.get("groups") or ())
    connection = (given.get("kube_context"), given.get("namespace"), given.get("kubeconfig"), given.get("user"), groups)
    return Cluster.connect(Target(*connection), may_ask=False)


def _beginning(names: Sequence[str], incomplete: str) -> list[str]:
    return [each for each in names if each.startswith(incomplete) and each.isprintable()]


@contextmanager
def _within_seconds() -> Iterator[None]:
    """End the block when the time is over, or with any error: a credential plugin may hang as well as a server."""

    def give_up(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        with suppress(Exception):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
