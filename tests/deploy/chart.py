"""Releases of the chart as objects, and the settings that the operator would read in their pods."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from clientcert.settings import Settings, load_settings
from tools.helm import CHART, Helm

Object = dict[str, Any]
NAMESPACE, RELEASE = "clientcert-system", "clientcert-operator"
SECRETS = "/etc/clientcert/secrets"


def default_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


def objects_of(
    helm: Helm, values: Mapping[str, Any] | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE
) -> list[Object]:
    """Without the kinds, which take half of the time, unless the values have them."""
    text = helm.template(
        release=release, namespace=namespace, values=merged(nested("crds.enabled", False), values or {})
    )
    return loaded(text)


def loaded(text: str) -> list[Object]:
    """The documents that are not empty."""
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]


def only(objects: list[Object], kind: str, suffix: str = "") -> Object:
    """The one object of the kind, among those whose name ends with the suffix."""
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"].endswith(suffix)]
    return found


def container_of(objects: list[Object]) -> Object:
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return container


def environment_of(objects: list[Object], directory: Path) -> dict[str, str]:
    """The variables of the operator's container; its mounted Secret is written to the directory."""
    variables = dict(only(objects, "ConfigMap")["data"])
    for each in container_of(objects).get("env", []):
        variables[each["name"]] = each["value"].replace(SECRETS, str(directory))
    for secret in (each for each in objects if each["kind"] == "Secret"):
        for key, value in secret["data"].items():
            (directory / key).write_bytes(base64.b64decode(value))
    return variables


def settings_of(objects: list[Object], directory: Path) -> Settings:
    """The settings that the operator would have."""
    namespaces = tuple(
        each.removeprefix("--namespace=") for each in container_of(objects)["args"] if each.startswith("--namespace=")
    )
    return load_settings({"namespaces": namespaces}, environment_of(objects, directory))


def nested(path: str, value: Any) -> dict[str, Any]:
    """The values that `--set path=value` makes."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def merged(*values: Mapping[str, Any]) -> dict[str, Any]:
    """One of several values; the last one wins."""
    result: dict[str, Any] = {}
    for each in values:
        for key, value in each.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result
