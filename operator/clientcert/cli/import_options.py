"""The options that each kind of `clientcert import` has."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from clientcert.cli.cluster import Target, cluster_options

TABLE, JSON = "table", "json"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Their values, as they were given."""

    environment: str
    out: Path
    output: str
    contacts: Path | None
    ignored: Path | None
    ignored_reason: str | None
    ignored_until: str | None
    policy: str | None


def import_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add them, and those of every verb that connects; the verb takes the first ones as one argument, `options`."""

    @click.option("--environment", required=True, metavar="ENV", help="The environment of all of them, e.g. prod.")
    @click.option("--contacts", metavar="CSV", type=_FILE, help="A client list, as for `clientcert contact import`.")
    @click.option("--ignored", metavar="FILE", type=_FILE, help="Environment/consumer words, which become silences.")
    @click.option("--ignored-reason", metavar="WORDS", help="[default: on the ignore list of the former script]")
    @click.option("--ignored-until", metavar="TIME", help="RFC 3339, or 30d from now.  [default: 90d]")
    @click.option("--policy", metavar="NAME", help="The CertificatePolicy that they name.")
    @click.option(
        "--out",
        metavar="DIR",
        type=click.Path(path_type=Path),
        default=Path("clientcert-manifests"),
        show_default=True,
        help="Where they are written.",
    )
    @click.option(
        "-o",
        "--output",
        type=click.Choice((TABLE, JSON)),
        default=TABLE,
        help="json: one object per line.  [default: table]",
    )
    @cluster_options
    @wraps(verb)
    def with_options(*args: Any, target: Target, **given: Any) -> None:
        options = ImportOptions(**{name: given.pop(name) for name in ImportOptions.__dataclass_fields__})
        verb(*args, target=target, options=options, **given)

    return with_options
