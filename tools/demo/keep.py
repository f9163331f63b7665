"""Leave everything running, and suggest what to try next."""

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tools.control_plane.stop_signal import StopSignal
from tools.demo.authority import client_authority
from tools.demo.people import Laptop
from tools.demo.stage import NAMESPACE, Stage

_EXCHANGE = "credential-exchange"
_MANIFESTS = "-f deploy/examples/policy-with-renewal.yaml -f deploy/examples/operator-may-write.yaml"


def keep(stage: Stage) -> None:
    """Run until Ctrl-C or SIGTERM, and show messages in Slack and mails as they arrive; no terminal is needed."""
    stop = StopSignal()
    stage.start_operator()
    _bring_kim(stage)
    stage.prints_messages = True
    stage.screen.to_type(_how_to_use(stage))
    stage.screen.to_type(_how_to_renew(stage))
    stop.wait()
    stage.screen.output("Stopping.")


def _how_to_use(stage: Stage) -> str:
    operator = stage.operator
    fixed = stage.directory / "legal-aid.pem"
    authority = client_authority()
    issued = authority.issue("legal-aid", stage.started - timedelta(days=1), stage.started + timedelta(days=365))
    fixed.write_bytes(issued.certificate_pem)
    return f"""\
Everything keeps running, at the real time again (messages of the rehearsal are dated tomorrow). In another terminal:

  export KUBECONFIG={stage.control_plane.kubeconfig}
{_where_kubectl_is(stage)}  kubectl get clientcertificates -A -o wide
  kubectl describe clientcertificate -n {NAMESPACE} sentencing-dev
  kubectl explain clientcertificate.spec

Slack messages appear here when they arrive; all of them are at {stage.slack.url}/
Mails to consumers' contacts appear here, too; they are not delivered.
Fix legal-aid, whose Secret holds another consumer's certificate, and see its closing message:

  kubectl create secret generic legal-aid-client-cert -n {NAMESPACE} \\
    --from-file=tls.crt={fixed} --dry-run=client -o yaml | kubectl apply -f -

The operator's log: {operator.process.log_path if operator else ""}
Its metrics:        {operator.url if operator else ""}/metrics
"""


def _bring_kim(stage: Stage) -> None:
    """Another certificate that expires soon, and its consumer, who has answered with a public key."""
    now = datetime.now(UTC)
    old = stage.cast.authority.issue("ferries", now - timedelta(days=355), now + timedelta(days=10, hours=2))
    stage.put_secret("ferries-client-cert", {"tls.crt": old.certificate_pem})
    stage.laptop = Laptop(stage.directory / "kim")
    stage.laptop.directory.mkdir()
    stage.laptop.type(f"openssl genrsa -out {_EXCHANGE}-private-key.pem 3072")
    stage.laptop.type(f"openssl rsa -in {_EXCHANGE}-private-key.pem -pubout -out {_EXCHANGE}-public-key.pem")


def _how_to_renew(stage: Stage) -> str:
    kim, people = stage.laptop.directory, stage.people
    clientcert = Path(sys.executable).parent / "clientcert"
    return f"""\
Renew a certificate yourself. Apply a policy with four lines for it, and see its certificate expire in ten days; the
CA is there already (Secret client-ca), and the operator may write the Secret of the certificate:

  cat deploy/examples/policy-with-renewal.yaml
  kubectl apply -n {NAMESPACE} {_MANIFESTS}
  kubectl get clientcertificates -n {NAMESPACE} ferries-prod -o wide

Kim of ferries has sent a public key. One person asks with it, and Kim gets a receipt:

  export KUBECONFIG={people["requester"].kubeconfig}
  {clientcert} renew ferries-prod --public-key {kim}/{_EXCHANGE}-public-key.pem
  kubectl get certificaterenewals

Another person calls Kim, compares the fingerprint, and approves. Replace ID by what the last command shows:

  export KUBECONFIG={people["approver"].kubeconfig}
  {clientcert} approve ID
  kubectl get certificaterenewals,clientcertificates

The mail to Kim appears here, with its commands. Type them where its attachments are, as Kim would:

  cd {kim}
  openssl cms -decrypt -inform PEM -in client.key.cms -inkey {_EXCHANGE}-private-key.pem -out client.key
  openssl x509 -in client.pem -noout -subject -serial -enddate

Ctrl-C stops and removes everything."""


def _where_kubectl_is(stage: Stage) -> str:
    """A line that defines kubectl, if there is none in PATH."""
    kubectl = stage.control_plane.binaries.kubectl
    return "" if shutil.which("kubectl") == str(kubectl) else f"  alias kubectl={kubectl}\n"
