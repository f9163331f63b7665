"""The operator as a process of a test: with the loopback Slack, at any date, and always stopped cleanly."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.control_plane.waiting import eventually, until
from tests.forked import forked_operator
from tools.control_plane import ApiError, ControlPlane, OperatorProcess
from tools.control_plane.process import Launch
from tools.mail_server import LoopbackMailServer
from tools.slack_server import SlackServer

LEASE = "/apis/coordination.k8s.io/v1/namespaces/clientcert-system/leases/clientcert-operator"
OWN_CHANNEL = "#operator"
"""The operator's own Slack channel; the policies of tests name it only as such."""
MAIL_LOGIN = ("operator", "canary-5d21-password")
"""The login of every mail server that requires one."""
MAIL_SENDER = "Integration team <certificates@integration.example>"
_FORBIDDEN_IN_LOGS = re.compile(r"Traceback|unexpected|[Ff]orbidden|refuses the status")
_RECONCILES = "clientcert_reconcile_duration_seconds_count"
_QUIET_SECONDS = 0.6
_LONGEST_SETTLING = 120.0
"""Seconds: a hundred messages in one channel."""
"""The gauge of the queue is set four times a second."""


@dataclass(frozen=True)
class Operator:
    """One running operator, with its health server, metrics and log."""

    process: OperatorProcess

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an answer of its health server."""
        try:
            with urllib.request.urlopen(self.process.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def series(self, name: str, /, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Labels and values of all series of this name that have these labels."""
        return _series(self.get("/metrics")[1], name, **labels)

    def metric(self, name: str, /, **labels: str) -> float:
        """The sum over those series."""
        return sum(value for _, value in self.series(name, **labels))

    @property
    def reconciles(self) -> float:
        """The number of reconciles of certificates."""
        return self.metric(_RECONCILES)

    def settle(self, reconciles: int = 1) -> None:
        """Wait for this number of reconciles, and then until no more happen for a while."""
        until(lambda: self.reconciles, lambda count: count >= reconciles)
        eventually(self._work, (0, 0, 0), _LONGEST_SETTLING)

    def _work(self) -> tuple[float, float, float]:
        """Reconciles of the next moment; then the items of the queue, and the messages that wait."""
        before = self.reconciles
        time.sleep(_QUIET_SECONDS)
        shown = self.get("/metrics")[1]
        waiting = (_sum(shown, "clientcert_notifications_waiting", reason=reason) for reason in ("rate", "digest"))
        return _sum(shown, _RECONCILES) - before, _sum(shown, "clientcert_queue_depth"), sum(waiting)


def _sum(shown: str, name: str, /, **labels: str) -> float:
    return sum(value for _, value in _series(shown, name, **labels))


def _series(shown: str, name: str, /, **labels: str) -> list[tuple[dict[str, str], float]]:
    """Those in the text of a scrape. Only their lines are parsed: thousands of others would take most of the time."""
    lines = "".join(f"{line}\n" for line in shown.split("\n") if line.startswith(name))
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(lines)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


@dataclass(frozen=True)
class Operators:
    """Starts operators: one at a time, or a second one as a standby."""

    control_plane: ControlPlane
    directory: Path
    slack: SlackServer
    _started: list[OperatorProcess] = field(default_factory=list)

    @contextmanager
    def running(
        self,
        namespace: str = "",
        *,
        later: timedelta = timedelta(0),
        settings: Mapping[str, str] | None = None,
        launch: Launch = forked_operator,
    ) -> Iterator[Operator]:
        """An operator for the namespace, or for all, whose clock is `later` ahead. It must exit with 0 and a
        clean log. See tests/forked.py for `launch`.
        """
        process = self.started(namespace, later=later, settings=settings, launch=launch)
        try:
            yield Operator(process)
        finally:
            exit_code = process.stop()
        assert (exit_code, unexpected_lines(process.log_text())) == (0, [])

    def started(
        self,
        namespace: str = "",
        *,
        later: timedelta = timedelta(0),
        settings: Mapping[str, str] | None = None,
        launch: Launch = forked_operator,
    ) -> OperatorProcess:
        """The same for an operator that the test kills."""
        if all(each.process.returncode is not None for each in self._started):
            forget_leader(self.control_plane)
        arguments = ["--log-format", "text"]
        arguments += ["--namespace", namespace] if namespace else []
        arguments += [f"--clock-offset={later.total_seconds():.0f}s"] if later else []
        process = OperatorProcess.start(
            self.control_plane,
            directory=self.directory,
            args=arguments,
            env=with_slack(self.slack) | dict(settings or {}),
            launch=launch,
        )
        self._started.append(process)
        return process


def forget_leader(control_plane: ControlPlane) -> None:
    """Delete the Lease, so that the next operator leads at once, however the previous one has ended.

    A killed operator has not released its Lease. Each later operator would wait half a minute for it, longer than most
    tests wait, so one failing test would make the next ones fail.
    """
    try:
        control_plane.api.request("DELETE", LEASE)
    except ApiError as error:
        if error.status != 404:
            raise


def with_slack(slack: SlackServer, api_url: str = "") -> dict[str, str]:
    """The environment of an operator with its own channel, and with loopback allowed for tenants."""
    return {
        "CLIENTCERT_SLACK_TOKEN": slack.token,
        "CLIENTCERT_SLACK_CHANNEL": OWN_CHANNEL,
        "CLIENTCERT_SLACK_API_URL": api_url or slack.api_url,
        "CLIENTCERT_ALLOWED_HOSTS": "127.0.0.1",
    }


def with_mail(server: LoopbackMailServer, folder: Path) -> dict[str, str]:
    """The environment, besides `with_slack`, of an operator with a login to this mail server."""
    authority = folder / "mail.pem"
    authority.write_text(server.authority_pem)
    return {
        "CLIENTCERT_SMTP_HOST": server.host,
        "CLIENTCERT_SMTP_PORT": str(server.port),
        "CLIENTCERT_SMTP_USERNAME": MAIL_LOGIN[0],
        "CLIENTCERT_SMTP_PASSWORD": MAIL_LOGIN[1],
        "CLIENTCERT_SMTP_FROM": MAIL_SENDER,
        "SSL_CERT_FILE": str(authority),
    }


def unexpected_lines(log: str) -> list[str]:
    """Lines that no test may cause: unexpected errors, and requests that the shipped RBAC does not allow."""
    return [line for line in log.splitlines() if _FORBIDDEN_IN_LOGS.search(line)]
