"""The options of every verb that writes to the cluster, and what it prints."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import click

from clientcert.cli.cluster import Target, cluster_options
from clientcert.cli.git_manifest import git_manifest
from clientcert.cli.output import TABLE, name_of, output_option, print_objects
from clientcert.cli.writes import DryRun, Writes

_MARKS = {DryRun.CLIENT: " (dry run)", DryRun.SERVER: " (server dry run)"}
_DRY_RUN = "--dry-run"


class WritingCommand(click.Command):
    """The class of every verb with `write_options`: `--dry-run` takes a value after `=` only, as with kubectl.

    Click would take the next word as the value, which may be the verb's argument.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare `--dry-run` its value; words after `--` are no options."""
        return super().parse_args(ctx, with_value(args))


def with_value(args: Sequence[str]) -> list[str]:
    """The words of a call, with the value of each bare `--dry-run`."""
    end = args.index("--") if "--" in args else len(args)
    options = [f"{_DRY_RUN}={DryRun.CLIENT}" if each == _DRY_RUN else each for each in args[:end]]
    return [*options, *args[end:]]


class PlanLine(str):
    """A line that a verb yields after a write, and that is true in a dry run, too."""

    __slots__ = ()


def write_options(verb: Callable[..., Iterable[str]]) -> Callable[..., None]:
    """Add `--dry-run`, `-o` and the options of a connection to a verb that yields its lines for people.

    In a dry run the lines after a write would not be true, so they are left out, except for each PlanLine; with `-o`
    all are. A verb that asks takes `yes`. The class of the command is WritingCommand.
    """

    @wraps(verb)
    def writing(*args: Any, target: Target, dry_run: DryRun, output: str, **options: Any) -> None:
        writes = Writes(dry_run, keeps=output != TABLE)
        if output != TABLE and not (options.get("yes", True) or writes.is_dry):
            raise click.UsageError("-o needs --yes or --dry-run: what is asked would be among the objects")
        try:
            for line in verb(*args, target=replace(target, writes=writes), **options):
                if output == TABLE and (isinstance(line, PlanLine) or not (writes.is_dry and writes.written)):
                    click.echo(line)
        finally:
            _print(writes, output)

    return _dry_run_option(output_option()(cluster_options(writing)))


def _print(writes: Writes, output: str) -> None:
    if output != TABLE:
        shown = git_manifest if writes.is_dry else dict
        print_objects((shown(each.content) for each in writes.written), output)
    elif writes.is_dry:
        for each in writes.written:
            click.echo(f"{name_of(each.content)} {each.outcome}{_MARKS[writes.dry_run]}")


def _dry_run_option(verb: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        _DRY_RUN,
        metavar="[=client|server]",
        type=click.Choice([each.value for each in DryRun]),
        callback=lambda _, __, value: DryRun(value),
        is_flag=False,
        flag_value=DryRun.CLIENT.value,
        default=DryRun.NONE.value,
        help="Write nothing; -o yaml shows the manifest. server: checked by the API server.",
    )(verb)
