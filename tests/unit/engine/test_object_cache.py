"""Objects from the API server are cached; echoes, old versions and objects of the same name are recognised."""

from dataclasses import replace

import pytest

from clientcert.cache.decoding import decode_store
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.reference_index import ReferenceIndex
from clientcert.lifecycle.policy import Role
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item

KEY = ObjectKey("team", "nhs")
FALLBACK = FallbackRecipient(Role.BUSINESS, "the technical contact was refused")
CERTIFICATE, POLICY = (Item("ClientCertificate", KEY), Item("CertificatePolicy", ObjectKey("team", "p")))


class RecordingQueue(list):
    """A fake work queue that records the enqueued items."""

    def enqueue(self, item, _urgency=0.0):
        self.append(item)

    def enqueue_all(self, items):
        self.extend(items)


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


def new_cache():
    enqueued = RecordingQueue()
    return ObjectCache(enqueued), enqueued


def read(cache):
    """Mark the source as read."""
    cache.take_source_change(KEY)


def test_an_echo_of_our_own_write_enqueues_nothing():
    """A third of all events at the start are echoes (design section 5)."""
    cache, enqueued = new_cache()
    cache.upsert_certificate(body("10"))
    cache.certificate_status_written(replace(cache.certificates[KEY], resource_version="11"))
    cache.upsert_certificate(body("11"))
    cache.upsert_certificate(body("9", generation=2))
    assert enqueued == [CERTIFICATE]


def test_a_hold_that_is_taken_away_enqueues():
    """Nobody has to wait for half an hour after the annotation of a restore was removed."""
    cache, enqueued = new_cache()
    held = body("10")
    held["metadata"]["annotations"] = {"clientcert.dev/restored": "2026-11-01T00:00:00Z"}
    cache.upsert_certificate(held)
    enqueued.clear()
    cache.upsert_certificate(body("11"))
    assert (enqueued, cache.certificates[KEY].held_until) == ([CERTIFICATE], None)


def test_our_own_status_ends_a_hold():
    """Also if the clock is set back afterwards; the next event is no news."""
    cache, enqueued = new_cache()
    held = body("10")
    held["metadata"]["annotations"] = {"clientcert.dev/restored": "2026-11-01T00:00:00Z"}
    cache.upsert_certificate(held)
    cache.certificate_status_written(replace(cache.certificates[KEY], resource_version="11"))
    enqueued.clear()
    cache.upsert_certificate(body("12"))
    assert (enqueued, cache.certificates[KEY].held_until) == ([], None)


def test_an_echo_before_the_response_enqueues_nothing():
    """The status is recognised by its hash during the write."""
    cache, enqueued = new_cache()
    cache.upsert_certificate(body("10"))
    written, _ = new_cache()
    written.upsert_certificate(body("11", status={"phase": "Valid"}))
    cache.begin_status_write(written.certificates[KEY])
    enqueued.clear()
    cache.upsert_certificate(body("11", status={"phase": "Valid"}))
    assert (enqueued, cache.certificates[KEY].status.phase) == ([], "Valid")
    cache.upsert_certificate(body("12", status={"phase": "Expired"}))
    assert enqueued == [CERTIFICATE]


@pytest.mark.parametrize("change", [{"generation": 1}, {"generation": 2, "owner": "another"}])
def test_a_change_before_the_response_keeps_what_was_written(change):
    """A label or the spec changes right after our write: the event about it has our status, as yet unanswered."""
    cache, _ = new_cache()
    cache.upsert_certificate(body("10"))
    other, _ = new_cache()
    other.upsert_certificate(body("11", status={"phase": "Valid"}))
    wanted = other.certificates[KEY]
    cache.begin_status_write(wanted)
    cache.upsert_certificate(body("12", status={"phase": "Valid"}, **change))
    assert cache.certificates[KEY].status.phase == "Valid"
    cache.certificate_status_written(wanted)
    found = cache.certificates[KEY]
    assert (found.resource_version, found.status.phase, found.generation) == ("12", "Valid", change["generation"])


def test_a_write_that_failed_leaves_the_known_status():
    """If the API server has it all the same, its event says so."""
    cache, enqueued = new_cache()
    cache.upsert_certificate(body("10", status={"phase": "Expired"}))
    other, _ = new_cache()
    other.upsert_certificate(body("11", status={"phase": "Valid"}))
    cache.begin_status_write(other.certificates[KEY])
    cache.status_write_failed(KEY)
    assert cache.certificates[KEY].status.phase == "Expired"
    enqueued.clear()
    cache.upsert_certificate(body("11", status={"phase": "Valid"}))
    assert (enqueued, cache.certificates[KEY].status.phase) == ([CERTIFICATE], "Valid")


def policy_body(version, **spec):
    return {**body(version), "spec": spec, "status": {}}


def store_body(version, bucket):
    return {**body(version), "spec": {"s3": {"bucket": bucket, "credentialsSecretRef": {"name": "s3"}}}}


def unusable_body(version):
    """Its record has the version, too."""
    return {**body(version), "spec": {}}


KINDS = {
    "ClientCertificate": (
        lambda cache: cache.certificates,
        lambda cache: (cache.upsert_certificate, cache.certificate_status_written),
        (body("10"), body("12", owner="another")),
    ),
    "CertificatePolicy": (
        lambda cache: cache.policies.policies,
        lambda cache: (cache.policies.upsert, cache.policies.status_written),
        (policy_body("10"), policy_body("12", alertDaysBefore=[3])),
    ),
    "CertificateStore": (
        lambda cache: cache.stores,
        lambda cache: (cache.upsert_store, cache.store_status_written),
        (store_body("10", "first"), store_body("12", "second")),
    ),
    "CertificateRevocation": (
        lambda cache: cache.revocations.revocations,
        lambda cache: (cache.revocations.upsert, cache.revocations.written),
        (unusable_body("10"), unusable_body("12")),
    ),
    "CertificateRenewal": (
        lambda cache: cache.renewals.renewals,
        lambda cache: (cache.renewals.upsert, cache.renewals.written),
        (unusable_body("10"), unusable_body("12")),
    ),
}
"""Each kind whose status we write: its records, upsert and written, and two versions of one object."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_version_before_the_answer_to_our_write_stays(kind):
    """Watch and answer come over two connections: the answer about 11 may come after the event about 12."""
    records, calls, (first, second) = KINDS[kind]
    cache, _ = new_cache()
    upsert, written = calls(cache)
    upsert(first)
    accepted = replace(records(cache)[KEY], resource_version="11", status_hash=b"ours")
    upsert(second)
    newest = records(cache)[KEY]
    written(accepted)
    assert records(cache)[KEY] == newest
    assert newest.resource_version == "12"


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_to_our_write_is_taken_over(kind):
    """Also one with the version that is known: the write has changed nothing there."""
    records, calls, (first, _) = KINDS[kind]
    cache, _ = new_cache()
    upsert, written = calls(cache)
    upsert(first)
    for version, status_hash in (("11", b"ours"), ("11", b"the same, otherwise said")):
        written(replace(records(cache)[KEY], resource_version=version, status_hash=status_hash))
        assert (records(cache)[KEY].resource_version, records(cache)[KEY].status_hash) == (version, status_hash)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_about_a_deleted_object_brings_nothing_back(kind):
    records, calls, (first, _) = KINDS[kind]
    cache, _ = new_cache()
    upsert, written = calls(cache)
    upsert(first)
    accepted = replace(records(cache)[KEY], resource_version="11")
    upsert({**first, "metadata": {**first["metadata"], "uid": "another", "resourceVersion": "13"}})
    written(accepted)
    assert (records(cache)[KEY].uid, records(cache)[KEY].resource_version) == ("another", "13")


def test_a_recreated_object_is_another_object():
    """The same name with a new uid (faults.md row 27); related state is keyed by uid."""
    cache, _ = new_cache()
    cache.upsert_certificate(body("10", status={"phase": "Expired"}))
    cache.upsert_certificate(body("12", uid="u2"))
    assert (cache.certificates[KEY].uid, cache.certificates[KEY].status.phase) == ("u2", "")


def test_a_late_event_of_a_deleted_object_does_not_change_its_successor():
    """A watch may lag behind a read: an event of the previous object neither updates nor removes the new one."""
    cache, _ = new_cache()
    cache.upsert_certificate(body("20", uid="u2"))
    cache.upsert_certificate(body("10", uid="u1"))
    assert cache.certificates[KEY].uid == "u2"
    assert not cache.remove_certificate(KEY, "u1")
    assert cache.certificates[KEY].uid == "u2"
    assert cache.remove_certificate(KEY, "u2")
    assert cache.certificates == {}


def test_a_direct_read_is_accepted_with_any_version():
    """After a restore of etcd, versions are lower than the known ones."""
    cache, _ = new_cache()
    cache.upsert_certificate(body("900"))
    cache.replace_certificate(body("100", generation=2, owner="somebody-else"))
    record = cache.certificates[KEY]
    assert (record.resource_version, record.generation) == ("100", 2)


def test_a_changed_spec_causes_a_new_read_of_the_source():
    """And changes of the previous source have no effect any more."""
    cache, enqueued = new_cache()
    cache.upsert_certificate(body("10"))
    read(cache)
    cache.upsert_certificate(body("12", generation=2, source={"type": "Secret", "secret": {"name": "other"}}))
    assert cache.take_source_change(KEY)
    enqueued.clear()
    cache.secret_changed("team", "cert", "77")
    assert enqueued == []
    cache.secret_changed("team", "other", "77")
    assert enqueued == [CERTIFICATE]


def test_only_a_version_of_a_secret_that_was_not_read_enqueues():
    """Nor does the first comparison have a fleet reconciled that was read since the start."""
    cache, enqueued = new_cache()
    cache.upsert_certificate(body())
    read(cache)
    cache.source_was_read(KEY, "77", "")
    enqueued.clear()
    cache.secret_changed("team", "cert", "77")
    assert (enqueued, cache.take_source_change(KEY)) == ([], False)
    cache.secret_changed("team", "cert", "78")
    assert enqueued == [CERTIFICATE]
    cache.source_was_read(KEY, "78", "")
    assert not cache.take_source_change(KEY), "it was read in this version before its reconcile began"
    enqueued.clear()
    cache.secret_changed("team", "cert", "")
    assert (enqueued, cache.take_source_change(KEY)) == ([CERTIFICATE], True)


def test_of_two_secrets_each_has_its_version():
    """The certificate's may be read in its new version, and the password's not yet."""
    cache, enqueued = new_cache()
    password = {"name": "password", "key": "p"}
    cache.upsert_certificate(body(source={"type": "Secret", "secret": {"name": "cert", "passwordSecretRef": password}}))
    read(cache)
    cache.source_was_read(KEY, "77", "76")
    enqueued.clear()
    cache.secret_changed("team", "password", "76")
    cache.secret_changed("team", "cert", "77")
    assert (enqueued, cache.take_source_change(KEY)) == ([], False)
    cache.secret_changed("team", "password", "78")
    cache.secret_changed("team", "cert", "79")
    cache.source_was_read(KEY, "79", "76")
    assert cache.take_source_change(KEY)


def test_a_secret_that_could_not_be_read_enqueues_with_any_version():
    cache, enqueued = new_cache()
    cache.upsert_certificate(body())
    read(cache)
    cache.source_was_read(KEY, "77", "")
    cache.source_was_read(KEY, "", "")
    enqueued.clear()
    cache.secret_changed("team", "cert", "77")
    assert (enqueued, cache.take_source_change(KEY)) == ([CERTIFICATE], True)


def test_no_state_of_a_removed_object_is_kept():
    """Its reconciler is called once more, and cleans up."""
    cache, enqueued = new_cache()
    cache.upsert_certificate(body(policyRef={"name": "p"}))
    cache.source_was_read(KEY, "77", "76")
    enqueued.clear()
    cache.remove_certificate(KEY)
    assert enqueued == [CERTIFICATE]
    assert cache.certificates == {}
    assert cache.referring("secret", ObjectKey("team", "cert")) == ()
    assert set(cache.secrets_wanted("")) == set()
    assert cache._references == ReferenceIndex()
    assert (cache._changed_sources, cache._read_versions, cache._read_password_versions) == ({}, {}, {})


def test_a_policy_is_reconciled_when_it_changes_or_a_secret_that_it_needs():
    """Its reconciler enqueues the certificates; an echo of a status is no change."""
    cache, enqueued = new_cache()
    cache.policies.upsert(policy("p", "5", "slack"))
    first = cache.policies.policies[POLICY.key].configuration
    cache.policies.upsert(policy("p", "6", "slack") | {"status": {"conditions": []}})
    assert (enqueued, cache.policies.policies[POLICY.key].configuration) == ([POLICY], first)
    cache.secret_changed("team", "slack", "7")
    assert enqueued == [POLICY, POLICY]
    assert cache.policies.policies[POLICY.key].configuration != first
    cache.secret_changed("team", "slack", "7")
    assert enqueued == [POLICY, POLICY]
    cache.policies.upsert(policy("p", "8", "slack"))
    cache.secret_changed("team", "slack", "7")
    assert enqueued == [POLICY, POLICY], "the Secret's version is known, whatever happened to the policy since"
    cache.policies.remove(ObjectKey("team", "p"))
    assert enqueued == [POLICY] * 3


def policy(name, version, secret):
    channel = {
        "name": "team",
        "type": "Slack",
        "slack": {"channel": "#a", "tokenSecretRef": {"name": secret, "key": "t"}},
    }
    metadata = body(version)["metadata"] | {"name": name}
    return {"metadata": metadata, "spec": {"alerts": {"channels": [channel]}}}


def test_no_secret_of_a_removed_policy_is_remembered():
    """Another policy that refers to the Secret still does."""
    cache, _ = new_cache()
    cache.policies.upsert(policy("one", "10", "shared"))
    cache.policies.upsert(policy("two", "11", "shared"))
    cache.policies.upsert(policy("two", "12", "other"))
    assert set(cache.secrets_wanted("")) == {("team", "shared"), ("team", "other")}
    cache.policies.remove(ObjectKey("team", "one"))
    assert set(cache.secrets_wanted("")) == {("team", "other")}
    cache.policies.remove(ObjectKey("team", "two"))
    assert cache._references == ReferenceIndex()


def test_an_invalid_policy_is_cached():
    """Its certificates are alerted by the defaults, and its status reports the problem."""
    cache, _ = new_cache()
    nonsense = policy("odd", "10", "slack") | {"spec": {"alerts": {"channels": "#team"}}}
    cache.policies.upsert(nonsense)
    assert cache.policies.policies[ObjectKey("team", "odd")].policy.channels == cache.default_policy.channels


STATUS = {
    "observedGeneration": 1,
    "alerts": {
        "channels": [
            {
                "name": "consumer",
                "recipientRole": "Business",
                "fallbackRecipient": {"role": "Business", "message": FALLBACK.message},
            }
        ]
    },
    "conditions": [
        {
            "type": "ContactResolved",
            "status": "True",
            "reason": "SlackUser",
            "message": "found",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        }
    ],
}


@pytest.mark.parametrize(("generation", "expected"), [(1, FALLBACK), (2, None)])
def test_the_fallback_recipient_is_known_after_a_restart(generation, expected):
    """Unless the spec was changed meanwhile, possibly to correct the contact."""
    cache, _ = new_cache()
    cache.upsert_certificate(body("10", generation=generation, status=STATUS))
    [channel] = cache.certificates[KEY].status.channels
    assert channel.fallback_recipient == expected


@pytest.mark.parametrize(
    ("changed", "reason", "fallback"),
    [({"owner": "platform"}, "SlackUser", FALLBACK), ({"environment": "test"}, "", None)],
    ids=["same", "other"],
)
def test_the_recorded_fallback_recipient_belongs_to_its_contact(changed, reason, fallback):
    """A change elsewhere in the spec keeps it; after a change of the contact only the last transition counts."""
    cache, _ = new_cache()
    cache.upsert_certificate(body("10", status=STATUS))
    cache.upsert_certificate(body("11", generation=2, status=STATUS, **changed))
    status = cache.certificates[KEY].status
    found = status.condition("ContactResolved")
    assert (found.status, found.reason, f"{found.last_transition:%Y-%m-%d}") == ("True", reason, "2026-11-01")
    assert status.channels[0].fallback_recipient == fallback


def test_an_unusable_store_keeps_nothing_of_its_object() -> None:
    """A traceback would hold it, and the record before, which holds the one before that."""
    metadata = {"namespace": "team", "name": "s", "uid": "u", "resourceVersion": "1", "generation": 1}
    found = decode_store(
        ObjectKey("team", "s"), {"metadata": metadata, "spec": {"s3": {"bucket": "b"}, "pollEvery": "?"}}, None
    )
    assert found.problem is not None
    assert found.problem.__traceback__ is None
