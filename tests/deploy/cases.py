"""Every bound, format and rule in crds/ as objects that must be accepted or refused.

The cases of bounds are generated from the schema, so a new bound is tested automatically. Those of rules come from the
tables in formats.py, rules.py and renewal_rules.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from tests.conftest import REPOSITORY
from tests.deploy.formats import FORMATS
from tests.deploy.renewal_rules import RENEWAL_RULES
from tests.deploy.rules import RULES
from tests.deploy.schema import REMOVED, Field, Steps, defaulted, edited, fields, locate, read, steps

ABSENT = "absent"


@dataclass(frozen=True)
class Case:
    """One object, and the expected result of the API server."""

    name: str
    document: dict[str, Any]
    where: Steps = ()
    """The changed place, if there is exactly one."""
    kept: Any = None
    """The expected value in that place, if the API server accepts the object."""
    refusal: tuple[str, ...] = ()
    """Parts of the error message; empty if the object is accepted."""
    base: str = ""
    """The stored manifest that is changed to this; empty if the object is created."""

    @property
    def part(self) -> str:
        return "status" if self.where[:1] == ("status",) else "spec"

    def __str__(self) -> str:
        return f"{self.name} {'refused' if self.refusal else 'accepted'}"


@cache
def manifests() -> dict[str, dict[str, Any]]:
    """The documents of manifests.yaml by name, in order."""
    documents = yaml.safe_load_all((REPOSITORY / "tests/deploy/manifests.yaml").read_text())
    return {document["metadata"]["name"]: document for document in documents}


def example_of(field: Field) -> tuple[dict[str, Any], Steps] | None:
    """The first manifest that has the field, and the place of the field."""
    for document in manifests().values():
        if document["kind"] == field.kind:
            for where in locate(document, field.path):
                return document, where
    return None


def all_cases() -> list[Case]:
    return [*_bound_cases(), *_format_cases(), *_rule_cases()]


def _bound_cases() -> Iterator[Case]:
    for field in fields():
        found = example_of(field)
        if found is None:
            continue  # test_completeness.py reports it
        document, where = found
        for keyword, value, *refusal in _bounds(field, read(document, where)):
            kept = defaulted(field.schema, field.schema.get("default") if value is REMOVED else value)
            base = document["metadata"]["name"] if field.in_status else ""
            name = f"{field} {keyword} {_shown(value)}"
            yield Case(name, edited(document, {where: value}), where, kept, tuple(refusal), base)


def _bounds(field: Field, value: Any) -> Iterator[tuple[Any, ...]]:
    """A keyword, a value, and parts of the error message if the value is refused."""
    schema = field.schema
    if (length := schema.get("maxLength")) is not None:
        yield "maxLength", _text(field, length)
        yield "maxLength", _text(field, length + 1), "Too long: may not be ", f" than {length}"  # more, or longer
    if (length := schema.get("minLength")) is not None:
        yield "minLength", _text(field, length)
        yield "minLength", _text(field, length - 1), f"should be at least {length} chars long"
    if (minimum := schema.get("minimum")) is not None:
        yield "minimum", minimum
        yield "minimum", minimum - 1, f"should be greater than or equal to {minimum}"
    if (maximum := schema.get("maximum")) is not None:
        yield "maximum", maximum
        yield "maximum", maximum + 1, f"should be less than or equal to {maximum}"
    if (most := schema.get("maxItems")) is not None:
        yield "maxItems", _items(field, value, most)
        yield "maxItems", _items(field, value, most + 1), f"must have at most {most} items"
    if (least := schema.get("minItems")) is not None:
        yield "minItems", value[:least]
        yield "minItems", value[: least - 1], f"should have at least {least} items"
    if schema.get("x-kubernetes-list-type") in {"set", "map"}:
        yield "unique", [value[0], value[0]], "Duplicate value"
    if "enum" in schema:
        yield "enum", value
        another = "Another" if schema["type"] == "string" else 1
        yield "enum", another, "Unsupported value", *map(str, schema["enum"])
    if schema.get("format") == "date":
        yield "date", "2028-02-29"
        yield "date", "2026-02-29", "must be of type date"
    if field.required:
        yield "required", REMOVED, "Required value"
    if "default" in schema:
        yield "default", REMOVED


def _text(field: Field, length: int) -> str:
    """A string of that length that violates no other rule of the schema."""
    if field.schema.get("format") == "date":
        return "2026-03-01".ljust(length, "1")
    formats = [FORMATS[rule["message"]] for rule in field.rules if rule["message"] in FORMATS]
    return formats[0].of_length(length) if formats else "x" * length


def _items(field: Field, value: list[Any], count: int) -> list[Any]:
    """This number of items, all different as far as the schema allows."""
    schema = field.schema["items"]
    if schema["type"] == "integer":
        return list(range(count))
    if keys := field.schema.get("x-kubernetes-list-map-keys"):
        return [value[0] | {keys[0]: f"item-{index}"} for index in range(count)]
    if schema["type"] == "string" and "enum" not in schema and field.schema["x-kubernetes-list-type"] == "set":
        return [f"{index}{value[0]}" for index in range(count)]
    return (value * count)[:count]


def _shown(value: Any) -> str:
    if value is REMOVED:
        return ABSENT
    if isinstance(value, list):
        return f"{len(value)} items"
    return str(len(value)) if isinstance(value, str) and len(value) > 10 else str(value)


def _format_cases() -> Iterator[Case]:
    for field in fields():
        found = example_of(field)
        for message in (rule["message"] for rule in field.rules if rule["message"] in FORMATS):
            if found is not None:
                yield from _format_cases_of(field, message, *found)


def _format_cases_of(field: Field, message: str, document: Mapping[str, Any], where: Steps) -> Iterator[Case]:
    for value in FORMATS[message].accepted:
        yield Case(f"{field} {value!a}", edited(document, {where: value}), where, value)
    for value in FORMATS[message].refused:
        yield Case(f"{field} {value!a}", edited(document, {where: value}), where, refusal=(message,))


def _rule_cases() -> Iterator[Case]:
    for rule in (*RULES, *RENEWAL_RULES):
        changes = [(*change, "") for change in rule.accepted] + rule.refused
        for number, (manifest, edits, words) in enumerate(changes, 1):
            document = edited(manifests()[manifest], {steps(path): value for path, value in edits.items()})
            name = f"{rule.field} [{rule.message[:40]}…] {number}"
            base = manifest if rule.on_update else ""
            yield Case(name, document, refusal=(words,) if words else (), base=base)
