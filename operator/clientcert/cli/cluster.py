"""Access to the cluster for the verbs: by the kubeconfig that kubectl uses, with the rights of the caller."""

from collections.abc import Callable, Iterator, Mapping
from typing import Self

import click

from clientcert.api.kinds import OBJECT_NAME, Kind
from clientcert.cli.api_server import JSON, ApiServer, Object, connection_of
from clientcert.cli.errors import (
    CONFLICT,
    GONE,
    AlreadyExists,
    AnswerIsNo,
    ApiError,
    Failed,
    NotFound,
    explain_errors,
)
from clientcert.cli.table import printable
from clientcert.cli.target import Target, cluster_options, connection_options
from clientcert.cli.writes import Writes

__all__ = [
    "Cluster",
    "Object",
    "Target",
    "checked_name",
    "cluster_options",
    "connection_options",
    "is_name",
    "secrets_path",
]

_PAGE, _PAGE_OF_SECRETS = 500, 50
"""A Secret may have 1 MiB."""
_TRIES = 5
_AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_NAMES_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
_SECRETS_OF_PEOPLE = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token"
_LARGEST_CONFIG_MAP = 1_000_000
_LONGEST_NAME = 253


class Cluster:
    """One namespace of a cluster. Every call raises AnswerIsNo or Failed with a message for the user."""

    def __init__(self, server: ApiServer, namespace: str, writes: Writes | None = None) -> None:
        self._server = server
        self._writes = writes or Writes()
        self.namespace = checked_name("namespace", namespace)

    @classmethod
    def connect(cls, target: Target, *, may_ask: bool = True) -> Self:
        """Connect to the cluster that the kubeconfig names, or to that of the pod.

        With `may_ask`, a credential plugin may ask the user, and calls are retried.
        """
        connection = connection_of(target.kubeconfig, target.context, may_ask=may_ask)
        namespace = target.namespace or connection.namespace or "default"
        server = ApiServer(connection, target.impersonated or connection.impersonated, retries=may_ask)
        return cls(server, namespace, target.writes)

    def within(self, namespace: str) -> "Cluster":
        """Another namespace of the same cluster."""
        return Cluster(self._server, namespace, self._writes)

    def user(self) -> str:
        """The name under which the API server knows the caller."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        with explain_errors("the question who you are"):
            found = self._server.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
            return str(found["status"]["userInfo"]["username"])

    def document(self, path: str, what: str) -> Object:
        """The JSON document at a path of the API server; `what` names it in messages."""
        if (planned := self._writes.planned(path)) is not None:
            return planned
        with explain_errors(what):
            return self._server.call("GET", path)

    def send(self, method: str, path: str, content: Object, what: str, media: str = JSON) -> Object:
        """Send a document to a path of the API server; `what` names it in messages, `media` is its type."""
        with explain_errors(what):
            return self._server.call(method, path, content, media=(media, JSON))

    def lease(self, name: str) -> Object:
        """A Lease."""
        checked_name("Lease", name)
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{name}"
        return self.document(path, f"Lease {name} in namespace {self.namespace}")

    def get(self, kind: Kind, name: str) -> Object:
        """One object."""
        return self.document(self._path(kind, name), self._called(kind, name))

    def find(self, kind: Kind, name: str) -> Object | None:
        """One object; None if it does not exist. The right to list is enough, which is all that the operator has."""
        try:
            return self.get(kind, name)
        except NotFound:
            return None
        except AnswerIsNo:
            found = self.document(kind.named(self.namespace, name), self._called(kind, name))["items"]
            return dict(found[0]) if found else None

    def list(self, kind: Kind, *, everywhere: bool = False, labels: str = "", fields: str = "") -> list[Object]:
        """All objects of the namespace, or of every namespace, that the two selectors match."""
        path, query = kind.collection("" if everywhere else self.namespace), _selectors(labels, fields)
        with explain_errors(f"the list of {kind.plural}"):
            try:
                pages = [*self._pages(path, query | {"limit": str(_PAGE)})]
            except ApiError as error:
                if error.status != GONE:
                    raise
                pages = [*self._pages(path, query)]  # the list expired before its last page
        return [item for page in pages for item in page["items"]]

    def each(self, kind: Kind, *, everywhere: bool = False, labels: str = "", fields: str = "") -> Iterator[Object]:
        """The same objects one after the other, of which a page is held at a time.

        If the list expires meanwhile, the rest is as it is by then.
        """
        query = _selectors(labels, fields) | {"limit": str(_PAGE)}
        with explain_errors(f"the list of {kind.plural}"):
            for page in self._pages(kind.collection("" if everywhere else self.namespace), query, goes_on=True):
                yield from page["items"]

    def _pages(
        self, path: str, query: Mapping[str, str], accept: str = JSON, *, goes_on: bool = False
    ) -> Iterator[Object]:
        """With `goes_on`, a list that expires is continued with the objects as they are by then."""
        more: dict[str, str] = {}
        while True:
            try:
                page = self._server.call("GET", path, query={**query, **more}, media=(JSON, accept))
            except ApiError as error:
                token = error.continue_token if goes_on else ""
                if not token or token == more.get("continue"):
                    raise
                more["continue"] = token
                continue
            yield page
            more["continue"] = page["metadata"].get("continue", "")
            if not more["continue"]:
                return

    def tables(self, kind: Kind, *, everywhere: bool = False, labels: str = "") -> Iterator[Object]:
        """The pages of the server's Table: the columns of `kubectl get`, in a third of the time of whole objects.

        If the list expires meanwhile, the rest is as it is by then. Rows have metadata only with `everywhere`.
        """
        query = _selectors(labels, "") | {"limit": str(_PAGE), "includeObject": "Metadata" if everywhere else "None"}
        with explain_errors(f"the list of {kind.plural}"):
            path = kind.collection("" if everywhere else self.namespace)
            yield from self._pages(path, query, _AS_TABLE, goes_on=True)

    def secrets(self, *, everywhere: bool = False, labels: str = "") -> Iterator[Object]:
        """The Secrets with their content, page by page, without those that are Helm's or of ServiceAccounts."""
        path = secrets_path("" if everywhere else self.namespace)
        query = _selectors(labels, _SECRETS_OF_PEOPLE) | {"limit": str(_PAGE_OF_SECRETS)}
        with explain_errors("the list of secrets"):
            for page in self._pages(path, query, goes_on=True):
                yield from page["items"] or ()

    def names(self, collection: Callable[[str], str]) -> tuple[str, ...]:
        """The names in a collection, whose path `collection` returns for the namespace."""
        with explain_errors("the list of names"):
            pages = [*self._pages(collection(self.namespace), {"limit": str(_PAGE)}, _NAMES_ONLY)]
        return tuple(each["metadata"]["name"] for page in pages for each in page["items"] or ())

    def events(self, kind: Kind, name: str) -> tuple[Object, ...]:
        """The Events about one object."""
        fields = f"involvedObject.kind={kind.name},involvedObject.name={checked_name(kind.name, name)}"
        with explain_errors(f"the Events about {self._called(kind, name)}"):
            path = f"/api/v1/namespaces/{self.namespace}/events"
            return tuple(self._server.call("GET", path, query=_selectors("", fields))["items"])

    def create(self, kind: Kind, new: Object) -> Object:
        """Create an object; raises AlreadyExists."""
        return self._create(kind.collection(self.namespace), self._called(kind, new["metadata"]["name"]), new)

    def create_config_map(self, new: Object) -> Object:
        """Create a ConfigMap; raises AlreadyExists."""
        called = f"ConfigMap {new['metadata']['name']} in namespace {self.namespace}"
        return self._create(_config_map_path(self.namespace), called, new)

    def _create(self, collection: str, called: str, new: Object) -> Object:
        checked_name(new["kind"], new["metadata"]["name"])
        new = new | {"metadata": new["metadata"] | {"namespace": self.namespace}}
        with explain_errors(called):
            try:
                return self._writes.create(self._server, collection, new)
            except ApiError as error:
                if error.status == CONFLICT:
                    raise AlreadyExists(f"{called}: exists already") from None
                raise

    def patch(self, kind: Kind, name: str, patch: Object) -> Object:
        """Apply a merge patch; the object after it. Raises Conflict if the patch names an old resourceVersion."""
        path = self._path(kind, name)
        with explain_errors(self._called(kind, name)):
            return self._writes.patch(self._server, path, patch)

    def leave(self, kind: Kind, found: Object) -> None:
        """Print an object that is as it should be, where those are printed that were written."""
        self._writes.leave(self._path(kind, found["metadata"]["name"]), found)

    def config_map(self, name: str, namespace: str = "") -> Mapping[str, str] | None:
        """Its data; None if it does not exist or must not be read."""
        try:
            return self.whole_config_map(name, namespace).get("data") or {}
        except AnswerIsNo:
            return None

    def change_config_map(self, name: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """Write the keys that `change` returns for the current data; create the ConfigMap if it does not exist.

        On a conflict with another writer, `change` is called again with the new data.
        """
        for _ in range(_TRIES):
            try:
                found = self.whole_config_map(name)
            except NotFound:
                found = {}
            held = found.get("data") or {}
            changed = change(held)
            if not changed:
                if found:
                    self._writes.leave(_config_map_path(self.namespace, name), found)
                return
            if sum(len(key) + len(value.encode()) for key, value in {**held, **changed}.items()) > _LARGEST_CONFIG_MAP:
                raise AnswerIsNo(f"ConfigMap {name} would exceed 1 MiB, the limit of Kubernetes: shorten the notes")
            if self._write(name, found, changed):
                return
        raise Failed(f"ConfigMap {name} was changed by others during each attempt to write it: try again")

    def whole_config_map(self, name: str, namespace: str = "") -> Object:
        """The object; raises NotFound."""
        checked_name("ConfigMap", name)
        namespace = namespace or self.namespace
        return self.document(_config_map_path(namespace, name), f"ConfigMap {name} in namespace {namespace}")

    def _write(self, name: str, found: Object, changed: Mapping[str, str]) -> bool:
        """Write the keys; False on a conflict with another writer."""
        with explain_errors(f"ConfigMap {name} in namespace {self.namespace}"):
            try:
                if found:
                    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
                    patch = {"metadata": version, "data": dict(changed)}
                    self._writes.patch(self._server, _config_map_path(self.namespace, name), patch)
                else:
                    metadata = {"name": name, "namespace": self.namespace}
                    new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(changed)}
                    self._writes.create(self._server, _config_map_path(self.namespace), new)
            except ApiError as error:
                if error.status != CONFLICT:
                    raise
                return False
        return True

    def _path(self, kind: Kind, name: str) -> str:
        return kind.item(self.namespace, checked_name(kind.name, name))

    def _called(self, kind: Kind, name: str) -> str:
        return f"{kind.name} {name} in namespace {self.namespace}"


def secrets_path(namespace: str) -> str:
    """The path of all Secrets in a namespace (empty: in all namespaces)."""
    return f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"


def _config_map_path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}


def is_name(name: str) -> bool:
    """True if an object can have this name. Another one could alter the path of a request."""
    return len(name) <= _LONGEST_NAME and bool(OBJECT_NAME.fullmatch(name))


def checked_name(what: str, name: str) -> str:
    """The name, if it is valid; raises click.UsageError otherwise."""
    if not is_name(name):
        raise click.UsageError(
            f"{printable(name)!r} is not a valid name of a {what}: use lower-case letters, digits, '-' and '.'"
        )
    return name
