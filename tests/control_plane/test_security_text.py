"""Text of users and certificates stays text: it breaks no line, mentions nobody, links nowhere, and is never
executed.
"""

from typing import Any

import pytest

from tests.control_plane.operators import Operators
from tests.control_plane.team import Team
from tests.control_plane.waiting import until
from tests.scenarios import Manifest, certificate_policy, client_certificate, secret, slack_channel, slack_webhook
from tools.control_plane import ApiError

LINES = "Example\r\n\r\nBcc: evil@example.com\u2028\u202e<!channel> <https://evil.example|click>\x1b[31m"
"""A header of a mail, a blank line before a body, Unicode's line end, text from right to left, a terminal's colour."""
INVISIBLE = ("\r", "\x1b", "\u2028", "\u202e")
CODE = "%(name)s %s %n $name $(id) `id` #[7*7]"


def both(team: Team, **alerts: Any) -> list[Manifest]:
    """A bot and a webhook, and further fields of the policy."""
    return [
        secret("slack", token=team.slack.tokens[1], url=team.slack.webhook_url("#on-call")),
        certificate_policy(
            "both", slack_channel("team", "#team", "slack"), slack_webhook("on-call", "slack"), **alerts
        ),
    ]


def test_a_line_break_in_a_certificate_breaks_no_line(team: Team, operators: Operators) -> None:
    """Certificate fields are unchecked: in Slack, Events, conditions and columns they are one line."""
    team.apply(*both(team))
    issued = team.issue("nhs", days=20, organization=LINES)
    team.put("nhs", issued)
    team.declare("nhs", policyRef={"name": "both"})
    with operators.running(team.namespace) as operator:
        operator.settle()
        until(lambda: len(team.messages("nhs")) == 2)
    posted = team.messages("nhs")
    shown = [text for message in posted for text in message.texts()]
    shown += [text for message in posted for reply in team.slack.replies(message) for text in reply.texts()]
    shown += list(team.events("nhs").values())
    assert any("Bcc: evil@example.com" in text for text in shown), "the subject is in the details"
    assert all((message.mentions, message.links) == ((), ()) for message in posted)
    assert [line for text in shown for line in text.splitlines() if line.startswith(("Bcc", "evil"))] == []
    assert [mark for mark in INVISIBLE if mark in "".join(shown)] == []
    described = team.control_plane.kubectl("describe", "clientcertificate", "nhs", "-n", team.namespace)
    assert "Bcc: evil@example.com" in described
    assert "\x1b" not in described, "kubectl keeps what the status holds as it is from the terminal"


@pytest.mark.parametrize("text", ["a\r\nBcc: b@example.com", "a\u2028b", "a\u202eb", "a\x1bb", "<!channel>"], ids=ascii)
def test_the_api_server_refuses_what_breaks_a_line_or_is_markup(team: Team, text: str) -> None:
    """In every field of a ClientCertificate that a message shows."""
    fields: list[dict[str, Any]] = [
        {"consumer": text},
        {"environment": text},
        {"owner": text},
        {"contact": {"technical": {"name": text, "email": "jo@nhs.example"}}},
        {"contact": {"technical": {"email": text}}},
        {"batch": text},
    ]
    for spec in fields:
        with pytest.raises(ApiError) as refused:
            team.apply(client_certificate("nhs", **spec))
        assert refused.value.status == 422


@pytest.mark.parametrize(
    "field", ["{name.__class__.__mro__}", "{name!r}", "{name:>99}", "{0}", "{}", "{name[0]}", "{{7*7}}"]
)
def test_a_template_has_fixed_fields_only(team: Team, field: str) -> None:
    """The API server refuses an attribute, a conversion, a format, a position or an index, with a helpful message."""
    with pytest.raises(ApiError, match=r"may hold no braces but those of \{name\}, \{environment\}"):
        team.apply(*both(team, message=f"{{name}} in {{environment}}: {field}"))


def test_a_template_is_no_code(team: Team, operators: Operators) -> None:
    """Text that is code for printf, a shell or a template engine is shown unchanged."""
    team.apply(*both(team, message=f"{{name}} in {{environment}}: {CODE}"))
    team.hand_out("nhs", days=20, policyRef={"name": "both"})
    with operators.running(team.namespace) as operator:
        operator.settle()
        until(lambda: len(sent(team)) == 2)
    assert [text.partition(": ")[2] for text in sent(team)] == [CODE, CODE]


def sent(team: Team) -> list[str]:
    """The messages of both channels, without the details in threads."""
    return [posted.text for posted in tuple(team.slack.messages) if posted.text.startswith(team.consumer("nhs"))]
