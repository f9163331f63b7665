"""One ClientCertificate and what it refers to, as the cluster has them."""

from dataclasses import dataclass

from clientcert.api.client_certificate import parse_spec
from clientcert.api.client_list import parse_client_list
from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE
from clientcert.api.policy import default_channel, default_policy, parse_policy
from clientcert.cli.cluster import AnswerIsNo, Cluster, Object
from clientcert.cli.table import printable
from clientcert.errors import ClientCertError
from clientcert.lifecycle.contacts import Directory
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.spec import CertificateSpec

OPERATORS_OWN = default_channel("")
"""The operator's own Slack channel, which only its settings know: whether it has one, nobody can tell from outside."""
TAKES_EFFECT = "The operator reads the client list within a minute."


@dataclass(frozen=True, slots=True)
class Declared:
    """What was declared for one certificate."""

    declaration: CertificateSpec
    policy: AlertPolicy
    directory: Directory | None
    """The client list that the policy names; empty where it names none, None where it cannot be read."""


def read_declared(cluster: Cluster, name: str) -> Declared:
    """As the operator would take it; raises AnswerIsNo where there is no such object, or its spec cannot be used."""
    found = cluster.get(CLIENT_CERTIFICATE, name)
    try:
        declaration = parse_spec(found["spec"])
    except ClientCertError as error:
        raise AnswerIsNo(f"ClientCertificate {name}: {printable(error.message)}") from None
    policy = to_policy(cluster.find(CERTIFICATE_POLICY, declaration.policy) if declaration.policy else None)
    return Declared(declaration, policy, read_directory(cluster, cluster.namespace, policy))


def to_policy(found: Object | None) -> AlertPolicy:
    """Of a CertificatePolicy; what holds without one where there is none."""
    return parse_policy(found.get("spec") or {}, OPERATORS_OWN) if found else default_policy(OPERATORS_OWN)


def read_directory(cluster: Cluster, namespace: str, policy: AlertPolicy) -> Directory | None:
    """The client list that the policy names; empty where it names none, None where it cannot be read."""
    name = policy.contacts.directory
    if not name:
        return {}
    data = cluster.config_map(name, namespace)
    return None if data is None else parse_client_list(data)[0]
