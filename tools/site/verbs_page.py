"""The page of the verbs: what `--help` of each prints."""

from collections.abc import Iterator

import click

from clientcert.cli.main import cli

_HEAD = """# Every verb and its options

What `--help` prints. [The command line](cli.md) shows the verbs at work, with their output and exit codes.
"""
_WIDTH = 78
"""As on a terminal of 80 columns."""


def verbs_page() -> str:
    """In the order of `clientcert --help`; a group comes before its verbs."""
    whole = click.Context(cli, info_name="clientcert", terminal_width=_WIDTH, **cli.context_settings)
    sections = (f"## {name}\n\n```console\n{usage}\n```\n" for name, usage in _helps(cli, whole))
    return "\n".join([_HEAD, *sections])


def _helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            _, verb, _ = command.resolve_command(context, [name])  # which imports it
            assert verb is not None
            yield from _helps(verb, click.Context(verb, context, name, terminal_width=_WIDTH, **verb.context_settings))
