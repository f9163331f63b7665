"""`clientcert contact`: recording an answer, importing a list, and the resulting recipients."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clientcert.api.client_list import parse_client_list
from clientcert.lifecycle.contacts import DirectoryEntry
from clientcert.lifecycle.spec import Person
from tests.builders import usable
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.scenarios import API_VERSION, client_certificate

JO = {"name": "Jo Bloggs", "email": "jo@nhs.example"}
BY_THE_LIST = {"policyRef": {"name": "listed"}, "contact": {"lookup": ["Directory"]}}
HEADER = "Consumer;Technical name;Technical e-mail;Business name;Business e-mail;Note\r\n"


@pytest.fixture
def terminal(team: Team, tmp_path: Path) -> Terminal:
    return Terminal(team, tmp_path)


def policy(name: str = "listed", **contacts: Any) -> dict[str, Any]:
    spec = {
        "contacts": contacts,
        "alerts": {"channels": [{"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}]},
    }
    return {"apiVersion": API_VERSION, "kind": "CertificatePolicy", "metadata": {"name": name}, "spec": spec}


LISTED = policy(directoryRef={"name": "clients"})


def client_list(team: Team, name: str = "clients") -> dict[str, str]:
    """The data of the ConfigMap."""
    data: dict[str, str] = team.api.request("GET", configmaps(team, name)).get("data") or {}
    return data


def entries(team: Team) -> dict[str, DirectoryEntry]:
    """The entries that the operator reads in it, which must be all."""
    found, problems = parse_client_list(client_list(team))
    assert problems == ()
    return usable(found)


def configmaps(team: Team, name: str = "") -> str:
    return f"/api/v1/namespaces/{team.namespace}/configmaps" + (f"/{name}" if name else "")


def make(team: Team, **data: str) -> None:
    team.api.request("POST", configmaps(team), {"metadata": {"name": "clients"}, "data": data})


class TestSet:
    def test_into_the_client_list(self, team: Team, terminal: Terminal) -> None:
        """The list is created if it is missing, and so applies to every certificate of the consumer; other entries
        stay.
        """
        team.apply(LISTED, client_certificate("nhs", **BY_THE_LIST))
        printed = terminal.succeeds(
            "contact", "set", "nhs", "--business", "sam@nhs.example", "--business-name", "Sam Patel"
        )
        assert printed == (
            "Recorded in the client list, ConfigMap clients. The operator reads the client list within a minute.\n"
            "The business contact is written to, as the client list says (BusinessContact).\n"
        )
        assert entries(team) == {"nhs": DirectoryEntry(business=Person("Sam Patel", "sam@nhs.example"))}
        printed = terminal.succeeds("contact", "set", "nhs", "--technical", "jo@nhs.example", "--note", "asks first")
        assert "The technical contact is written to, as the client list says (TechnicalContact)." in printed
        assert entries(team) == {
            "nhs": DirectoryEntry(Person("", "jo@nhs.example"), Person("Sam Patel", "sam@nhs.example"))
        }
        assert "asks first" in client_list(team)["nhs"]
        assert team.get("ClientCertificate", "nhs")["spec"]["contact"] == {"lookup": ["Directory"]}

    def test_under_the_key_that_the_consumer_has(self, team: Team, terminal: Terminal) -> None:
        """Nothing else in the list is changed, even if it is invalid."""
        team.apply(LISTED, client_certificate("nhs", consumer="NHS England", **BY_THE_LIST))
        make(team, other="[", **{"client-7": "consumer: NHS England\nbusiness: {email: sam@nhs.example}\n"})
        terminal.succeeds("contact", "set", "nhs", "--technical", "jo@nhs.example")
        assert set(client_list(team)) == {"client-7", "other"}
        assert client_list(team)["other"] == "["
        found, _ = parse_client_list(client_list(team))
        assert usable(found) == {
            "NHS England": DirectoryEntry(Person("", "jo@nhs.example"), Person("", "sam@nhs.example"))
        }

    def test_several_people_at_once(self, team: Team, terminal: Terminal) -> None:
        """No answer is lost, in any order, and the list is created once."""
        names = ["nhs", "acme", "weather"]
        team.apply(LISTED, *(client_certificate(name, **BY_THE_LIST) for name in names))
        with ThreadPoolExecutor(len(names)) as people:
            calls = [("contact", "set", name, "--technical", f"{name}@nhs.example") for name in names]
            assert all("Recorded" in printed for printed in people.map(lambda call: terminal.succeeds(*call), calls))
        assert entries(team) == {name: DirectoryEntry(Person("", f"{name}@nhs.example")) for name in names}

    def test_an_entry_that_cannot_be_used_is_not_lost(self, team: Team, terminal: Terminal) -> None:
        """A person must check it, because its content may exist nowhere else."""
        team.apply(LISTED, client_certificate("nhs", **BY_THE_LIST))
        make(team, nhs="technical: sam@nhs.example")
        code, printed = terminal.fails("contact", "set", "nhs", "--business", "jo@nhs.example")
        assert (code, "ConfigMap clients, key nhs: technical must be a mapping" in printed) == (3, True)
        assert "sam@" not in printed
        assert client_list(team) == {"nhs": "technical: sam@nhs.example"}
        ran = terminal.clientcert("contact", "show", "nhs")
        assert (ran.returncode, "correct key nhs: technical must be a mapping" in ran.stdout) == (3, True)
        assert "contact set" not in ran.stdout

    def test_without_a_client_list_into_the_object(self, team: Team, terminal: Terminal) -> None:
        """The previous contact is removed completely, including the name; other contacts stay."""
        sam = {"email": "sam@nhs.example"}
        team.apply(client_certificate("nhs", contact={"technical": JO, "business": sam}))
        printed = terminal.succeeds("contact", "set", "nhs", "--technical", "kim@nhs.example")
        recorded, warned = printed.splitlines()
        assert recorded == "Recorded in spec.contact of nhs. The operator uses it at once."
        assert warned.startswith("The technical contact is written to, as spec.contact")
        assert team.get("ClientCertificate", "nhs")["spec"]["contact"] == {
            "technical": {"email": "kim@nhs.example"},
            "business": sam,
        }

    def test_into_the_object_although_there_is_a_list(self, team: Team, terminal: Terminal) -> None:
        team.apply(LISTED, client_certificate("nhs", **BY_THE_LIST))
        terminal.succeeds(
            "contact", "set", "nhs", "--technical", JO["email"], "--technical-name", JO["name"], "--object"
        )
        assert team.get("ClientCertificate", "nhs")["spec"]["contact"] == {"lookup": ["Directory"], "technical": JO}
        assert team.api.request("GET", configmaps(team))["items"] == []

    def test_an_answer_that_would_have_no_effect(self, team: Team, terminal: Terminal) -> None:
        """The object's own contact comes first, so recording another one is refused."""
        team.apply(LISTED, client_certificate("nhs", policyRef={"name": "listed"}, contact={"technical": JO}))
        ran = terminal.clientcert("contact", "set", "nhs", "--technical", "kim@nhs.example")
        assert ran.returncode == 0
        assert ran.stderr == (
            "Warning: spec.contact.technical of the object names another person and comes first:"
            " remove it, or use --object.\n"
        )
        assert "as spec.contact says" in ran.stdout

    def test_a_requester_comes_first(self, team: Team, terminal: Terminal) -> None:
        """For a host certificate only the requester is notified, whatever the list says."""
        host = {"policyRef": {"name": "listed"}, "profile": "Host", "contact": {"requester": JO}}
        team.apply(LISTED, client_certificate("nhs", **host))
        ran = terminal.clientcert("contact", "set", "nhs", "--technical", "kim@nhs.example")
        assert (ran.returncode, "about this host certificate go to its requester only" in ran.stderr) == (
            0,
            True,
        )
        assert "The requester is written to, as spec.contact says (Requester)." in ran.stdout

    def test_the_object_has_no_field_for_a_note(self, team: Team, terminal: Terminal) -> None:
        """2, and nothing is written."""
        team.apply(client_certificate("nhs", contact={"technical": JO}))
        ran = terminal.clientcert("contact", "set", "nhs", "--technical", "kim@nhs.example", "--note", "asks first")
        assert ran.returncode == 2
        assert team.get("ClientCertificate", "nhs")["spec"]["contact"] == {"technical": JO}


class TestImport:
    def file(self, terminal: Terminal, *lines: str) -> str:
        path = terminal.directory / "clients.csv"
        path.write_bytes(("\ufeff" + HEADER + "".join(f"{line}\r\n" for line in lines)).encode())
        return str(path)

    def test_a_wiki_page_becomes_a_client_list(self, team: Team, terminal: Terminal) -> None:
        """The file is as a spreadsheet saves it; a second import changes nothing, and the report names no person."""
        file = self.file(
            terminal,
            "nhs;Jo Bloggs;jo@nhs.example;Sam Patel;sam@nhs.example;asks first",
            "Court lists (north);;;Kim Lee;kim@courts.example;",
        )
        call = ("contact", "import", file, "--configmap", "clients")
        printed = terminal.succeeds(*call)
        assert printed == (
            "CONSUMER             CHANGE  WHAT\n"
            "nhs                  new     technical, business, note\n"
            "Court lists (north)  new     business\n"
            "\n"
            "Imported into ConfigMap clients: 2 new, 0 changed, 0 unchanged. Kept, as they are not in the file: 0.\n"
            "The operator reads the client list within a minute.\n"
        )
        assert entries(team) == {
            "nhs": DirectoryEntry(Person("Jo Bloggs", "jo@nhs.example"), Person("Sam Patel", "sam@nhs.example")),
            "Court lists (north)": DirectoryEntry(business=Person("Kim Lee", "kim@courts.example")),
        }
        before = client_list(team)
        assert terminal.succeeds(*call) == (
            "Imported into ConfigMap clients: 0 new, 0 changed, 2 unchanged. Kept, as they are not in the file: 0.\n"
        )
        assert client_list(team) == before

    def test_a_dry_run(self, team: Team, terminal: Terminal) -> None:
        """It prints the same, and writes nothing."""
        file = self.file(terminal, "nhs;;jo@nhs.example;;;", "new;;jo@nhs.example;;;", "left;;;;;")
        jo = "technical: {email: jo@nhs.example}\n"
        make(team, nhs="technical: {email: old@nhs.example}\nnote: asks first\n", acme="", left=jo)
        before = client_list(team)
        printed = terminal.succeeds("contact", "import", file, "--configmap", "clients", "--dry-run")
        assert printed.splitlines()[1:4] == [
            "nhs       changed  technical, note removed",
            "new       new      technical",
            "left      changed  technical removed",
        ]
        counts = "Would import into ConfigMap clients: 1 new, 2 changed, 0 unchanged."
        assert printed.endswith(
            f"{counts} Kept, as they are not in the file: 1.\nconfigmap/clients patched (dry run)\n"
        )
        assert client_list(team) == before

    def test_one_line_that_cannot_be_used(self, team: Team, terminal: Terminal) -> None:
        """The whole file is refused, with the line and the reason."""
        file = self.file(terminal, "nhs;;jo@nhs.example;;;", "acme;;Kim <kim@acme.example>;;;")
        ran = terminal.clientcert("contact", "import", file, "--configmap", "clients")
        assert ran.returncode == 3
        assert ran.stderr.splitlines()[0] == "Error: nothing was imported:"
        assert ran.stderr.splitlines()[1].startswith("line 3: technical_email must be one plain e-mail address")
        assert team.api.request("GET", configmaps(team))["items"] == []

    def test_an_entry_that_cannot_be_used_is_not_lost(self, team: Team, terminal: Terminal) -> None:
        """Nothing is imported until a person has checked it; a dry run reports it, too."""
        held = {"nhs": "technical: {email: sam@nhs.example}\nphone: 020 7946"}
        make(team, **held)
        call = ("contact", "import", self.file(terminal, "acme;;jo@acme.example;;;", "nhs;;jo@nhs.example;;;"))
        for more in ((), ("--dry-run",)):
            ran = terminal.clientcert(*call, "--configmap", "clients", *more)
            assert (ran.returncode, ran.stdout) == (3, "")
            assert "line 3: nhs is in the ConfigMap, key nhs: it has a field other than" in ran.stderr
        assert client_list(team) == held

    def test_more_than_a_config_map_holds(self, team: Team, terminal: Terminal) -> None:
        """It is refused before it is sent, with an explanation; a dry run reports no changes either."""
        file = self.file(terminal, *(f"c{number};;jo@nhs.example;;;{'n' * 1000}" for number in range(1000)))
        for more in ((), ("--dry-run",)):
            ran = terminal.clientcert("contact", "import", "--configmap", "clients", *more, file)
            assert (ran.returncode, ran.stdout, "would exceed 1 MiB" in ran.stderr) == (3, "", True)


class TestShow:
    def test_recipients_in_order_with_reasons(self, team: Team, terminal: Terminal) -> None:
        """The first recipient gets the letter, the next ones are the fallbacks."""
        team.apply(LISTED, client_certificate("nhs", policyRef={"name": "listed"}, contact={"technical": JO}))
        make(team, nhs="business: {name: Sam Patel, email: sam@nhs.example}")
        assert terminal.succeeds("contact", "show", "nhs") == (
            "ROLE               NAME       ADDRESS\n"
            "technical contact  Jo Bloggs  jo@nhs.example\n"
            "business contact   Sam Patel  sam@nhs.example\n"
            "\n"
            "The technical contact is written to, as spec.contact says (TechnicalContact).\n"
        )

    def test_no_recipient(self, team: Team, terminal: Terminal) -> None:
        """3, and what to do; the same if there is no list."""
        team.apply(LISTED, client_certificate("nhs", **BY_THE_LIST))
        ran = terminal.clientcert("contact", "show", "nhs")
        assert (ran.returncode, "cannot be read: create it, have the operator" in ran.stdout) == (3, True)
        make(team, acme="")
        ran = terminal.clientcert("contact", "show", "nhs")
        assert (ran.returncode, ran.stdout.startswith("The client list, ConfigMap clients, has no")) == (3, True)

    def test_a_user_of_slack(self, team: Team, terminal: Terminal) -> None:
        """The operator looks the user up, because it has the token."""
        internal = policy(internalEnvironments=["prod"])
        team.apply(internal, client_certificate("nhs", policyRef={"name": "listed"}, contact={"technical": JO}))
        lines = terminal.succeeds("contact", "show", "nhs").splitlines()
        assert lines[1] == "Slack user         nhs        by the consumer's name"
        assert lines[-1].startswith("The operator looks up a Slack user, which this command cannot; if none is found")

    def test_a_policy_without_a_channel_to_contacts(self, team: Team, terminal: Terminal) -> None:
        """The contact is known, but no channel sends to contacts."""
        team.apply(client_certificate("nhs", contact={"technical": JO}))
        printed = terminal.succeeds("contact", "show", "nhs")
        assert "Note: its policy has no channel of type Email, so the operator does not write to contacts." in printed
