"""Credentials of a store, and the grants to use the operator's own identity."""

import re
from dataclasses import dataclass, field
from typing import Self

from clientcert.errors import Reason, SettingsError, SourceError
from clientcert.lifecycle.spec import ObjectKey
from clientcert.sources.s3.address import is_bucket_name
from clientcert.sources.secret import SecretReader

_KEY_ID, _SECRET_KEY, _SESSION_TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
_CREDENTIAL = re.compile(rb"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials for a store."""

    access_key_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False, default=None)

    @classmethod
    async def read(cls, secrets: SecretReader, namespace: str, name: str) -> Self:
        """Read the credentials from a Secret. Raises SourceError."""
        found = await secrets.read_secret_values(
            namespace,
            name,
            required=(_KEY_ID, _SECRET_KEY),
            optional=(_SESSION_TOKEN,),
            missing=Reason.CREDENTIALS_NOT_FOUND,
        )
        values = {key: value.strip() for key, value in found.items()}
        for key, value in values.items():
            if _CREDENTIAL.fullmatch(value) is None:
                raise SourceError(
                    Reason.CREDENTIALS_INVALID, f"Secret {namespace}/{name}: key {key} is not a credential: correct it."
                )
        text = {key: value.decode("ascii") for key, value in values.items()}
        return cls(text[_KEY_ID], text[_SECRET_KEY], text.get(_SESSION_TOKEN))


@dataclass(frozen=True, slots=True)
class IdentityGrant:
    """Permission for one namespace: the operator's own identity may read (or write) a bucket, or a prefix of it."""

    namespace: str
    bucket: str
    prefix: str
    """Empty, or a folder with a slash at the end: `team-a` does not grant `team-another/…`."""

    @classmethod
    def parse(cls, entry: str, variable: str = "CLIENTCERT_IDENTITY_BUCKETS") -> Self:
        """Parse one entry of the variable. Raises SettingsError."""
        namespace, separator, path = entry.strip().partition("=")
        bucket, _, prefix = path.partition("/")
        if not namespace or not separator or not is_bucket_name(bucket) or not _is_plain(prefix):
            raise SettingsError(f"{variable}: {entry!r} is not namespace=bucket or =bucket/prefix.")
        return cls(namespace, bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/")

    def covers(self, store: ObjectKey, bucket: str, path: str) -> bool:
        """True if the key may be read (or written), or everything below the prefix may be listed.

        S3 does not resolve `.` and `..` in a key; a server on a file system may. A path with them is never covered.
        """
        same_bucket = (self.namespace, self.bucket) == (store.namespace, bucket)
        return same_bucket and path.startswith(self.prefix) and _is_plain(path)


def _is_plain(path: str) -> bool:
    return not {".", ".."} & set(path.replace("\\", "/").split("/"))


def identity_not_allowed(store: ObjectKey, bucket: str, path: str) -> SourceError:
    """The error for a path that no grant covers: tells the tenant and the cluster's administrator what to do."""
    what = f"{path!r} in bucket {bucket}" if path else f"the whole bucket {bucket}"
    return SourceError(
        Reason.IDENTITY_NOT_ALLOWED,
        f"The operator's own identity may not be used for {what} from namespace {store.namespace}: name a Secret in "
        f"spec.s3.credentialsSecretRef of CertificateStore {store.name}, or have {store.namespace}={bucket}/<prefix> "
        "added to CLIENTCERT_IDENTITY_BUCKETS in the operator's settings (and set spec.s3.prefix within it).",
    )


def identity_not_for_writing(store: ObjectKey, bucket: str, path: str) -> SourceError:
    """The error for an object that may be read with the operator's own identity, but not written."""
    return SourceError(
        Reason.WRITE_NOT_ALLOWED,
        f"The operator's own identity may not write {path!r} in bucket {bucket} for namespace {store.namespace}: name "
        f"a Secret in spec.s3.credentialsSecretRef of CertificateStore {store.name}, have {store.namespace}={bucket}/"
        "<prefix> added to CLIENTCERT_IDENTITY_WRITE_BUCKETS in the operator's settings, or put the new certificate "
        "there by hand.",
    )


def identity_not_for_endpoint(store: ObjectKey) -> SourceError:
    """The error for an endpoint that is neither AWS nor in the settings: it never gets the operator's own identity."""
    return SourceError(
        Reason.IDENTITY_NOT_ALLOWED,
        f"The operator's own identity is used with AWS only: name a Secret in spec.s3.credentialsSecretRef of "
        f"CertificateStore {store.name}, leave out spec.s3.endpoint, or have its host added to "
        "CLIENTCERT_ALLOWED_HOSTS in the operator's settings.",
    )
