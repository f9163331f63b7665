"""The tests cover the whole schema, and the schema follows its conventions. No API server is needed."""

import pytest

from tests.deploy.cases import example_of, manifests
from tests.deploy.formats import FORMATS
from tests.deploy.renewal_rules import RENEWAL_RULES
from tests.deploy.rules import RULES
from tests.deploy.schema import Field, crd_files, crds, fields

FIELDS = fields()

TESTED_KEYWORDS = {
    *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "enum", "required", "default"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations"),
}
"""The keywords that cases.py generates cases for."""
STRUCTURE = {"type", "description", "properties", "items"}
STATUS_KEYWORDS = STRUCTURE | {
    *("maxLength", "maxItems", "required", "format", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}


def test_every_field_is_in_a_manifest() -> None:
    """Otherwise cases.py has no case for its bounds."""
    assert [str(field) for field in FIELDS if example_of(field) is None] == []


def test_every_keyword_of_the_schema_has_cases() -> None:
    """Before a `pattern` or a `multipleOf` is used, cases.py must support it."""
    untested = {
        f"{field}: {keyword}"
        for field in FIELDS
        for keyword in field.schema.keys() - TESTED_KEYWORDS - STRUCTURE
        if (keyword, field.schema[keyword]) not in {("format", "date"), ("format", "int64")}
    }
    assert untested == set()


def test_every_rule_has_accepted_and_refused_values() -> None:
    """Formats are in formats.py by their message, the others in the tables of rules by field and message."""
    declared = {(str(field), rule["message"]) for field in FIELDS for rule in field.rules}
    of_formats = {(field, message) for field, message in declared if message in FORMATS}
    rules = [*RULES, *RENEWAL_RULES]
    of_fields = {(rule.field, rule.message) for rule in rules}
    assert declared - of_formats == of_fields
    assert all(entry.accepted and entry.refused for entry in [*FORMATS.values(), *rules])
    assert FORMATS.keys() == {message for _, message in of_formats}


def test_equal_messages_mean_equal_rules() -> None:
    """So that a correction of a format is made in all places."""
    rules = {(rule["message"], rule["rule"]) for field in FIELDS for rule in field.rules}
    assert len(rules) == len({message for message, _ in rules})


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_every_field_is_described_and_bounded(field: Field) -> None:
    """`kubectl explain` describes it, and no object can become a megabyte large."""
    schema = field.schema
    assert schema.get("description", "").endswith((".", '"')) or field.path.endswith("[]")
    if schema["type"] == "string":
        assert "maxLength" in schema or "enum" in schema
    if schema["type"] == "array":
        assert {"maxItems", "x-kubernetes-list-type"} <= schema.keys()
    if schema["type"] == "integer" and not field.in_status:
        assert {"minimum", "maximum"} <= schema.keys() or "enum" in schema


@pytest.mark.parametrize("field", [field for field in FIELDS if field.in_status], ids=str)
def test_status_refuses_only_values_that_are_too_long(field: Field) -> None:
    """A refused status would be a notification without a record."""
    assert field.schema.keys() <= STATUS_KEYWORDS
    assert field.schema.get("format", "int64") == "int64"
    assert not field.required or field.path.endswith(("[].name", "[].type", "[].status"))


@pytest.mark.parametrize("kind", crds())
def test_every_kind_has_a_status_subresource_and_the_category(kind: str) -> None:
    spec = crds()[kind]["spec"]
    assert spec["names"]["categories"] == ["clientcert"]
    assert [version["subresources"] for version in spec["versions"]] == [{"status": {}}]


def test_every_crd_file_is_installed() -> None:
    folder = crd_files()[0].parent
    assert sorted(folder.glob("*.yaml")) == sorted([*crd_files(), folder / "kustomization.yaml"])


def test_manifests_are_of_our_kinds() -> None:
    assert {document["kind"] for document in manifests().values()} == crds().keys()
