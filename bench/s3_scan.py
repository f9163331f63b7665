"""One scan of all certificates in a bucket, by the operator's own reader, parser and assessment.

The API server is left out, because the incumbent does not write anywhere either. The calls, and the number of
concurrent ones, are those of `reconcile`: LIST, GET of keys with a new ETag, `pki.parse`, `lifecycle.assess`.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench import bucket
from bench.bucket import Bucket
from bench.fleet import consumer
from bench.kubernetes import all_of
from clientcert.cli.simulation import KnownCertificate
from clientcert.lifecycle import spec as declared
from clientcert.lifecycle.assessment import Assessment, Observation, assess
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.lifecycle.spec import CertificateSpec, Contact, ObjectKey, S3Source
from clientcert.network.egress import EgressPolicy
from clientcert.pki.identity import Identity
from clientcert.pki.parsing import parse
from clientcert.sources.s3 import S3Reader
from clientcert.sources.secret import SecretReader
from clientcert.workqueue.work_queue import WORKERS

_NAMESPACE, _STORE = "stored", "backup-prod"
_START_DAYS_BEFORE = 30


@dataclass(slots=True)
class Scanner:
    """Keeps the versions that it has seen from one scan to the next."""

    reader: S3Reader
    declarations: Mapping[str, CertificateSpec]
    """By key in the bucket."""
    observed: dict[str, Observation] = field(default_factory=dict)
    assessed: dict[str, Assessment] = field(default_factory=dict)
    reads: int = 0

    @classmethod
    def of(cls, filled: Bucket) -> "Scanner":
        server = filled.server
        host = server.endpoint.removeprefix("http://")
        secrets = SecretReader(_Credentials(server.access_key, server.secret_key))
        spec = declared.Bucket(
            bucket.NAME, region=server.region, endpoint=server.endpoint, credentials_secret="credentials"
        )

        def bucket_of(_namespace: str, _name: str) -> declared.Bucket:
            return spec

        names = {f"{consumer(index)}/client.pem": consumer(index) for index in range(filled.certificates)}
        declarations = {
            key: CertificateSpec(name, "prod", S3Source(_STORE, key), Contact(), identity=Identity(name))
            for key, name in names.items()
        }
        return cls(S3Reader(bucket_of, secrets, EgressPolicy(frozenset({host}))), declarations)

    async def scan(self) -> None:
        """LIST, read the changed objects, and assess each certificate."""
        listing = await self.reader.list(_NAMESPACE, _STORE, frozenset(self.declarations))
        changed = [
            key
            for key in self.declarations
            if key not in self.observed or listing.etags.get(key, "") != self.observed[key].version
        ]
        await all_of(self._read, changed, at_once=WORKERS)
        now = datetime.now(UTC)
        for key, declaration in self.declarations.items():
            observation = self.observed[key]
            known = KnownCertificate(ObjectKey(_NAMESPACE, key), declaration, CertificateStatus(), now)
            self.assessed[key] = assess(known, observation, _START_DAYS_BEFORE, now)

    async def _read(self, key: str) -> None:
        self.reads += 1
        declaration = self.declarations[key]
        content = await self.reader.read(_NAMESPACE, declaration.source)
        certificate = parse(content.body, identity=declaration.identity, now=datetime.now(UTC))
        self.observed[key] = Observation(certificate, content.version)


@dataclass(frozen=True, slots=True)
class _Credentials:
    """Replaces the API server, which holds the credentials in a Secret."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    async def __call__(self, namespace: str, name: str) -> Mapping[str, Any]:  # noqa: ARG002
        values = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        return {"metadata": {"resourceVersion": "1"}, "data": encoded}
