"""Who is found in the client list, and who stands behind a Slack user."""

import pytest

from clientcert.cache.client_lists import ClientLists
from clientcert.controllers.certificate.contact_lookup import Contacts
from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.policy import AlertPolicy, Channel, ContactPolicy, EmailAddress, Schedule
from clientcert.lifecycle.spec import Contact
from tests.builders import KEY, declaration
from tests.unit.engine.fakes import ApiServer, Users

CLIENTS = f"/api/v1/namespaces/{KEY.namespace}/configmaps/clients"
LETTERS = Channel("consumer", "Email", Schedule(), EmailAddress())
POLICY = AlertPolicy((LETTERS,), contacts=ContactPolicy(directory="clients"))
ENTRY = "consumer: nhs\ntechnical: {name: Jo Bloggs, email: jo@nhs.example}\n"
JO = Recipient(Role.TECHNICAL, "jo@nhs.example", "Jo Bloggs")
MEMBER = Recipient(Role.SLACK, "U012AB3CD")
AWAY = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
FORBIDDEN = KubeError(Reason.FORBIDDEN, "the API server answered 403", status=403)


async def resolve(contacts: Contacts, *lookup: str) -> Resolution:
    return await contacts.resolve(KEY, declaration(contact=Contact(lookup=lookup)), POLICY)


@pytest.fixture
def api() -> ApiServer:
    api = ApiServer()
    api.objects[CLIENTS] = {"metadata": {"resourceVersion": "7"}, "data": {"nhs": ENTRY}}
    return api


@pytest.fixture
def contacts(api: ApiServer) -> Contacts:
    found = Resolution("SlackUser", "the Slack user is written to directly", (MEMBER,))
    return Contacts(ClientLists(api.get), Users(found), patience=60.0)


async def test_what_was_never_read_is_tried_again(api: ApiServer, contacts: Contacts) -> None:
    """It passes by itself: nobody is told to correct a list that is there."""
    api.refusals = {CLIENTS: AWAY}
    found = await resolve(contacts)
    assert (found.reason, found.passing) == ("LookupUnavailable", True)
    api.refusals = {}
    assert (await resolve(contacts)).recipients == (JO,)


async def test_a_list_that_may_not_be_read(api: ApiServer, contacts: Contacts) -> None:
    """Does not pass by itself."""
    api.refusals = {CLIENTS: FORBIDDEN}
    assert (await resolve(contacts)).reason == "DirectoryNotFound"


async def test_behind_a_slack_user_stands_who_gets_a_mail(contacts: Contacts) -> None:
    """Slack may not reach its user: then the letter goes to the address that is known."""
    assert (await resolve(contacts, "Slack")).recipients == (MEMBER, JO)
