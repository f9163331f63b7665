"""A verb waits for as long as it was told, however long each answer of the API server takes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clientcert.cli import cli

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
REQUEST = {
    "metadata": {"name": "nhs-1"},
    "spec": {"certificateRef": {"name": "nhs"}},
    "status": {"state": "AwaitingApproval", "waitsFor": "approval"},
}


@dataclass
class SlowServer:
    """An API server with one object. The clock goes on while it answers, and while somebody sleeps."""

    seconds_of_an_answer: float = 0.0
    tests: list[Any] = field(default_factory=list)
    """`status.test` of each answer, without its value; the last one stays."""
    passed: float = 0.0
    slept: list[float] = field(default_factory=list)
    asked: str = ""
    annotation: str = ""
    """In place of the one that was asked for."""
    kubeconfig: str = ""

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds

    def answer(self, patch: Any) -> Any:
        self.passed += self.seconds_of_an_answer
        if patch:
            self.asked = patch["metadata"]["annotations"]["clientcert.dev/test-alert"]
            return {"metadata": {"name": "nhs"}}
        if not self.asked:
            return REQUEST
        found = self.tests.pop(0) if len(self.tests) > 1 else self.tests[0]
        annotations = {"clientcert.dev/test-alert": self.annotation or self.asked}
        test = {"value": self.asked, **found} if found else None
        return {"metadata": {"name": "nhs", "annotations": annotations}, "status": {"test": test}}

    def clientcert(self, *arguments: str) -> Result:
        outside = {"now": self.now, "sleep": self.sleep}
        return CliRunner().invoke(cli, arguments, obj=outside, env={"KUBECONFIG": self.kubeconfig})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SlowServer]:
    slow = SlowServer(kubeconfig=str(tmp_path / "kubeconfig"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = json.dumps(slow.answer(json.loads(body) if body else None)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def do_PATCH(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{listening.server_port}"
    content = {
        "clusters": [{"name": "slow", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "x"}}],
        "contexts": [{"name": "slow", "context": {"cluster": "slow", "user": "me"}}],
        "current-context": "slow",
    }
    Path(slow.kubeconfig).write_text(json.dumps(content))
    Thread(target=listening.serve_forever, args=(0.02,)).start()
    yield slow
    listening.shutdown()
    listening.server_close()


def test_retrieve(server: SlowServer) -> None:
    """The last pause is cut, and answers count."""
    ran = server.clientcert("retrieve", "nhs-1", "--wait", "--timeout", "9s")
    assert (ran.exit_code, "it still waits: approval" in ran.stderr) == (1, True)
    assert server.slept == [2.0, 2.0, 2.0, 2.0, 1.0]
    server.slept, server.seconds_of_an_answer = [], 5.0
    assert server.clientcert("retrieve", "nhs-1", "--wait", "--timeout", "9s").exit_code == 1
    assert server.slept == [2.0, 2.0]


def test_test_alert(server: SlowServer) -> None:
    server.tests, server.seconds_of_an_answer = [None], 20.0
    ran = server.clientcert("test-alert", "nhs", "--wait", "60s")
    assert (ran.exit_code, "the operator has not begun the test" in ran.stderr) == (1, True)
    assert server.slept == [1.0, 1.0, 1.0]


def test_a_test_that_waits_for_its_minute_says_so_once(server: SlowServer) -> None:
    """And nothing when it begins."""
    waits, begins = {"dueTime": "2026-11-22T09:01:00Z"}, {"time": "2026-11-22T09:01:00Z"}
    ends = {**begins, "endTime": "2026-11-22T09:01:01Z", "channels": [{"name": "team", "outcome": "Sent"}]}
    server.tests = [waits, waits, begins, ends]
    ran = server.clientcert("test-alert", "nhs")
    assert (ran.exit_code, ran.stderr.count("\n")) == (0, 1)
    assert ran.stderr.startswith("It waits until 2026-11-22T09:01:00Z: ")


def test_a_test_that_another_one_replaces(server: SlowServer) -> None:
    """Somebody has asked for theirs before this one began."""
    server.tests, server.annotation = [None], "theirs"
    ran = server.clientcert("test-alert", "nhs")
    assert (ran.exit_code, "somebody has changed the annotation meanwhile" in ran.stderr) == (1, True)
    assert server.slept == [1.0]
