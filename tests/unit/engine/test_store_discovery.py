"""Discovery: what is read, made and kept in memory, over a bucket and an API server that do as a test says."""

import asyncio
from typing import Any

import pytest

from clientcert.api.discovery import object_names
from clientcert.controllers.store_discovery.candidates import Candidate, KeyLimits, room_for
from clientcert.controllers.store_discovery.examiner import IN_A_TURN
from clientcert.controllers.store_discovery.passes import Knowledge, Verdict
from clientcert.controllers.store_discovery.reconciler import STORE_DISCOVERY
from clientcert.errors import Reason
from clientcert.lifecycle.spec import ObjectKey, S3Source
from tests.builders import NOW
from tests.unit.engine.discovery_world import STORE, World, certificate, clock, discovering, keys, store

FEW = KeyLimits(in_a_namespace=25)


@pytest.fixture
def world() -> World:
    return discovering()


async def test_each_object_is_read_once(world: World) -> None:
    """A few at once, in turns of the queue; not again while its ETag is the same, whether it was made or skipped."""
    world.bucket.put(*keys(range(300)))
    world.bucket.put(*keys(range(300, 500)), content=b"no certificate")
    await world.poll()
    assert await world.go() == 500 // IN_A_TURN + 1
    assert world.skipped() == {"NotACertificate": 200}
    assert (len(world.api.objects), world.bucket.reads.total()) == (300, 500)
    assert world.bucket.most_at_once <= 8
    assert await world.look() == {"NotACertificate": 200}
    assert world.bucket.reads.total() == 500
    world.bucket.put(*keys([499]), etag="2")
    assert await world.look() == {"NotACertificate": 199}
    assert world.bucket.reads.total() == 501


async def test_a_report_of_ten_thousand_is_read_once(world: World) -> None:
    """With what is no certificate, which takes less time to read."""
    world.cache.upsert_store(store(version=2, mode="Report"))
    world.bucket.put(*keys(range(10_000)), content=b"")
    assert await world.look() == {"Empty": 10_000}
    assert await world.look() == {"Empty": 10_000}
    assert world.bucket.reads.total() == 10_000


async def test_the_limit_is_exact_whatever_is_no_certificate(world: World) -> None:
    """Objects behind it are not read; in a report neither."""
    world.bucket.put(*keys(range(0, 40, 2)), content=b"no certificate")
    world.bucket.put(*keys(range(1, 40, 2)))
    for version, mode in ((2, "Report"), (3, "Create")):
        world.cache.upsert_store(store(version=version, mode=mode, limit=7))
        assert await world.look() == {"LimitReached": 26, "NotACertificate": 7}
        assert world.says == ("False", "LimitReached")
    assert len(world.api.objects) == 7
    assert world.sources == keys(range(1, 15, 2))


async def test_a_namespace_has_a_limit_for_what_is_not_made() -> None:
    """Its stores share it."""
    world = discovering(FEW)
    world.bucket.put(*keys(range(40)), content=b"no certificate")
    world.cache.upsert_store(store("second"))
    assert await world.look() == {"NotACertificate": 25, "TooManyKeys": 15}
    assert world.says == ("False", "TooManyKeys")
    assert await world.look("second") == {"TooManyKeys": 40}


def test_namespaces_come_to_equal_shares_and_one_more_has_room() -> None:
    """Each has more keys than it may keep, and is polled again and again."""
    limits = KeyLimits(in_a_namespace=60, in_all=100)
    sizes = dict.fromkeys((ObjectKey(f"team-{number}", "backup") for number in range(4)), 0)
    for _ in range(20):
        for each in sizes:
            sizes[each] = room_for(each, sizes, limits)
            assert sum(sizes.values()) <= limits.in_all
    assert set(sizes.values()) <= {19, 20, 21}
    assert room_for(ObjectKey("one-more", "backup"), sizes, limits) >= 9
    assert room_for(ObjectKey("alone", "backup"), {}, limits) == 50


async def test_keys_that_wait_for_their_turn_count_as_well() -> None:
    """A hundred stores of one namespace may be listed before the first of them is read."""
    world = discovering(FEW)
    world.bucket.put(*keys(range(40)))
    world.cache.upsert_store(store("second"))
    await world.poll()
    await world.poll("second")
    await world.go("second")
    assert world.skipped("second") == {"TooManyKeys": 40}


async def test_nothing_is_made_until_all_that_is_there_is_known(world: World) -> None:
    """The first list of ClientCertificates may fail for minutes while the bucket is listed: each would get a second."""
    world.bucket.put(*keys(range(3)))
    await world.poll()
    world.knows_all = False
    due = await world.discovery.reconcile(STORE)
    assert due is not None
    assert due > clock()
    assert (world.bucket.reads.total(), world.api.objects) == (0, {})
    world.cache.upsert_certificate(world.api.put(certificate("by-hand", keys([1])[0])))
    world.knows_all = True
    await world.go()
    assert world.sources == keys(range(3))
    assert world.bucket.reads.total() == 2


async def test_a_list_that_comes_before_all_is_known_is_asked_for_again(world: World) -> None:
    """Right after the start: else nothing was found, or deleted, until the next poll, which may be a day away."""
    record = world.cache.stores[STORE]
    world.knows_all = False
    assert not world.discovery.may_look(record)
    assert not world.discovery.needs_list(STORE)
    world.knows_all = True
    assert world.discovery.needs_list(STORE)
    await world.poll()
    assert not world.discovery.needs_list(STORE)


async def test_a_report_does_not_count_what_is_watched_since_the_list(world: World) -> None:
    """After a start, the LIST of the bucket may come before that of the ClientCertificates."""
    world.cache.upsert_store(store(version=2, mode="Report"))
    world.bucket.put(*keys(range(3)))
    await world.poll()
    for number in range(2):
        world.cache.upsert_certificate(world.api.put(certificate(f"by-hand-{number}", keys([number])[0])))
    await world.go()
    result = world.discovery.result(world.cache.stores[STORE])
    assert result is not None
    assert result.outcome.would_create == 1
    assert world.bucket.reads.total() == 1


class TestASecondObject:
    """A source that any object watches never gets one."""

    async def test_not_if_the_watch_is_behind(self, world: World) -> None:
        """A person has applied the manifest of an import: the name is taken, which shows it."""
        world.bucket.put("nhs/client.pem")
        world.api.put(certificate("nhs-prod", "nhs/client.pem"))
        assert await world.look() == {}
        assert world.sources == ["nhs/client.pem"]
        assert world.says == ("True", "Discovered")

    async def test_not_if_it_comes_during_the_pass(self, world: World) -> None:
        """By any name: the cache is asked right before each create."""
        world.bucket.put("nhs/client.pem")
        await world.poll()
        world.cache.upsert_certificate(world.api.put(certificate("by-hand", "nhs/client.pem")))
        await world.go()
        assert world.sources == ["nhs/client.pem"]

    async def test_not_by_another_store_of_the_bucket(self, world: World) -> None:
        """Both look at the same time, with patterns by which the names differ."""
        world.cache.upsert_store(store("second", keyPattern="{consumer}/live/client.pem"))
        world.cache.upsert_store(store(version=2, keyPattern="nhs/{consumer}/client.pem"))
        world.bucket.put("nhs/live/client.pem")
        await world.poll()
        await world.poll("second")
        await asyncio.gather(world.go(), world.go("second"))
        assert world.sources == ["nhs/live/client.pem"]

    async def test_not_if_its_store_is_not_known_yet(self, world: World) -> None:
        """It may be of this bucket: a watch, or a person, may be slower with the store than with what names it."""
        world.bucket.put("nhs/client.pem", "weather/client.pem")
        world.cache.upsert_certificate(world.api.put(certificate("by-hand", "nhs/client.pem", store="later")))
        world.cache.upsert_certificate(world.api.put(certificate("elsewhere", "weather/client.pem", store="other")))
        elsewhere = store("other")
        elsewhere["spec"]["s3"]["bucket"] = "another"
        world.cache.upsert_store(elsewhere)
        await world.look()
        assert world.sources == ["nhs/client.pem", "weather/client.pem", "weather/client.pem"]

    @pytest.mark.parametrize("endpoint", ["https://minio.example", "https://MINIO.example:443/"])
    async def test_not_by_a_store_that_spells_its_server_otherwise(self, world: World, endpoint: str) -> None:
        for name, spelling in ((STORE.name, "https://minio.example:443"), ("second", endpoint)):
            body = store(name, version=2)
            body["spec"]["s3"]["endpoint"] = spelling
            world.cache.upsert_store(body)
        world.bucket.put("nhs/client.pem")
        world.cache.upsert_certificate(world.api.put(certificate("by-hand", "nhs/client.pem", store="second")))
        assert await world.look() == {}
        assert world.sources == ["nhs/client.pem"]

    async def test_a_name_that_another_source_has_is_not_one(self, world: World) -> None:
        world.bucket.put("nhs/client.pem")
        world.api.put(certificate("nhs-prod", "elsewhere"))
        await world.look()
        other = object_names("nhs", "prod", S3Source("backup", "nhs/client.pem")).other
        assert set(world.api.objects) == {("team", "nhs-prod"), ("team", other)}

    async def test_nor_if_both_names_are_taken(self, world: World) -> None:
        world.bucket.put("nhs/client.pem", "weather/client.pem")
        for name in object_names("nhs", "prod", S3Source("backup", "nhs/client.pem")):
            world.api.put(certificate(name, f"elsewhere/{name}"))
        assert await world.look() == {"NameTaken": 1}
        assert await world.look() == {"NameTaken": 1}
        assert world.says == ("False", "NameTaken")
        assert len(world.api.objects) == 3


async def test_a_changed_spec_ends_the_pass(world: World) -> None:
    """The poller lists the bucket again at once."""
    world.bucket.put(*keys(range(10)))
    await world.poll()
    world.cache.upsert_store(store(version=2, mode="Report"))
    await world.go()
    assert world.api.objects == {}


async def test_another_bucket_or_other_credentials_end_the_pass(world: World) -> None:
    """Also in the middle of a turn: what the LIST has shown is not there, or not seen, any more."""
    world.bucket.put(*keys(range(50)))
    await world.poll()
    world.credentials_change()
    assert await world.discovery.reconcile(STORE) is None
    assert world.api.objects == {}
    await world.poll()
    turn = asyncio.create_task(world.go())
    while len(world.api.objects) < 8:
        await asyncio.sleep(0.01)
    other = store(version=2)
    other["spec"]["s3"]["bucket"] = "other"
    world.cache.upsert_store(other)
    made = len(world.api.objects)
    await turn
    assert len(world.api.objects) == made


@pytest.mark.parametrize("change", [{"limit": 5}, {"keyPattern": "{consumer}/client.p12"}])
async def test_what_an_earlier_spec_has_found_is_no_answer(world: World, change: dict[str, Any]) -> None:
    """Until the first pass after the change has ended, which may take minutes. The next LIST changes nothing."""
    world.bucket.put(*keys(range(3)))
    await world.look()
    await world.poll()
    assert world.says == ("True", "Discovered")
    world.cache.upsert_store(store(version=2, **change))
    await world.poll()
    assert world.says == ("Unknown", "Pending")
    await world.go()
    assert world.says == ("True", "Discovered")


def test_what_is_known_has_a_limit_although_no_pass_ends() -> None:
    """Keys come and go, and the bucket is listed again before all were looked at: the last ones are known."""
    knowledge, candidates = Knowledge(150), [Candidate(key, key, "1") for key in keys(range(400))]
    for each in candidates:
        knowledge.note(each, Verdict(Reason.NOT_A_CERTIFICATE))
    assert len(knowledge) == 150
    assert [each for each in candidates if knowledge.verdict(each, NOW)] == candidates[250:]


async def test_a_store_that_is_deleted_makes_nothing(world: World) -> None:
    world.bucket.put(*keys(range(10)))
    await world.poll()
    world.cache.remove_store(STORE)
    assert await world.discovery.reconcile(STORE) is None
    assert world.api.objects == {}


async def test_a_new_term_begins_without_what_was_listed_before(world: World) -> None:
    """Another replica has led since. What the poller lists before the queue is open is not lost."""
    world.bucket.put(*keys(range(10)))
    await world.poll()
    world.discovery.end_term()
    await world.go()
    assert world.api.objects == {}
    await world.poll()
    world.queue.open()
    world.discovery.begin_term()
    item = await world.queue.take()
    assert item is not None
    assert (item.kind, item.key) == (STORE_DISCOVERY, STORE)
