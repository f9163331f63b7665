"""Test alerts: once a value, one a minute and namespace, never to the contact, and no stage counts as sent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest

from clientcert.alerting.alert_test_slots import AT_ONCE
from clientcert.api.kinds import CERTIFICATE_POLICY, CLIENT_CERTIFICATE, Kind
from clientcert.cache.object_cache import CERTIFICATE_TEST
from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import MINUTE, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness, until

FAR = 200
"""Days left: no alert is due."""
WITH_REPLIES = {**CONSUMER, "email": {"recipients": "Contact", "replyTo": "ours@integration.example"}}
ASKED, TO = "clientcert.dev/test-alert", "clientcert.dev/test-alert-to"
Outcomes = dict[str, str]


class Asking:
    """The acts of people, and the statuses that they see."""

    def __init__(self, harness: EngineHarness) -> None:
        self._harness = harness

    def certificate(self, value: str, name: str = "nhs", *, namespace: str = NAMESPACE, to: str = "") -> None:
        """Annotate, as the watch reports it."""
        key = ObjectKey(namespace, name)
        path = f"/apis/clientcert.dev/v1alpha1/namespaces/{namespace}/clientcertificates/{name}"
        body = self._harness.api.objects[path]
        annotations = ({ASKED: value} if value else {}) | ({TO: to} if to else {})
        metadata = {**self._harness._metadata(key, body["metadata"]["generation"]), "annotations": annotations}
        status = self._status(CLIENT_CERTIFICATE, key)
        self._harness.cache.upsert_certificate({**body, "metadata": metadata, "status": status})

    def policy(self, value: str) -> None:
        key = ObjectKey(NAMESPACE, "team")
        metadata = {**self._harness._metadata(key, 1), "annotations": {ASKED: value}}
        status = self._status(CERTIFICATE_POLICY, key)
        self._harness.cache.policies.upsert(
            {"metadata": metadata, "spec": self._harness._policies[key], "status": status}
        )

    def records(self, test: Mapping[str, Any]) -> None:
        """A status with this test, as a process before this one has left it."""
        path = CLIENT_CERTIFICATE.status(NAMESPACE, "nhs")
        self._harness.api.statuses.append((path, {"test": test}))

    def test(self, name: str = "nhs", *, kind: Kind = CLIENT_CERTIFICATE, namespace: str = NAMESPACE) -> Any:
        return self._status(kind, ObjectKey(namespace, name)).get("test") or {}

    def outcomes(self, name: str = "nhs", **of: Any) -> Outcomes:
        return {
            each["name"]: each.get("reason", each["outcome"]) for each in self.test(name, **of).get("channels") or ()
        }

    def _status(self, kind: Kind, key: ObjectKey) -> dict[str, Any]:
        """All merge patches, one after the other."""
        merged: dict[str, Any] = {}
        for path, content in self._harness.api.statuses:
            if path == kind.status(*key):
                merged |= content
        return merged


async def started(
    *channels: Mapping[str, Any], has_mail_domains: bool = False, cluster: str = ""
) -> tuple[EngineHarness, Asking]:
    harness = EngineHarness(has_mail_domains=has_mail_domains, cluster=cluster)
    harness.policy(*(channels or (TEAM,)))
    harness.hand_out("nhs", days=FAR)
    return harness, Asking(harness)


async def test_once_a_value() -> None:
    """The same value, or any other change of the object, sends nothing more; and no stage is recorded."""
    harness, asking = await started()
    async with harness.running():
        await harness.until_idle()
        for _ in range(3):
            asking.certificate("one")
            await harness.until_idle()
        assert asking.outcomes() == {"team": "Sent", "events": "Sent"}
        harness.reconcilers[CERTIFICATE_TEST].begin_term()
        await harness.until_idle()
    assert harness.slack.notified == [("nhs",)]
    assert harness.record("nhs").status.channels == ()
    assert asking.test()["attempts"] == 1


async def test_an_operator_that_only_observes_sends_none() -> None:
    """The outcome of each channel says why."""
    harness = EngineHarness(observe_only=True)
    harness.policy(TEAM)
    harness.hand_out("nhs", days=FAR)
    asking = Asking(harness)
    async with harness.running():
        await harness.until_idle()
        asking.certificate("one")
        await harness.until_idle()
    found = {(each["outcome"], each["reason"], each["message"]) for each in asking.test()["channels"]}
    assert found == {("Failed", "ObserveOnly", "no test is sent: the operator only observes (CLIENTCERT_OBSERVE_ONLY)")}
    assert harness.slack.notified == []


async def test_one_a_minute_and_namespace() -> None:
    """Others wait for their minutes, in the order in which they came; another namespace does not."""
    harness, asking = await started()
    harness.policy(TEAM, namespace="other")
    for name in ("weather", "courts"):
        harness.hand_out(name, days=FAR)
    harness.hand_out("nhs", days=FAR, namespace="other")
    async with harness.running():
        await harness.until_idle()
        began = harness.clock()
        for name in ("nhs", "weather", "courts"):
            asking.certificate("one", name)
            await harness.until_idle()
        asking.certificate("one", namespace="other")
        await harness.until_idle()
        assert harness.slack.notified == [("nhs",), ("nhs",)]
        due = [datetime.fromisoformat(asking.test(name)["dueTime"]) for name in ("weather", "courts")]
        assert [round((moment - began) / MINUTE) for moment in due] == [1, 2]
        await harness.let_pass(MINUTE + SECOND)
        assert harness.slack.notified[2:] == [("weather",)]
        await harness.let_pass(MINUTE + SECOND)
        assert harness.slack.notified[3:] == [("courts",)]
    assert asking.test("courts")["channels"]
    assert not asking.test("courts")["dueTime"]


async def test_one_a_minute_also_after_a_time_in_which_none_could_be_sent() -> None:
    """The minutes of all that waited have come meanwhile."""
    harness, asking = await started()
    for name in ("weather", "courts"):
        harness.hand_out(name, days=FAR)
    async with harness.running():
        await harness.until_idle()
        for name in ("nhs", "weather", "courts"):
            asking.certificate("one", name)
            await harness.until_idle()
        harness.is_leader = False
        await harness.let_pass(10 * MINUTE)
        harness.is_leader = True
        await until(lambda: len(harness.slack.notified) == 2)
        await harness.let_pass(55 * SECOND)
        assert len(harness.slack.notified) == 2
        await harness.let_pass(10 * MINUTE)
    assert sorted(harness.slack.notified) == [("courts",), ("nhs",), ("weather",)]


async def test_few_at_once_over_all_namespaces() -> None:
    """However many namespaces ask at the same time; the other workers are left to alerts."""
    harness, asking = await started()
    namespaces = [f"team-{number:02d}" for number in range(3 * AT_ONCE)]
    for namespace in namespaces:
        harness.policy(TEAM, namespace=namespace)
        harness.hand_out("nhs", days=FAR, namespace=namespace)
    async with harness.running():
        await harness.until_idle()
        harness.slack.gate.clear()
        for namespace in namespaces:
            asking.certificate("one", namespace=namespace)
        await harness.let_pass(30 * SECOND)
        assert len(harness.slack.tries) == AT_ONCE
        harness.slack.gate.set()
        await harness.until_idle()
    assert len(harness.slack.notified) == len(namespaces)


async def test_another_value_while_a_test_is_in_flight() -> None:
    """The outcome of the first is recorded, and the second is sent in the next minute."""
    harness, asking = await started()
    async with harness.running():
        await harness.until_idle()
        harness.slack.gate.clear()
        asking.certificate("one")
        await until(lambda: harness.slack.tries)
        asking.certificate("two")
        harness.slack.gate.set()
        await harness.let_pass(30 * SECOND)
        assert (asking.test()["value"], len(harness.slack.notified)) == ("two", 1)
        await harness.let_pass(MINUTE)
    written = [content["test"] for _, content in harness.api.statuses if "test" in content]
    ended = [(each["value"], len(each["channels"])) for each in written if each["endTime"]]
    assert ended == [("one", 2), ("two", 2)]
    assert harness.slack.notified == [("nhs",), ("nhs",)]


async def test_an_object_that_is_gone_before_its_outcome_is_written() -> None:
    """Nothing is left to be recorded, also if another object has its name by then."""
    harness, asking = await started()
    async with harness.running():
        await harness.until_idle()
        harness.slack.gate.clear()
        asking.certificate("one")
        await until(lambda: harness.slack.tries)
        harness.api.refusals["PATCH"] = KubeError(Reason.CONFLICT, "the object has been modified", status=409)
        harness.slack.gate.set()
        await harness.let_pass(5 * SECOND)
        assert len(harness.workers._unrecorded()) == 1
        harness.recreate("nhs")
        harness.api.refusals.clear()
        await harness.let_pass(5 * SECOND)
        assert harness.workers._unrecorded() == set()


async def test_what_is_not_wanted_any_more_is_not_sent() -> None:
    """The annotation is removed, or the object is deleted, while the test waits."""
    harness, asking = await started()
    for name in ("weather", "courts"):
        harness.hand_out(name, days=FAR)
    async with harness.running():
        await harness.until_idle()
        for name in ("nhs", "weather", "courts"):
            asking.certificate("one", name)
            await harness.until_idle()
        asking.certificate("", "weather")
        harness.delete("courts")
        await harness.let_pass(4 * MINUTE)
    assert harness.slack.notified == [("nhs",)]
    assert asking.test("weather") == {}


@pytest.mark.parametrize(
    ("before", "sent", "outcome"), [(1, 1, "Sent"), (2, 0, "TestInterrupted")], ids=["once", "twice"]
)
async def test_after_a_crash_it_is_sent_once_more_at_most(before: int, sent: int, outcome: str) -> None:
    """A status that says that the test began, and not how it ended."""
    harness, asking = await started()
    async with harness.running():
        await harness.until_idle()
        asking.records({"value": "one", "time": f"{harness.clock() - MINUTE:%Y-%m-%dT%H:%M:%SZ}", "attempts": before})
        asking.certificate("one")
        await harness.until_idle()
        assert len(harness.slack.notified) == sent
        assert set(asking.outcomes().values()) == {outcome}
        assert asking.test()["attempts"] == 2
        asking.certificate("one")
        await harness.until_idle()
    assert len(harness.slack.notified) == sent


async def test_an_outcome_that_cannot_be_written_is_not_sent_again() -> None:
    """Another writer was first: the outcome is written to the new version."""
    harness, asking = await started()
    conflict = KubeError(Reason.CONFLICT, "the object has been modified", status=409)
    async with harness.running():
        await harness.until_idle()
        harness.slack.gate.clear()
        asking.certificate("one")
        await until(lambda: harness.slack.tries)
        harness.api.refusals["PATCH"] = conflict
        harness.slack.gate.set()
        await harness.let_pass(5 * SECOND)
        assert "endTime" not in {name for name, value in asking.test().items() if value}
        harness.api.refusals.clear()
        await until(lambda: asking.outcomes())
        await harness.let_pass(5 * MINUTE)
    assert harness.slack.notified == [("nhs",)]


async def test_a_clean_stop_records_the_outcome() -> None:
    """A test in flight is finished before the process ends."""
    harness, asking = await started()
    async with harness.running():
        await harness.until_idle()
        harness.slack.gate.clear()
        asking.certificate("one")
        await until(lambda: harness.slack.tries)
        harness.slack.gate.set()
        await harness.workers.drain()
    assert asking.outcomes() == {"team": "Sent", "events": "Sent"}


async def test_a_channel_that_fails_is_told_and_not_tried_again() -> None:
    """The others are not affected; and the failure is none of the alerts."""
    harness, asking = await started()
    harness.slack.answers = iter([DeliveryError(Reason.TOKEN_REJECTED, "renew the token")])
    async with harness.running():
        await harness.until_idle()
        asking.certificate("one")
        await harness.let_pass(10 * MINUTE)
    assert asking.outcomes() == {"team": "TokenRejected", "events": "Sent"}
    assert len(harness.slack.tries) == 1
    assert harness.failures("nhs") == {}


CONTACT = "jo@nhs.example"


@pytest.mark.parametrize(
    ("channel", "has_domains", "to", "outcome", "sent"),
    [
        (WITH_REPLIES, False, "", "Sent", ["ours@integration.example"]),
        (WITH_REPLIES, True, "me@integration.example", "Sent", ["me@integration.example"]),
        (WITH_REPLIES, False, "me@integration.example", "RecipientNotAllowed", []),
        (WITH_REPLIES, True, CONTACT.upper(), "RecipientNotAllowed", []),
        (WITH_REPLIES, True, "jo+alerts@nhs.example", "RecipientNotAllowed", []),
        (WITH_REPLIES, True, "jo@\uff4e\uff48\uff53.example", "RecipientNotAllowed", []),
        (CONSUMER, True, "", "TestRecipientMissing", []),
        ({**CONSUMER, "email": {"recipients": "Contact", "replyTo": CONTACT}}, True, "", "RecipientNotAllowed", []),
    ],
    ids=[
        "replyTo",
        "--to",
        "no domains",
        "the contact",
        "with a tag",
        "in wide letters",
        "nobody",
        "replyTo is the contact",
    ],
)
async def test_a_letter_never_goes_to_the_contact(
    channel: Mapping[str, Any], *, has_domains: bool, to: str, outcome: str, sent: list[str]
) -> None:
    """It goes to `replyTo`, or to an address in a domain of the settings, which the notifier checks."""
    harness, asking = await started(channel, has_mail_domains=has_domains)
    async with harness.running():
        await harness.until_idle()
        asking.certificate("one", to=to)
        await harness.until_idle()
    assert asking.outcomes()["consumer"] == outcome
    assert harness.mail.sent == sent
    assert all(letter.subject.startswith("TEST: ") for letter in harness.mail.letters)
    assert CONTACT not in harness.mail.tries


async def test_a_policy_is_tested_with_an_example() -> None:
    """Its Event is about the policy."""
    harness, asking = await started()
    async with harness.running():
        await harness.until_idle()
        asking.policy("one")
        await harness.until_idle()
    assert asking.outcomes("team", kind=CERTIFICATE_POLICY) == {"team": "Sent", "events": "Sent"}
    assert harness.slack.notified == [("example",)]
    [event] = [each for each in harness.api.created if each["reason"] == "TestAlert"]
    assert event["involvedObject"]["kind"] == "CertificatePolicy"


async def test_a_policys_test_names_the_cluster() -> None:
    """As that of a certificate does."""
    harness, asking = await started(cluster="live-eu")
    async with harness.running():
        await harness.until_idle()
        asking.certificate("one")
        await harness.until_idle()
        asking.policy("one")
        await harness.let_pass(2 * MINUTE)
    assert ["('Cluster', 'live-eu')" in text for text in harness.slack.texts] == [True, True]


async def test_the_facts_are_those_of_the_certificate() -> None:
    """Also right after a start: the test waits until the certificate was read."""
    harness, asking = await started()
    asking.certificate("one")
    async with harness.running():
        await until(lambda: asking.outcomes())
    assert "199 days" in harness.slack.texts[0] or "200 days" in harness.slack.texts[0]


async def test_a_kind_without_the_field_sends_nothing() -> None:
    """An operator that is newer than its kinds could not record the test, and would send it again and again."""
    harness, asking = await started()
    async with harness.running():
        await harness.until_idle()

        async def pruned(path: str, content: Any, *, metadata_only: bool = False) -> Any:
            return {"metadata": {"resourceVersion": content["metadata"]["resourceVersion"]}}

        harness.api.merge_patch = pruned
        asking.certificate("one")
        await harness.until_idle()
    assert harness.slack.notified == []


async def test_a_channel_that_cannot_be_used() -> None:
    """The others get the test; so does that of a certificate that was never read."""
    webhook, unknown = {"name": "hook", "type": "Webhook"}, {"name": "later", "type": "Telex"}
    harness = EngineHarness()
    harness.policy(TEAM, webhook, unknown)
    harness.declare("nhs")
    asking = Asking(harness)
    async with harness.running():
        await harness.until_idle()
        harness.slack.texts.clear()
        asking.certificate("one")
        await harness.until_idle()
    unusable = dict.fromkeys(("hook", "later"), "ChannelNotSupported")
    assert asking.outcomes() == {"team": "Sent", "events": "Sent"} | unusable
    assert len(harness.slack.texts) == 1


async def test_a_hostile_value_is_in_no_message() -> None:
    """It is compared, and recorded as it is."""
    harness, asking = await started(WITH_REPLIES, TEAM)
    value = "<!channel>\x00\n\u202eevil"
    async with harness.running():
        await harness.until_idle()
        for _ in range(2):
            asking.certificate(value)
            await harness.until_idle()
    assert (asking.test()["value"], harness.slack.notified) == (value, [("nhs",)])
    letters = [part.text for letter in harness.mail.letters for part in letter.parts]
    events = [event["message"] for event in harness.api.created]
    assert [text for text in (*harness.slack.texts, *letters, *events) if "evil" in text] == []


async def test_annotations_of_any_size() -> None:
    """A value is as long as a status holds it, and an address that is too long is none."""
    harness, asking = await started(WITH_REPLIES, has_mail_domains=True)
    async with harness.running():
        await harness.until_idle()
        asking.certificate("x" * 10_000, to="y" * 10_000)
        await harness.until_idle()
    assert asking.test()["value"] == "x" * 64
    assert len(msgspec.json.encode(asking.test())) < 2_000
