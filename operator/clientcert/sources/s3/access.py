"""Address and credentials of a store, and the grants to use the operator's own identity."""

import re
from dataclasses import dataclass, field
from typing import Self

from clientcert.errors import ClientCertError, Reason, SettingsError, SourceError
from clientcert.lifecycle.spec import Bucket, ObjectKey
from clientcert.network.egress import EgressPolicy
from clientcert.sources.secret import SecretReader

_BUCKET = re.compile(r"(?![0-9.]+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_AWS_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2}")
_OTHER_REGION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LABEL = r"(?!-)[A-Za-z0-9-]+(?<!-)"
_ROOT = re.compile(rf"https?://({_LABEL}(\.{_LABEL})*|\[[^/]+\])(:[0-9]+)?/?", re.IGNORECASE)
_AWS_DOMAINS = {
    "cn": "amazonaws.com.cn",
    "eusc": "amazonaws.eu",
    "eu-isoe": "cloud.adc-e.uk",
    "us-iso": "c2s.ic.gov",
    "us-isob": "sc2s.sgov.gov",
    "us-isof": "csp.hci.ic.gov",
}
_DEFAULT_REGION = "us-east-1"  # other S3 servers expect it in signatures if they have no regions
_KEY_ID, _SECRET_KEY, _SESSION_TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
_CREDENTIAL = re.compile(rb"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a store: its bucket, and the server to call."""

    bucket: str
    region: str
    endpoint: str
    """Empty for AWS."""
    policy: EgressPolicy

    @classmethod
    def of(cls, bucket: Bucket, policy: EgressPolicy) -> Self:
        """Check the values of the spec. Raises SourceError."""
        if _BUCKET.fullmatch(bucket.name) is None:
            raise SourceError(Reason.SPEC_INVALID, "spec.s3.bucket is not a valid bucket name: correct it.")
        if bucket.endpoint:
            return cls(bucket.name, _other_region(bucket), _checked_endpoint(bucket, policy), policy)
        if _AWS_REGION.fullmatch(bucket.region) is None:
            raise SourceError(
                Reason.SPEC_INVALID, "spec.s3.region is not an AWS region, such as eu-west-2: correct it."
            )
        # The names of AWS may resolve to a private address, if the network has a private endpoint for S3.
        host = aws_host(bucket.region)
        allowing = policy.also_allowing(f"{host}:443", f"{bucket.name}.{host}:443")
        return cls(bucket.name, bucket.region, "", allowing)


def aws_host(region: str) -> str:
    """The host of S3 in a region. The caller has checked the form of the region."""
    parts = region.split("-")
    domain = _AWS_DOMAINS.get("-".join(parts[:2])) or _AWS_DOMAINS.get(parts[0]) or "amazonaws.com"
    return f"s3.{region}.{domain}"


def is_aws_region(text: str) -> bool:
    """True if the text has the form of a region; servers may return any text."""
    return _AWS_REGION.fullmatch(text) is not None


def _other_region(bucket: Bucket) -> str:
    region = bucket.region or _DEFAULT_REGION
    if _OTHER_REGION.fullmatch(region) is None:
        raise SourceError(Reason.SPEC_INVALID, "spec.s3.region is not a region, such as eu-west-2: correct it.")
    return region


def _checked_endpoint(bucket: Bucket, policy: EgressPolicy) -> str:
    try:
        policy.check(bucket.endpoint)
    except ClientCertError as error:
        raise SourceError(error.reason, f"spec.s3.endpoint: {error.message}") from None
    if _ROOT.fullmatch(bucket.endpoint) is None:
        raise SourceError(
            Reason.SPEC_INVALID, "spec.s3.endpoint must consist of scheme, host and port only: correct it."
        )
    return bucket.endpoint.rstrip("/")


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
            missing=Reason.CREDENTIALS_INVALID,
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
    """Permission for one namespace: a bucket, or a prefix of it, may be read with the operator's own identity."""

    namespace: str
    bucket: str
    prefix: str
    """Empty, or a folder with a slash at the end: `team-a` does not grant `team-another/…`."""

    @classmethod
    def parse(cls, entry: str) -> Self:
        """Parse one entry of CLIENTCERT_IDENTITY_BUCKETS. Raises SettingsError."""
        namespace, separator, path = entry.strip().partition("=")
        bucket, _, prefix = path.partition("/")
        if not namespace or not separator or _BUCKET.fullmatch(bucket) is None or not _is_plain(prefix):
            raise SettingsError(f"CLIENTCERT_IDENTITY_BUCKETS: {entry!r} is not namespace=bucket or =bucket/prefix.")
        return cls(namespace, bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/")

    def covers(self, store: ObjectKey, bucket: str, path: str) -> bool:
        """True if the key may be read, or everything below the prefix may be listed.

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


def identity_not_for_endpoint(store: ObjectKey) -> SourceError:
    """The error for an endpoint that is neither AWS nor in the settings: it never gets the operator's own identity."""
    return SourceError(
        Reason.IDENTITY_NOT_ALLOWED,
        f"The operator's own identity is used with AWS only: name a Secret in spec.s3.credentialsSecretRef of "
        f"CertificateStore {store.name}, leave out spec.s3.endpoint, or have its host added to "
        "CLIENTCERT_ALLOWED_HOSTS in the operator's settings.",
    )
