"""The token of the operator's own Slack channel is replaced while it runs, as kubelet replaces it."""

from pathlib import Path

import pytest

from tests.control_plane.operators import OWN_CHANNEL, Operators
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.mounted_secret import MountedSecret
from tools.slack_server import SlackServer

NEW = "xoxb-canary-the-new-one"


def test_the_next_alert_uses_the_new_token(
    team: Team, operators: Operators, slack: SlackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No restart, and neither token is in the log; Slack accepts the old one no more."""
    mounted, old = MountedSecret(tmp_path / "secrets"), slack.token
    mounted.swap(slack_token=old)
    own = {"CLIENTCERT_SLACK_TOKEN": ""} | mounted.variables("slack_token")
    with operators.running(team.namespace, settings=own) as operator:
        team.hand_out("first", days=20)
        until(lambda: team.notified("first", OWN_CHANNEL))
        with monkeypatch.context() as changed:
            changed.setattr(slack, "tokens", [NEW])
            mounted.swap(slack_token=NEW)
            until(lambda: "CLIENTCERT_SLACK_TOKEN_FILE has changed" in operator.process.log_text())
            team.hand_out("second", days=20)
            eventually(lambda: len(team.notified("second", OWN_CHANNEL)), 1)
        log = operator.process.log_text()
    assert old not in log
    assert NEW not in log
