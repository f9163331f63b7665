"""The README, typed on the node line by line, in its order, by somebody who has read nothing else.

All commands of its shell blocks are typed as they stand, but `docker build` and `docker push`: the node has an image of
this checkout, which is pushed under the README's name. `helm install` has one more argument, `--values loopback.json`:
where Slack and the mail server are here, and that Slack's host, which has no public address, may be called. What the
README shows behind a prompt is about another certificate and request, so their names are replaced.

The tests run in the order of this file, with an installation of their own.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509

from tests.conftest import REPOSITORY
from tests.control_plane.waiting import eventually, until
from tests.docs.fenced import Command, commands
from tests.docs.pages import blocks
from tests.docs.reader import Reader
from tests.node.conftest import CHANNEL, NAMESPACE, RELEASE, Installed
from tests.node.people import Person, enrol
from tools.control_plane.binaries import find_or_build_crane
from tools.demo.people import Laptop
from tools.demo.people import commands as commands_of_mail
from tools.mail_server import LoopbackMailServer, Received
from tools.node.network import forwarded
from tools.node.node import Node
from tools.release.registry import Crane
from tools.slack_server import SlackServer

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

README = REPOSITORY / "README.md"
HOST, SLACK_PORT, MAIL_PORT = "10.0.0.1", 8444, 2525
"""The address of this machine in pods."""
TOKEN = "xoxb-your-token"
OWN = "integration-api"
"""The namespace of the reader's context, which the README names."""
CONTACT = "ops@weather.example"
PATIENCE = 60.0


@dataclass
class Newcomer:
    """Somebody at the README's first command of "Install it", with an empty cluster."""

    reader: Reader
    installed: Installed
    mail: LoopbackMailServer
    people: dict[str, Person]
    consumer: Laptop
    rest: Iterator[Command]
    """What is not typed yet."""

    def up_to(self, begins: str) -> Command:
        """Type all commands before the next one that begins so, which is returned."""
        for command in self.rest:
            if command.text.startswith(begins):
                return command
            if command.why_not is None and not command.has_output:
                self.types(command.text)
        raise AssertionError(f"the README has no further command that begins with {begins!r}")

    def through(self, begins: str, added: str = "") -> str:
        """Type all commands, and the one that begins so; returns its output."""
        return self.types(f"{self.up_to(begins).text}{added}")

    def types(self, command: str) -> str:
        return self.reader.types(command, namespace=OWN)

    def mails(self, subject: str) -> list[Received]:
        """Those to the consumer with these words in their subject."""
        return [each for each in self.mail.mails if each.recipient == CONTACT and subject in each.subject]

    def certificate(self) -> x509.Certificate:
        """The one in the Secret that the README creates."""
        name = "jsonpath={.data.tls\\.crt}"
        encoded = self.types(f"kubectl get secret weather-client-cert -o '{name}' | base64 -d")
        return x509.load_pem_x509_certificate(encoded.encode())


@pytest.fixture(scope="module")
def newcomer(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Has the image in the registry, and neither an operator nor its Lease in the cluster, whatever ran before.

    What is installed is left to the end of the node.
    """
    directory = tmp_path_factory.mktemp("readme")
    typed = [each for each in commands(README) if not each.text.startswith("make ")]
    [pushed] = [each.text.split()[-1] for each in typed if each.text.startswith("docker push ")]
    node.prepared.push_image(Crane(find_or_build_crane()), f"{node.registry}/{pushed.partition('/')[2]}")
    node.helm.run("uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found", "--wait")
    node.control_plane.kubectl("delete", "lease", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found")
    node.control_plane.create_namespace(OWN)
    reader = Reader.in_checkout(directory / "checkout", node.control_plane, node.helm.binary, {})
    people = {name: enrol(node.control_plane, OWN, name, directory / name) for name in ("sam", "kim")}
    (directory / "consumer").mkdir()
    with (
        SlackServer(channels=(CHANNEL,), tokens=(TOKEN,)).start() as slack,
        LoopbackMailServer() as mail,
        forwarded(SLACK_PORT, slack.port),
        forwarded(MAIL_PORT, mail.port),
    ):
        installed = Installed(node, slack)
        yield Newcomer(reader, installed, mail, people, Laptop(directory / "consumer"), iter(typed))


def shown(command: Command) -> list[str]:
    """The first line that the README shows below a command: the headings of a table."""
    lines = README.read_text().splitlines()
    return lines[lines.index(f"$ {command.text}") + 1].split()


def test_two_commands_install_it(newcomer: Newcomer) -> None:
    """The image is pulled by the name that the README gives it, and the second command waits until it works."""
    slack = f"{HOST}:{SLACK_PORT}"
    loopback = {
        "slack": {"apiURL": f"http://{slack}/api/"},
        "config": {"allowedHosts": [slack]},
        "smtp": {"host": HOST, "port": MAIL_PORT, "tls": "none", "from": "certificates@gov.example"},
    }
    (newcomer.reader.directory / "loopback.json").write_text(json.dumps(loopback))
    notes = newcomer.through("helm install ", " --values loopback.json")
    assert f"helm test {RELEASE} -n {NAMESPACE}" in notes
    assert "Phase:          Succeeded" in newcomer.through("helm test ")
    [image] = {pod["spec"]["containers"][0]["image"] for pod in newcomer.installed.pods()}
    assert image == "registry.example/clientcert-operator:0.1.0"
    events = json.loads(newcomer.installed.kubectl("get", "events", "--output", "json"))["items"]
    pulled = [each["message"] for each in events if each["reason"] == "Pulled"]
    assert any(message.startswith(f'Successfully pulled image "{image}"') for message in pulled)


def test_the_first_alert_is_in_slack(newcomer: Newcomer) -> None:
    newcomer.through("kubectl apply -f deploy/examples/minimal.yaml")
    slack = newcomer.installed.slack
    assert slack.wait_for(lambda server: any(server.replies(each) for each in server.in_channel(CHANNEL)))
    [message] = slack.in_channel(CHANNEL)
    assert "The certificate for weather in prod will expire within the next 20 days" in message.text
    [reply] = slack.replies(message)
    assert f"ClientCertificate weather-prod in namespace {OWN}" in reply.text


def test_the_table_has_the_columns_that_it_shows(newcomer: Newcomer) -> None:
    command = newcomer.up_to("kubectl get clientcertificates -A")

    def table() -> list[list[str]]:
        return [line.split() for line in newcomer.types(command.text).splitlines()]

    def row() -> list[str]:
        [found] = [each for each in table() if each[0] == OWN]
        return found[:6] + found[7:8]

    assert table()[0] == shown(command)
    eventually(row, [OWN, "weather-prod", "weather", "prod", "ExpiringSoon", "19", "Delivered"])


def test_verbs_work_in_the_pod_of_the_operator(newcomer: Newcomer) -> None:
    """As docs/cli.md says, with the rights of the operator."""
    [command] = re.findall(r"`(kubectl exec [^`]+)`", (REPOSITORY / "docs/cli.md").read_text())
    inside, _, _ = command.partition(" clientcert ")
    assert "weather-prod" in newcomer.types(command)
    assert "weather-prod" in newcomer.types(f"{inside} clientcert list -A")
    assert "0.1.0" in newcomer.types(f"{inside} clientcert version")


def test_a_renewal_goes_from_the_public_key_to_the_secret(newcomer: Newcomer) -> None:
    """The consumer makes the key as their page says, and opens the mail with its own command."""
    old = newcomer.certificate()
    newcomer.through("kubectl label secret client-ca ")
    [policy] = [each for each in blocks(README, "yaml") if "renewal:" in each]
    (newcomer.reader.directory / "renewing.yaml").write_text(policy)
    newcomer.through("kubectl patch clientcertificate ")
    for each in commands(REPOSITORY / "docs/for-consumers.md"):
        if each.text.endswith(("-private-key.pem 3072", "-out credential-exchange-public-key.pem")):
            newcomer.consumer.type(each.text)
    request = asked(newcomer)
    approved(newcomer, request)
    [mail] = until(lambda: newcomer.mails("Done: "), seconds=PATIENCE)
    assert newcomer.consumer.save(mail) == ["client.key.cms", "client.pem"]
    for told in commands_of_mail(mail)[:2]:
        newcomer.consumer.type(told)
    new = newcomer.certificate()
    assert new == x509.load_pem_x509_certificate((newcomer.consumer.directory / "client.pem").read_bytes())
    assert (new.subject, new.issuer) == (old.subject, old.issuer)
    assert new.not_valid_after_utc > old.not_valid_after_utc
    newcomer.types("kubectl wait clientcertificate/weather-prod --for=jsonpath={.status.phase}=Valid --timeout=60s")
    closing = f"was replaced by serial number {new.serial_number:x}"
    slack = newcomer.installed.slack
    assert slack.wait_for(lambda server: any(closing in each.text for each in server.in_channel(CHANNEL)))


def asked(newcomer: Newcomer) -> str:
    """Sam asks, and the checks pass; returns the name of the request."""
    command = newcomer.up_to("clientcert renew ")
    words = shlex.split(command.text.replace("prison-visits-prod", "weather-prod"))
    key = newcomer.consumer.directory / words[-1]
    (newcomer.people["sam"].directory / words[-1]).write_bytes(key.read_bytes())
    [request] = re.findall(r"request (weather-prod-\w+)", newcomer.people["sam"].succeeds(*words[1:]))
    state = f"kubectl get certificaterenewal {request} -o 'jsonpath={{.status.state}}'"
    eventually(lambda: newcomer.types(state), "AwaitingApproval", seconds=PATIENCE)
    return str(request)


def approved(newcomer: Newcomer, request: str) -> None:
    """Kim approves, and the table of requests says that it is done."""
    command = newcomer.up_to("clientcert approve ")
    words = shlex.split(re.sub(r"prison-visits-prod-\w+", request, command.text))
    assert f"Approved. `clientcert retrieve {request} --wait`" in newcomer.people["kim"].succeeds(*words[1:])
    table = newcomer.up_to("kubectl get certificaterenewals ")

    def rows() -> list[str]:
        return newcomer.types(table.text).splitlines()

    assert rows()[0].split() == shown(table)
    eventually(lambda: rows()[1].split()[:3], [request, "weather-prod", "Done"], seconds=PATIENCE)
