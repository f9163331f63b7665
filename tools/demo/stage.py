"""The running servers and the operator, and access to them for the steps."""

import base64
import json
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.control_plane import ControlPlane, OperatorProcess, S3Server
from tools.control_plane.s3_client import S3Client
from tools.demo.cast import ON_CALL, TEAM, Cast, Seen, assemble
from tools.demo.mailbox import Mailbox, as_read
from tools.demo.people import ROLES, Laptop, Person
from tools.demo.screen import Screen
from tools.mail_server import Received
from tools.slack_server import Posted, SlackServer, render

NAMESPACE = "integration-api"
BUCKET = "integration-api-prod-certificates-backup"
REPOSITORY = Path(__file__).resolve().parents[2]
_OWN_TOKEN, _TEAM_TOKEN = "xoxb-the-operators-own", "xoxb-the-teams"
_API = "/apis/clientcert.dev/v1alpha1"


class Stage:
    """Everything that runs for the demo; `exits` stops it in reverse order."""

    control_plane: ControlPlane
    s3: S3Server
    bucket: S3Client
    operator: OperatorProcess | None = None
    people: Mapping[str, Person]
    """By name, as in ROLES."""

    def __init__(self, directory: Path, screen: Screen, exits: ExitStack) -> None:
        self.directory = directory
        self.screen = screen
        self.started = datetime.now(UTC)
        self.cast: Cast = assemble(self.started)
        self.prints_messages = False
        """True if Slack messages and mails are shown when they arrive."""
        self._exits = exits
        self.slack = SlackServer(
            channels=[TEAM, ON_CALL], tokens=[_OWN_TOKEN, _TEAM_TOKEN], on_message=self._message_arrived
        )
        self.mailbox = Mailbox(self._mail_arrived)
        self.laptop = Laptop(directory / "alex")
        """Of the contact who is written to at the moment."""

    def start_servers(self) -> None:
        """Start an API server, an S3 server with an empty bucket, a Slack server and a mail server."""
        self.control_plane = self._exits.enter_context(ControlPlane.start(self.directory / "control-plane"))
        self.s3 = self._exits.enter_context(S3Server.start(self.directory / "s3"))
        self.bucket = S3Client(self.s3)
        self._exits.callback(self.bucket.close)
        self.bucket.create_bucket(BUCKET)
        self._exits.enter_context(self.slack.start())
        self._exits.enter_context(self.mailbox.server)

    def start_operator(self, *arguments: str, **settings: str) -> None:
        """Start it under its own ServiceAccount; a running one is stopped first, as in a restart of its pod.

        `settings` are further environment variables.
        """
        self.stop_operator()
        environment = {
            "CLIENTCERT_SLACK_TOKEN": _OWN_TOKEN,
            "CLIENTCERT_SLACK_CHANNEL": TEAM,
            "CLIENTCERT_SLACK_API_URL": self.slack.api_url,
            "CLIENTCERT_ALLOWED_HOSTS": f"{self.slack.host},{self.s3.endpoint.removeprefix('http://')}",
            **self.mailbox.settings(self.directory),
            **settings,
        }
        self.operator = OperatorProcess.start(
            self.control_plane,
            directory=self.directory / "operator",
            args=["--log-format", "text", *arguments],
            env=environment,
        )
        self._exits.callback(self.operator.stop)

    def stop_operator(self) -> None:
        """Stop it, if it runs."""
        if self.operator is not None:
            self.operator.stop()

    def operator_log(self, lines: int) -> str:
        """The last lines of its log; empty if no operator was started."""
        return "\n".join(self.operator.log_text().splitlines()[-lines:]) if self.operator else ""

    def bring_people(self) -> None:
        """Give each person of the team an account, and the consumer a directory."""
        self.laptop.directory.mkdir()
        self.people = {name: Person.in_namespace(self.control_plane, NAMESPACE, name, self.directory) for name in ROLES}

    def put_secret(
        self, name: str, files: Mapping[str, bytes], *, type_: str = "Opaque", namespace: str = NAMESPACE
    ) -> None:
        """Create or change a Secret, as `kubectl create secret generic` with `--from-file` does."""
        data = {key: base64.b64encode(content).decode() for key, content in files.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": type_, "data": data}
        self.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(secret))

    def put_settings_of_examples(self) -> None:
        """Settings that the examples leave to the reader: credentials, tokens, and the endpoint of the store."""
        credentials = {"AWS_ACCESS_KEY_ID": self.s3.access_key, "AWS_SECRET_ACCESS_KEY": self.s3.secret_key}
        self.put_secret("backup-prod-credentials", {name: value.encode() for name, value in credentials.items()})
        self.put_secret("slack", {"token": _TEAM_TOKEN.encode()})
        self.put_secret("slack-webhook", {"url": self.slack.webhook_url(TEAM).encode()})
        self._patch("certificatestore", "backup-prod", {"s3": {"endpoint": self.s3.endpoint}, "pollEvery": "10s"})
        year_from_now = self.started.replace(year=self.started.year + 1, day=1)
        self._patch(
            "clientcertificate", "court-lists-preprod", {"silence": {"until": f"{year_from_now:%Y-%m-%dT00:00:00Z}"}}
        )

    def kubectl(self, *arguments: str | Path, input: str | None = None) -> str:  # noqa: A002 - as subprocess calls it
        """Run kubectl as the administrator."""
        return self.control_plane.kubectl(*arguments, input=input)

    def show(self, *arguments: str) -> None:
        """Run kubectl, and show both the command and its output."""
        self.screen.command(f"kubectl {' '.join(arguments)}", self.kubectl(*arguments))

    def statuses(self, namespace: str = NAMESPACE) -> dict[str, Any]:
        """The status of every ClientCertificate of a namespace, by name."""
        items = self.control_plane.api.request("GET", f"{_API}/namespaces/{namespace}/clientcertificates")["items"]
        return {item["metadata"]["name"]: item.get("status") or {} for item in items}

    def requests(self) -> list[dict[str, Any]]:
        """All requests for renewals."""
        items: list[dict[str, Any]] = self.control_plane.api.request("GET", f"{_API}/certificaterenewals")["items"]
        return items

    def phases_and_days(self) -> dict[str, tuple[str | None, int | None]]:
        """The columns STATUS and DAYS, by name."""
        return {name: (status.get("phase"), status.get("daysRemaining")) for name, status in self.statuses().items()}

    def events(self) -> set[tuple[str, str]]:
        """The name of a ClientCertificate and a reason, for each Event about one."""
        items = self.control_plane.api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/events")["items"]
        about = [(item["involvedObject"], item["reason"]) for item in items]
        return {(what["name"], reason) for what, reason in about if what["kind"] == "ClientCertificate"}

    def messages(self, since: int = 0) -> list[Posted]:
        """The messages in the channels without replies in threads, and without the first `since` posts."""
        return [each for each in self.slack.messages[since:] if not each.thread_ts]

    def told(self, cast: Mapping[str, Seen], since: int = 0) -> dict[tuple[str, str], int]:
        """The number of messages by consumer and channel; an unexpected message is counted by its text."""
        counts: dict[tuple[str, str], int] = {}
        for message in self.messages(since):
            known = (name for name, seen in cast.items() if seen.says and seen.says in message.text)
            key = (next(known, message.text), message.channel)
            counts[key] = counts.get(key, 0) + 1
        return counts

    def _patch(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        patch = json.dumps({"spec": spec})
        self.kubectl("patch", kind, name, "-n", NAMESPACE, "--type", "merge", "-p", patch)

    def _message_arrived(self, message: Posted) -> None:
        if self.prints_messages:
            self.screen.output(render(message))

    def _mail_arrived(self, mail: Received) -> None:
        if self.prints_messages:
            self.screen.output(as_read(mail))
        if self.prints_messages and (files := self.laptop.save(mail)):
            self.screen.seen(f"Its attachments are in {self.laptop.directory}: {', '.join(files)}")
