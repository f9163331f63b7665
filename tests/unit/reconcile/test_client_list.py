"""The client list is read as seldom as it may be, and believed for as long as it must be."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.declaration import Contact, ObjectKey
from clientcert.lifecycle.policy import AlertPolicy, Channel, ContactPolicy, EmailAddress, Schedule
from clientcert.reconcile.contacts import Contacts
from tests.builders import KEY, declaration
from tests.unit.reconcile.outside_parts import ApiServer, Users

CLIENTS = f"/api/v1/namespaces/{KEY.namespace}/configmaps/clients"
LETTERS = Channel("consumer", "Email", Schedule(), EmailAddress())
POLICY = AlertPolicy((LETTERS,), contacts=ContactPolicy(directory="clients"))
ENTRY = "consumer: nhs\ntechnical: {name: Jo Bloggs, email: jo@nhs.example}\n"
JO = Recipient(Role.TECHNICAL, "jo@nhs.example", "Jo Bloggs")
MEMBER = Recipient(Role.SLACK, "U012AB3CD")
AWAY = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, worth_retry=True)
FORBIDDEN = KubeError(Reason.FORBIDDEN, "the API server answered 403", status=403)


def listing(version: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version}, "data": data}


async def resolve(contacts: Contacts, *lookup: str) -> Resolution:
    return await contacts.resolve(KEY, declaration(contact=Contact(lookup=lookup)), POLICY)


def age(contacts: Contacts) -> None:
    """As if a minute had passed since it was read."""
    known = contacts._directories
    contacts._directories = {key: replace(each, until=0.0) for key, each in known.items()}


@pytest.fixture
def api() -> ApiServer:
    api = ApiServer()
    api.objects[CLIENTS] = listing("7", {"nhs": ENTRY})
    return api


@pytest.fixture
def contacts(api: ApiServer) -> Contacts:
    found = Resolution("SlackUser", "the Slack user is written to directly", (MEMBER,))
    return Contacts(api.get, Users(found), patience=5.0)


async def test_what_cannot_be_asked_for_is_what_it_was(api: ApiServer, contacts: Contacts) -> None:
    """An API server that is away takes nobody's contact away; one that says no does."""
    assert (await resolve(contacts)).recipients == (JO,)
    age(contacts)
    api.refusals = {CLIENTS: AWAY}
    assert (await resolve(contacts)).recipients == (JO,)
    age(contacts)
    api.refusals = {CLIENTS: FORBIDDEN}
    assert (await resolve(contacts)).reason == "DirectoryNotFound"


async def test_what_was_never_read_is_tried_again(api: ApiServer, contacts: Contacts) -> None:
    """It passes by itself: nobody is told to correct a list that is there."""
    api.refusals = {CLIENTS: AWAY}
    found = await resolve(contacts)
    assert (found.reason, found.passing) == ("LookupUnavailable", True)
    api.refusals = {}
    assert (await resolve(contacts)).recipients == (JO,)


async def test_the_same_version_is_not_parsed_again(api: ApiServer, contacts: Contacts) -> None:
    """A list of thousands takes a second."""
    key = ObjectKey(KEY.namespace, "clients")
    await resolve(contacts)
    before = contacts._directories[key].directory
    age(contacts)
    await resolve(contacts)
    assert contacts._directories[key].directory is before
    age(contacts)
    api.objects[CLIENTS] = listing("8", {"nhs": ENTRY.replace("jo@", "sam@")})
    assert [each.address for each in (await resolve(contacts)).recipients] == ["sam@nhs.example"]


async def test_a_list_that_is_all_wrong_fills_no_log(
    api: ApiServer, contacts: Contacts, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten problems are shown, and how many more there are; nothing of what stands in them."""
    caplog.set_level(logging.INFO)
    api.objects[CLIENTS] = listing("7", {f"c{number}": "- jo@nhs.example" for number in range(25)})
    await resolve(contacts)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 11
    assert said[-1] == f"Client list {KEY.namespace}/clients: and 15 more entries cannot be used"
    assert "jo@" not in " ".join(said)


async def test_behind_a_slack_user_stands_who_gets_a_mail(contacts: Contacts) -> None:
    """Slack may not reach its user: then the letter goes to the address that is known."""
    assert (await resolve(contacts, "Slack")).recipients == (MEMBER, JO)
