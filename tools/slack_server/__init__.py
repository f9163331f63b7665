"""A loopback server that implements the part of Slack that the operator uses, for the real slack_sdk.

In a test's own event loop:

    async with SlackServer() as slack:
        slack.fail_next(Fault.rate_limited(seconds=1))
        ...  # the client under test uses slack.api_url, slack.token or slack.webhook_url("#alerts")
        assert [message.text for message in slack.messages] == [...]

In a thread of its own, for a demo or a bench: `with SlackServer().start() as slack: ...`. As a process of its own:
`python -m tools.slack_server --print`.
"""

from tools.slack_server.faults import PASS, Fault
from tools.slack_server.recording import Call, Posted
from tools.slack_server.rendering import render
from tools.slack_server.server import SlackServer
from tools.slack_server.workspace import User

__all__ = ["PASS", "Call", "Fault", "Posted", "SlackServer", "User", "render"]
