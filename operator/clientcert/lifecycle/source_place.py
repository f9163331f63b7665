"""The identity of a source: the same for any password, and for any CertificateStore of the bucket."""

import re
from collections.abc import Mapping

from clientcert.lifecycle.spec import Bucket, ObjectKey, SecretSource, SourceRef

Stores = Mapping[ObjectKey, Bucket]
SourcePlace = tuple[str, ...]

_LABEL = r"(?!-)[A-Za-z0-9-]+(?<!-)"
ENDPOINT = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(\.{_LABEL})*|\[[^/]+\])(?P<port>:[0-9]+)?"
    r"(?P<path>(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)/?",
    re.IGNORECASE,
)
"""The endpoint of a server that is not of AWS."""
AWS_DOMAINS = {
    "cn": "amazonaws.com.cn",
    "eusc": "amazonaws.eu",
    "eu-isoe": "cloud.adc-e.uk",
    "us-iso": "c2s.ic.gov",
    "us-isob": "sc2s.sgov.gov",
    "us-isof": "csp.hci.ic.gov",
}
"""By the beginning of the region; all others are in amazonaws.com."""
_PORTS = {"http": ":80", "https": ":443"}
"""By the scheme, where an endpoint names none."""


def source_place(namespace: str, source: SourceRef, stores: Stores) -> SourcePlace:
    """Equal for sources that are the same."""
    if isinstance(source, SecretSource):
        return namespace, "secret", source.name, source.key
    bucket = stores.get(ObjectKey(namespace, source.store))
    if bucket is None:
        return namespace, "store", source.store, source.key
    return namespace, "bucket", *bucket_place(bucket), source.key


def bucket_place(bucket: Bucket) -> tuple[str, str]:
    """Equal for CertificateStores of one bucket: its server and its name."""
    return server_of(bucket.endpoint), bucket.name


def server_of(endpoint: str) -> str:
    """Equal for all endpoints of one server: empty for AWS, by whatever host, also by that of a VPC endpoint."""
    found = ENDPOINT.fullmatch(endpoint)
    if found is None:
        return endpoint
    scheme, host = found["scheme"].lower(), found["host"].lower()
    if any(f".{host}".endswith(f".{each}") for each in ("amazonaws.com", *AWS_DOMAINS.values())):
        return ""
    return f"{scheme}://{host}{found['port'] or _PORTS[scheme]}{found['path'].rstrip('/')}"
