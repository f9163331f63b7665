"""Access to the cluster for the verbs: by the kubeconfig that kubectl uses, with the rights of the caller.

The `kubernetes` package is imported only when a verb connects, so that the verbs without a cluster stay quick. The
image does not have it: the operator has a client of its own, and there is no kubeconfig in a pod.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Self

import click

from clientcert.api.kinds import GROUP, VERSION, Kind
from clientcert.cli.errors import (
    CONFLICT,
    GONE,
    LONGEST_ANSWER,
    AlreadyExists,
    AnswerIsNo,
    Failed,
    NotFound,
    api_exception,
    explain_errors,
)
from clientcert.cli.table import printable

if TYPE_CHECKING:
    from kubernetes.client import AuthenticationV1Api, CoreV1Api, CustomObjectsApi

Object = dict[str, Any]

_TIMEOUT_SECONDS = 30.0
"""Of each call."""
_PAGE = 500
_TRIES = 5
_OK = 200
_FIELD_MANAGER = "clientcert"
_MERGE_PATCH = "application/merge-patch+json"
_LARGEST_CONFIG_MAP = 1_000_000
_LONGEST_NAME = 253
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


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

    def __init__(
        self, objects: "CustomObjectsApi", core: "CoreV1Api", users: "AuthenticationV1Api", namespace: str
    ) -> None:
        self._objects = objects
        self._core = core
        self._users = users
        self.namespace = _checked_name("namespace", namespace)

    @classmethod
    def connect(cls, target: Target) -> Self:
        """Connect to the cluster that the kubeconfig names."""
        import yaml

        try:
            from kubernetes import client, config
        except ImportError:
            raise Failed(
                "this verb needs the Python package kubernetes, which is not installed here: "
                "install clientcert-operator with its extra `cli`"
            ) from None
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings about retries are no output of a verb
        try:
            contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
            known = {each["name"]: each["context"].get("namespace") for each in contexts}
            name = target.context or current["name"]
            api = config.new_client_from_config(context=name)  # type: ignore[no-untyped-call]
        except (config.ConfigException, yaml.YAMLError, KeyError, TypeError, OSError) as error:
            message = "the kubeconfig cannot be used: set KUBECONFIG to a valid file, and --context to a context of it"
            raise Failed(f"{message} ({printable(str(error))[:LONGEST_ANSWER]})") from None
        namespace = target.namespace or known.get(name) or "default"
        return cls(client.CustomObjectsApi(api), client.CoreV1Api(api), client.AuthenticationV1Api(api), namespace)

    def within(self, namespace: str) -> "Cluster":
        """Another namespace of the same cluster."""
        return Cluster(self._objects, self._core, self._users, namespace)

    def user(self) -> str:
        """The name under which the API server knows the caller."""
        review: Any = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        with explain_errors("the question who you are"):
            found: Any = self._users.create_self_subject_review(review, _request_timeout=_TIMEOUT_SECONDS)
            return str(found.status.user_info.username)

    def document(self, path: str, what: str) -> Object:
        """The JSON document at a path of the API server; `what` names it in messages."""
        api = self._objects.api_client
        login = {each["key"]: each["value"] for each in api.configuration.auth_settings().values()}
        headers = {"Accept": "application/json", **login}
        with explain_errors(what):
            address = f"{api.configuration.host}{path}"
            answer = api.rest_client.pool_manager.request(
                "GET", address, headers=headers, timeout=_TIMEOUT_SECONDS, redirect=False
            )
            if answer.status != _OK:
                raise api_exception()(http_resp=answer)
            return dict(json.loads(answer.data))

    def lease(self, name: str) -> Object:
        """A Lease."""
        _checked_name("Lease", name)
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{name}"
        return self.document(path, f"Lease {name} in namespace {self.namespace}")

    def get(self, kind: Kind, name: str) -> Object:
        """One object."""
        _checked_name(kind.name, name)
        with explain_errors(f"{kind.name} {name} in namespace {self.namespace}"):
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

    def list(self, kind: Kind, *, everywhere: bool = False, labels: str = "", fields: str = "") -> list[Object]:
        """All objects of the namespace, or of every namespace, that the two selectors match."""
        selectors = {"label_selector": labels, "field_selector": fields}
        selected = {name: selector for name, selector in selectors.items() if selector}
        with explain_errors(f"the list of {kind.plural}"):
            try:
                return [*self._pages(kind, everywhere, limit=_PAGE, **selected)]
            except api_exception() as error:
                if error.status != GONE:
                    raise
                return [*self._pages(kind, everywhere, limit=0, **selected)]  # the list expired before its last page

    def _pages(self, kind: Kind, everywhere: bool, **more: Any) -> Iterator[Object]:
        more["_request_timeout"] = _TIMEOUT_SECONDS
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

    def create(self, kind: Kind, new: Object) -> Object:
        """Create an object; raises AlreadyExists."""
        name = _checked_name(kind.name, new["metadata"]["name"])
        with explain_errors(f"{kind.name} {name} in namespace {self.namespace}"):
            try:
                found: Any = self._objects.create_namespaced_custom_object(
                    GROUP,
                    VERSION,
                    self.namespace,
                    kind.plural,
                    new,
                    field_manager=_FIELD_MANAGER,
                    field_validation="Strict",
                    _request_timeout=_TIMEOUT_SECONDS,
                )
            except api_exception() as error:
                if error.status == CONFLICT:
                    raise AlreadyExists(f"{kind.name} {name} in namespace {self.namespace}: exists already") from None
                raise
            return dict(found)

    def patch(self, kind: Kind, name: str, patch: Object) -> Object:
        """Apply a merge patch; the object after it. Raises Conflict if the patch names an old resourceVersion."""
        _checked_name(kind.name, name)
        with explain_errors(f"{kind.name} {name} in namespace {self.namespace}"):
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
        with explain_errors(f"ConfigMap {name} in namespace {namespace}"):
            found = self._core.read_namespaced_config_map(name, namespace, _request_timeout=_TIMEOUT_SECONDS)
            metadata = found.metadata
            return found.data or {}, (metadata.resource_version if metadata else None) or ""

    def _write(self, name: str, version: str, changed: Mapping[str, str]) -> bool:
        """Write the keys; False on a conflict with another writer."""
        options: dict[str, Any] = {"field_manager": _FIELD_MANAGER, "_request_timeout": _TIMEOUT_SECONDS}
        with explain_errors(f"ConfigMap {name} in namespace {self.namespace}"):
            try:
                if version:
                    patch: Any = {"metadata": {"resourceVersion": version}, "data": dict(changed)}
                    self._core.patch_namespaced_config_map(
                        name, self.namespace, patch, _content_type=_MERGE_PATCH, **options
                    )
                else:
                    new: Any = {"metadata": {"name": name}, "data": dict(changed)}
                    self._core.create_namespaced_config_map(self.namespace, new, **options)
            except api_exception() as error:
                if error.status != CONFLICT:
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
