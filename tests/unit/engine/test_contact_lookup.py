"""Contacts are found in the client list, and Slack users have a mail contact as the fallback."""

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


async def test_the_first_read_is_retried_after_a_failure(api: ApiServer, contacts: ContactLookup) -> None:
    """The failure is transient, so nobody is asked to correct a list that exists."""
    api.refusals = {CLIENTS: AWAY}
    found = await resolve(contacts)
    assert (found.reason, found.transient) == ("LookupUnavailable", True)
    api.refusals = {}
    assert (await resolve(contacts)).recipients == (JO,)


async def test_missing_rights_to_the_list_are_permanent(api: ApiServer, contacts: ContactLookup) -> None:
    """This failure is permanent."""
    api.refusals = {CLIENTS: FORBIDDEN}
    assert (await resolve(contacts)).reason == "DirectoryNotFound"


async def test_the_mail_contact_is_the_fallback_of_a_slack_user(contacts: ContactLookup) -> None:
    """If Slack cannot reach its user, the letter goes to the known mail address."""
    assert (await resolve(contacts, "Slack")).recipients == (MEMBER, JO)
