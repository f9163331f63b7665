"""One run of a restore: in which order it writes, and what it does when the API server refuses or is gone."""

from collections.abc import Collection, Mapping
from typing import Any, cast

import pytest
from urllib3.exceptions import ProtocolError

from clientcert.api.restored import RESTORED
from clientcert.cli.backup_file import BackupFile, end_line, head_line, object_line, parse_backup
from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import CONFLICT, ApiError, Failed
from clientcert.cli.restore_run import Restore
from tests.builders import NOW
from tests.scenarios import certificate_policy, certificate_store, client_certificate

FORBIDDEN = 403
STATUS = {"phase": "Valid", "observedGeneration": 1}


class Server:
    """An API server that notes what it was asked to write."""

    def __init__(
        self,
        *,
        allowed: bool = True,
        refused: Collection[str] = (),
        conflicts: int = 0,
        refused_statuses: Mapping[str, int] | None = None,
    ) -> None:
        """It refuses to create objects of the names in `refused`, and as many statuses as `conflicts` at first.

        `refused_statuses` has by name the code with which a status is always refused.
        """
        self._refused_statuses = refused_statuses or {}
        self.written: list[tuple[str, str]] = []
        self.created: dict[str, dict[str, Any]] = {}
        self.gone = False
        self._allowed, self._refused, self._conflicts = allowed, refused, conflicts

    def call(self, method: str, path: str, content: Any = None, **_: Any) -> dict[str, Any]:
        if path.endswith("selfsubjectaccessreviews"):
            return {"status": {"allowed": self._allowed}}
        if self.gone:
            raise ProtocolError
        if method == "GET":
            return self.created[path.rpartition("/")[2]]
        if method == "PATCH":
            name = path.split("/")[-2]
            if name in self._refused_statuses:
                raise ApiError(self._refused_statuses[name], b"")
            if self._conflicts:
                self._conflicts -= 1
                raise ApiError(CONFLICT, b"")
            self.written.append(("status", name))
            return {}
        name = content["metadata"]["name"]
        if name in self._refused:
            raise ApiError(FORBIDDEN, b"")
        self.written.append(("object", name))
        self.created[name] = content | {"metadata": content["metadata"] | {"resourceVersion": "1", "generation": 1}}
        return self.created[name]


def backup_of(*manifests: dict[str, Any]) -> BackupFile:
    lines = [head_line(NOW, None)]
    for each in manifests:
        metadata = {"namespace": "team", "generation": 1} | each["metadata"]
        lines.append(object_line(each | {"metadata": metadata, "status": STATUS}))
    return parse_backup([*lines, end_line(len(manifests))])


def run_of(server: Server, *manifests: dict[str, Any]) -> tuple[Restore, list[str]]:
    """The run, and its lines."""
    backup = backup_of(*manifests)
    run = Restore(Cluster(cast("Any", server), "other"), backup, [*backup.lines], is_dry=False)
    return run, [*run.lines()]


def store(**spec: Any) -> dict[str, Any]:
    return certificate_store("bucket", "a-bucket", "https://s3.example", "credentials", **spec)


def test_a_certificate_comes_after_all_that_it_needs() -> None:
    """Each has its status before the next one is created, and says to the operator that it is awaited."""
    server = Server()
    run_of(server, client_certificate("nhs"), client_certificate("web"), store(), certificate_policy("policy"))
    every = ["policy", "bucket", "nhs", "web"]
    assert server.written == [(what, name) for name in every for what in ("object", "status")]
    annotations = {name: each["metadata"].get("annotations") for name, each in server.created.items()}
    awaited = {RESTORED: "2026-11-22T09:00:00Z"}
    assert (annotations["nhs"], annotations["web"]) == (awaited, awaited)
    assert (annotations["bucket"], annotations["policy"]) == (None, None)


def test_a_store_that_creates_certificates_comes_after_all_of_them() -> None:
    """And before their statuses: else the operator would look at them without their store."""
    server = Server()
    run_of(server, client_certificate("nhs"), client_certificate("web"), store(discovery={"mode": "Create"}))
    assert server.written == [
        *(("object", "nhs"), ("object", "web"), ("object", "bucket"), ("status", "bucket")),
        *(("status", "nhs"), ("status", "web")),
    ]


def test_a_store_does_not_create_what_was_not_restored(capsys: pytest.CaptureFixture[str]) -> None:
    """It would have no status, and every letter would be sent again. The others get theirs."""
    server = Server(refused={"web"})
    creating = store(discovery={"mode": "Create"})
    run, _ = run_of(server, client_certificate("nhs"), client_certificate("web"), creating)
    assert server.written == [("object", "nhs"), ("status", "nhs")]
    assert [each.name for each in run.problems] == ["web", "bucket"]
    assert "it would create certificates anew that were not restored" in capsys.readouterr().err


def test_a_status_that_others_write_meanwhile_is_tried_again() -> None:
    server = Server(conflicts=2)
    _, [line] = run_of(server, client_certificate("nhs"))
    assert line == "team clientcertificate.clientcert.dev/nhs created, with its status"


def test_a_status_that_others_always_write(capsys: pytest.CaptureFixture[str]) -> None:
    """It says for how long a later call helps."""
    run, lines = run_of(Server(conflicts=99), client_certificate("nhs"))
    assert (lines, [*run.problems.values()]) == ([], [Failed])
    said = capsys.readouterr().err
    assert "it was created, and its status was not restored: call again within 30 minutes" in said


@pytest.mark.parametrize("answer", [400, 413, 422, 403, 404, 500])
def test_a_status_that_is_refused_is_named(capsys: pytest.CaptureFixture[str], answer: int) -> None:
    """As one of another version, or with megabytes; the next object is restored all the same."""
    server = Server(refused_statuses={"nhs": answer})
    run, lines = run_of(server, client_certificate("nhs"), client_certificate("web"))
    assert lines == ["team clientcertificate.clientcert.dev/web created, with its status"]
    assert [each.name for each in run.problems] == ["nhs"]
    assert "it was created, and its status was not restored" in capsys.readouterr().err


def test_what_needs_a_refused_policy_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(refused={"policy"})
    needs = client_certificate("nhs", policyRef={"name": "policy"})
    run, _ = run_of(server, needs, client_certificate("web"), certificate_policy("policy"))
    assert [each.name for each in run.problems] == ["policy", "nhs"]
    assert server.written == [("object", "web"), ("status", "web")]
    assert "CertificatePolicy policy, which it needs, was not restored" in capsys.readouterr().err


def test_without_the_right_to_write_statuses_nothing_is_created() -> None:
    server = Server(allowed=False)
    run, lines = run_of(server, client_certificate("nhs"), client_certificate("web"))
    assert (lines, server.written, len(run.problems)) == ([], [], 2)


def test_a_server_that_is_gone_is_not_asked_for_each_object() -> None:
    server = Server()
    server.gone = True
    with pytest.raises(Failed, match=r"does not answer .* call again within 30 minutes"):
        run_of(server, *(client_certificate(f"nhs-{number}") for number in range(9)))
