"""Leave everything running, and suggest what to try next."""

import shutil
from datetime import timedelta

from tools.control_plane.stop_signal import StopSignal
from tools.demo.authority import client_authority
from tools.demo.stage import NAMESPACE, Stage


def keep(stage: Stage) -> None:
    """Run until Ctrl-C or SIGTERM, and show messages in Slack and mails as they arrive; no terminal is needed."""
    stop = StopSignal()
    stage.start_operator()
    stage.prints_messages = True
    stage.screen.output(_how_to_use(stage))
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
Ctrl-C stops and removes everything."""


def _where_kubectl_is(stage: Stage) -> str:
    """A line that defines kubectl, if there is none in PATH."""
    kubectl = stage.control_plane.binaries.kubectl
    return "" if shutil.which("kubectl") == str(kubectl) else f"  alias kubectl={kubectl}\n"
