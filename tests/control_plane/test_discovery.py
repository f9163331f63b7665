"""Discovery: the operator finds the certificates of a bucket, and makes a ClientCertificate for each."""

import re
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from aiohttp import web

from clientcert.api.discovery import object_names
from clientcert.lifecycle.spec import S3Source
from tests.control_plane.buckets import CREDENTIALS, STORE, Backup
from tests.control_plane.discovering import CREATE, Discovering
from tests.control_plane.operators import Operator
from tests.control_plane.team import DAY
from tests.control_plane.waiting import eventually, until
from tests.scenarios import in_store


@pytest.fixture
def found(backup: Backup) -> Discovering:
    return Discovering(backup)


def test_a_report_makes_nothing_and_then_create_makes_what_it_said(found: Discovering, operator: Operator) -> None:
    """Mode Report is the default. Nobody else has to name the objects or their identities."""
    found.prepare(CREATE)
    found.upload("nhs", "weather")
    found.backup.upload("renamed", found.backup.team.issue("other", days=100))
    found.backup.upload("broken", b"no certificate")
    found.discover()
    eventually(found.would_create, (3, ["nhs-prod", "renamed-prod", "weather-prod"]))
    assert found.skipped() == {"NotACertificate": 1}
    assert found.says() == ("True", "Reported")
    assert found.names() == set()
    found.discover(mode="Create", template={"policyRef": {"name": "weekdays"}, "contact": {"lookup": ["Slack"]}})
    eventually(found.names, {"nhs-prod", "renamed-prod", "weather-prod"})
    eventually(found.says, ("True", "Discovered"))
    assert found.would_create() == (0, [])
    made = found.objects()["renamed-prod"]
    assert made["metadata"]["annotations"] == {"clientcert.dev/discovered-by": STORE}
    assert made["metadata"]["labels"] == {"clientcert.dev/discovered": "true"}
    assert made["spec"] == {
        "consumer": "renamed",
        "environment": "prod",
        "contact": {"lookup": ["Slack"]},
        "identity": {"commonName": f"other-{found.backup.team.namespace}"},
        "policyRef": {"name": "weekdays"},
        "profile": "Client",
        "source": {"type": "S3", "s3": {"storeRef": {"name": STORE}, "key": "renamed/client.pem"}},
    }
    eventually(lambda: found.backup.team.phase("renamed-prod"), "Valid")
    eventually(lambda: found.status["certificates"], 3)


def test_without_the_role_a_condition_says_what_to_bind(found: Discovering, operator: Operator) -> None:
    """After one request that was refused, the status shows the objects as in mode Report."""
    found.prepare()
    found.upload("nhs", "weather", "left")
    found.discover(mode="Create")
    eventually(found.says, ("False", "Forbidden"))
    assert f"bind the ClusterRole {CREATE} to its ServiceAccount" in found.words()
    assert found.would_create()[0] == 3
    assert found.names() == set()
    found.grant(CREATE)
    found.backup.trigger_poll()
    eventually(found.names, {"nhs-prod", "weather-prod", "left-prod"})
    eventually(found.says, ("True", "Discovered"))


def test_a_source_that_is_watched_gets_no_second_object(found: Discovering, operator: Operator) -> None:
    """Whatever the name of its object, and by whatever store of the bucket. Those objects stay as they are."""
    found.prepare(CREATE)
    team = found.backup.team
    found.upload("nhs", "weather", "left")
    found.backup.declare_store()
    found.discover("another", keyPattern="nothing/{consumer}")
    team.declare("by-hand", source=in_store(STORE, "nhs/client.pem"))
    team.declare("elsewhere", source=in_store("another", "weather/client.pem"))
    until(lambda: team.phase("by-hand") and team.phase("elsewhere"))
    by_hand = found.objects()["by-hand"]["metadata"]["generation"]
    found.discover(mode="Create")
    eventually(found.names, {"by-hand", "elsewhere", "left-prod"})
    eventually(found.says, ("True", "Discovered"))
    assert found.objects()["by-hand"]["metadata"]["generation"] == by_hand
    assert found.skipped() == {}


@pytest.mark.parametrize("number", [300, pytest.param(9_999, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_discovery_of_many_makes_no_other_request(found: Discovering, operator: Operator, number: int) -> None:
    """A LIST, and two GETs of each new object: by discovery, and by the ClientCertificate. Later there is no GET."""
    found.prepare(CREATE)
    names, pages = [f"consumer-{each:05}" for each in range(number)], number // 1000 + 1
    issued = found.backup.team.authority.issue("all", found.backup.team.began, found.backup.team.began + 100 * DAY)
    for name in (*names, "broken"):
        found.backup.upload(name, issued.certificate_pem if name != "broken" else b"no certificate")
    found.discover(mode="Create", limit=10_000)
    eventually(found.says, ("True", "Discovered"), seconds=max(60, number / 10), every=1)
    assert len(found.names()) == len(names)
    operator.settle(len(names))
    eventually(lambda: found.status.get("certificates"), len(names))
    proxy = found.backup.proxy
    assert (proxy.lists, proxy.gets) == (pages, 2 * len(names) + 1)
    versions = found.backup.team.versions()
    for poll in (2, 3):
        found.backup.poll(operator)
        assert (proxy.lists, proxy.gets) == (poll * pages, 2 * len(names) + 1)
    changed = {item for item, version in found.backup.team.versions().items() if versions[item] != version}
    assert changed == {("Secret", CREDENTIALS)}
    found.upload("one-more")
    found.backup.poll(operator)
    eventually(lambda: "one-more-prod" in found.names(), expected=True)
    eventually(lambda: found.backup.team.phase("one-more-prod"), "Valid")
    assert proxy.gets == 2 * len(names) + 3


def test_never_more_than_the_limit(found: Discovering, operator: Operator) -> None:
    """Keys beyond the limit are not read. A deleted object makes room; an unreadable one needs none."""
    found.prepare(CREATE)
    found.backup.upload("a-broken", b"no certificate")
    found.upload("b", "c", "d", "e")
    found.discover(mode="Create", limit=2)
    eventually(found.says, ("False", "LimitReached"))
    assert "increase spec.discovery.limit" in found.words()
    assert found.names() == {"b-prod", "c-prod"}
    assert found.skipped() == {"LimitReached": 2, "NotACertificate": 1}
    found.backup.team.delete("ClientCertificate", "b-prod")
    until(lambda: "b-prod" not in found.names())
    found.backup.client.delete_object(found.backup.bucket, "b/client.pem")
    found.backup.poll(operator)
    eventually(found.names, {"c-prod", "d-prod"})
    eventually(found.skipped, {"LimitReached": 1, "NotACertificate": 1})
    found.discover(mode="Create")
    eventually(found.names, {"c-prod", "d-prod", "e-prod"})
    eventually(found.says, ("True", "Discovered"))


HOSTILE = {
    "dots": "../client.pem",
    "dots inside": "..%2f..%2fetc/client.pem",
    "reversed": "\u202egpj/client.pem",
    "longest": "x" * 1013 + "/client.pem",
    "line feed": "a\nb/client.pem",
    "markup": "<!channel>/client.pem",
    "template": "{consumer}/client.pem",
    "quotes": "\"'`$(id)/client.pem",
    "emoji": "\U0001f600/client.pem",
}


def test_hostile_keys_are_inert(found: Discovering, operator: Operator) -> None:
    """Each is skipped with a reason, or has an object whose name no key can choose; the others are made as ever."""
    found.prepare(CREATE)
    issued = found.backup.team.authority.issue("x", found.backup.team.began, found.backup.team.began + 100 * DAY)

    async def hostile(request: web.Request) -> web.Response | None:
        if "list-type" in request.query:
            rows = "".join(
                f"<Contents><Key>{escape(quote(each))}</Key><ETag>{'0' * 32}</ETag></Contents>"
                for each in [*HOSTILE.values(), "nhs/client.pem"]
            )
            return web.Response(
                text=f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{rows}"
                "</ListBucketResult>"
            )
        return web.Response(body=issued.certificate_pem, headers={"ETag": '"0"'})

    found.backup.proxy.behaviour = hostile
    found.discover(mode="Create")
    eventually(found.says, ("True", "Discovered"))
    made = found.objects()
    assert "nhs-prod" in made
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,80}[a-z0-9])?", name) for name in made)
    keys = {each["spec"]["source"]["s3"]["key"] for each in made.values()}
    assert keys == {key for what, key in HOSTILE.items() if what not in {"reversed", "line feed"}} | {"nhs/client.pem"}
    consumers = [each["spec"]["consumer"] for each in made.values()]
    assert all(each.isprintable() and not set(each) & set("<>") and len(each) <= 64 for each in consumers)
    assert found.skipped() == {"KeyUnusable": 2}
    assert all(each.isprintable() for row in found.status["skipped"] for each in row["sample"])
    assert not [path for path in found.backup.proxy.paths if not path.startswith(f"/{found.backup.bucket}")]


def test_a_name_that_another_object_has(found: Discovering, operator: Operator) -> None:
    """The object of another source keeps it; the certificate gets the name with a hash, and nothing if that is gone."""
    found.prepare(CREATE)
    team = found.backup.team
    found.upload("nhs")
    team.declare("nhs-prod", source=in_store("elsewhere", "key"))
    other = object_names("nhs", "prod", S3Source(STORE, "nhs/client.pem")).other
    found.discover(mode="Create")
    eventually(found.names, {"nhs-prod", other})
    team.delete("ClientCertificate", other)
    until(lambda: other not in found.names())
    found.discover("unused", keyPattern="nothing/{consumer}")
    team.declare(other, source=in_store("elsewhere", "key"))
    until(lambda: team.phase(other))
    found.backup.poll(operator)
    eventually(found.skipped, {"NameTaken": 1})
    assert found.names() == {"nhs-prod", other}
