"""The page of the kinds: each field of their specs, from the manifests in `crds/`.

Each can be linked to, as in `kinds.html#clientcertificate.spec.contact`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tools.render_deploy.kinds import CRDS

_HEAD = """# Kinds and their fields

Made of the kinds that are installed; `kubectl explain clientcertificate.spec` prints the same. What a status has is in
[the reference](reference.md#status-fields).
"""


def kinds_page() -> str:
    """In the order of `crds/kustomization.yaml`."""
    names = yaml.safe_load((CRDS / "kustomization.yaml").read_text())["resources"]
    return "\n".join([_HEAD, *(_section(yaml.safe_load((CRDS / name).read_text())["spec"]) for name in names)])


def _section(spec: Mapping[str, Any]) -> str:
    version = next(each for each in spec["versions"] if each["storage"])
    schema = version["schema"]["openAPIV3Schema"]
    fields = _fields(schema["properties"]["spec"])
    kind = spec["names"]["kind"]
    rows = [f"| {_name(kind, path)} | {_type(field)} | {_about(field)} |" for path, field in fields]
    head = f"## {kind}\n\n{_one_line(schema.get('description', ''))}\n\n"
    return head + "\n".join(["| field | type | meaning |", "|---|---|---|", *rows]) + "\n"


def _name(kind: str, path: str) -> str:
    """With the places where a long path may be broken."""
    anchor = f"{kind}.{path}".lower().replace("[]", "")
    return f'<code id="{anchor}">{path.replace(".", ".<wbr>")}</code>'


def _fields(schema: Mapping[str, Any], prefix: str = "spec.") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each field below an object, or below the items of a list, with its path."""
    for name, field in schema.get("properties", {}).items():
        yield prefix + name, field
        yield from _fields(field, f"{prefix}{name}.")
        yield from _fields(field.get("items", {}), f"{prefix}{name}[].")


def _type(field: Mapping[str, Any]) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "items" in field:
        return f"list of {_type(field['items'])}"
    return str(field.get("format") or field.get("type", ""))


def _about(field: Mapping[str, Any]) -> str:
    allowed = [f"`{each}`" for each in field.get("enum", field.get("items", {}).get("enum", []))]
    parts = [
        _one_line(field.get("description", "")),
        f"One of {', '.join(allowed)}." if allowed else "",
        f"Default: `{_shown(field['default'])}`." if "default" in field else "",
    ]
    return " ".join(filter(None, parts))


def _shown(default: object) -> str:
    """As a manifest has it."""
    return default if isinstance(default, str) and default else json.dumps(default)


def _one_line(text: str) -> str:
    """For a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
