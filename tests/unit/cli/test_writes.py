"""Dry runs without a cluster: the words of a call, what is printed, and what the API server is asked."""

from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any, cast

import click
import pytest
from click.testing import CliRunner

from clientcert.api.kinds import API_VERSION, CLIENT_CERTIFICATE
from clientcert.cli import cli
from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import CONFLICT, NOT_FOUND, AnswerIsNo, ApiError
from clientcert.cli.git_manifest import merged
from clientcert.cli.revocation import Revocable, revoke
from clientcert.cli.target import Target
from clientcert.cli.write_options import PlanLine, WritingCommand, with_value, write_options
from clientcert.cli.writes import DryRun, Outcome, Writes
from clientcert.lifecycle.renewal.spec import RevocationReason
from tests.builders import NOW

NHS = Revocable("nhs", "CN=Integration CA", "4af2", NOW + timedelta(days=8))
SILENT = {"spec": {"silence": {"reason": "moving house"}}}


class Server:
    """An API server that holds objects by their paths, in memory."""

    def __init__(self, **refused: int) -> None:
        """`refused`: the status that a method gets instead of an answer."""
        self.held: dict[str, dict[str, Any]] = {}
        self._refused = refused

    def call(self, method: str, path: str, content: Any = None, *, query: Any = None, **_: Any) -> dict[str, Any]:
        if method in self._refused:
            raise ApiError(self._refused[method], b"")
        if method == "POST":
            path = f"{path}/{content['metadata']['name']}"
            if path in self.held:
                raise ApiError(CONFLICT, b"")
            after = content
        elif path not in self.held:
            raise ApiError(NOT_FOUND, b"")
        else:
            after = merged(self.held[path], content) if method == "PATCH" else self.held[path]
        if method != "GET" and "dryRun" not in query:
            self.held[path] = after
        return deepcopy(after)


def cluster_of(server: Server, dry_run: DryRun = DryRun.NONE) -> tuple[Cluster, Writes]:
    writes = Writes(dry_run)
    return Cluster(cast("Any", server), "integration", writes), writes


def outcomes(writes: Writes) -> list[tuple[str, Outcome]]:
    return [(each.content["metadata"]["name"], each.outcome) for each in writes.written]


class TestTheOption:
    @pytest.mark.parametrize(
        ("words", "after"),
        [
            (["--dry-run", "nhs"], ["--dry-run=client", "nhs"]),
            (["nhs", "--dry-run"], ["nhs", "--dry-run=client"]),
            (["--dry-run=server", "nhs"], ["--dry-run=server", "nhs"]),
            (["--dry-run", "--", "--dry-run"], ["--dry-run=client", "--", "--dry-run"]),
        ],
    )
    def test_a_value_stands_after_an_equals_sign_only(self, words: list[str], after: list[str]) -> None:
        assert with_value(words) == after

    def test_each_verb_that_writes_has_it(self) -> None:
        """Otherwise the word after --dry-run would be lost."""
        found = {click_name(path): type(each) for path, each in commands(cli, ()) if has_dry_run(each)}
        assert set(found.values()) == {WritingCommand}
        assert {"silence", "contact set", "contact import", "renew", "approve", "deny", "handed-over"} < set(found)
        assert {"vet", "retire", "revoke"} < set(found)


def commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [name])
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif command is not None:
            yield (*path, name), command


def click_name(path: tuple[str, ...]) -> str:
    return " ".join(path)


def has_dry_run(command: click.Command) -> bool:
    return any(each.name == "dry_run" for each in command.params)


@click.command(cls=WritingCommand)
@click.argument("name")
@click.option("--yes", is_flag=True)
@write_options
def verb(target: Target, name: str, *, yes: bool) -> Iterator[str]:
    """A verb that plans, writes and reports."""
    yield f"before {name} {yes}"
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    target.writes.leave(f"/api/v1/namespaces/a/configmaps/{name}", found)
    yield PlanLine("planned")
    yield "done"


def test_lines_of_a_dry_run() -> None:
    """Those before the write and those that stay true; a dry run does not set --yes."""
    printed = CliRunner().invoke(verb, ["--dry-run", "nhs"]).stdout
    assert printed.splitlines() == ["before nhs False", "planned", "configmap/nhs unchanged (dry run)"]
    assert CliRunner().invoke(verb, ["--yes", "nhs"]).stdout.splitlines() == ["before nhs True", "planned", "done"]
    assert CliRunner().invoke(verb, ["nhs", "-o", "name", "--dry-run"]).stdout == "configmap/nhs\n"


@pytest.mark.parametrize("dry_run", [DryRun.CLIENT, DryRun.SERVER])
class TestPatch:
    def test_that_changes_nothing(self, dry_run: DryRun) -> None:
        server = Server()
        held = {"apiVersion": API_VERSION, "kind": "ClientCertificate", "metadata": {"name": "nhs"}}
        server.held[CLIENT_CERTIFICATE.item("integration", "nhs")] = held | SILENT
        for patch, outcome in ((SILENT, Outcome.UNCHANGED), ({"spec": {"silence": None}}, Outcome.PATCHED)):
            cluster, writes = cluster_of(server, dry_run)
            cluster.patch(CLIENT_CERTIFICATE, "nhs", patch)
            assert outcomes(writes) == [("nhs", outcome)]

    def test_of_what_is_not_there(self, dry_run: DryRun) -> None:
        cluster, writes = cluster_of(Server(), dry_run)
        with pytest.raises(AnswerIsNo):
            cluster.patch(CLIENT_CERTIFICATE, "nhs", SILENT)
        assert not writes.written


def test_a_patch_by_those_who_may_not_read() -> None:
    """A dry run by the server succeeds where the write would; one by the client needs to read."""
    server = Server(GET=403)
    held = {"apiVersion": API_VERSION, "kind": "ClientCertificate", "metadata": {"name": "nhs"}}
    server.held[CLIENT_CERTIFICATE.item("integration", "nhs")] = held
    cluster, writes = cluster_of(server, DryRun.SERVER)
    cluster.patch(CLIENT_CERTIFICATE, "nhs", SILENT)
    assert outcomes(writes) == [("nhs", Outcome.PATCHED)]
    with pytest.raises(AnswerIsNo):
        cluster_of(server, DryRun.CLIENT)[0].patch(CLIENT_CERTIFICATE, "nhs", SILENT)


def test_an_object_that_was_written_and_is_left_then() -> None:
    """A later look at it does not turn the change into none."""
    cluster, writes = cluster_of(Server(), DryRun.CLIENT)
    for _ in range(2):
        cluster.change_config_map("clients", lambda held: {} if held else {"nhs": "x"})
    assert outcomes(writes) == [("clients", Outcome.CREATED)]


class TestRevoke:
    def test_again(self) -> None:
        """The first is kept, and is not written."""
        server = Server()
        for outcome in (Outcome.CREATED, Outcome.UNCHANGED):
            cluster, writes = cluster_of(server)
            assert revoke(cluster, NHS, RevocationReason.SUPERSEDED, NOW) == NOW
            assert outcomes(writes) == [(NHS.name, outcome)]

    @pytest.mark.parametrize(
        ("other", "reason"),
        [
            (NHS, RevocationReason.CESSATION_OF_OPERATION),
            (Revocable("nhs", NHS.issuer_dn, "4af2", NOW + timedelta(days=9)), RevocationReason.SUPERSEDED),
        ],
    )
    def test_that_is_refused_prints_no_object(self, other: Revocable, reason: RevocationReason) -> None:
        """For another reason, or of the same name and about another certificate."""
        server = Server()
        revoke(cluster_of(server)[0], NHS, RevocationReason.SUPERSEDED, NOW)
        cluster, writes = cluster_of(server, DryRun.CLIENT)
        with pytest.raises(AnswerIsNo):
            revoke(cluster, other, reason, NOW)
        assert not writes.written
