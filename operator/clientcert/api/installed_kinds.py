"""The versions of the installed kinds, from the OpenAPI document that the API server publishes.

Every authenticated user may read it, as kubectl does. The right to read CustomResourceDefinitions would belong to no
namespace, and an operator that serves some namespaces has no such right.
"""

from collections.abc import Mapping
from typing import Any

from clientcert.api.kinds import API_VERSION, GROUP, KINDS, VERSION
from clientcert.versions import version_in

OPENAPI_PATH = f"/openapi/v3/apis/{API_VERSION}"
_SCHEMA_PREFIX = ".".join([*reversed(GROUP.split(".")), VERSION])


def installed_versions(document: Mapping[str, Any]) -> dict[str, str]:
    """By plural: the version of each installed kind; empty for one without a version. Other kinds are missing."""
    schemas = (document.get("components") or {}).get("schemas") or {}
    found = {kind.plural: schemas.get(f"{_SCHEMA_PREFIX}.{kind.name}") for kind in KINDS}
    return {plural: version_in(schema.get("title") or "") for plural, schema in found.items() if schema is not None}
