"""A call of `clientcert check` against an API server in memory, which answers as a test says."""

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clientcert import __version__
from clientcert.api.kinds import GROUP, KINDS, VERSION
from clientcert.cli.api_server import ApiServer, Object
from clientcert.cli.check.finding import Check, Finding, Outcome
from clientcert.cli.check.folder import read_folder
from clientcert.cli.check.gathering import Gathering, Wanted
from clientcert.cli.check.known import Item
from clientcert.cli.check.manifests import Sorted, sort_documents
from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import ApiError
from clientcert.lifecycle.spec import ObjectKey
from clientcert.versions import VERSION_KEY
from tests.scenarios import API_VERSION, Manifest

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NAMESPACE = "team"
_BY_NAME = {kind.name: kind for kind in KINDS}
Answer = tuple[int, Object]
"""A status, and the content of the answer."""


class Server(ApiServer):
    """Has these objects; a dry run returns what was sent. `answer` may answer first."""

    def __init__(
        self, *objects: Manifest, answer: Callable[[str, str, Object], Answer | None] = lambda *_: None
    ) -> None:
        self.objects = [each | {"metadata": {"namespace": NAMESPACE} | each["metadata"]} for each in objects]
        self.answer = answer
        self.calls: list[tuple[str, str]] = []
        self.sent: list[Object] = []
        self.lease: Object | None = {"metadata": {"annotations": {VERSION_KEY: __version__}}}
        self.leads()

    def leads(self) -> None:
        assert self.lease is not None
        self.lease["spec"] = {"holderIdentity": "pod"}

    def call(
        self,
        method: str,
        path: str,
        content: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        media: tuple[str, str] = ("", ""),
    ) -> Object:
        self.calls.append((method, path.partition("?")[0]))
        status, found = self.answer(method, path, content or {}) or self._usual(method, path, content)
        if status != 200:
            raise ApiError(status, json.dumps(found).encode())
        return found

    def _usual(self, method: str, path: str, content: Object | None) -> Answer:
        if "accessreviews" in path:
            return 200, {"status": {"allowed": True}}
        if content is not None:
            self.sent.append(content)
            found = copy.deepcopy(content)
            found["metadata"].setdefault("generation", 1)
            return 200, found
        if path.startswith("/openapi"):
            group = ".".join([*reversed(GROUP.split(".")), VERSION])
            schemas = {f"{group}.{kind.name}": {"title": f"clientcert-operator/{__version__}"} for kind in KINDS}
            return 200, {"components": {"schemas": schemas}}
        if "/leases/" in path:
            return (200, self.lease) if self.lease else (404, {})
        if "/deployments/" in path:
            return 200, {"spec": {"template": {"spec": {"serviceAccountName": "operator"}}}}
        if "/secrets/" in path:
            return 200, {"metadata": {}, "data": {"tls.crt": "eA=="}}
        for kind in KINDS:
            if path.endswith(f"/{kind.plural}"):
                return 200, {"metadata": {}, "items": [each for each in self.objects if each["kind"] == kind.name]}
        return 404, {}


@dataclass
class Call:
    """One call of the verb."""

    server: Server
    folder: Path | None = None
    skip: Iterable[str] = ()
    wait: float = 0.0
    everywhere: bool = False
    now: Callable[[], datetime] = lambda: NOW
    objects: int = field(default=0, init=False)

    def gathering(self) -> Gathering:
        found = None
        if self.folder is not None:
            read = read_folder(str(self.folder))
            documents = sort_documents(read.documents, NAMESPACE)
            found = Sorted(documents.manifests, documents.declared, (*read.findings, *documents.findings))
        skipped, lease = frozenset(map(Check, self.skip)), "clientcert-operator"
        wanted = Wanted(found, self.everywhere, "", skipped, "clientcert-system", lease, None, self.wait)
        return Gathering(Cluster(self.server, NAMESPACE), wanted, self.now)

    def outcome(self) -> Outcome:
        outcome, self.objects = self.gathering().outcome()
        return outcome


def write(folder: Path, *documents: Manifest) -> Path:
    """The documents as one file, which replaces another one."""
    (folder / "all.json").write_text(
        "\n---\n".join(json.dumps({"apiVersion": API_VERSION} | each) for each in documents)
    )
    return folder


def applied(manifest: Manifest, *conditions: tuple[str, str], **more: Any) -> Manifest:
    """As it is in the cluster, of generation 1; conditions are type and reason, and False."""
    about = {"status": "False", "message": "words", "observedGeneration": 1}
    found = [{"type": of, "reason": reason} | about for of, reason in conditions]
    metadata = {"namespace": NAMESPACE, "generation": 1} | manifest["metadata"] | more
    return manifest | {"metadata": metadata} | ({"status": {"conditions": found}} if conditions else {})


def item(
    manifest: Manifest, *conditions: tuple[str, str], changed: bool = False, observed: int = 3, **status: Any
) -> Item:
    """An object of generation 3 that the operator has looked at; conditions are type and reason, and False."""
    about = {"status": "False", "message": "words", "observedGeneration": observed}
    found = [{"type": kind, "reason": reason} | about for kind, reason in conditions]
    applied = manifest | {
        "metadata": manifest["metadata"] | {"generation": 3},
        "status": {"conditions": found} | status,
    }
    key = ObjectKey(NAMESPACE, manifest["metadata"]["name"])
    return Item(_BY_NAME[manifest["kind"]], key, manifest, applied, changed=changed)


def reasons(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.subject.name, str(each.reason)) for each in findings]
