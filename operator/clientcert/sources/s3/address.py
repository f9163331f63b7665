"""The address of a store: its bucket, the server to call, and where in a URL the bucket stands.

    Address.of(bucket, policy)                       # https://s3.example/backup/key (path-style)
    Address.of(bucket, policy, virtual_hosts=True)   # https://backup.s3.example/key (virtual-host-style)

The host of a bucket is another name than that of the server. The egress policy checks it like any other.
"""

import re
from dataclasses import dataclass
from typing import Self

from clientcert.errors import ClientCertError, Reason, SourceError
from clientcert.lifecycle.source_place import AWS_DOMAINS, ENDPOINT
from clientcert.lifecycle.spec import Bucket
from clientcert.network.egress import EgressPolicy

AUTO, PATH, VIRTUAL = "Auto", "Path", "Virtual"

_BUCKET = re.compile(r"(?![0-9.]+$)(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9_-]")
"""Also the old form, with upper case, underscores and up to 255 characters."""
_HOST_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""A bucket that can be in a host name (RFC 1035) and matches a wildcard certificate, which has no dots (RFC 6125)."""
_AWS_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2}")
_OTHER_REGION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NUMBERS = re.compile(r"\[.*|[0-9.]+")
_DEFAULT_REGION = "us-east-1"  # other S3 servers expect it in signatures if they have no regions


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a store."""

    bucket: str
    region: str
    endpoint: str
    """Empty for AWS."""
    policy: EgressPolicy
    style: str = "auto"
    """In the words of botocore: `path`, `virtual`, or `auto`, which is `virtual` at AWS if the bucket can be a host."""
    virtual_host: str = ""
    """The host and port of the bucket at this server, if requests do not go there but could."""

    @classmethod
    def of(cls, bucket: Bucket, policy: EgressPolicy, *, virtual_hosts: bool = False) -> Self:
        """Check the values of the spec. Raises SourceError.

        `virtual_hosts`: the server has answered that it serves buckets at host names of their own only.
        """
        if not is_bucket_name(bucket.name):
            raise SourceError(Reason.SPEC_INVALID, "spec.s3.bucket is not a valid bucket name: correct it.")
        is_host = _HOST_LABEL.fullmatch(bucket.name) is not None
        if bucket.addressing == VIRTUAL and not is_host:
            raise _no_virtual_host("spec.s3.bucket of lower-case letters, digits and '-'")
        if bucket.endpoint:
            virtual = bucket.addressing == VIRTUAL or (virtual_hosts and bucket.addressing == AUTO and is_host)
            return cls._at_endpoint(bucket, policy, virtual=virtual, is_host=is_host)
        if _AWS_REGION.fullmatch(bucket.region) is None:
            raise SourceError(
                Reason.SPEC_INVALID, "spec.s3.region is not an AWS region, such as eu-west-2: correct it."
            )
        # The names of AWS may resolve to a private address, if the network has a private endpoint for S3.
        host = aws_host(bucket.region)
        hosts = (f"{host}:443", f"{bucket.name}.{host}:443") if is_host else (f"{host}:443",)
        style = "path" if bucket.addressing == PATH else "auto"
        return cls(bucket.name, bucket.region, "", policy.also_allowing(*hosts), style)

    @classmethod
    def _at_endpoint(cls, bucket: Bucket, policy: EgressPolicy, *, virtual: bool, is_host: bool) -> Self:
        region = bucket.region or _DEFAULT_REGION
        if _OTHER_REGION.fullmatch(region) is None:
            raise SourceError(Reason.SPEC_INVALID, "spec.s3.region is not a region, such as eu-west-2: correct it.")
        found = ENDPOINT.fullmatch(bucket.endpoint)
        named = found is not None and _NUMBERS.fullmatch(found["host"]) is None
        if virtual and found is not None and not named:
            raise _no_virtual_host("a host name in spec.s3.endpoint, and no IP address")
        host = f"{bucket.name}.{found['host']}{found['port'] or ''}" if found and named and is_host else ""
        _check(f"{found['scheme']}://{host}{found['path']}" if found and virtual else bucket.endpoint, policy)
        if found is None:
            raise SourceError(
                Reason.SPEC_INVALID, "spec.s3.endpoint must consist of scheme, host, port and path only: correct it."
            )
        endpoint, style = bucket.endpoint.rstrip("/"), "virtual" if virtual else "path"
        return cls(bucket.name, region, endpoint, policy, style, "" if virtual else host.lower())

    @property
    def is_listed(self) -> bool:
        """True if the operator's settings list the host that requests go to; False for AWS."""
        found = ENDPOINT.fullmatch(self.endpoint)
        if found is None:
            return False
        host = f"{self.bucket}.{found['host']}" if self.style == "virtual" else found["host"]
        return self.policy.lists(f"{found['scheme']}://{host}{found['port'] or ''}")


def is_bucket_name(text: str) -> bool:
    """True for the name of a bucket, also of the old form."""
    return _BUCKET.fullmatch(text) is not None


def aws_host(region: str) -> str:
    """The host of S3 in a region. The caller has checked the form of the region."""
    parts = region.split("-")
    domain = AWS_DOMAINS.get("-".join(parts[:2])) or AWS_DOMAINS.get(parts[0]) or "amazonaws.com"
    return f"s3.{region}.{domain}"


def is_aws_region(text: str) -> bool:
    """True if the text has the form of a region; servers may return any text."""
    return _AWS_REGION.fullmatch(text) is not None


def _check(url: str, policy: EgressPolicy) -> None:
    try:
        policy.check(url)
    except ClientCertError as error:
        raise SourceError(error.reason, f"spec.s3.endpoint: {error.message}") from None


def _no_virtual_host(needs: str) -> SourceError:
    return SourceError(Reason.SPEC_INVALID, f"spec.s3.addressing is Virtual, which needs {needs}: correct it.")
