"""The writes of one call of a verb: sent to the API server, or only shown in a dry run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clientcert.cli.api_server import JSON, MERGE_PATCH, ApiServer, Object
from clientcert.cli.errors import CONFLICT, NOT_FOUND, ApiError
from clientcert.cli.git_manifest import git_manifest, merged

_WRITTEN = {"fieldManager": "clientcert", "fieldValidation": "Strict"}


class DryRun(StrEnum):
    """The values of `--dry-run`, those of kubectl."""

    NONE = "none"
    CLIENT = "client"
    """Nothing is sent; the object is made from the one in the cluster."""
    SERVER = "server"
    """The request is sent with dryRun=All: admission, defaults and rights apply, and nothing is stored."""


class Outcome(StrEnum):
    """The result of a write, in the words of kubectl."""

    CREATED = "created"
    PATCHED = "patched"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Written:
    """An object after a write."""

    content: Object
    outcome: Outcome


class Writes:
    """Makes the writes of one call, and keeps the objects. Every write raises ApiError, or an error of urllib3."""

    def __init__(self, dry_run: DryRun = DryRun.NONE, *, keeps: bool = True) -> None:
        """With `keeps`, the objects can be printed afterwards; those of a dry run always can."""
        self.dry_run = dry_run
        self._keeps = keeps or self.is_dry
        self._written: dict[str, Written] = {}

    @property
    def is_dry(self) -> bool:
        """True if nothing is stored."""
        return self.dry_run is not DryRun.NONE

    @property
    def written(self) -> Sequence[Written]:
        """The objects, in the order of their first writes."""
        return tuple(self._written.values())

    def planned(self, path: str) -> Object | None:
        """The object at this path as a dry run would have written it, so that a verb reads its own writes."""
        found = self._written.get(path) if self.is_dry else None
        return found.content if found else None

    def create(self, server: ApiServer, collection: str, new: Object) -> Object:
        """Create an object in the collection at this path."""
        path = f"{collection}/{new['metadata']['name']}"
        if self.dry_run is not DryRun.CLIENT:
            return self._keep(path, server.call("POST", collection, new, query=self._query), Outcome.CREATED)
        if _exists(server, path):
            raise ApiError(CONFLICT, b"")
        return self._keep(path, new, Outcome.CREATED)

    def patch(self, server: ApiServer, path: str, patch: Object) -> Object:
        """Apply a merge patch to the object at this path."""
        before = self._before(server, path) if self.is_dry else None
        if self.dry_run is DryRun.CLIENT and before is not None:
            after = merged(before, patch)
        else:
            after = server.call("PATCH", path, patch, query=self._query, media=(MERGE_PATCH, JSON))
        is_same = before is not None and git_manifest(before) == git_manifest(after)
        return self._keep(path, after, Outcome.UNCHANGED if is_same else Outcome.PATCHED)

    def leave(self, path: str, found: Object) -> None:
        """Keep an object that is as it should be; unchanged, unless an earlier write of this call has changed it."""
        written = self._written.get(path)
        self._keep(path, found, written.outcome if written else Outcome.UNCHANGED)

    @property
    def _query(self) -> Mapping[str, str]:
        return _WRITTEN | ({"dryRun": "All"} if self.is_dry else {})

    def _before(self, server: ApiServer, path: str) -> Object | None:
        """The object before a patch; None if the read fails where the patch, which is sent next, may succeed."""
        try:
            return server.call("GET", path)
        except ApiError:
            if self.dry_run is DryRun.CLIENT:
                raise
            return None

    def _keep(self, path: str, content: Object, outcome: Outcome) -> Object:
        if self._keeps:
            self._written[path] = Written(content, outcome)
        return content


def _exists(server: ApiServer, path: str) -> bool:
    try:
        server.call("GET", path)
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        return False
    return True
