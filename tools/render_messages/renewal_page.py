"""The section of the page about renewals."""

from collections.abc import Iterator
from dataclasses import replace

from clientcert.lifecycle.renewal.notices import NoticeKind
from clientcert.lifecycle.renewal.status import State
from clientcert.notifiers.http.alertmanager import alerts
from clientcert.notifiers.slack.block_kit import alert_payload, details_payload, digest_payload, letter_payload
from tools.render_messages.examples import EXPIRED_LEFT
from tools.render_messages.rendering import as_call, as_json, as_mail, as_sentence, as_text, in_slack, shortened
from tools.render_messages.renewals import (
    AUTHORITY,
    DELIVERED,
    ISSUED,
    NOT_STORED,
    PENDING,
    REFUSED,
    TO_SLACK_USER,
    WITHOUT_AUTHORITY,
    RequestExample,
    alert_while,
    to_tools,
)

TITLE = """\
## Renewals

Messages about a CertificateRenewal, where the policy has `spec.renewal`. The examples have `notify`,
`callIfUnauthorised` and `retireAfterDays`.

A letter about a request is sent once; what waits for approval is told daily. A contact is told no names of users. If
the policy names no `notify`, or the operator sends no mail, the team's channels are told what `notify` would be, with
the names. Whom to call is `callIfUnauthorised`, else `replyTo` of the policy's Email channel, else the sender of the
operator's mails. A channel that begins later than others, such as a pager, hears nothing of a request before that. A
request that was only too early is told to nobody, and of refusals at most three a day about one certificate.

### In the team's channels
"""
MANY = """\
#### Many that wait for approval

Where more than 20 of one kind are due at once (`spec.alerts.group`), they are one message:
"""
CONTACT = "### The receipt to the contact of record\n"
AUTHORITIES = "### To the registration authority\n"
ALERTS = """\
### Alerts to the team where the policy has a renewal

Without an open request, the next step is a command:
"""
OPEN = "While a request is open, the alert says what it waits for, and escalations rest:\n"
EXPIRED = "After expiry:\n"
LETTER = """\
### Letters about the expiry while a request is open

They ask for no key. Once the new certificate was delivered there are none:
"""
VETTING = "### Letters after expiry where the policy has a renewal\n"
MACHINES = """\
### Renewals for machines

The policy of these examples names no `notify`. A call of a webhook has the request in `renewal`:
"""


def renewal_parts() -> Iterator[str]:
    """All parts of the section, in order."""
    yield TITLE
    for title, example, kind in (
        ("A request waits for approval", PENDING, NoticeKind.WAITING),
        ("A request was refused", REFUSED, NoticeKind.REFUSED),
        ("A certificate was issued", ISSUED, NoticeKind.ISSUED),
        ("It was delivered", DELIVERED, NoticeKind.DELIVERED),
        ("It could not be written to its source", NOT_STORED, NoticeKind.NOT_STORED),
        ("The old one is retired in a week", DELIVERED, NoticeKind.RETIRING),
    ):
        yield f"#### {title}\n"
        yield as_sentence(example.message(kind))
    yield "#### In Slack\n"
    yield _slack(PENDING)
    yield MANY
    yield shortened(in_slack(digest_payload(PENDING.many(NoticeKind.WAITING, 60))))
    for title, example, kind in (
        ("Many were refused", REFUSED, NoticeKind.REFUSED),
        ("Many were issued", ISSUED, NoticeKind.ISSUED),
        ("Many were delivered", DELIVERED, NoticeKind.DELIVERED),
        ("Many could not be written to their sources", NOT_STORED, NoticeKind.NOT_STORED),
        ("Many old ones are retired in a week", DELIVERED, NoticeKind.RETIRING),
    ):
        yield f"#### {title}\n"
        yield shortened(in_slack(digest_payload(example.many(kind, 30))))
    yield from _to_contact()
    yield from _to_authority()
    yield from _alerts()
    yield from _machines()


def _slack(example: RequestExample) -> str:
    message = example.message(NoticeKind.WAITING)
    return in_slack(alert_payload(message), "#integration-api-alerts", details_payload(message))


def _to_contact() -> Iterator[str]:
    yield CONTACT
    yield as_mail(PENDING.mail(NoticeKind.RECEIPT))
    yield "### The receipt as a direct message\n"
    [letter] = TO_SLACK_USER.mail(NoticeKind.RECEIPT).letters
    yield in_slack(letter_payload(letter), "Jo Bloggs")
    yield "### A refusal, to the contact\n"
    yield as_mail(REFUSED.mail(NoticeKind.REFUSED))
    yield "### The mail with the new certificate\n\nIt is the closing letter, too:\n"
    yield as_mail(DELIVERED.mail(NoticeKind.DELIVERY))
    yield "### The notice of an issuance, where the certificate is handed over by hand\n"
    yield as_mail(ISSUED.mail(NoticeKind.ISSUED))
    yield "### The retirement of the old certificate, a week before\n"
    yield as_mail(DELIVERED.mail(NoticeKind.RETIRING))


def _to_authority() -> Iterator[str]:
    yield AUTHORITIES
    yield "#### What waits for approval\n"
    yield as_mail(PENDING.mail(NoticeKind.WAITING, AUTHORITY))
    yield "#### A refusal\n"
    yield as_mail(REFUSED.mail(NoticeKind.REFUSED, AUTHORITY))
    yield "#### An issuance\n"
    yield as_mail(ISSUED.mail(NoticeKind.ISSUED, AUTHORITY))
    yield "#### A retirement\n"
    yield as_mail(DELIVERED.mail(NoticeKind.RETIRING, AUTHORITY))
    yield "#### A mail about many that wait for approval\n"
    yield as_mail(PENDING.mail_about_many(NoticeKind.WAITING, 21))


def _alerts() -> Iterator[str]:
    yield ALERTS
    yield as_sentence(alert_while(None, "team"))
    yield OPEN
    for state in (State.AWAITING_APPROVAL, State.ISSUED, State.DELIVERED):
        yield as_sentence(alert_while(state, "team"))
    yield EXPIRED
    yield as_sentence(alert_while(None, "team", left=EXPIRED_LEFT))
    yield LETTER
    yield as_mail(alert_while(State.AWAITING_APPROVAL, "consumer"))
    yield VETTING
    yield as_mail(alert_while(None, "consumer", left=EXPIRED_LEFT))


def _machines() -> Iterator[str]:
    pending, issued = to_tools(PENDING), to_tools(ISSUED)
    yield MACHINES
    yield as_call(replace(PENDING, policy=WITHOUT_AUTHORITY).message(NoticeKind.WAITING, "pager"))
    yield "In Alertmanager an alert fires while somebody has to do something, and is resolved when it is done:\n"
    for example, kind in ((pending, NoticeKind.WAITING), (issued, NoticeKind.ISSUED)):
        schedule = example.channel("alertmanager").schedule
        yield as_json(alerts(schedule, example.message(kind, "alertmanager")))
    yield "By Apprise:\n"
    yield as_text(pending.message(NoticeKind.WAITING, "teams"))
