"""`clientcert check`: how long it waits, and how many calls it makes."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from clientcert.cli.api_server import Object
from clientcert.cli.main import cli
from tests.scenarios import client_certificate
from tests.unit.cli.check_scene import NOW, Answer, Call, Server, applied, write


class Clock:
    """Time passes with each call to the API server, and while somebody sleeps."""

    def __init__(self, seconds_of_a_call: float = 0.0) -> None:
        self.passed, self.slept, self.seconds_of_a_call = 0.0, list[float](), seconds_of_a_call

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds

    def answer(self, *_: object) -> None:
        self.passed += self.seconds_of_a_call


class TestWait:
    def wait(self, server: Server, clock: Clock, skip: tuple[str, ...] = ()) -> None:
        Call(server, wait=9.0, now=clock.now, skip=skip).gathering().wait(clock.sleep)

    def test_as_long_as_it_says(self) -> None:
        """The last sleep is cut; calls count, too."""
        clock = Clock()
        server = Server(answer=clock.answer)
        server.lease = None
        self.wait(server, clock)
        assert (clock.passed, clock.slept) == (9.0, [2.0, 2.0, 2.0, 2.0, 1.0])
        slow = Clock(5.0)
        server.answer = slow.answer
        self.wait(server, slow)
        assert (slow.passed, slow.slept) == (12.0, [2.0])

    def test_an_api_server_that_fails_ends_no_wait_early_and_none_late(self) -> None:
        clock = Clock(4.0)

        def answer(*_: object) -> Answer:
            clock.answer()
            return 503, {}

        self.wait(Server(answer=answer), clock)
        assert (clock.passed, clock.slept) == (10.0, [2.0])

    def test_objects_are_read_once_a_replica_leads(self) -> None:
        clock, server = Clock(), Server()
        server.lease = None
        self.wait(server, clock)
        assert {path.rpartition("/")[2] for _, path in server.calls} == {"clientcert-operator"}

    def test_without_the_check_of_the_leader_the_lease_is_not_asked_for(self) -> None:
        """The operator may run without leader election."""
        clock, server = Clock(), Server(applied(client_certificate("nhs"), ("Ready", "Expired")))
        server.lease = None
        self.wait(server, clock, skip=("leader",))
        assert (clock.slept, [path for _, path in server.calls if "leases" in path]) == ([], [])

    @pytest.mark.parametrize("words", [f"1{'0' * 400}s", "x", "-1s"])
    def test_a_duration_that_is_none(self, words: str) -> None:
        ran = CliRunner().invoke(cli, ["check", "--wait", words])
        assert (ran.exit_code, "must be a duration like 90s" in ran.output) == (2, True)


def counted(server: Server) -> Counter[str]:
    return Counter(path.rpartition("/")[2] for _, path in server.calls)


def test_a_missing_right_is_asked_about_once(tmp_path: Path) -> None:
    """That to make dry runs, and that to read Secrets."""

    def answer(_: str, path: str, __: Object) -> Answer | None:
        if "selfsubjectaccess" in path:
            return 200, {"status": {"allowed": False}}
        if "selfsubjectrules" in path:
            rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["c7-cert"]}
            return 200, {"status": {"resourceRules": [rule], "incomplete": False}}
        return (403, {}) if "dryRun" in path or ("/secrets/" in path and "c7" not in path) else None

    server = Server(answer=answer)
    folder = write(tmp_path, *(client_certificate(f"c{number}") for number in range(20)))
    outcome = Call(server, folder, skip=["rights"]).outcome()
    calls = counted(server)
    assert (calls["selfsubjectaccessreviews"], calls["selfsubjectrulesreviews"]) == (1, 1)
    assert [path for path in calls if path.endswith("-cert")] == ["c0-cert", "c7-cert"]
    assert [each.what for each in outcome.not_made if each.check == "secrets"] == [
        "Secret c0-cert, Secret c1-cert, Secret c2-cert and 16 more"
    ]


ALL = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


@pytest.mark.parametrize("rules", [{"resourceRules": [], "incomplete": True}, {"resourceRules": [ALL]}])
def test_rules_that_do_not_say_everything_are_not_trusted(tmp_path: Path, rules: Object) -> None:
    def answer(_: str, path: str, __: Object) -> Answer | None:
        if "selfsubjectrules" in path:
            return 200, {"status": rules}
        return (403, {}) if "c0-cert" in path else None

    server = Server(answer=answer)
    Call(server, write(tmp_path, client_certificate("c0"), client_certificate("c1")), skip=["rights"]).outcome()
    assert counted(server)["c1-cert"] == 1


class TestRights:
    def server(self, may: Callable[[str, str], bool]) -> Server:
        """`may` says it by namespace and resource."""
        certificates = [applied(client_certificate("nhs"), namespace=f"n{number}") for number in range(10)]

        def answer(_: str, path: str, content: Object) -> Answer | None:
            if "subjectaccessreviews" not in path:
                return None
            asked = content["spec"]["resourceAttributes"]
            return 200, {"status": {"allowed": may(asked["namespace"], asked["resource"])}}

        return Server(*certificates, answer=answer)

    def test_a_role_that_is_whole_in_one_namespace_is_whole_in_another(self) -> None:
        server = self.server(lambda namespace, _: bool(namespace))
        assert Call(server, everywhere=True).outcome().findings == ()
        assert counted(server)["subjectaccessreviews"] < 29 * 2 + 9 * 10

    def test_a_role_that_is_bound_in_no_other_namespace(self) -> None:
        server = self.server(lambda namespace, resource: bool(namespace) and (resource, namespace) != ("events", "n7"))
        [found] = Call(server, everywhere=True).outcome().findings
        assert found.message == "the operator may not get, create, patch events in namespace n7"
