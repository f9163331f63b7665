"""The operator as a program: the columns of `kubectl get`, health, metrics, its rights, and how it stops."""

import re
import time
from dataclasses import replace

from tests.control_plane.operators import Operators, unexpected_lines
from tests.control_plane.sentences import expiring
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, in_secret, secret, slack_channel
from tools.control_plane import OperatorProcess
from tools.control_plane.process import ChildProcess
from tools.slack_server import Fault

STOP_SECONDS = 2.0


def columns(printed: str) -> list[list[str]]:
    """The cells of a table of kubectl, by the positions of the headers."""
    header, *lines = printed.splitlines()
    starts = [found.start() for found in re.finditer(r"\S+( \S+)*", header)]
    ends = [*starts[1:], None]
    return [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in (header, *lines)]


def test_the_columns_of_kubectl_get(team: Team, operators: Operators) -> None:
    """Consumer, environment, status, days and date; wide: serial number, issuer, owner, source, last alert, silence."""
    silence = {"until": "2099-12-24T00:00:00Z", "reason": "being decommissioned"}
    issued = team.hand_out("nhs", days=20, owner="integration-team", silence=silence)
    team.apply(certificate_policy("at-once", sourceGrace="0s"))
    team.declare("missing", policyRef={"name": "at-once"})
    with operators.running(team.namespace):
        eventually(lambda: [team.phase(name) for name in ("nhs", "missing")], ["ExpiringSoon", "Missing"])
        until(lambda: team.notified("missing"))
        narrow = columns(team.control_plane.kubectl("get", "clientcertificates", "-n", team.namespace))
        wide = columns(team.control_plane.kubectl("get", "ccert", "nhs", "-o", "wide", "-n", team.namespace))
    ends = f"{issued.not_after:%Y-%m-%dT%H:%M:%SZ}"
    assert [row[:-1] for row in narrow] == [
        ["NAME", "CONSUMER", "ENVIRONMENT", "STATUS", "DAYS", "EXPIRES", "ALERTS"],
        ["missing", team.consumer("missing"), "prod", "Missing", "", "", "Delivered"],
        ["nhs", team.consumer("nhs"), "prod", "ExpiringSoon", "19", ends, "Delivered"],
    ]
    found = dict(zip(*wide, strict=True))
    assert found["SERIAL"] == issued.serial_number_hex
    assert (found["ISSUER"], found["OWNER"], found["SOURCE"]) == ("CN=Integration CA", "integration-team", "Secret")
    assert (found["LAST ALERT"], found["SILENCED UNTIL"]) == ("", "2099-12-24T00:00:00Z")


def test_health(team: Team, operators: Operators) -> None:
    """Ready means that the watches are established; both answer ok."""
    with operators.running(team.namespace) as operator:
        assert operator.get("/healthz") == (200, "ok\n")
        assert operator.get("/readyz") == (200, "ok\n")
        assert operator.get("/elsewhere")[0] == 404


def test_it_serves_the_configured_namespaces(team: Team, operators: Operators) -> None:
    """Several namespaces, each with its own watches; other namespaces are ignored."""
    others = [replace(team, namespace=f"{team.namespace}-{name}") for name in ("served", "elsewhere")]
    for each in (team, *others):
        if each is not team:
            team.control_plane.create_namespace(each.namespace)
        each.hand_out("nhs", days=20)
    settings = {"CLIENTCERT_NAMESPACE": f"{team.namespace},{others[0].namespace}"}
    with operators.running(settings=settings) as operator:
        operator.settle(reconciles=2)
        new = others[0].renew("nhs", days=300)
        eventually(lambda: others[0].serial("nhs"), new.serial_number_hex)
    assert [each.phase("nhs") for each in (team, *others)] == ["ExpiringSoon", "Valid", ""]
    for each in others:
        each.leave()


def test_series_exist_as_long_as_the_object(team: Team, operators: Operators) -> None:
    """The names and labels of the usual exporter, and ours; none is left when the object is deleted."""
    issued = team.hand_out("nhs", days=-1, owner="integration-team")
    team.apply(certificate_policy("at-once", sourceGrace="0s"))
    team.declare("missing", policyRef={"name": "at-once"})
    ours = {"namespace": team.namespace, "name": "nhs"}
    theirs = {"secret_namespace": team.namespace, "secret_name": "nhs-cert", "secret_key": "tls.crt"}
    exact = theirs | {
        "serial_number": str(int(issued.serial_number_hex, 16)),
        "subject_CN": team.consumer("nhs"),
        "issuer_CN": "Integration CA",
    }
    info = {"consumer": team.consumer("nhs"), "environment": "prod", "owner": "integration-team", "phase": "Expired"}
    with operators.running(team.namespace) as operator:
        operator.settle(reconciles=2)
        for name, value in (("not_after", issued.not_after), ("not_before", issued.not_before)):
            assert operator.series(f"x509_cert_{name}") == [(exact, value.timestamp())]
        assert operator.series("x509_cert_expired") == [(exact, 1)]
        source = theirs | {"source_kind": "kubernetes", "source_name": f"{team.namespace}/nhs-cert/tls.crt"}
        assert operator.series("x509_source_up", **theirs) == [(source, 1)]
        assert operator.metric("x509_source_up", secret_name="missing-cert") == 0
        assert operator.metric("x509_source_errors_total", reason="SourceNotFound") == 1
        assert operator.series("clientcert_certificate_info", **ours) == [(ours | info, 1)]
        assert (
            operator.metric("clientcert_certificate_not_after_timestamp_seconds", **ours)
            == issued.not_after.timestamp()
        )
        assert operator.metric("clientcert_certificate_condition", name="nhs", condition="Expiring") == 1
        assert operator.metric("clientcert_certificate_condition", name="missing", condition="SourceReadable") == 1
        assert operator.metric("clientcert_policy_ready", name="at-once") == 1
        assert operator.metric("clientcert_certificates", phase="Expired") == 1
        assert operator.metric("clientcert_notifications_total", channel_type="Slack", outcome="sent") == 2
        for name in ("nhs", "missing"):
            team.delete("ClientCertificate", name)
        eventually(lambda: operator.series("clientcert_certificate_info"), [])
        for name in ("x509_cert_not_after", "x509_cert_expired", "x509_source_up", "clientcert_certificates"):
            assert operator.series(name) == []


def test_a_renewal_changes_series(team: Team, operators: Operators) -> None:
    """The series of the old serial number ends with the replacement."""
    team.hand_out("nhs", days=20)
    with operators.running(team.namespace) as operator:
        eventually(lambda: team.phase("nhs"), "ExpiringSoon")
        new = team.renew("nhs", days=365)
        eventually(lambda: team.phase("nhs"), "Valid")
        serial_number = str(int(new.serial_number_hex, 16))
        eventually(
            lambda: [labels["serial_number"] for labels, _ in operator.series("x509_cert_not_after")], [serial_number]
        )


def test_missing_rights_are_reported(team: Team, operators: Operators) -> None:
    """Under a ServiceAccount without the shipped roles it is not ready, does not exit, and names the missing rights.

    This also tests the check at the end of every test, that no log line reports a refused request.
    """
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "poor"}}
    team.api.request("POST", f"/api/v1/namespaces/{team.namespace}/serviceaccounts", account)
    with OperatorProcess.start(
        team.control_plane,
        directory=operators.directory,
        args=["--log-format", "text", "--namespace", team.namespace],
        service_account=(team.namespace, "poor"),
        ready_timeout=None,
    ) as process:
        lines = until(lambda: [line for line in unexpected_lines(process.log_text()) if "cannot list resource" in line])
        assert process.process.returncode is None
        assert all(f"{team.namespace}:poor" in line for line in lines)
        began = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began < STOP_SECONDS


def test_it_stops_at_once(team: Team, operators: Operators) -> None:
    """SIGTERM ends it with exit code 0 within two seconds."""
    team.hand_out("nhs", days=20)
    with operators.running(team.namespace, launch=ChildProcess.start) as operator:
        operator.settle()
        began = time.monotonic()
        assert operator.process.stop() == 0
        assert time.monotonic() - began < STOP_SECONDS


def test_a_send_during_the_stop_is_finished_and_recorded(team: Team, operators: Operators) -> None:
    """SIGTERM while Slack hangs: the message is in the status, and is not sent again after the restart."""
    team.slack.fail_next(Fault.slow(2), place="#team")
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy("team", slack_channel("team", "#team", "slack")),
    )
    team.hand_out("nhs", days=20, source=in_secret("nhs-cert"), policyRef={"name": "team"})
    with operators.running(team.namespace):
        until(lambda: team.channel("nhs", "events"))
        assert team.channel("nhs", "team") == {}
    assert team.channel("nhs", "team")["stage"] == 20
    with operators.running(team.namespace) as operator:
        operator.settle()
    assert team.notified("nhs", "#team") == [expiring("nhs", 20)]
