"""`--dry-run` and `-o` of each verb that writes: nothing is changed, and what is printed can be applied."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientcert.api.client_list import parse_client_list
from clientcert.cli.git_manifest import merged
from clientcert.lifecycle.renewal.naming import request_name, revocation_name
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.lifecycle.spec import Person
from tests.control_plane.renewal_people import People
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.control_plane.test_cli_contacts import BY_THE_LIST, HEADER, LISTED, configmaps, make
from tests.control_plane.test_cli_renewal import BY_CSR, PHONE
from tests.scenarios import client_certificate
from tests.unit.cli.renewal_objects import CSR

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ISSUER = "CN=Integration CA"
OLD = {
    "serialNumber": "4e1",
    "issuerDN": ISSUER,
    "notAfter": "2098-01-01T00:00:00Z",
    "replacedTime": "2026-11-01T00:00:00Z",
}
ISSUED = request_name("courts", "4af2", "reuse", Mode.RENEW)
BY_REUSE = request_name("nhs", "4af2", "reuse", Mode.RENEW)
IN_USE, REPLACED = (revocation_name("nhs", ISSUER, serial) for serial in ("4af2", "4e1"))
VETTED = {"date": "2026-11-20", "by": "ra@gov.example"}
JO = Person("Jo", "jo@nhs.example")


@dataclass(frozen=True)
class Scene:
    """A namespace in which each verb has something to write, and the terminal of its administrator."""

    team: Team
    terminal: Terminal

    def versions(self) -> dict[tuple[str, str], str]:
        """Of all objects, ConfigMaps included."""
        lists = self.team.api.request("GET", configmaps(self.team))["items"]
        found = {("ConfigMap", each["metadata"]["name"]): each["metadata"]["resourceVersion"] for each in lists}
        return self.team.versions() | found

    def prints(self, *arguments: str, more: tuple[tuple[str, ...], ...] = ((),)) -> list[str]:
        """The outputs of a call with each of these options; all must succeed, and change nothing."""
        before = self.versions()
        ran = [self.terminal.clientcert(*arguments, *each, now=NOW) for each in more]
        assert [(each.returncode, each.stderr) for each in ran] == [(0, "")] * len(more)
        assert self.versions() == before
        return [each.stdout for each in ran]

    def manifests(self, *arguments: str) -> list[str]:
        """The YAML of a dry run by the client, and of one by the server."""
        return self.prints(*arguments, "-o", "yaml", more=(("--dry-run=client",), ("--dry-run=server",)))


@pytest.fixture(scope="module")
def scene(lasting_team: Team, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory: Path = tmp_path_factory.mktemp("dry-run")
    terminal, people = Terminal(lasting_team, directory), People(lasting_team, directory)
    (directory / "nhs.csr").write_text(CSR)
    (directory / "clients.csv").write_text(f"{HEADER}weather;Jo;jo@nhs.example;;;\r\n")
    lasting_team.apply(LISTED, client_certificate("weather", consumer="weather", **BY_THE_LIST))
    make(lasting_team, acme="business: {email: kim@acme.example}\nnote: asks first\n")
    people.declare("nhs", history=[OLD])
    people.declare("courts")
    terminal.succeeds("renew", "nhs", "--csr", "nhs.csr")
    people.check(BY_CSR)
    terminal.succeeds("renew", "courts", "--reuse")
    left = {"type": "Delivered", "status": "False", "reason": "LeftForRetrieval", "message": "it waits"}
    issued = lasting_team.issue("courts", days=100).chain_pem.decode()
    people.record(ISSUED, "Issued", certificate=issued, conditions=[left | {"lastTransitionTime": OLD["replacedTime"]}])
    return Scene(lasting_team, terminal)


CALLS: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "silence": (
        ("silence", "nhs", "--until", "30d", "--reason", "moving house"),
        "clientcertificate.clientcert.dev/nhs patched",
        {"silence": {"until": "2026-12-22T09:00:00Z", "reason": "moving house"}},
    ),
    "contact set": (
        ("contact", "set", "nhs", "--technical", "jo@nhs.example"),
        "clientcertificate.clientcert.dev/nhs patched",
        {"contact": {"technical": {"email": "jo@nhs.example"}}},
    ),
    "vet": (
        ("vet", "nhs", "--date", VETTED["date"], "--by", VETTED["by"]),
        "clientcertificate.clientcert.dev/nhs patched",
        {"vetting": VETTED},
    ),
    "renew": (
        ("renew", "nhs", "--reuse"),
        f"certificaterenewal.clientcert.dev/{BY_REUSE} created",
        {"reuse": True, "serialNumber": "4af2"},
    ),
    "renew, as asked before": (
        ("renew", "nhs", "--csr", "nhs.csr"),
        f"certificaterenewal.clientcert.dev/{BY_CSR} unchanged",
        {"csr": CSR},
    ),
    "deny": (
        ("deny", BY_CSR, "--reason", "KeyNotConfirmed"),
        f"certificaterenewal.clientcert.dev/{BY_CSR} patched",
        {"approval": {"decision": "Deny", "by": "admin", "reason": "KeyNotConfirmed"}},
    ),
    "handed-over": (
        ("handed-over", ISSUED),
        f"certificaterenewal.clientcert.dev/{ISSUED} patched",
        {"handedOver": {"by": "admin"}},
    ),
    "retire": (
        ("retire", "nhs"),
        f"certificaterevocation.clientcert.dev/{REPLACED} created",
        {"serialNumber": "4e1", "revocationTime": "2026-11-22T09:00:00Z"},
    ),
    "revoke": (
        ("revoke", "nhs", "--reason", "CessationOfOperation"),
        f"certificaterevocation.clientcert.dev/{IN_USE} created",
        {"serialNumber": "4af2", "reason": "CessationOfOperation"},
    ),
    "approve": (
        ("approve", BY_CSR, *PHONE),
        f"certificaterenewal.clientcert.dev/{BY_CSR} patched",
        {"approval": {"decision": "Approve", "by": "admin"}},
    ),
}
"""Of each verb: a call, what it would do, and fields of the spec afterwards."""


@pytest.fixture(scope="module")
def manifests(scene: Scene) -> dict[str, list[str]]:
    """The output of each call with -o yaml: by the client, and by the server."""
    return {name: scene.manifests(*arguments) for name, (arguments, _, _) in CALLS.items()}


@pytest.mark.parametrize("name", CALLS)
def test_a_manifest(name: str, manifests: dict[str, list[str]]) -> None:
    """The same by both ways, without what the cluster has added."""
    text, by_server = manifests[name]
    assert by_server == text
    client = yaml.safe_load(text)
    assert merged(client["spec"], CALLS[name][2]) == client["spec"]
    assert set(client) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(client["metadata"]) == {"name", "namespace"}


def test_kubectl_applies_them(scene: Scene, manifests: dict[str, list[str]]) -> None:
    text = "".join(server for _, server in manifests.values())
    lines = scene.team.control_plane.kubectl("apply", "--dry-run=server", "-f", "-", input=text).splitlines()
    assert [each.partition(" ")[0] for each in lines] == [line.partition(" ")[0] for _, line, _ in CALLS.values()]


_SHOWN_FIRST = {
    "approve": "Key, SHA-256",
    "deny": "Key, SHA-256",
    "retire": "Serial number:  4e1",
    "revoke": "the consumer is cut off at once",
}


@pytest.mark.parametrize("name", ["silence", "renew", "renew, as asked before", *_SHOWN_FIRST])
def test_a_line(name: str, scene: Scene) -> None:
    """Without -o it is that of kubectl; verbs that ask show first what would be asked about, also with --yes."""
    arguments, line, _ = CALLS[name]
    [text] = scene.prints(*arguments, "--dry-run=server")
    printed = text.splitlines()
    assert printed[-1] == f"{line} (server dry run)"
    assert (len(printed) > 1) == (name in _SHOWN_FIRST)
    if name in _SHOWN_FIRST:
        assert _SHOWN_FIRST[name] in text
        assert scene.prints(*arguments, "--yes", "--dry-run=server") == [text]


def test_a_name(scene: Scene) -> None:
    """`--dry-run` alone is by the client."""
    arguments, line, _ = CALLS["silence"]
    assert scene.prints(*arguments, "-o", "name", "--dry-run") == [line.partition(" ")[0] + "\n"]


def test_a_client_list(scene: Scene) -> None:
    """The whole ConfigMap, with the entries that stay; the same by each verb and each way."""
    by_set = ("contact", "set", "weather", "--technical", JO.email, "--technical-name", JO.name)
    by_import = ("contact", "import", "clients.csv", "--configmap", "clients")
    [printed] = {*scene.manifests(*by_set), *scene.manifests(*by_import)}
    assert "  weather: |\n" in printed
    entries, problems = parse_client_list(yaml.safe_load(printed)["data"])
    assert (set(entries), problems) == ({"acme", "weather"}, ())
    scene.team.control_plane.kubectl("apply", "--dry-run=server", "-f", "-", input=printed)
    assert scene.prints(*by_set, "--dry-run=client") == ["configmap/clients patched (dry run)\n"]
    [text] = scene.prints(*by_import[:-1], "others", "--dry-run=server")
    report = text.splitlines()
    assert (len(report), report[-1]) == (5, "configmap/others created (server dry run)")


def test_many_renewals(scene: Scene) -> None:
    """One object each; a certificate that cannot be renewed is named, with the same exit code."""
    ran = scene.terminal.clientcert("renew", "--reuse", "--all", "--dry-run=server", now=NOW)
    assert ran.returncode == 3
    assert "weather: the operator has not read a certificate yet" in ran.stderr
    assert ran.stdout.splitlines() == [
        f"certificaterenewal.clientcert.dev/{ISSUED} unchanged (server dry run)",
        f"certificaterenewal.clientcert.dev/{BY_REUSE} created (server dry run)",
    ]


def test_what_the_api_server_alone_can_tell(scene: Scene) -> None:
    """A dry run by the server needs the rights of the write and is refused as it would be; one by the client is not."""
    onlooker = People(scene.team, scene.terminal.directory).terminal("onlooker")
    arguments = CALLS["silence"][0]
    code, said = onlooker.fails(*arguments, "--dry-run=server")
    assert (code, "the API server refuses" in said) == (3, True)
    assert onlooker.succeeds(*arguments, "--dry-run=client").endswith("nhs patched (dry run)\n")
    assert onlooker.fails("silence", "none", *arguments[2:], "--dry-run=client")[0] == 3


def test_a_write_that_prints_the_object(scene: Scene) -> None:
    """-o without a dry run is as with kubectl: the object as it is stored. `none` is no dry run."""
    courts = ("silence", "courts", *CALLS["silence"][0][2:])
    assert scene.terminal.succeeds(*courts, "-o", "name") == "clientcertificate.clientcert.dev/courts\n"
    found = yaml.safe_load(scene.terminal.succeeds(*courts, "--dry-run=none", "-o", "yaml"))
    assert found["status"] == scene.team.status("courts")
