"""Webhooks: a CloudEvent for each message, signed as Standard Webhooks does.

    notifier = WebhookNotifier(read_secret, egress, clock)
    async with notifier:
        receipt = await notifier.notify(channel, message)

docs/webhooks.md describes the body, for authors of receivers.
"""

import hashlib
import json
from typing import Any

from clientcert.api.kinds import CERTIFICATE_RENEWAL, timestamp
from clientcert.lifecycle.policy import Channel
from clientcert.messages.message import AboutRenewal, Message
from clientcert.messages.text import LONGEST_NAME, LONGEST_VALUE, sanitize_line
from clientcert.notifiers.deadline import deadline
from clientcert.notifiers.http.standard_webhooks import signed_headers, signing_keys
from clientcert.notifiers.http.url_caller import UrlCaller, url_address
from clientcert.notifiers.interface import Receipt
from clientcert.pki.certificate import Expiry

TYPE_PREFIX = "dev.clientcert.certificate."
"""Of the CloudEvents type, before the topic."""


class WebhookNotifier(UrlCaller):
    """Sends each message as a CloudEvent, signed if the policy names a key."""

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        """As in the interface. Messages have ids, and no threads."""
        address, namespace = url_address(channel), message.object_key.namespace
        async with deadline(self.receiver):
            url = await self.url(namespace, address.url_ref)
            keys: tuple[bytes, ...] = ()
            if address.signing_ref is not None:
                keys = signing_keys(await self.secret(namespace, address.signing_ref), address.signing_ref)
            event = cloud_event(message)
            body = json.dumps(event, separators=(",", ":")).encode()
            headers = await self.authorization(namespace, address.authorization_ref)
            headers |= signed_headers(event["id"], self._clock(), body, keys)
            headers |= {"Content-Type": "application/cloudevents+json; charset=utf-8"}
            await self.post(namespace, url, body, headers)
        return Receipt()


def cloud_event(message: Message) -> dict[str, Any]:
    """The message in the JSON format of CloudEvents 1.0, structured mode; without names and addresses of people."""
    about = message.about
    source = message.object_kind.item(*message.object_key)
    if about.renewal is not None:
        source = CERTIFICATE_RENEWAL.item(message.object_key.namespace, about.renewal.name)
    return {
        "specversion": "1.0",
        "id": event_id(message),
        "source": source,
        "type": TYPE_PREFIX + message.topic.value,
        "subject": sanitize_line(about.consumer, LONGEST_VALUE),
        "time": timestamp(about.time),
        "datacontenttype": "application/json",
        "data": _data(message),
    }


def event_id(message: Message) -> str:
    """Equal whenever this message is sent again, and different for every other: receivers detect repeats by it."""
    about = message.about
    stage = "closing" if about.stage is None else about.stage
    previous = timestamp(about.previous) if about.previous else ""
    identity = [
        message.object_uid,
        about.expires.fingerprint_sha256 if about.expires else "",
        about.channel,
        stage,
        message.kind,
        previous,
    ]
    identity += [about.begins] if about.begins else []
    # The certificate may change while a message about the request is repeated.
    identity = [about.renewal.uid, about.renewal.occasion] if about.renewal else identity
    identity = [message.object_uid, about.channel, message.kind, message.test] if message.test else identity
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _data(message: Message) -> dict[str, Any]:
    about = message.about
    namespace, name = message.object_key
    return {
        "reason": message.reason,
        "text": message.text,
        "nextStep": message.next_step,
        "runbookURL": message.runbook_url,
        "kind": message.kind.value,
        "namespace": namespace,
        "name": name,
        "uid": message.object_uid,
        "consumer": sanitize_line(about.consumer, LONGEST_VALUE),
        "environment": sanitize_line(about.environment, LONGEST_VALUE),
        "owner": sanitize_line(about.owner, LONGEST_VALUE),
        "profile": sanitize_line(about.profile, LONGEST_VALUE),
        "phase": about.phase,
        "daysRemaining": about.days_remaining,
        "notBefore": timestamp(about.not_before) if about.not_before else None,
        "notAfter": timestamp(about.not_after) if about.not_after else None,
        "serialNumber": sanitize_line(about.serial_number, LONGEST_VALUE),
        "fingerprintSHA256": about.fingerprint_sha256,
        "expires": _expires(about.expires) if about.expires else None,
        "replacedFingerprintSHA256": about.replaced_fingerprint,
        "channel": about.channel,
        "stage": about.stage,
        **({"cluster": about.cluster} if about.cluster else {}),
        **({"renewal": _renewal(about.renewal)} if about.renewal else {}),
        **({"test": True} if message.test else {}),
    }


def _renewal(renewal: AboutRenewal) -> dict[str, Any]:
    return {
        "name": renewal.name,
        "uid": renewal.uid,
        "state": renewal.state,
        "mode": renewal.mode,
        "oldSerialNumber": sanitize_line(renewal.old_serial_number, LONGEST_VALUE),
        "serialNumber": sanitize_line(renewal.serial_number, LONGEST_VALUE),
        "notAfter": timestamp(renewal.not_after) if renewal.not_after else None,
        "keySHA256": renewal.key_hash,
    }


def _expires(expires: Expiry) -> dict[str, str]:
    return {
        "time": timestamp(expires.time),
        "subjectDN": sanitize_line(expires.subject_dn, LONGEST_NAME),
        "serialNumber": sanitize_line(expires.serial_number, LONGEST_VALUE),
        "fingerprintSHA256": expires.fingerprint_sha256,
    }
