"""Hypothesis strategies for objects that a CRD's schema accepts, and for some that it refuses."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

CRDS = Path(__file__).resolve().parents[3] / "crds"
Schema = dict[str, Any]

TIMES = ("00:00", "09:00", "23:59")
ZONES = ("UTC", "Europe/London", "Nowhere/At_All", "Europe", "localtime", "Etc/GMT+12")
_KNOWN = {
    "time": st.sampled_from(TIMES),
    "timezone": st.sampled_from(ZONES),
    "sourceGrace": st.sampled_from(("0s", "2m", "1h30m", "24h")),
}
"""Fields that a CEL rule restricts more than their schema."""

garbage = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@cache
def spec_schema(plural: str) -> Schema:
    """The schema of the spec, from the first version of one of our kinds."""
    definition = yaml.safe_load((CRDS / f"{plural}.yaml").read_text(encoding="utf-8"))
    schema: Schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def admitted(schema: Schema, name: str = "") -> st.SearchStrategy[Any]:
    """Values that types, bounds and enums of the schema accept."""
    if name in _KNOWN:
        return _KNOWN[name]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            required = set(schema.get("required", ()))
            fields = {each: admitted(inner, each) for each, inner in schema.get("properties", {}).items()}
            optional = {each: strategy for each, strategy in fields.items() if each not in required}
            return st.fixed_dictionaries({each: fields[each] for each in required & set(fields)}, optional=optional)
        case "array":
            most = min(schema.get("maxItems", 3), 3)
            return st.lists(admitted(schema["items"]), min_size=schema.get("minItems", 0), max_size=most)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "boolean":
            return st.booleans()
    return st.text(max_size=min(schema.get("maxLength", 20), 20))


@st.composite
def partly_invalid(draw: st.DrawFn, sound: st.SearchStrategy[Any]) -> Any:
    """Values that the schema accepts, with arbitrary values in one or more fields."""
    spec = copy.deepcopy(draw(sound))
    for _ in range(draw(st.integers(1, 3))):
        inside = spec
        while isinstance(inside, (dict, list)) and inside:
            key = draw(st.sampled_from(sorted(inside) if isinstance(inside, dict) else range(len(inside))))
            if not isinstance(inside[key], (dict, list)) or not inside[key] or draw(st.booleans()):
                inside[key] = draw(garbage)
                break
            inside = inside[key]
    return spec
