"""Finds the certificates of a bucket, by the keys of its objects."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from clientcert.api.discovery import KeyPattern, key_problem, origin_of
from clientcert.cli.aws_bucket import REQUESTS_AT_ONCE, AwsBucket, AwsOptions
from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.import_candidate import Candidate, Findings
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.import_stores import NewStore, check_bucket, known_stores
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.cli.table import cut, printable
from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.source_place import server_of
from clientcert.lifecycle.spec import Bucket, ObjectKey, S3Source

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class BucketSearch:
    """The search of `clientcert import s3`."""

    bucket: str
    store: str
    pattern: KeyPattern
    aws: AwsOptions
    credentials_secret: str | None
    """If the CertificateStore is written, too: the Secret that it names."""

    def find(self, cluster: Cluster, request: ImportRequest, directory: ManifestDirectory) -> Findings:
        """Look at every object whose key matches. Raises AnswerIsNo and Failed."""
        namespace, stores = cluster.namespace, known_stores(cluster, directory, self.store)
        key = ObjectKey(namespace, self.store)
        declared = stores.get(key)
        if declared is not None:
            check_bucket(key, declared, self.bucket)
        bucket = AwsBucket.open(declared or Bucket(self.bucket), self.aws, self.store)
        if declared is not None:
            _check_server(key, declared, bucket)
        prefix = declared.prefix if declared else ""
        keys = _Keys(self.pattern, prefix).add(bucket.keys(self.pattern.listed(prefix)))
        found = self._read(bucket, [self._candidate(namespace, *each) for each in keys.matching], request)
        found += [self._missing(namespace, *each) for each in keys.folders_without]
        held = directory.stores().get(key)
        new = self._new_store(key, bucket, held) if held or not declared else None
        stores[key] = declared or (new.bucket if new else Bucket(self.bucket, endpoint=bucket.endpoint))
        remarks = keys.remarks()
        if declared is None and new is None:
            remarks.append(f"CertificateStore {self.store} does not exist in namespace {namespace} yet.")
        return Findings(sorted(found, key=lambda each: each.place), remarks, stores, new)

    def _read(self, bucket: AwsBucket, candidates: list[Candidate], request: ImportRequest) -> list[Candidate]:
        def read(candidate: Candidate) -> Candidate:
            return candidate if candidate.problem else candidate.read(lambda: bucket.read(candidate.place), request.now)

        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
            return list(threads.map(read, candidates))

    def _candidate(self, namespace: str, key: str, folder: str) -> Candidate:
        problem, source = key_problem(key), S3Source(self.store, key)
        error = SourceError(Reason.SPEC_INVALID, problem) if problem else None
        return Candidate(namespace, key, origin_of(source), folder, source=source, problem=error)

    def _missing(self, namespace: str, key: str, folder: str) -> Candidate:
        problem = SourceError(Reason.SOURCE_NOT_FOUND, "the folder has other objects, but not this one")
        return replace(self._candidate(namespace, key, folder), problem=problem)

    def _new_store(self, key: ObjectKey, bucket: AwsBucket, held: Bucket | None) -> NewStore | None:
        """The store to write; `held` is what an earlier import has written. None if the call names no Secret for it."""
        if self.credentials_secret is None:
            return None
        if held is not None:
            return NewStore(key, replace(held, credentials_secret=self.credentials_secret))
        region, endpoint = bucket.region_and_endpoint()
        new = Bucket(self.bucket, region=region, endpoint=endpoint, credentials_secret=self.credentials_secret)
        return NewStore(key, new)


def _check_server(key: ObjectKey, store: Bucket, bucket: AwsBucket) -> None:
    """Raise AnswerIsNo if the call reads another server than the operator will."""
    if server_of(store.endpoint) != server_of(bucket.endpoint):
        where = f"at {printable(store.endpoint)}" if server_of(store.endpoint) else "at AWS"
        words = f"the call reads {printable(bucket.endpoint)}: correct --endpoint-url, or name another store"
        raise AnswerIsNo(f"CertificateStore {key.name} is {where}, and {words}")


@dataclass(slots=True)
class _Keys:
    """The keys of a bucket, sorted by whether they match. The pattern begins after the store's prefix."""

    pattern: KeyPattern
    prefix: str
    matching: list[tuple[str, str]] = field(default_factory=list)
    """Key and folder."""
    others: int = 0
    shown: list[str] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)
    """Those with any object, and the key that they should have."""

    def add(self, keys: Iterable[str]) -> "_Keys":
        for key in keys:
            below = self.pattern.below(self.prefix, key)
            folder = self.pattern.folder(below)
            if folder is not None:
                self.matching.append((key, folder))
                continue
            self.others += 1
            if len(self.shown) < _SHOWN:
                self.shown.append(key)
            if (above := self.pattern.folder_above(below)) is not None:
                self.folders[above] = key.removesuffix(below) + self.pattern.key(above)
        return self

    @property
    def folders_without(self) -> list[tuple[str, str]]:
        """Folders with other objects only, as those that match."""
        known = {folder for _, folder in self.matching}
        return [(key, folder) for folder, key in self.folders.items() if folder not in known]

    def remarks(self) -> list[str]:
        if not self.others:
            return []
        examples = ", ".join(cut(printable(each)) for each in self.shown)
        objects = "1 object does" if self.others == 1 else f"{self.others} objects do"
        return [f"{objects} not match {self.pattern}, such as {examples}."]
