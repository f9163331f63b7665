"""The list of requests, narrowed by the API server where it can."""

from collections.abc import Callable

from clientcert.api.kinds import CERTIFICATE_RENEWAL
from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import Forbidden, Invalid, NotFound
from clientcert.cli.renewal_request import state_of
from clientcert.lifecycle.renewal.status import FINAL

_OPEN = ",".join(f"status.state!={state}" for state in sorted(FINAL))


def requests_about(cluster: Cluster, certificate: str) -> list[Object] | None:
    """The requests about one ClientCertificate; None if the caller may not list requests."""
    return _requests(
        cluster,
        f"spec.certificateRef.name={certificate}",
        lambda each: bool(each["spec"]["certificateRef"]["name"] == certificate),
    )


def open_requests(cluster: Cluster, *, everywhere: bool) -> list[Object] | None:
    """The requests that are not final; None if the caller may not list requests."""
    return _requests(cluster, _OPEN, lambda each: state_of(each) not in FINAL, everywhere=everywhere)


def _requests(
    cluster: Cluster, fields: str, wanted: Callable[[Object], bool], *, everywhere: bool = False
) -> list[Object] | None:
    """`wanted` decides the same as `fields`, which Kubernetes knows from 1.31 on."""
    try:
        try:
            return [*cluster.each(CERTIFICATE_RENEWAL, everywhere=everywhere, fields=fields)]
        except Invalid:
            return [*filter(wanted, cluster.each(CERTIFICATE_RENEWAL, everywhere=everywhere))]
    except (Forbidden, NotFound):
        return None
