"""A real Prometheus scrapes the operator over a small fleet: dashboards have data, and the exposition is correct."""

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.control_plane.buckets import Backup, running_proxy
from tests.control_plane.exporter_queries import DASHBOARD, NO_DATA, RULES
from tests.control_plane.operators import Operator, Operators
from tests.control_plane.renewal_scene import PATIENCE, RenewalScene
from tests.control_plane.revoking import LISTS, Revoker
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, in_secret, slack_channel
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client
from tools.prometheus import PrometheusBinaries, PrometheusServer, render_rules

OURS = REPOSITORY / "deploy/helm/clientcert-operator/files/dashboard.json"
VARIABLES = {
    "$namespace": ".*",
    "$owner": ".*",
    "$warning_days": "28",
    "$critical_days": "14",
    "$__rate_interval": "10s",
}
NEEDS_SECONDS = 20.0
MANY_ERRORS = 6
"""More failed reads than some rules overlook."""


@dataclass(frozen=True)
class Monitored:
    operator: Operator
    server: PrometheusServer

    def without_data(self, expressions: dict[str, str]) -> dict[str, str]:
        """Those of which Prometheus has no data for a while."""
        missing, deadline = dict(expressions), time.monotonic() + NEEDS_SECONDS
        while missing and time.monotonic() < deadline:
            missing = {name: each for name, each in missing.items() if not self.server.query(each)}
            time.sleep(0.2)
        return missing


@pytest.fixture(scope="module")
def monitored(
    lasting_team: Team,
    operators: Operators,
    s3: tuple[S3Server, S3Client],
    prometheus_binaries: PrometheusBinaries,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Monitored]:
    """One operator of the team alone, which is scraped each second, and a fleet with something of everything."""
    team, directory = lasting_team, tmp_path_factory.mktemp("prometheus")
    with running_proxy(s3[0]) as proxy, operators.running(team.namespace) as operator:
        target = operator.process.url.removeprefix("http://")
        with PrometheusServer.start(directory, [target], render_rules()) as server:
            until(lambda: server.query("x509_source_errors_total"))
            make_fleet(team, Backup(team, *s3, proxy))
            yield Monitored(operator, server)


def make_fleet(team: Team, backup: Backup) -> None:
    revoker = Revoker(team)
    revoker.allow(LISTS)
    revoker.declare_policy("unusable", ca="absent")
    scene = RenewalScene.of(team)
    scene.install()
    scene.ask(csr=scene.csr())
    team.apply(
        certificate_policy("at-once", sourceGrace="0s"),
        certificate_policy("nowhere", slack_channel("team", "#nowhere")),
    )
    team.hand_out("expired", days=-1, owner="integration-team")
    team.hand_out("critical", days=3)
    team.hand_out("lost", days=3, policyRef={"name": "nowhere"})
    team.hand_out("retired", days=2, silence={"until": "2099-12-24T00:00:00Z", "reason": "retired"})
    team.declare("missing", policyRef={"name": "at-once"})
    for number in range(MANY_ERRORS):
        team.declare(f"missing-{number}")
    team.hand_out("renewed", days=20)
    team.declare("twin", consumer=team.consumer("renewed"), source=in_secret("renewed-cert"))
    backup.declare()
    backup.hand_out("stored", days=10)
    name = revoker.revoke(scene.authority.issue("gone", team.began, scene.old.not_after))
    eventually(lambda: team.phase("renewed"), "ExpiringSoon")
    team.renew("renewed", days=365)
    eventually(lambda: scene.state("asked"), "AwaitingApproval", PATIENCE)
    eventually(lambda: team.condition("lost", "AlertsDelivered")[0], "False")
    eventually(lambda: revoker.condition(name, "InCRL"), ("True", "Signed"))


def expressions(dashboard: Path) -> dict[str, str]:
    """By panel: its queries, with the usual values of the variables."""
    found = {}
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            assert "$" not in expression
            found[f"{panel['title']} {target['refId']}"] = expression
    return found


def test_our_dashboard_has_data(monitored: Monitored) -> None:
    """Each query of each panel. Those with a default must have data without it."""
    found = expressions(OURS)
    assert len(found) > 40
    strict = {name: each.removesuffix(" or vector(0)") for name, each in found.items()}
    never = {"Policies with a problem A", "Namespaces out of reach A"}
    assert monitored.without_data({name: each for name, each in strict.items() if name not in never}) == {}
    assert monitored.without_data(found) == {}


def test_the_choices_of_our_dashboard_have_values(monitored: Monitored) -> None:
    for variable in json.loads(OURS.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"])
            assert asked is not None
            assert monitored.without_data({variable["name"]: f'{asked[1]}{{{asked[2]}!=""}}'}) == {}


def test_the_dashboard_of_the_usual_exporter_has_data(monitored: Monitored) -> None:
    assert monitored.without_data(DASHBOARD) == {}


def test_the_rules_of_the_usual_exporter_have_data(monitored: Monitored) -> None:
    assert monitored.without_data(RULES) == {}


def test_those_without_data_are_rightly_listed(monitored: Monitored) -> None:
    """Each is a query that Prometheus can read, and has no answer to."""
    assert {name for name, (query, reason) in NO_DATA.items() if monitored.server.query(query) or not reason} == set()


def test_promtool_accepts_the_exposition(monitored: Monitored, prometheus_binaries: PrometheusBinaries) -> None:
    status, text = monitored.operator.get("/metrics")
    assert status == 200
    command = [prometheus_binaries.promtool, "check", "metrics"]
    ran = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_no_series_stands_twice(monitored: Monitored) -> None:
    """Two objects read the same Secret."""
    _, text = monitored.operator.get("/metrics")
    counted = Counter(line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#"))
    assert [each for each, count in counted.items() if count > 1] == []
    assert monitored.server.query("count(x509_source_up{secret_name='renewed-cert'})")[0].value == 1


def test_all_rules_can_be_evaluated(monitored: Monitored) -> None:
    """By a real Prometheus. Nothing is said of a certificate with a silence."""
    server = monitored.server
    until(lambda: server.query('ALERTS{alertname="ClientCertExpired",alertstate="firing"}'))
    expected = {"Expiring", "ExpiringCritical", "Expired", "SourceUnreadable", "AlertUndelivered", "PolicyProblem"}
    names = {f"ClientCert{name}" for name in expected}
    eventually(lambda: {each.labels["alertname"] for each in server.query("ALERTS")}, names)
    assert server.rule_errors() == {}
    assert [each for each in server.query("ALERTS") if each.labels.get("name") == "retired"] == []
