"""Days of a team in seconds: an operator runs for a moment of each day, with its clock set forward."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.control_plane.operators import Operator, Operators
from tests.control_plane.team import DAY, Team
from tests.scenarios import Manifest, certificate_policy, secret, slack_channel


@dataclass
class Diary:
    """The messages to the team on each day. Between two days no operator runs."""

    team: Team
    operators: Operators
    _ends: dict[float, int] = field(default_factory=dict)
    """The number of messages in Slack at the end of each day."""

    def use_more_channels(self) -> tuple[Manifest, Manifest]:
        """References to two new policies with a Slack channel each, because a channel accepts one message in two
        seconds. They have no grace for a source that is gone: a day of a diary takes seconds.
        """
        self.team.apply(
            secret("slack", token=self.team.slack.tokens[1]),
            *(
                certificate_policy(name, slack_channel(name, f"#{name}", "slack"), sourceGrace="0s")
                for name in ("team", "on-call")
            ),
        )
        return {"name": "team"}, {"name": "on-call"}

    def run_on(self, *days: float, inspect: Callable[[Operator], None] = lambda _: None) -> None:
        """Run an operator on each of these days after the start, until it is idle."""
        certificates = len(self.team.items("ClientCertificate"))
        for day in days:
            with self.operators.running(self.team.namespace, later=day * DAY) as operator:
                operator.settle(reconciles=certificates)
                inspect(operator)
            self._ends[day] = len(self.team.slack.messages)

    def notified(self, name: str) -> dict[float, list[str]]:
        """The messages about this consumer in all channels, by day."""
        every = self.team.slack.messages
        posted = {
            message.ts: text for message, text in zip(self.team.messages(name), self.team.notified(name), strict=True)
        }
        starts = [0, *self._ends.values()]
        return {
            day: [posted[message.ts] for message in every[start:end] if message.ts in posted]
            for start, (day, end) in zip(starts, self._ends.items(), strict=False)
        }
