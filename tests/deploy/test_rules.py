"""Each alert rule fires for its trouble, and for nothing else; promtool evaluates them."""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.docs.pages import anchors
from tools.prometheus import PrometheusBinaries, render_rules
from tools.prometheus.rules import RULES

OBJECT = 'namespace="integration",name="nhs",consumer="nhs",environment="prod",owner="team"'
ENDS = f"clientcert_certificate_not_after_timestamp_seconds{{{OBJECT},%s}}"
CONDITION = f'clientcert_certificate_condition{{{OBJECT},condition="%s",status="False",reason="X",%s}}'
SILENCED = f"clientcert_certificate_silenced{{{OBJECT},%s}}"
REQUEST = (
    'clientcert_renewal_awaiting_approval_since_timestamp_seconds{namespace="integration",name="nhs-1",'
    'certificate="nhs",consumer="nhs",environment="prod",owner="team",%s}'
)
OPEN = REQUEST.replace("awaiting_approval", "open").replace("%s", 'state="Waiting",%s')
POLICY = (
    'clientcert_policy_condition{namespace="integration",name="alerts",condition="%s",status="False",reason="%s",%s}'
)
DISCOVERED = (
    'clientcert_store_condition{namespace="integration",name="backup",condition="%s",status="False",reason="X",%s}'
)
STORE = 'clientcert_store_ready{namespace="integration",name="backup",%s}'
CRL = 'clientcert_crl_next_update_timestamp_seconds{namespace="integration",issuer="ca",%s}'
A, B = 'instance="a",pod="a",job="op"', 'instance="b",pod="b",job="op"'
DAY, HOUR = 86400, 3600
CONDITIONS = (("ClientCertSourceUnreadable", "SourceReadable"), ("ClientCertAlertUndelivered", "AlertsDelivered"))
MINUTES = 60
"""Nearly every case has so many."""
LONG_STEP, WEEK = 120, 7 * 12
"""Minutes of one step where a case takes days; so many of these are a week."""
OWNER = {"namespace": "integration", "name": "nhs", "consumer": "nhs", "environment": "prod", "owner": "team"}
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """Series that Prometheus has, and the alerts that fire; the series of one minute are one value."""

    rule: str
    words: str
    series: Mapping[str, str]
    firing: tuple[Labels, ...] = ()
    step: int = 1
    """Minutes from one value to the next; the same for all cases of a rule."""
    ends: int = MINUTES
    """It is looked at after so many steps."""

    @property
    def looked_at(self) -> tuple[int, ...]:
        """After so many minutes; in a hand-over before it, while no replica leads, and right after it."""
        return (39, 41, 43, MINUTES) if "hand-over" in self.words else (self.ends * self.step,)


def always(value: float) -> str:
    return f"{value:.0f}x{MINUTES}"


def until(value: float, minute: int) -> str:
    """The value up to this minute; then the pod is gone."""
    return f"{value:.0f}x{minute - 1} stale"


def since(value: float, minute: int) -> str:
    return f"_x{minute} {value:.0f}x{MINUTES - minute}"


def in_days(days: float) -> str:
    """The end of a certificate, so many days after the case is looked at."""
    return always(MINUTES * 60 + days * DAY)


def handed_over(series: str, value: float) -> dict[str, str]:
    """Pod a has the series, and 2 minutes after its end pod b, as after a kill."""
    return {series % A: until(value, 40), series % B: since(value, 42)}


def about(rule: str, firing: Labels, series: str, bad: float, good: float) -> list[Case]:
    """Firing for one value and not for the other; and firing on through a hand-over, with 15 minutes before it."""
    return [
        Case(rule, "fires", {series % A: always(bad)}, (firing,)),
        Case(rule, "does not fire", {series % A: always(good)}),
        Case(rule, "fires on through a hand-over", handed_over(series, bad), (firing,)),
        Case(rule, "waits before it fires", {series % A: since(bad, MINUTES - 1)}),
    ]


def not_silenced(rule: str, series: Mapping[str, str], firing: Labels) -> list[Case]:
    return [
        Case(rule, "is left out while silenced", {**series, SILENCED % A: always(1)}),
        Case(rule, "counts again after the silence", {**series, SILENCED % A: always(0)}, (firing,)),
        Case(rule, "is left out through a hand-over", {**series, **handed_over(SILENCED, 1)}),
    ]


def certificate_cases() -> list[Case]:
    made = []
    for rule, fires, quiet in (
        ("ClientCertExpiring", (27.9, 14.1), (28.1, 13.9)),
        ("ClientCertExpiringCritical", (13.9, 0.1), (14.1, -0.1)),
        ("ClientCertExpired", (-0.1, -300), (0.1,)),
    ):
        made += [Case(rule, f"{days} days before", {ENDS % A: in_days(days)}, (OWNER,)) for days in fires]
        made += [Case(rule, f"not {days} days before", {ENDS % A: in_days(days)}) for days in quiet]
        ends = MINUTES * 60 + fires[0] * DAY
        made.append(Case(rule, "fires on through a hand-over", handed_over(ENDS, ends), (OWNER,)))
        made += not_silenced(rule, {ENDS % A: always(ends)}, OWNER)
        renewed = {ENDS % A: f"{ends:.0f}x50 {ends + 300 * DAY:.0f}x10"}
        made.append(Case(rule, "ends at once with the renewal", renewed))
    for rule, name in (
        ("ClientCertSourceUnreadable", "SourceReadable"),
        ("ClientCertAlertUndelivered", "AlertsDelivered"),
    ):
        series = CONDITION % (name, "%s")
        made.append(Case(rule, "fires", {series % A: always(1)}, (OWNER,)))
        made.append(Case(rule, "not for another condition", {CONDITION % ("IdentityMatches", A): always(1)}))
        made.append(Case(rule, "fires on through a hand-over", handed_over(series, 1), (OWNER,)))
        changed = {series % A: until(1, 50), series.replace('"X"', '"Y"') % A: since(1, 50)}
        made.append(Case(rule, "goes on when the reason changes", changed, (OWNER,)))
        made.append(Case(rule, "ends when it is well again", {series % A: until(1, 50)}))
        made += not_silenced(rule, {series % A: always(1)}, OWNER)
    return made


def request_cases() -> list[Case]:
    rule, waits = "ClientCertApprovalWaiting", REQUEST
    firing = {**OWNER, "name": "nhs-1", "certificate": "nhs"}
    return [
        *about(rule, firing, waits, -2 * DAY, -DAY + 2 * HOUR)[:3],
        Case(rule, "not one that waits for something else", {OPEN % A: always(-2 * DAY)}),
        Case(rule, "ends with the decision", {waits % A: until(-2 * DAY, 50)}),
        *not_silenced(rule, {waits % A: always(-2 * DAY)}, firing),
    ]


def policy_cases() -> list[Case]:
    rule, key = "ClientCertPolicyProblem", {"namespace": "integration", "name": "alerts"}
    invalid = POLICY % ("Ready", "PolicyInvalid", "%s")
    ends, expired = (POLICY % ("IssuerReady", reason, "%s") for reason in ("CAEndsSoon", "IssuerExpired"))
    return [
        Case(rule, "fires", {invalid % A: always(1)}, (key,)),
        Case(rule, "not if the CA ends soon", {ends % A: always(1)}),
        Case(rule, "fires when the CA has expired", {expired % A: always(1)}, (key,)),
        Case(rule, "fires on through a hand-over", handed_over(invalid, 1), (key,)),
        Case("ClientCertCAEndsSoon", "fires", {ends % A: always(1)}, (key,)),
        Case("ClientCertCAEndsSoon", "not for another problem", {invalid % A: always(1)}),
        Case("ClientCertCAEndsSoon", "ends when it has expired", {ends % A: until(1, 30), expired % A: since(1, 30)}),
        Case("ClientCertCAEndsSoon", "fires on through a hand-over", handed_over(ends, 1), (key,)),
    ]


def discovery_cases() -> list[Case]:
    rule, key = "ClientCertDiscoveryProblem", {"namespace": "integration", "name": "backup"}
    limited = DISCOVERED % ("Discovered", "%s")
    return [
        Case(rule, "fires", {limited % A: always(1)}, (key,)),
        Case(rule, "not for another condition", {DISCOVERED % ("PrivateKeysAbsent", A): always(1)}),
        Case(rule, "ends when all are made", {limited % A: until(1, 30)}),
        Case(rule, "fires on through a hand-over", handed_over(limited, 1), (key,)),
    ]


def week_cases() -> list[Case]:
    rule, series = "ClientCertObserveOnly", 'clientcert_observe_only{namespace="clientcert-system",%s}'
    leader = 'clientcert_leader{namespace="clientcert-system",%s}'
    week, where, leads = f"1x{WEEK}", where_of_operator(), {leader % A: f"1x{WEEK + 3}"}
    first, second = f"1x{WEEK // 2} stale", f"_x{WEEK // 2} {week}"
    another = {each % A: first for each in (series, leader)} | {each % B: second for each in (series, leader)}
    beside = leads | {series % A: f"0x{WEEK}", series % B: week, leader % B: f"0x{WEEK}"}
    return [
        Case(rule, "fires after a week", leads | {series % A: week}, (where,), LONG_STEP, WEEK),
        Case(rule, "fires also if another pod has followed", another, (where,), LONG_STEP, WEEK),
        Case(rule, "not two hours before", leads | {series % A: week}, (), LONG_STEP, WEEK - 1),
        Case(rule, "not if the leader does more", beside, (), LONG_STEP, WEEK),
        Case(rule, "ends with the trial", leads | {series % A: f"{week} 0x2"}, (), LONG_STEP, WEEK + 1),
    ]


def where_of_operator() -> dict[str, str]:
    return {"namespace": "clientcert-system", "job": "op"}


def operator_cases() -> list[Case]:
    leader, info = 'clientcert_leader{namespace="clientcert-system",%s}', 'clientcert_build_info{version="1",%s}'
    differs = 'clientcert_version_skew{namespace="clientcert-system",component="kinds",%s}'
    kinds = {**where_of_operator(), "component": "kinds"}
    down, up = "ClientCertNamespaceDown", 'clientcert_namespace_up{namespace="integration",%s}'
    both = {leader % A: until(1, 58), leader % B: f"0x59 {always(1)}"}
    where = where_of_operator()
    return [
        Case("ClientCertOperatorDown", "fires without a replica", {}, ({},)),
        Case("ClientCertOperatorDown", "fires when the last is gone", {info % A: until(1, 45)}, ({},)),
        Case("ClientCertOperatorDown", "not with one of two", {info % A: until(1, 40), info % B: always(1)}),
        Case("ClientCertOperatorDown", "not during a restart", {info % A: until(1, 40), info % B: since(1, 44)}),
        Case("ClientCertNoLeader", "fires", {leader % A: always(0), leader % B: always(0)}, (where,)),
        Case("ClientCertNoLeader", "not with one of two", {leader % A: always(0), leader % B: always(1)}),
        Case("ClientCertNoLeader", "not during a hand-over", both),
        *about(down, {"namespace": "integration"}, up, 0, 1),
        *about("ClientCertVersionSkew", kinds, differs, -1, 0),
        Case("ClientCertVersionSkew", "fires for newer kinds", {differs % A: always(1)}, (kinds,)),
        Case("ClientCertVersionSkew", "not during a roll-out", {differs % A: since(1, 40)}),
    ]


def cases() -> dict[str, list[Case]]:
    key = {"namespace": "integration", "name": "backup"}
    ends = MINUTES * 60 + 24 * DAY
    crl = about("ClientCertCRLNotRenewed", {"namespace": "integration", "issuer": "ca"}, CRL, ends, ends + 5 * DAY)
    every = [
        *certificate_cases(),
        *request_cases(),
        *policy_cases(),
        *discovery_cases(),
        *about("ClientCertStoreDown", key, STORE, 0, 1),
        *crl[:3],
        *operator_cases(),
        *week_cases(),
    ]
    found: dict[str, list[Case]] = {}
    for case in every:
        found.setdefault(case.rule, []).append(case)
    return found


def rules() -> dict[str, Any]:
    groups = yaml.safe_load(render_rules())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def as_test(case: Case, severity: str) -> dict[str, Any]:
    alert = {"alertname": case.rule, "alertstate": "firing", "severity": severity}
    firing = [",".join(f'{name}="{value}"' for name, value in {**alert, **each}.items()) for each in case.firing]
    return {
        "name": f"{case.rule} {case.words}",
        "interval": f"{case.step}m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f'ALERTS{{alertname="{case.rule}",alertstate="firing"}}',
                "eval_time": f"{minutes}m",
                "exp_samples": [{"labels": f"ALERTS{{{each}}}", "value": 1} for each in firing],
            }
            for minutes in case.looked_at
        ],
    }


@pytest.mark.parametrize("rule", sorted(rules()))
def test_a_rule_fires_for_its_trouble_alone(rule: str, prometheus_binaries: PrometheusBinaries, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(render_rules())
    severity = rules()[rule]["labels"]["severity"]
    tests = [as_test(case, severity) for case in cases()[rule]]
    [step] = {case.step for case in cases()[rule]}
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{step}m", "tests": tests}
    (tmp_path / "tests.yaml").write_text(json.dumps(content))
    command = [prometheus_binaries.promtool, "test", "rules", "tests.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_each_rule_has_cases_of_both_kinds() -> None:
    found = cases()
    assert found.keys() == rules().keys()
    assert [name for name, each in found.items() if not any(case.firing for case in each)] == []
    assert [name for name, each in found.items() if all(case.firing for case in each)] == []


def test_promtool_reads_the_file_as_it_is(prometheus_binaries: PrometheusBinaries) -> None:
    """With its marks, which are names for Prometheus: so any tool can read it before they are replaced."""
    subprocess.run([prometheus_binaries.promtool, "check", "rules", RULES], check=True)


def test_they_stand_on_our_own_metrics() -> None:
    """Where x509-certificate-exporter runs too, its rules fire for x509_cert_not_after."""
    for name, rule in rules().items():
        assert name.startswith("ClientCert")
        metrics = set(re.findall(r"\b(\w+)[\[{]", rule["expr"])) - {"s", "m"}
        assert metrics, name
        assert all(each.startswith("clientcert_") for each in metrics), name
        assert {"pod", "instance"}.isdisjoint(re.findall(r"\w+", rule["expr"]))


def test_each_links_to_its_part_of_the_runbook() -> None:
    known = anchors(REPOSITORY / "docs/runbook.md")
    for name, rule in rules().items():
        address, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (address, anchor) == ("__RUNBOOK_URL__", name.lower())
        assert anchor in known


def test_those_about_a_certificate_say_whose_it_is() -> None:
    about_certificates = [rule for rule in rules().values() if "consumer" in rule["expr"]]
    assert len(about_certificates) == 6
    for rule in about_certificates:
        words = rule["annotations"]["description"]
        assert [each for each in OWNER if f"$labels.{each}" not in words] == []
        assert "clientcert_certificate_silenced" in rule["expr"]
