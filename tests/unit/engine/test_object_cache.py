"""What the API server says is taken over; echoes, old news and namesakes are told apart."""

import pytest

from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.reference_index import References
from clientcert.lifecycle.contacts import Role, StoodIn
from clientcert.lifecycle.recorded_status import ChannelStatus
from clientcert.lifecycle.spec import ObjectKey

KEY = ObjectKey("team", "nhs")
STOOD_IN = StoodIn(Role.BUSINESS, "the technical contact was refused")


def body(version="10", *, uid="u1", generation=1, status=None, **spec):
    return {
        "metadata": {
            "namespace": "team",
            "name": "nhs",
            "uid": uid,
            "resourceVersion": version,
            "generation": generation,
            "creationTimestamp": "2026-11-01T00:00:00Z",
        },
        "spec": {
            "consumer": "nhs",
            "environment": "prod",
            "contact": {"lookup": ["Slack"]},
            "source": {"type": "Secret", "secret": {"name": "cert"}},
            **spec,
        },
        "status": status or {},
    }


def store():
    woken = []
    return ObjectCache(wake=woken.append), woken


def test_an_echo_of_our_own_write_wakes_nobody():
    """A third of all events at start are these (design section 5)."""
    subject, woken = store()
    subject.upsert_certificate(body("10"))
    subject.certificates[KEY].resource_version = "11"
    subject.upsert_certificate(body("11"))
    subject.upsert_certificate(body("9", generation=2))
    assert woken == [KEY]


def test_a_namesake_inherits_nothing():
    """The same name with a new uid is another object (faults.md row 27)."""
    subject, _ = store()
    subject.upsert_certificate(body("10"))
    subject.certificates[KEY].sent = {"team": ChannelStatus("team", "", 3, None)}
    subject.upsert_certificate(body("12", uid="u2"))
    assert subject.certificates[KEY].sent is None
    assert subject.certificates[KEY].uid == "u2"


def test_late_news_of_the_one_before_touches_no_namesake():
    """A watch may be behind what the API server was asked for: neither its state nor its end is that of the new one."""
    subject, _ = store()
    subject.upsert_certificate(body("20", uid="u2"))
    subject.upsert_certificate(body("10", uid="u1"))
    assert subject.certificates[KEY].uid == "u2"
    assert not subject.remove_certificate(KEY, "u1")
    assert subject.certificates[KEY].uid == "u2"
    assert subject.remove_certificate(KEY, "u2")
    assert subject.certificates == {}


def test_what_the_api_server_says_in_person_counts_whatever_its_version():
    """After etcd was restored versions are lower than those that are known."""
    subject, _ = store()
    subject.upsert_certificate(body("900"))
    subject.take_over_certificate(body("100", generation=2, owner="somebody-else"))
    record = subject.certificates[KEY]
    assert (record.resource_version, record.generation) == ("100", 2)


def test_a_changed_spec_keeps_what_was_sent_and_reads_the_source_anew():
    subject, woken = store()
    subject.upsert_certificate(body("10"))
    record = subject.certificates[KEY]
    record.sent, record.stale = {"team": ChannelStatus("team", "", 3, None)}, False
    subject.upsert_certificate(body("12", generation=2, source={"type": "Secret", "secret": {"name": "other"}}))
    assert subject.certificates[KEY] is record
    assert record.sent is not None
    assert record.stale
    woken.clear()
    subject.secret_changed("team", "cert", "77")
    assert woken == []
    subject.secret_changed("team", "other", "77")
    assert woken == [KEY]


def test_only_another_version_of_a_secret_is_news():
    subject, woken = store()
    subject.upsert_certificate(body())
    record = subject.certificates[KEY]
    record.stale, record.revision = False, "77"
    woken.clear()
    subject.secret_changed("team", "cert", "77")
    assert (woken, record.stale) == ([], False)
    subject.secret_changed("team", "cert", "")
    assert (woken, record.stale) == ([KEY], True)


def test_nothing_of_a_removed_object_stays():
    subject, _ = store()
    subject.upsert_certificate(body(policyRef={"name": "p"}))
    subject.remove_certificate(KEY)
    assert subject.certificates == {}
    assert subject.referring("secret", ObjectKey("team", "cert")) == ()
    assert subject.secrets_wanted("") == set()
    assert subject._references == References()


def test_a_policy_wakes_its_certificates():
    subject, woken = store()
    subject.upsert_certificate(body(policyRef={"name": "p"}))
    woken.clear()
    metadata = {"namespace": "team", "name": "p", "uid": "p1", "resourceVersion": "5", "generation": 1}
    subject.upsert_policy({"metadata": metadata, "spec": {"alerts": {"startDaysBefore": 60}}})
    assert woken == [KEY]
    subject.remove_policy(ObjectKey("team", "p"))
    assert woken == [KEY, KEY]


def policy(name, version, secret):
    channel = {
        "name": "team",
        "type": "Slack",
        "slack": {"channel": "#a", "tokenSecretRef": {"name": secret, "key": "t"}},
    }
    metadata = body(version)["metadata"] | {"name": name}
    return {"metadata": metadata, "spec": {"alerts": {"channels": [channel]}}}


def test_no_secret_of_a_removed_policy_is_remembered():
    """Not even that there was one; another policy that needs it goes on with it."""
    woken = []
    store = ObjectCache(woken.append)
    store.upsert_policy(policy("one", "10", "shared"))
    store.upsert_policy(policy("two", "11", "shared"))
    store.upsert_policy(policy("two", "12", "other"))
    assert store.secrets_wanted("") == {("team", "shared"), ("team", "other")}
    store.remove_policy(ObjectKey("team", "one"))
    assert store.secrets_wanted("") == {("team", "other")}
    store.remove_policy(ObjectKey("team", "two"))
    assert store._references == References()


def test_a_policy_that_is_nonsense_is_known_all_the_same():
    """Its certificates are alerted about by the defaults, and its status says so."""
    store = ObjectCache(lambda _: None)
    nonsense = policy("odd", "10", "slack") | {"spec": {"alerts": {"channels": "#team"}}}
    assert store.upsert_policy(nonsense) == ObjectKey("team", "odd")
    assert store.policies[ObjectKey("team", "odd")].policy.channels == store.default_policy.channels


@pytest.mark.parametrize(("generation", "expected"), [(1, STOOD_IN), (2, None)])
def test_who_was_refused_is_known_after_a_restart(generation, expected):
    """Unless the spec was changed meanwhile: that may have been its correction."""
    condition = {"type": "ContactResolved", "status": "False", "reason": "RecipientRefused"}
    condition |= {"message": str(STOOD_IN), "lastTransitionTime": "2026-11-01T00:00:00Z"}
    subject, _ = store()
    subject.upsert_certificate(
        body("10", generation=generation, status={"observedGeneration": 1, "conditions": [condition]})
    )
    assert subject.certificates[KEY].stood_in == expected


@pytest.mark.parametrize(
    ("changed", "reason"), [({"owner": "platform"}, "SlackUser"), ({"environment": "test"}, "")], ids=["same", "other"]
)
def test_what_is_said_of_the_contact_is_of_that_one(changed, reason):
    """Another part of the spec may change; where somebody else is asked for, it is only known since when it said so."""
    condition = {"type": "ContactResolved", "status": "True", "reason": "SlackUser"}
    condition |= {"message": "found", "lastTransitionTime": "2026-11-01T00:00:00Z"}
    status = {"observedGeneration": 1, "conditions": [condition]}
    subject, _ = store()
    subject.upsert_certificate(body("10", status=status))
    subject.upsert_certificate(body("11", generation=2, status=status, **changed))
    found = subject.certificates[KEY].recorded.condition("ContactResolved")
    assert (found.status, found.reason, f"{found.last_transition:%Y-%m-%d}") == ("True", reason, "2026-11-01")
