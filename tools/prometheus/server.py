"""A real Prometheus on this machine."""

import json
import os
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.control_plane.process import ChildProcess, free_port, on_free_ports
from tools.control_plane.servers import answers

from .binaries import find_or_unpack

_START_SECONDS = 30.0
_CONFIGURATION = """\
global: {{scrape_interval: {interval}, evaluation_interval: {interval}}}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: clientcert-operator
    honor_labels: true
    static_configs:
      - targets: {targets}
        labels: {{namespace: clientcert-system}}
"""


@dataclass(frozen=True)
class Sample:
    """One series of an answer, with its last value."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class PrometheusServer:
    """A running Prometheus. A context manager: at its end the server is stopped."""

    url: str
    process: ChildProcess

    @classmethod
    def start(cls, directory: Path, targets: Sequence[str], rules: str, *, interval: str = "1s") -> Self:
        """Scrape these targets (`host:port`), and evaluate these rules; data and log are in a new `directory`.

        The job is as a ServiceMonitor with `honorLabels` makes it: the labels of our series count.
        """
        binary = find_or_unpack().prometheus
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        configuration = directory / "prometheus.yaml"
        configuration.write_text(_CONFIGURATION.format(interval=interval, targets=json.dumps(list(targets))))
        (directory / "rules.yaml").write_text(rules)

        def start() -> tuple[ChildProcess, int]:
            port = free_port()
            flags = [f"--config.file={configuration}", f"--storage.tsdb.path={directory / 'data'}"]
            flags += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
            environment = {"PATH": os.defpath, "HOME": str(directory)}
            log_path = directory / "prometheus.log"
            process = ChildProcess.start([binary, *flags], log_path=log_path, env=environment, cwd=directory)
            process.wait_until(lambda: answers(port, "/-/ready", 200), _START_SECONDS)
            return process, port

        process, port = on_free_ports(start)
        return cls(f"http://127.0.0.1:{port}", process)

    def query(self, expression: str) -> list[Sample]:
        """The result of an instant query; a scalar has no labels. Raises ValueError with Prometheus' own words."""
        data = self._get("query", query=expression)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]

    def history(self, expression: str, begin: float, end: float, step: float = 1.0) -> dict[str, list[float]]:
        """By the labels of each series, as JSON: the times at which it has a value."""
        data = self._get("query_range", query=expression, start=str(begin), end=str(end), step=str(step))
        return {
            json.dumps(each["metric"], sort_keys=True): [float(time) for time, _ in each["values"]]
            for each in data["result"]
        }

    def rule_errors(self) -> dict[str, str]:
        """By rule: the error of its last evaluation, if there was one."""
        every = [rule for group in self._get("rules")["groups"] for rule in group["rules"]]
        return {rule["name"]: rule["lastError"] for rule in every if rule.get("lastError")}

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{parameters}: {json.load(error).get('error')}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.stop()
