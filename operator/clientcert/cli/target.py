"""The cluster that a call is about, and the options that name it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

import click

from clientcert.cli.completion import contexts, namespaces
from clientcert.cli.writes import Writes


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster and the namespace that a call is about, and in whose name it is made."""

    context: str | None = None
    """A context of the kubeconfig; None: the current one."""
    namespace: str | None = None
    """None: that of the context."""
    kubeconfig: str | None = None
    """None: KUBECONFIG, or `~/.kube/config`."""
    user: str | None = None
    """The user who is impersonated; None: nobody."""
    groups: tuple[str, ...] = ()
    writes: Writes = field(default_factory=Writes, compare=False)
    """Makes the writes of the call, or shows them."""

    @property
    def impersonated(self) -> tuple[tuple[str, str], ...]:
        """The headers of impersonation."""
        if self.user is None:
            return ()
        return ("Impersonate-User", self.user), *(("Impersonate-Group", each) for each in self.groups)


def connection_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where to connect, and as whom; the verb takes them as one argument, `target`."""

    @click.option(
        "--context", "kube_context", metavar="NAME", help="A context of the kubeconfig.", shell_complete=contexts
    )
    @click.option(
        "--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="[default: KUBECONFIG, or ~/.kube/config]"
    )
    @click.option("--as", "user", metavar="USER", help="Impersonate this user.")
    @click.option("--as-group", "groups", multiple=True, metavar="GROUP", help="With --as; repeatable.")
    @wraps(verb)
    def with_target(*args: Any, user: str | None, groups: tuple[str, ...], **options: Any) -> None:
        if groups and user is None:
            raise click.UsageError("--as-group needs --as")
        for each in (*(() if user is None else (user,)), *groups):
            if not (each.isascii() and each.isprintable() and each == each.strip()) or not each:
                raise click.UsageError("--as and --as-group take the name of a user and of a group, in ASCII")
        target = Target(options.pop("kube_context"), None, options.pop("kubeconfig"), user, groups)
        verb(*args, target=target, **options)

    return with_target


def cluster_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every verb that connects to a namespace; the verb takes them as one argument, `target`."""

    @click.option("-n", "--namespace", metavar="NS", help="[default: that of the context]", shell_complete=namespaces)
    @connection_options
    @wraps(verb)
    def with_namespace(*args: Any, target: Target, namespace: str | None, **options: Any) -> None:
        verb(*args, target=replace(target, namespace=namespace), **options)

    return with_namespace
