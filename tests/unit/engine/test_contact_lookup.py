"""Who is found in the client list, and who stands behind a Slack user."""

import pytest

from clientcert.cache.client_lists import ClientLists
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.object_cache import ObjectCache
from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.policy import AlertPolicy, Channel, ContactPolicy, EmailAddress, Schedule
from clientcert.lifecycle.spec import Contact
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import KEY, NOW, declaration
from tests.unit.engine.fakes import ApiServer, Users
from tests.unit.engine.one_record import record

CLIENTS = f"/api/v1/namespaces/{KEY.namespace}/configmaps/clients"
LETTERS = Channel("consumer", "Email", Schedule(), EmailAddress())
POLICY = AlertPolicy((LETTERS,), contacts=ContactPolicy(directory="clients"))
ENTRY = "consumer: nhs\ntechnical: {name: Jo Bloggs, email: jo@nhs.example}\n"
JO = Recipient(Role.TECHNICAL, "jo@nhs.example", "Jo Bloggs")
MEMBER = Recipient(Role.SLACK, "U012AB3CD")
AWAY = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
FORBIDDEN = KubeError(Reason.FORBIDDEN, "the API server answered 403", status=403)


async def resolve(contacts: ContactLookup, *lookup: str) -> Resolution:
    found = record(spec=declaration(contact=Contact(lookup=lookup)))
    await contacts.refresh(found, POLICY)
    return contacts.state(found, POLICY).resolution


@pytest.fixture
def api() -> ApiServer:
    api = ApiServer()
    api.objects[CLIENTS] = {"metadata": {"resourceVersion": "7"}, "data": {"nhs": ENTRY}}
    return api


@pytest.fixture
def contacts(api: ApiServer) -> ContactLookup:
    found = Resolution("SlackUser", "the Slack user is written to directly", (MEMBER,))
    cache = ObjectCache(WorkQueue(lambda: NOW))
    return ContactLookup(cache, ClientLists(api.get), Users(found), lambda: NOW, wait=60.0)


async def test_what_was_never_read_is_tried_again(api: ApiServer, contacts: ContactLookup) -> None:
    """It passes by itself: nobody is told to correct a list that is there."""
    api.refusals = {CLIENTS: AWAY}
    found = await resolve(contacts)
    assert (found.reason, found.transient) == ("LookupUnavailable", True)
    api.refusals = {}
    assert (await resolve(contacts)).recipients == (JO,)


async def test_a_list_that_may_not_be_read(api: ApiServer, contacts: ContactLookup) -> None:
    """Does not pass by itself."""
    api.refusals = {CLIENTS: FORBIDDEN}
    assert (await resolve(contacts)).reason == "DirectoryNotFound"


async def test_behind_a_slack_user_stands_who_gets_a_mail(contacts: ContactLookup) -> None:
    """Slack may not reach its user: then the letter goes to the address that is known."""
    assert (await resolve(contacts, "Slack")).recipients == (MEMBER, JO)
