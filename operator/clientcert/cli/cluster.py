"""Access to the cluster for the verbs: by the kubeconfig that kubectl uses, with the rights of the caller.

The `kubernetes` package is imported only when a verb connects, so that the verbs without a cluster stay quick.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Self

import click

from clientcert.api.kinds import GROUP, VERSION, Kind
from clientcert.cli.table import printable

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api, CustomObjectsApi

Object = dict[str, Any]

_TIMEOUT_SECONDS = 30.0
"""Of each call."""
_PAGE = 500
_TRIES = 5
_FIELD_MANAGER = "clientcert"
_MERGE_PATCH = "application/merge-patch+json"
_LARGEST_CONFIG_MAP = 1_000_000
_LONGEST_ANSWER = 500
_LONGEST_NAME = 253
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NOT_FOUND, _CONFLICT, _GONE = 404, 409, 410
_REFUSALS = frozenset({401, 403, 404, 422})


class Failed(click.ClickException):
    """The call failed, and a retry may succeed: exit code 1."""

    exit_code = 1


class AnswerIsNo(click.ClickException):
    """The object does not exist, or the request was refused: exit code 3."""

    exit_code = 3


class NotFound(AnswerIsNo):
    """The object does not exist."""


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster and the namespace that a call is about."""

    context: str | None
    """A context of the kubeconfig; None: the current one."""
    namespace: str | None
    """None: that of the context."""


def cluster_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every verb that connects; the verb takes them as one argument, `target`."""

    @click.option("-n", "--namespace", metavar="NS", help="[default: that of the context]")
    @click.option("--context", "kube_context", metavar="NAME", help="A context of the kubeconfig.")
    @wraps(verb)
    def with_target(*args: Any, kube_context: str | None, namespace: str | None, **options: Any) -> None:
        verb(*args, target=Target(kube_context, namespace), **options)

    return with_target


class Cluster:
    """One namespace of a cluster. Every call raises AnswerIsNo or Failed with a message for the user."""

    def __init__(self, objects: "CustomObjectsApi", core: "CoreV1Api", namespace: str) -> None:
        self._objects = objects
        self._core = core
        self.namespace = _checked_name("namespace", namespace)

    @classmethod
    def connect(cls, target: Target) -> Self:
        """Connect to the cluster that the kubeconfig names."""
        import yaml
        from kubernetes import client, config

        logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings about retries are no output of a verb
        try:
            contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
            known = {each["name"]: each["context"].get("namespace") for each in contexts}
            name = target.context or current["name"]
            api = config.new_client_from_config(context=name)  # type: ignore[no-untyped-call]
        except (config.ConfigException, yaml.YAMLError, KeyError, TypeError, OSError) as error:
            message = "the kubeconfig cannot be used: set KUBECONFIG to a valid file, and --context to a context of it"
            raise Failed(f"{message} ({printable(str(error))[:_LONGEST_ANSWER]})") from None
        return cls(
            client.CustomObjectsApi(api), client.CoreV1Api(api), target.namespace or known.get(name) or "default"
        )

    def get(self, kind: Kind, name: str) -> Object:
        """One object."""
        _checked_name(kind.name, name)
        with _explain_errors(f"{kind.name} {name} in namespace {self.namespace}"):
            found: Any = self._objects.get_namespaced_custom_object(
                GROUP, VERSION, self.namespace, kind.plural, name, _request_timeout=_TIMEOUT_SECONDS
            )
            return dict(found)

    def find(self, kind: Kind, name: str) -> Object | None:
        """One object; None if it does not exist."""
        try:
            return self.get(kind, name)
        except NotFound:
            return None

    def list(self, kind: Kind, *, everywhere: bool = False) -> list[Object]:
        """All objects of the namespace, or of every namespace."""
        with _explain_errors(f"the list of {kind.plural}"):
            try:
                return [*self._pages(kind, everywhere=everywhere, limit=_PAGE)]
            except _api_exception() as error:
                if error.status != _GONE:
                    raise
                return [*self._pages(kind, everywhere=everywhere, limit=0)]  # the list expired before its last page

    def _pages(self, kind: Kind, *, everywhere: bool, limit: int) -> Iterator[Object]:
        more: dict[str, Any] = {"limit": limit, "_request_timeout": _TIMEOUT_SECONDS}
        while True:
            page: Any = (
                self._objects.list_cluster_custom_object(GROUP, VERSION, kind.plural, **more)
                if everywhere
                else self._objects.list_namespaced_custom_object(GROUP, VERSION, self.namespace, kind.plural, **more)
            )
            yield from page["items"]
            more["_continue"] = page["metadata"].get("continue")
            if not more["_continue"]:
                return

    def patch(self, kind: Kind, name: str, patch: Object) -> Object:
        """Apply a merge patch; the object after it."""
        _checked_name(kind.name, name)
        with _explain_errors(f"{kind.name} {name} in namespace {self.namespace}"):
            found: Any = self._objects.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                self.namespace,
                kind.plural,
                name,
                patch,
                field_manager=_FIELD_MANAGER,
                field_validation="Strict",
                _content_type=_MERGE_PATCH,
                _request_timeout=_TIMEOUT_SECONDS,
            )
            return dict(found)

    def config_map(self, name: str, namespace: str = "") -> Mapping[str, str] | None:
        """Its data; None if it does not exist or must not be read."""
        try:
            return self._config_map(name, namespace or self.namespace)[0]
        except AnswerIsNo:
            return None

    def change_config_map(self, name: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """Write the keys that `change` returns for the current data; create the ConfigMap if it does not exist.

        On a conflict with another writer, `change` is called again with the new data.
        """
        for _ in range(_TRIES):
            try:
                held, version = self._config_map(name, self.namespace)
            except NotFound:
                held, version = {}, ""
            changed = change(held)
            if not changed:
                return
            if sum(len(key) + len(value.encode()) for key, value in {**held, **changed}.items()) > _LARGEST_CONFIG_MAP:
                raise AnswerIsNo(f"ConfigMap {name} would exceed 1 MiB, the limit of Kubernetes: shorten the notes")
            if self._write(name, version, changed):
                return
        raise Failed(f"ConfigMap {name} was changed by others during each attempt to write it: try again")

    def _config_map(self, name: str, namespace: str) -> tuple[Mapping[str, str], str]:
        _checked_name("ConfigMap", name)
        with _explain_errors(f"ConfigMap {name} in namespace {namespace}"):
            found = self._core.read_namespaced_config_map(name, namespace, _request_timeout=_TIMEOUT_SECONDS)
            metadata = found.metadata
            return found.data or {}, (metadata.resource_version if metadata else None) or ""

    def _write(self, name: str, version: str, changed: Mapping[str, str]) -> bool:
        """Write the keys; False on a conflict with another writer."""
        options: dict[str, Any] = {"field_manager": _FIELD_MANAGER, "_request_timeout": _TIMEOUT_SECONDS}
        with _explain_errors(f"ConfigMap {name} in namespace {self.namespace}"):
            try:
                if version:
                    patch: Any = {"metadata": {"resourceVersion": version}, "data": dict(changed)}
                    self._core.patch_namespaced_config_map(
                        name, self.namespace, patch, _content_type=_MERGE_PATCH, **options
                    )
                else:
                    new: Any = {"metadata": {"name": name}, "data": dict(changed)}
                    self._core.create_namespaced_config_map(self.namespace, new, **options)
            except _api_exception() as error:
                if error.status != _CONFLICT:
                    raise
                return False
        return True


def _checked_name(what: str, name: str) -> str:
    """The name, if it is valid; raises click.UsageError otherwise. An invalid one could alter the path of a request."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise click.UsageError(
            f"{printable(name)!r} is not a valid name of a {what}: use lower-case letters, digits, '-' and '.'"
        )
    return name


def _api_exception() -> Any:
    from kubernetes.client.exceptions import ApiException

    return ApiException


@contextmanager
def _explain_errors(what: str) -> Iterator[None]:
    """Turn the exceptions of the client into one line for the user."""
    from urllib3.exceptions import HTTPError

    try:
        yield
    except _api_exception() as error:
        if error.status == _NOT_FOUND:
            raise NotFound(f"{what}: not found, or its kind is not installed (crds/)") from None
        message = f"{what}: the API server refuses: {_status_message(error)}"
        raise (AnswerIsNo(message) if error.status in _REFUSALS else Failed(message)) from None
    except (HTTPError, OSError) as error:
        raise Failed(f"{what}: the API server does not answer ({type(error).__name__})") from None


def _status_message(error: Any) -> str:
    """The message of the Status in the API server's response."""
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = f"{error.status} {error.reason}"
    return printable(str(message))[:_LONGEST_ANSWER]
