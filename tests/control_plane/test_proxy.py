"""A whole operator behind a proxy on loopback, from the values of the chart alone."""

from pathlib import Path

from tests.connect_proxy import ConnectProxy
from tests.control_plane.operators import OWN_CHANNEL, Operators
from tests.control_plane.sentences import expiring
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually
from tests.deploy.chart import environment_of, objects_of
from tests.faults.listening import listening
from tests.mounted_secret import MountedSecret
from tools.helm import Helm


def test_alerts_leave_by_the_proxy(team: Team, operators: Operators, helm: Helm, tmp_path: Path) -> None:
    """The API server is reached without it. The login is in no log, also after it has changed in its file."""
    logins = ("operator:canary-5e0f", "operator:canary-8c1a")
    with listening(ConnectProxy(login=logins[0])) as proxy:
        objects = objects_of(helm, {"proxy": {"url": proxy.url, "noProxy": [".svc"]}})
        variables = environment_of(objects, tmp_path)
        settings = {name: value for name, value in variables.items() if "PROXY" in name}
        assert set(settings) == {"CLIENTCERT_PROXY_FILE", "CLIENTCERT_NO_PROXY"}
        mounted = MountedSecret(tmp_path / "mounted")
        mounted.swap(proxy=proxy.url)
        settings |= mounted.variables("proxy")
        with operators.running(team.namespace, settings=settings) as operator:
            team.hand_out("first", days=20)
            eventually(lambda: team.notified("first", OWN_CHANNEL), [expiring("first", 20)])
            proxy.login = logins[1]
            mounted.swap(proxy=proxy.url)
            eventually(lambda: "CLIENTCERT_PROXY_FILE has changed" in operator.process.log_text(), True)
            team.hand_out("second", days=20)
            eventually(lambda: team.notified("second", OWN_CHANNEL), [expiring("second", 20)])
            log = operator.process.log_text()
    assert "canary" not in log
    assert {each.split("/")[-1] for each in proxy.asked} == {"chat.postMessage"}
