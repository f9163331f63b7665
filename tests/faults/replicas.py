"""Two replicas of one installation, each with its own proxies."""

from contextlib import ExitStack
from dataclasses import dataclass

from tests.control_plane.operators import Operator
from tests.control_plane.waiting import until
from tests.faults.api_proxy import before, seen_through
from tests.faults.proxy import FaultyProxy
from tests.faults.scenario import World
from tools.control_plane import ControlPlane


@dataclass
class Replica:
    """One of the two operators, with its own proxies."""

    world: World
    api_server: FaultyProxy
    slack: FaultyProxy
    operator: Operator

    @property
    def leads(self) -> bool:
        return self.operator.metric("clientcert_leader") == 1

    @property
    def first_act(self) -> float:
        """The time of its first write or send, which is waited for; of time.monotonic."""
        acts = until(lambda: self.api_server.writes + self.slack.writes)
        return min(each.time for each in acts)

    @property
    def last_send(self) -> float:
        """The time when its last send was answered; of time.monotonic."""
        return self.slack.writes[-1].time

    def stops(self) -> None:
        self.world.operator = self.operator
        self.world.operator_stops()

    def is_killed(self) -> None:
        self.world.operator = self.operator
        self.world.operator_is_killed()


@dataclass
class Pair:
    """The leader, and the other replica."""

    world: World
    control_plane: ControlPlane
    stack: ExitStack

    def starts(self, *flags: str) -> tuple[Replica, Replica]:
        """Start two operators, the second with these flags."""
        leader = self._replica()
        until(lambda: leader.leads)
        return leader, self._replica(*flags)

    def _replica(self, *flags: str) -> Replica:
        api_server = self.stack.enter_context(before(self.control_plane))
        slack = self.stack.enter_context(FaultyProxy(self.world.workspace.url).running())
        self.world.control_plane = seen_through(self.control_plane, api_server)
        settings = {"CLIENTCERT_SLACK_API_URL": f"{slack.url}/api/"}
        return Replica(self.world, api_server, slack, self.world.operator_starts(*flags, settings=settings))
