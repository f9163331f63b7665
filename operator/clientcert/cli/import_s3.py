"""Finds the certificates of a bucket, by the keys of its objects."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from clientcert.api.client_certificate import parse_bucket
from clientcert.api.discovery import KeyPattern, key_problem
from clientcert.api.kinds import CERTIFICATE_STORE
from clientcert.api.manifests import certificate_store
from clientcert.cli.aws_bucket import REQUESTS_AT_ONCE, AwsBucket, AwsOptions
from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.import_candidate import Candidate, Findings, Store
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.table import cut, printable
from clientcert.errors import ClientCertError, Reason, SourceError
from clientcert.lifecycle.spec import Bucket, ObjectKey, S3Source

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class BucketSearch:
    """What `clientcert import s3` looks for."""

    bucket: str
    store: str
    pattern: KeyPattern
    aws: AwsOptions
    credentials_secret: str | None
    """If the CertificateStore is written, too: the Secret that it names."""

    def find(self, cluster: Cluster, request: ImportRequest) -> Findings:
        """Look at every object whose key matches. Raises AnswerIsNo and Failed."""
        declared = self._declared(cluster)
        prefix = declared.prefix if declared else ""
        bucket = AwsBucket.open(self.bucket, self.aws, declared.region if declared else "")
        keys = _Keys(self.pattern, prefix).add(bucket.keys(prefix))
        candidates = [self._candidate(cluster.namespace, key, folder) for key, folder in keys.matching]

        def read(candidate: Candidate, key: str) -> Candidate:
            return candidate if candidate.problem else candidate.read(lambda: bucket.read(key), request.now)

        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
            found = list(threads.map(read, candidates, [key for key, _ in keys.matching]))
        found += [self._missing(cluster.namespace, prefix, folder) for folder in keys.folders_without]
        remarks = keys.remarks()
        store = None
        if declared is None and self.credentials_secret is not None:
            store = self._store(cluster.namespace, bucket)
            remarks.append(f"CertificateStore {self.store} is written, too; it needs Secret {self.credentials_secret}.")
        elif declared is None:
            remarks.append(f"CertificateStore {self.store} does not exist in namespace {cluster.namespace} yet.")
        return Findings(sorted(found, key=lambda each: each.place), remarks, store)

    def _declared(self, cluster: Cluster) -> Bucket | None:
        """The bucket of the CertificateStore, if it exists."""
        manifest = cluster.find(CERTIFICATE_STORE, self.store)
        if manifest is None:
            return None
        try:
            found = parse_bucket(manifest["spec"])
        except ClientCertError as error:
            raise AnswerIsNo(f"CertificateStore {self.store}: {printable(error.message)}") from None
        if found.name != self.bucket:
            raise AnswerIsNo(f"CertificateStore {self.store} is of bucket {printable(found.name)}: name that one")
        return found

    def _candidate(self, namespace: str, key: str, folder: str) -> Candidate:
        problem = key_problem(key)
        return Candidate(
            namespace,
            key,
            f"s3 {self.store} {key}",
            folder,
            S3Source(self.store, key),
            problem=SourceError(Reason.SPEC_INVALID, problem) if problem else None,
        )

    def _missing(self, namespace: str, prefix: str, folder: str) -> Candidate:
        key = prefix + self.pattern.key(folder)
        problem = SourceError(Reason.SOURCE_NOT_FOUND, "the folder has other objects, but not this one")
        return replace(self._candidate(namespace, key, folder), problem=problem)

    def _store(self, namespace: str, bucket: AwsBucket) -> Store:
        region, endpoint = bucket.region_and_endpoint()
        key = ObjectKey(namespace, self.store)
        secret = self.credentials_secret or ""
        content = Bucket(self.bucket, region=region, endpoint=endpoint, credentials_secret=secret)
        return Store(key, certificate_store(key, content))


@dataclass(slots=True)
class _Keys:
    """The keys of a bucket, sorted by whether they match. The pattern begins after the store's prefix."""

    pattern: KeyPattern
    prefix: str
    matching: list[tuple[str, str]] = field(default_factory=list)
    """Key and folder."""
    others: int = 0
    shown: list[str] = field(default_factory=list)
    folders: dict[str, None] = field(default_factory=dict)
    """Those with any object."""

    def add(self, keys: Iterable[str]) -> "_Keys":
        for key in keys:
            below = key.removeprefix(self.prefix)
            folder = self.pattern.folder(below)
            if folder is not None:
                self.matching.append((key, folder))
                continue
            self.others += 1
            if len(self.shown) < _SHOWN:
                self.shown.append(key)
            if (above := self.pattern.folder_above(below)) is not None:
                self.folders[above] = None
        return self

    @property
    def folders_without(self) -> list[str]:
        """Folders with other objects only."""
        known = {folder for _, folder in self.matching}
        return [each for each in self.folders if each not in known]

    def remarks(self) -> list[str]:
        if not self.others:
            return []
        examples = ", ".join(cut(printable(each)) for each in self.shown)
        objects = "1 object does" if self.others == 1 else f"{self.others} objects do"
        return [f"{objects} not match {self.pattern}, such as {examples}."]
