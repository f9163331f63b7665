"""The version before, this one over its objects, and back: no object is lost, and nothing is sent twice.

`make upgrade`; docs/upgrade.md says what is promised.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.control_plane.operators import OWN_CHANNEL
from tests.control_plane.sentences import replaced
from tests.control_plane.team import Team
from tests.upgrade.story import ALERTED, QUIET, Story, lost
from tests.upgrade.versions import this_version, version_before
from tools.certificates import CertificateAuthority, Issued
from tools.control_plane import ControlPlane
from tools.mail_server import LoopbackMailServer
from tools.slack_server import SlackServer

pytestmark = [pytest.mark.upgrade, pytest.mark.timeout(900)]

SAME_DAY = (("before", "upgraded"), ("a day later", "back"), ("two days later", "kinds back"), ("kinds back", "again"))
"""Two steps of one day: the second version finds what the first has left."""
NEXT_DAY = ("a day later", "two days later")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane.start(tmp_path_factory.mktemp("upgrade")) as running:
        running.create_namespace("integration")
        yield running


@pytest.fixture(scope="module")
def mail() -> Iterator[LoopbackMailServer]:
    with LoopbackMailServer(tls="starttls", login=("operator", "canary-5d21-password")) as server:
        yield server


@pytest.fixture(scope="module")
def team(cluster: ControlPlane, authority: CertificateAuthority) -> Iterator[Team]:
    channels, tokens = (OWN_CHANNEL, "#team", "#on-call"), ("xoxb-operators-own-token", "xoxb-token-of-the-team")
    with SlackServer(channels=channels, tokens=tokens).start() as slack:
        yield Team(cluster, "integration", slack, authority)


@pytest.fixture(scope="module")
def renewed() -> list[Issued]:
    """The certificate that is put into its source between the first version and the upgrade."""
    return []


@pytest.fixture(scope="module")
def story(
    team: Team, mail: LoopbackMailServer, renewed: list[Issued], tmp_path_factory: pytest.TempPathFactory
) -> Story:
    """All steps."""
    before, this, cluster = version_before(), this_version(), team.control_plane
    told = Story(team, mail, tmp_path_factory.mktemp("operators"))
    for install in (before.install_kinds, before.install_operator):
        install(cluster)
    told.begin(before)
    for install in (this.install_kinds, this.install_operator):
        install(cluster)
    renewed.append(team.renew("renewed", days=365))
    told.roll_out("upgraded", before, this, 0)
    told.run_on("a day later", this, 1)
    before.install_operator(cluster)
    told.roll_out("back", this, before, 1)
    told.run_on("two days later", before, 2)
    before.install_kinds(cluster)
    told.run_on("kinds back", before, 2)
    for install in (this.install_kinds, this.install_operator):
        install(cluster)
    told.roll_out("again", before, this, 2)
    return told


@pytest.mark.parametrize("which", ["before", "this"])
def test_each_process_runs_its_own_version(which: str) -> None:
    version = version_before() if which == "before" else this_version()
    assert version.imported_from() == version.root / "operator/clientcert"


def test_no_object_is_lost(story: Story) -> None:
    """Nor made anew, nor changed: all have the same uid and spec in all steps."""
    found = [
        {key: (each["metadata"]["uid"], each["spec"]) for key, each in snapshot.objects.items()}
        for snapshot in story.snapshots.values()
    ]
    assert {kind for kind, _ in found[0]} == {
        *("ClientCertificate", "CertificatePolicy", "CertificateStore"),
        *("CertificateRenewal", "CertificateRevocation"),
    }
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize(("one", "other"), SAME_DAY)
def test_nothing_is_sent_twice(story: Story, renewed: list[Issued], one: str, other: str) -> None:
    """Another version sends nothing over what the first has recorded. Only what is new is told, once."""
    sent = [words for _, words in story.snapshots[other].sent]
    if other == "upgraded":
        closing = replaced("renewed", renewed[0]).replace("renewed", story.team.consumer("renewed"))
        assert [each for each in sent if not each.startswith(closing)] == []
        assert len(sent) == 1
    else:
        assert sent == []
    assert story.snapshots[one].sent != [] or one == "kinds back"


@pytest.mark.parametrize("step", NEXT_DAY)
def test_nothing_is_lost(story: Story, step: str) -> None:
    """Each alert of the next day is sent, once; also by the version before, over what this one has recorded."""
    sent = story.snapshots[step].sent
    for name in ALERTED:
        about = [words for place, words in sent if place.startswith("#") and story.team.consumer(name) in words]
        assert len(about) == 1, name
    for name in (*QUIET, "renewed"):
        assert [words for _, words in sent if story.team.consumer(name) in words] == []
    assert len([place for place, _ in sent if place == "#on-call"]) == 1  # the digest
    assert [each for each, count in Counter(sent).items() if count > 1] == []


def test_the_first_day_has_all_kinds_of_messages(story: Story) -> None:
    """Else the other tests would show little: alerts, a digest, a letter, and a message about the request."""
    sent = story.snapshots["before"].sent
    places = Counter(place for place, _ in sent)
    assert places["#on-call"] == 1
    assert places["#team"] == 1
    assert places["jo@nhs.example"] >= 1
    assert {OWN_CHANNEL, "#team", "#on-call"} <= places.keys()
    assert [each for each, count in Counter(sent).items() if count > 1] == []


@pytest.mark.parametrize(("one", "other"), SAME_DAY)
def test_statuses_are_kept(story: Story, one: str, other: str) -> None:
    """All that one version recorded is there after the other has run; it may have added something."""
    before, after = story.snapshots[one].objects, story.snapshots[other].objects
    certificates = {("ClientCertificate", "renewed")} if other == "upgraded" else set()
    found = [
        f"{kind} {name}{path}"
        for kind, name in before.keys() - certificates
        for path in lost(before[kind, name].get("status"), after[kind, name].get("status"))
    ]
    assert found == []


def test_what_gateways_read_is_kept(story: Story) -> None:
    assert [snapshot.revoked for snapshot in story.snapshots.values() if len(snapshot.revoked) != 1] == []
    assert len({tuple(snapshot.revoked) for snapshot in story.snapshots.values()}) == 1


def test_the_lease_names_the_version_that_led_last(story: Story, cluster: ControlPlane) -> None:
    from clientcert import __version__

    path = "/apis/coordination.k8s.io/v1/namespaces/clientcert-system/leases/clientcert-operator"
    assert cluster.api.request("GET", path)["metadata"]["annotations"]["clientcert.dev/version"] == __version__
