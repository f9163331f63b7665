"""Load one ClientCertificate and the objects that it refers to from the cluster."""

from dataclasses import dataclass

from clientcert.api.client_certificate import parse_spec
from clientcert.api.client_list import parse_client_list
from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE
from clientcert.api.policy import default_channel, default_policy, parse_policy
from clientcert.api.renewal_policy import parse_renewal_policy
from clientcert.api.store_discovery import Discovery, parse_discovery
from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.table import printable
from clientcert.errors import ClientCertError
from clientcert.lifecycle.contacts import Directory
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.spec import CertificateSpec

OPERATORS_OWN = default_channel("")
"""The operator's own Slack channel. Only the operator's settings say if there is one, and nobody else can read them."""
TAKES_EFFECT = "The operator reads the client list within a minute."


@dataclass(frozen=True, slots=True)
class LoadedCertificate:
    """The spec of one certificate, its policy, and the client list of that policy."""

    spec: CertificateSpec
    policy: AlertPolicy
    client_list: Directory | None
    """Empty if the policy names none, None if it cannot be read."""
    renewal: RenewalPolicy | None = None
    """None if the policy has no `spec.renewal`, or one that cannot be used."""
    has_policy: bool = False
    """True if the CertificatePolicy that the certificate names exists."""


def load_certificate(cluster: Cluster, name: str) -> LoadedCertificate:
    """Load a certificate as the operator reads it; raises AnswerIsNo if it does not exist or its spec is invalid."""
    return load_referenced(cluster, cluster.get(CLIENT_CERTIFICATE, name))


def load_referenced(cluster: Cluster, found: Object) -> LoadedCertificate:
    """Load what a ClientCertificate refers to; raises AnswerIsNo if its spec is invalid."""
    try:
        spec = parse_spec(found["spec"])
    except ClientCertError as error:
        raise AnswerIsNo(f"ClientCertificate {found['metadata']['name']}: {printable(error.message)}") from None
    declared = cluster.find(CERTIFICATE_POLICY, spec.policy) if spec.policy else None
    policy = policy_of(declared)
    client_list = load_client_list(cluster, cluster.namespace, policy)
    return LoadedCertificate(spec, policy, client_list, renewal_of(declared), declared is not None)


def renewal_of(found: Object | None) -> RenewalPolicy | None:
    """Of a CertificatePolicy object; None if it has no `spec.renewal`, or one that cannot be used."""
    try:
        return parse_renewal_policy(found.get("spec") or {}) if found else None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def discovery_of(found: Object) -> Discovery | None:
    """Of a CertificateStore object; None if it has no `spec.discovery`, or one that cannot be used."""
    try:
        return parse_discovery(found.get("spec") or {})
    except ClientCertError:
        return None


def policy_of(found: Object | None) -> AlertPolicy:
    """The policy of a CertificatePolicy object; the defaults if there is none."""
    return parse_policy(found.get("spec") or {}, OPERATORS_OWN) if found else default_policy(OPERATORS_OWN)


def load_client_list(cluster: Cluster, namespace: str, policy: AlertPolicy) -> Directory | None:
    """The client list that the policy names; empty if it names none, None if it cannot be read."""
    name = policy.contacts.directory
    if not name:
        return {}
    data = cluster.config_map(name, namespace)
    return None if data is None else parse_client_list(data)[0]
