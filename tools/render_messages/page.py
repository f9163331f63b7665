"""The content of the page: prose, and the examples as the operator's own code renders them."""

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
    CHAIN_ENDS,
    CHAIN_RENEWED,
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
from tools.render_messages.renewal_page import renewal_parts

TITLE = """\
# Messages

Every message to people and machines, word for word. `python -m tools.render_messages` writes this page: the operator's
own code composes each message from examples (`tools/render_messages/examples.py`), at 09:00 UTC on 22 November 2026. A
test checks that the page matches the code. Change the code, never the page.

Unless stated otherwise, the examples use the policy of `deploy/examples/policy-with-contacts.yaml`.
[Contacts](contacts.md) describes who gets which letter, and how to write letters of your own.
"""
SENTENCES = """\
## The text of an alert

The sentence, and the next step. They are the same in every channel: in Slack, in a webhook's body, in Alertmanager, in
Apprise and in the Kubernetes Event. The reason for machines is above each text; for a problem with the source it is
one of [the runbook's reasons](runbook.md#reasons).
"""
SLACK = """\
## Slack

### An alert

In the channel, with its details in the thread of the message:
"""
SLACK_WEBHOOK = "### By an incoming webhook\n\nIt cannot post to a thread, so the details are below the line:\n"
SLACK_PLAIN = (
    "### Without blocks\n\nIf Slack refuses the form of a message, the operator sends it once more as plain text:\n"
)
DIGEST = f"""\
### A digest

{MANY} certificates of one policy on one morning. The certificates that have no room in the message are counted:
"""
MAIL = """\
## E-mail to the consumer

Each mail has a second part with the same text as simple HTML: paragraphs, headings and the two commands, without any
external resource. Reminders have the same subject and are in one thread.

### To the technical contact
"""
FELL_BACK = """\
### To the business contact, when the technical one cannot be reached

The mail server has refused the address permanently:
"""
ESCALATED = "### To the business contact, when nothing has happened for `escalateAfterDays`\n"
ESCALATED_FROM_SLACK = "### To the business contact, when a Slack user was written to so far\n"
OWN_WORDS = """\
### A letter in the policy's own words

`email.subject` and `email.body` of `deploy/examples/policy-with-own-letter.yaml`:
"""
DIRECT = """\
## Direct messages in Slack

To a consumer's contact who is a user of our own Slack. Nobody reads replies to them, so they name a person to talk to.

### Before expiry
"""
WEBHOOK = """\
## Webhooks

[The page about webhooks](webhooks.md) explains every field. The body is sent in one line.

### A call about an alert
"""
ALERTMANAGER = """\
## Alertmanager

This section and the next one use the channels of `deploy/examples/policy-to-other-tools.yaml`.

### An alert that fires

From 14 days before expiry, an alert of a second severity fires as well:
"""
TESTS = """\
## Test alerts

[`clientcert test-alert`](cli.md#test-the-channels) sends one through every channel, whatever is due.

### A test in Slack
"""
EVENTS = """\
## Kubernetes Events

At the end of the output of `kubectl describe clientcertificate`. The columns Age and Count are left out here.
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
    yield from renewal_parts()
    yield from _tests()
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
    yield "### An escalation\n\nThe same message, in another channel:\n"
    yield in_slack(alert_payload(ALERT.message("on-call")), "#on-call")
    yield "### The closing message\n"
    yield in_slack(alert_payload(CLOSED.message()))
    yield SLACK_WEBHOOK
    yield in_slack(folded_payload(alert))
    yield SLACK_PLAIN
    yield in_slack(plain_payload(alert))
    yield DIGEST
    yield shortened(in_slack(digest_payload(digest())))
    yield "### A small digest\n\nWith `group: Policy`, two alerts are enough for a digest:\n"
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
    yield "### When an issuing certificate in the same file ends first\n"
    yield as_mail(CHAIN_ENDS.message("consumer"))
    yield OWN_WORDS
    yield as_mail(about(LEFT, policy=policy_of("policy-with-own-letter.yaml")).message("consumer"))
    yield "### The closing letter\n"
    yield as_mail(CLOSED.message("consumer"))
    yield "### The closing letter about one that ends soon as well\n"
    yield as_mail(ENDS_SOON.message("consumer"))
    yield "### The closing letter when only the chain was renewed\n"
    yield as_mail(CHAIN_RENEWED.message("consumer"))


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
    yield "### A closing call\n"
    yield as_call(CLOSED.message("pager"))
    yield ALERTMANAGER
    yield _as_alerts(alert)
    yield "### An alert about a source\n"
    yield _as_alerts(replace(WAYS["The date is far, and the source is gone"], policy=tools))
    yield "### A resolved alert\n\nIt resolves all alerts that can have fired:\n"
    yield _as_alerts(closing)
    yield "## Apprise\n\nTitle and body, in plain text, without the contact.\n\n### A notification\n"
    yield as_text(alert.message("teams"))
    yield "### A closing notification\n"
    yield as_text(closing.message("teams"))
    yield "### A digest by Apprise\n"
    yield as_text_of_many(digest())


def _tests() -> Iterator[str]:
    tools = about(LEFT, policy=policy_of("policy-to-other-tools.yaml"))
    yield TESTS
    yield in_slack(alert_payload(ALERT.test()), "#integration-api-alerts", details_payload(ALERT.test()))
    yield "### A test by e-mail\n\nTo the channel's `replyTo`, and never to the contact:\n"
    yield as_mail(ALERT.test("consumer"))
    yield "### A test by a webhook\n"
    yield as_call(ALERT.test("pager"))
    yield "### A test in Alertmanager\n"
    yield as_json(alerts(tools.channel("alertmanager").schedule, tools.test("alertmanager")))
    yield "### A test by Apprise\n"
    yield as_text(tools.test("teams"))
    yield "### The Event of a test\n"
    yield as_events(ALERT.test("events"))


def _as_alerts(example: Example) -> str:
    return as_json(alerts(example.channel("alertmanager").schedule, example.message("alertmanager")))
