"""A webhook's receiver gets a CloudEvent that is complete, names no person, and has the same id when repeated."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import unread
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel, Schedule
from clientcert.lifecycle.spec import Contact, ObjectKey, Person
from clientcert.messages.message import Message
from clientcert.notifiers.http.webhook import cloud_event, event_id
from tests.adapters.sample_messages import alert, closing, failure
from tests.adapters.web_receiver import KEY, PATH, Vault, calling, of_another_expired_certificate, to_webhook
from tests.builders import DAY, NOW, UID, certificate, notified
from tests.unit.messages.composing import composed, knowing


class TestTheBody:
    async def test_the_whole_event(self) -> None:
        """One POST; CloudEvents 1.0 in structured mode, with all values."""
        async with calling() as (notifier, receiver):
            await notifier.notify(to_webhook(signed=False), alert())
        (call,) = receiver.calls
        assert (call.method, call.path) == ("POST", PATH)
        assert call.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        event = call.json
        assert re.fullmatch("[0-9a-f]{64}", event.pop("id"))
        assert event == {
            "specversion": "1.0",
            "source": "/apis/clientcert.dev/v1alpha1/namespaces/integration/clientcertificates/nhs-prod",
            "type": "dev.clientcert.certificate.expiring",
            "subject": "nhs",
            "time": "2026-11-22T09:00:00Z",
            "datacontenttype": "application/json",
            "data": {
                "reason": "Expiring",
                "text": "The certificate for nhs in prod will expire within the next 14 days",
                "nextStep": "Ask the technical contact to renew it, and put the renewed certificate into"
                " Secret nhs-client-cert, key tls.crt. The alerts stop when it is there.",
                "runbookURL": "https://runbooks.example/renew?a=1&b=2",
                "kind": "Alert",
                "namespace": "integration",
                "name": "nhs-prod",
                "uid": UID,
                "consumer": "nhs",
                "environment": "prod",
                "owner": "integration-team",
                "profile": "Client",
                "phase": "ExpiringSoon",
                "daysRemaining": 14,
                "notBefore": "2026-03-02T09:00:00Z",
                "notAfter": "2026-12-06T09:00:00Z",
                "serialNumber": "1a2b3",
                "fingerprintSHA256": certificate(NOW + 14 * DAY).fingerprint_sha256,
                "expires": {
                    "time": "2026-12-06T09:00:00Z",
                    "subjectDN": "CN=nhs",
                    "serialNumber": "1a2b3",
                    "fingerprintSHA256": certificate(NOW + 14 * DAY).fingerprint_sha256,
                },
                "replacedFingerprintSHA256": "",
                "channel": "team",
                "stage": 14,
            },
        }

    @pytest.mark.parametrize(
        ("message", "kind"),
        [
            (alert(), "expiring"),
            (alert(-2), "expired"),
            (closing(), "renewed"),
            (composed(unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert")), "problem"),
        ],
        ids=["expiring", "expired", "renewed", "problem"],
    )
    async def test_the_type_of_the_event(self, message: Message, kind: str) -> None:
        """A receiver can route by the type alone."""
        assert cloud_event(message)["type"] == f"dev.clientcert.certificate.{kind}"

    async def test_an_expired_certificate_in_the_source_is_a_problem(self) -> None:
        """The certificate in use has not expired; the event has its dates."""
        event = cloud_event(of_another_expired_certificate())
        assert event["type"] == "dev.clientcert.certificate.problem"
        notified = event["data"]
        assert (notified["reason"], notified["phase"], notified["daysRemaining"]) == ("Expired", "Invalid", 200)

    async def test_a_source_that_can_be_read_again(self) -> None:
        """The closing message of a certificate that had never been read."""
        message = composed(certificate(NOW + 400 * DAY), recorded=knowing(None, notified(0, "")))
        assert cloud_event(message)["type"] == "dev.clientcert.certificate.readable"

    async def test_a_certificate_that_was_never_read_has_no_dates(self) -> None:
        """Every field is present; unknown values are null."""
        event = cloud_event(composed(unread(Reason.SOURCE_NOT_FOUND, "there is no Secret")))
        unknown = {name: value for name, value in event["data"].items() if value is None}
        assert set(unknown) == {"daysRemaining", "notBefore", "notAfter", "expires"}

    async def test_a_closing_message_names_what_was_replaced(self) -> None:
        """By its fingerprint; it has no stage."""
        event = cloud_event(closing())
        replaced = certificate(NOW + 5 * DAY, serial_number=0xAA).fingerprint_sha256
        assert event["data"]["replacedFingerprintSHA256"] == replaced
        assert event["data"]["stage"] is None
        assert event["data"]["kind"] == "Closing"

    async def test_no_person_is_named(self) -> None:
        """The body has no name and no address of any contact."""
        contact = Contact(
            Person("Jo Bloggs", "jo@nhs.example"), Person("Sam Patel", "sam@nhs.example"), slack_email="jo@gov.example"
        )
        async with calling() as (notifier, receiver):
            await notifier.notify(to_webhook(), alert(contact=contact))
        body = receiver.calls[0].body.decode()
        assert [word for word in ("Jo", "Bloggs", "Sam", "Patel", "@") if word in body] == []


class TestHostileValues:
    HOSTILE = '"}],\r\nX-Injected: 1\x00\u202e<!channel>\ud800'

    async def test_they_stay_values(self) -> None:
        """Quotes, line breaks, NUL, right-to-left marks and lone surrogates break neither body nor headers."""
        async with calling() as (notifier, receiver):
            await notifier.notify(to_webhook(), alert(consumer=self.HOSTILE, environment=self.HOSTILE))
        (call,) = receiver.calls
        assert "X-Injected" not in call.headers
        assert call.json["data"]["consumer"] == '"}], X-Injected: 1\ufffd\ufffd<!channel>\ufffd'
        assert call.json["subject"] == call.json["data"]["consumer"]

    async def test_a_long_name_is_cut(self) -> None:
        """With 10 KB in every typed field the body stays small."""
        async with calling() as (notifier, receiver):
            await notifier.notify(
                to_webhook(), alert(consumer="n" * 10_000, environment="e" * 10_000, owner="o" * 10_000)
            )
        assert len(receiver.calls[0].json["data"]["owner"]) == 253
        assert len(receiver.calls[0].body) < 8_000


class TestTheId:
    async def test_a_repeat_has_the_same_one(self) -> None:
        """Also an hour later: a crash between send and record repeats a message, and receivers can detect that."""
        later = composed(certificate(NOW + 14 * DAY), NOW + timedelta(hours=1))
        assert event_id(later) == event_id(alert())

    async def test_any_other_message_has_another_one(self) -> None:
        """Another stage, certificate, object or channel, or the closing message."""
        message = alert()
        expires = message.about.expires
        assert expires is not None
        others = [
            closing(),
            alert(13),
            replace(message, object_uid="another"),
            replace(message, about=replace(message.about, channel="pager")),
            replace(message, about=replace(message.about, stage=13)),
            replace(message, about=replace(message.about, expires=replace(expires, fingerprint_sha256="00"))),
            replace(message, kind=MessageKind.CLOSING, about=replace(message.about, stage=None)),
        ]
        assert len({event_id(each) for each in (message, *others)}) == len(others) + 1


async def test_a_channel_without_a_url() -> None:
    """The error says what to add."""
    async with calling() as (notifier, _):
        error = await failure(notifier, Channel("pager", "Webhook", Schedule()))
    assert (error.reason, error.retryable) == (Reason.CHANNEL_NOT_FOUND, False)
    assert "urlSecretRef" in error.message


async def test_the_pace_is_that_of_one_url() -> None:
    """Two channels with the same URL share it; a Secret of the same name in another namespace has its own."""
    async with calling() as (notifier, _):
        place = notifier.pace("integration", to_webhook(), MessageKind.ALERT).limit_key
        other = Channel("other name", "Webhook", Schedule(), to_webhook().address)
        assert notifier.pace("integration", other, MessageKind.CLOSING).limit_key == place
        assert notifier.pace("payments", to_webhook(), MessageKind.ALERT).limit_key != place


async def test_secrets_are_read_in_the_objects_namespace() -> None:
    """And nowhere else, for any name of the object."""
    vault = Vault(signing=KEY)
    async with calling(vault=vault) as (notifier, receiver):
        await notifier.notify(to_webhook(), alert(key=ObjectKey("payments", "nhs-prod")))
    assert {namespace for namespace, _ in vault.asked} == {"payments"}
    assert receiver.calls[0].json["source"].startswith("/apis/clientcert.dev/v1alpha1/namespaces/payments/")


def test_after_a_rollback_it_is_another_event() -> None:
    """Otherwise a receiver that knows the first event would not open the incident again."""
    seen = certificate(NOW + 9 * DAY)
    closed = notified(None, certificate(NOW + 400 * DAY, serial_number=2).fingerprint_sha256)
    first, again, once_more = (
        event_id(composed(seen, recorded=knowing(seen, *records)))
        for records in ((), (closed,), (replace(closed, last_sent=NOW - 2 * DAY),))
    )
    assert len({first, again, once_more}) == 3


def test_a_problem_that_begins_is_another_event() -> None:
    """Otherwise a receiver that knows the event of the stage would drop it; a second attempt has the same id."""
    seen = certificate(NOW + 9 * DAY)
    told = notified(9, seen.fingerprint_sha256)
    stage = event_id(composed(seen, recorded=knowing(seen)))
    ids = [
        event_id(composed(unread(reason, "…"), recorded=knowing(seen, record)))
        for reason in (Reason.NOT_A_CERTIFICATE, Reason.PASSWORD_INCORRECT)
        for record in (told, replace(told, last_sent=NOW), told)
    ]
    assert ids[0] == ids[2]
    assert len({stage, *ids}) == 5
