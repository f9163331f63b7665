"""Print objects in the form that `-o` asks for."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import click

from clientcert.api.kinds import GROUP
from clientcert.cli.cluster import Object

TABLE, JSON, YAML, NAME = "table", "json", "yaml", "name"


def output_option(*more: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `-o`: a table for people, json with one object per line, yaml, name; and the forms of the verb."""
    forms = (*more, TABLE, JSON, YAML, NAME)
    return click.option("-o", "--output", type=click.Choice(forms), default=TABLE, help="[default: table]")


def print_objects(objects: Iterable[Object], output: str) -> None:
    """Print whole objects as json, yaml or name."""
    for each in map(_shown, objects):
        if output == NAME:
            click.echo(name_of(each))
        elif output == JSON:
            click.echo(json.dumps(each))
        else:
            from clientcert.cli.manifest_text import yaml_text

            click.echo("---\n" + yaml_text(each), nl=False)


def object_name(kind: str, name: str, group: str = GROUP) -> str:
    """The form `name`, as kubectl prints it."""
    return f"{kind.lower()}{group and '.'}{group}/{name}"


def name_of(found: Object) -> str:
    """The form `name` of an object of any group."""
    return object_name(found["kind"], found["metadata"]["name"], found["apiVersion"].rpartition("/")[0])


def _shown(found: Object) -> Object:
    """The object without managedFields, as kubectl shows it."""
    metadata = {name: value for name, value in found["metadata"].items() if name != "managedFields"}
    return {**found, "metadata": metadata}
