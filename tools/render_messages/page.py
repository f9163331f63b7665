"""What stands on the page: prose, and between it what the operator's own code has made of the examples."""

from collections.abc import Iterator
from dataclasses import replace

from clientcert.lifecycle.contacts import Role
from clientcert.notifiers.http.alertmanager import alerts
from clientcert.notifiers.slack.block_kit import (
    alert_payload,
    details_payload,
    digest_payload,
    folded_payload,
    letter_payload,
    plain_payload,
)
from tools.render_messages.examples import (
    ALERT,
    BUSINESS,
    BUSINESS_ONLY,
    CLOSED,
    COLLEAGUE,
    DAY,
    ENDS_SOON,
    EXPIRED,
    EXPIRED_LEFT,
    HOST,
    HOUR,
    LEFT,
    MANY,
    MEMBER,
    WAYS,
    Example,
    about,
    batch,
    digest,
    policy_of,
    replaced,
    small_digest,
)
from tools.render_messages.rendering import (
    as_call,
    as_events,
    as_json,
    as_mail,
    as_sentence,
    as_text,
    as_text_of_many,
    in_slack,
    shortened,
)

TITLE = """\
# Messages

What people and machines are sent, word for word. This page is made by `python -m tools.render_messages`: the operator's
own code composes every message from examples (`tools/render_messages/examples.py`), at 09:00 UTC on 22 November 2026.
A test sees that the page is what the code says. Correct the code, never the page.

The examples have the policy of `deploy/examples/policy-with-contacts.yaml`, where nothing else is said.
[Contacts](contacts.md) says who gets which letter, and how to say it in words of your own.
"""
SENTENCES = """\
## What is said to the team

The sentence, and the next step. They are the same in every channel: in Slack, in a webhook's body, in Alertmanager, by
Apprise and in the Kubernetes Event. Above each stands the reason by which machines know it; where the source is at
fault, it is one of [the runbook's](runbook.md#reasons).
"""
SLACK = """\
## Slack

### An alert

In the channel, and its details in the thread of the message:
"""
SLACK_WEBHOOK = "### By an incoming webhook\n\nIt cannot reply, so that the details stand below the line:\n"
SLACK_PLAIN = "### Without blocks\n\nShould Slack refuse the form of a message, it goes out once more as plain text:\n"
DIGEST = f"""\
### A digest

{MANY} certificates of one policy on one morning. What has no room in one message is counted:
"""
MAIL = """\
## E-mail to the consumer

Each mail has a second part that says the same in simple HTML: paragraphs, headings and the two commands, and nothing
that is loaded from anywhere. Reminders have the same subject and stand in one thread.

### To the technical contact
"""
FELL_BACK = """\
### To the business contact, when the technical one cannot be reached

The mail server has refused the address for good:
"""
ESCALATED = "### To the business contact, when nothing has happened for `escalateAfterDays`\n"
ESCALATED_FROM_SLACK = "### To the business contact, when a Slack user was written to so far\n"
OWN_WORDS = """\
### A letter in the policy's own words

`email.subject` and `email.body` of `deploy/examples/policy-with-own-letter.yaml`:
"""
DIRECT = """\
## Direct messages in Slack

To a consumer's contact who is a user of our own Slack. Nobody reads answers to them, so they say whom to talk to.

### Before expiry
"""
WEBHOOK = """\
## Webhooks

[The page about webhooks](webhooks.md) explains every field. The body goes out in one line.

### A call about an alert
"""
ALERTMANAGER = """\
## Alertmanager

The channels of this and of the next section are those of `deploy/examples/policy-to-other-tools.yaml`.

### An alert that fires

From 14 days before expiry it has a second severity:
"""
EVENTS = """\
## Kubernetes Events

At the end of `kubectl describe clientcertificate`. What is in the columns Age and Count is left out here.
"""


def page() -> str:
    """The whole of docs/messages.md."""
    return "\n".join(part.rstrip() + "\n" for part in _parts())


def _parts() -> Iterator[str]:
    yield TITLE
    yield SENTENCES
    for title, example in WAYS.items():
        yield f"### {title}\n"
        yield as_sentence(example.message())
    yield from _slack()
    yield from _mails()
    yield from _direct_messages()
    yield from _machines()
    yield EVENTS
    yield as_events(*(WAYS[title].message("events") for title in WAYS))


def _slack() -> Iterator[str]:
    alert = ALERT.message()
    yield SLACK
    yield in_slack(alert_payload(alert), "#integration-api-alerts", details_payload(alert))
    yield "### After expiry\n"
    yield in_slack(alert_payload(EXPIRED.message()))
    yield "### A source that is gone\n"
    yield in_slack(alert_payload(WAYS["The date is far, and the source is gone"].message()))
    yield "### An escalation\n\nIt says the same, in another channel:\n"
    yield in_slack(alert_payload(ALERT.message("on-call")), "#on-call")
    yield "### The closing message\n"
    yield in_slack(alert_payload(CLOSED.message()))
    yield SLACK_WEBHOOK
    yield in_slack(folded_payload(alert))
    yield SLACK_PLAIN
    yield in_slack(plain_payload(alert))
    yield DIGEST
    yield shortened(in_slack(digest_payload(digest())))
    yield "### A small digest\n\nWith `group: Policy`, which asks for one from two on:\n"
    yield in_slack(digest_payload(small_digest()))


def _mails() -> Iterator[str]:
    yield MAIL
    yield as_mail(ALERT.message("consumer"))
    yield "### To the technical contact on the last day\n"
    yield as_mail(WAYS["On the last day"].message("consumer"))
    yield "### To the technical contact after expiry\n"
    yield as_mail(EXPIRED.message("consumer"))
    yield "### To a business contact, when no technical one is known\n"
    yield as_mail(about(LEFT, spec=BUSINESS_ONLY).message("consumer"))
    yield "### To a business contact after expiry\n"
    yield as_mail(about(EXPIRED_LEFT, spec=BUSINESS_ONLY).message("consumer"))
    yield FELL_BACK
    yield as_mail(ALERT.message("consumer"), position=1)
    yield ESCALATED
    yield as_mail(ALERT.message("consumer/business"))
    yield ESCALATED_FROM_SLACK
    yield as_mail(about(LEFT, spec=BUSINESS_ONLY).message("consumer/business", (BUSINESS,), Role.SLACK))
    yield "### To the requester of a host certificate\n"
    yield as_mail(about(LEFT, spec=HOST).message("consumer"))
    yield "### To the requester of a batch of host certificates\n"
    yield as_mail(batch())
    yield OWN_WORDS
    yield as_mail(about(LEFT, policy=policy_of("policy-with-own-letter.yaml")).message("consumer"))
    yield "### The closing letter\n"
    yield as_mail(CLOSED.message("consumer"))
    yield "### The closing letter about one that ends soon as well\n"
    yield as_mail(ENDS_SOON.message("consumer"))


def _direct_messages() -> Iterator[str]:
    def direct(example: Example) -> str:
        [letter] = example.message("consumer", (MEMBER,)).letters
        assert letter.recipient.role is Role.SLACK
        return in_slack(letter_payload(letter), "Jo Bloggs")

    yield DIRECT
    yield direct(about(LEFT, spec=COLLEAGUE))
    yield "### A direct message after expiry\n"
    yield direct(about(EXPIRED_LEFT, spec=COLLEAGUE))
    yield "### The closing direct message\n"
    yield direct(replaced(spec=COLLEAGUE))


def _machines() -> Iterator[str]:
    tools = policy_of("policy-to-other-tools.yaml")
    alert, closing = about(LEFT, policy=tools), replaced(policy=tools)
    yield WEBHOOK
    yield as_call(about(3 * DAY - HOUR).message("pager"))
    yield "### A call that closes it\n"
    yield as_call(CLOSED.message("pager"))
    yield ALERTMANAGER
    yield _as_alerts(alert)
    yield "### An alert about a source\n"
    yield _as_alerts(replace(WAYS["The date is far, and the source is gone"], policy=tools))
    yield "### An alert that is resolved\n\nIt resolves all that can have fired:\n"
    yield _as_alerts(closing)
    yield "## Apprise\n\nTitle and body, in plain text, without the contact.\n\n### A notification\n"
    yield as_text(alert.message("teams"))
    yield "### A notification that closes it\n"
    yield as_text(closing.message("teams"))
    yield "### A digest there\n"
    yield as_text_of_many(digest())


def _as_alerts(example: Example) -> str:
    return as_json(alerts(example.channel("alertmanager").schedule, example.message("alertmanager")))
