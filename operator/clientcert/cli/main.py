"""The group that every verb belongs to.

A verb gets everything from outside through click's context object, a mapping that the composition root passes as
`cli(obj=...)`: `now`, a function that returns the time (aware UTC), and `sleep`, which waits for seconds. `run` is
added there as well, because it is in a layer above.
"""

from importlib import import_module

import click

from clientcert import __version__

_VERBS = {
    "approve": "Approve a request for a renewal.",
    "backup": "Write everything that has to be kept to one file.",
    "check": "Find what will not work, in manifests or in the cluster.",
    "contact": "Show and record the people behind a consumer.",
    "deny": "Deny a request for a renewal.",
    "export": "Write what is in the cluster as manifests, and the register as CSV.",
    "forecast": "Print what the operator will send, to whom and when.",
    "handed-over": "Say that the consumer has the certificate.",
    "import": "Write manifests for the certificates that are there already.",
    "inspect": "Show the client certificate in a file.",
    "list": "List certificates: the days left, and whether alerts are delivered.",
    "renew": "Ask for a renewal.",
    "report": "Write a page, CSV or JSON: what expires when, what is wrong.",
    "restore": "Create the objects of a backup, with their statuses.",
    "retire": "End the overlap: the replaced certificate is no longer accepted.",
    "retrieve": "Show a request, and collect its certificate.",
    "revoke": "Let a certificate no longer be accepted, at once.",
    "silence": "Stop alerts about one certificate until a time.",
    "vet": "Record that the consumer's identity was verified.",
    "status": "Show everything about one certificate, and what to do next.",
    "test-alert": "Send a test through every channel, and print what became of it.",
    "version": "Show the versions of the parts, and what differs.",
}
"""The verbs and their lines in the help of the group. Each is a module of this package, with a command of its name.

A hyphen in the name is an underscore in the module's.
"""
_MODULES = {"import": "import_manifests", "list": "list_certificates"}
"""Of a verb whose name means something in Python."""


class VerbsOnDemand(click.Group):
    """A group that imports a verb when it is called, so that no verb waits for the libraries of another."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb in `args` and import it. Shell completion uses this, too."""
        name, verb, rest = super().resolve_command(ctx, args)
        if name in _VERBS:
            module = _MODULES.get(name, name.replace("-", "_"))
            verb = getattr(import_module(f"clientcert.cli.{module}"), module)
        return name, verb, rest


@click.group(
    name="clientcert",
    cls=VerbsOnDemand,
    commands=[click.Command(name, short_help=line) for name, line in _VERBS.items()],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="clientcert")
def cli() -> None:
    """Look after the mTLS client certificates that were handed to consumers outside the cluster."""
