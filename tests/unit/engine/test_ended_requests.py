"""Requests that have ended are kept for 400 days: ten thousands of them cost little, and none is forgotten."""

import gc
import json
import random
import tracemalloc
from datetime import datetime, timedelta
from sys import intern
from typing import Any, cast
from uuid import UUID

import pytest

from clientcert.api.kinds import timestamp
from clientcert.cache.decoding import key_of
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.renewal_records import decode_renewal
from clientcert.cache.renewals import RENEWAL
from clientcert.cache.request_index import RequestIndex
from clientcert.controllers.certificate_renewal.retention import RETENTION, Retention
from clientcert.controllers.certificate_renewal.retirement import Retirement
from clientcert.controllers.certificate_renewal.writing import RECORD_KEPT
from clientcert.lifecycle.delivery_log import whole_second
from clientcert.lifecycle.renewal.delivering import CIPHERTEXT_KEPT
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.workqueue.work_queue import Item, WorkQueue
from tests.builders import DAY, HOUR, NOW
from tests.unit.engine.renewal_events import BEGINS, SCRIPT
from tests.unit.engine.renewal_world import World

FEW, MANY = 2_000, 5_000
"""The first of them also fill the caches of equal texts and times."""
MOST_BYTES = 1_000


def ended_request(number: int, ended: datetime, **status: Any) -> dict[str, Any]:
    """As the API server has it."""
    chance = random.Random(number)

    def digits(count: int) -> str:
        return f"{chance.getrandbits(4 * count):0{count}x}"

    certificate, created = f"consumer-{number:05}-prod", ended - 9 * HOUR
    issuance = {"serialNumber": f"1{digits(39)}", "requestHash": digits(64), "tbsHash": digits(64), "request": "PEM"}
    return {
        "metadata": {
            "namespace": f"team-{number % 10}",
            "name": f"{certificate}-{digits(10)}",
            "uid": str(UUID(digits(32))),
            "resourceVersion": str(1_000_000 + number),
            "generation": 2,
            "creationTimestamp": timestamp(created),
        },
        "spec": {"certificateRef": {"name": certificate}, "serialNumber": f"2{digits(39)}", "requestedBy": "sam"},
        "status": {
            "state": "Done",
            "declaredHash": "-".join(digits(8) for _ in range(8)),
            "issuance": issuance,
            "delivery": {"time": timestamp(ended - HOUR), "role": "technical contact"},
            "endedTime": timestamp(ended),
            "conditions": [{"type": "Issued", "status": "True", "reason": "Issued"}],
            **status,
        },
    }


def test_each_costs_less_than_a_kilobyte_in_memory() -> None:
    """Of as many certificates, renewed at as many times."""
    made = [json.dumps(ended_request(number, NOW + number * timedelta(seconds=37))) for number in range(MANY)]
    shared = [intern(json.loads(each)["status"]["declaredHash"]) for each in made]  # with the certificates' statuses
    index, sizes = RequestIndex(), []
    gc.collect()
    tracemalloc.start()
    try:
        for few in (made[:FEW], made[FEW:]):
            for each in few:
                body = json.loads(each)
                index.put(decode_renewal(key_of(body), body))
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert len(index.records) == len(shared) == MANY
    assert (sizes[1] - sizes[0]) / (MANY - FEW) < MOST_BYTES


def test_the_times_of_a_second_are_one_object() -> None:
    """A status has whole seconds, and hundreds of requests end within one."""
    ended = [whole_second(NOW + timedelta(microseconds=micros)) for micros in (0, 7, 999_999)]
    assert ended[0] == NOW
    assert all(each is ended[0] for each in ended)


async def test_the_work_queue_has_none_that_is_due_in_a_year() -> None:
    world = World(BEGINS)
    SCRIPT.declare(world)
    SCRIPT.ask(world)
    world.people.append(world.approve)
    await world.run_until(lambda: world.state == "Done" and not world.waits_for)
    await world.let_pass(5.0)
    for _ in range(2):
        kinds = {each.kind for each in world.process.engine.queue.scheduled_items()}
        assert RENEWAL not in kinds
        assert RETENTION in kinds
        await world.kill()
        await world.let_pass(5.0)
    await world.stop()


class TestTheDailyLook:
    @pytest.mark.parametrize(
        ("after", "with_ciphertext", "found"),
        [
            (RECORD_KEPT - 5 * DAY, False, False),
            (RECORD_KEPT - 1 * DAY, False, True),
            (RECORD_KEPT + 90 * DAY, False, True),
            (CIPHERTEXT_KEPT - 5 * DAY, True, False),
            (CIPHERTEXT_KEPT - 1 * DAY, True, True),
            (CIPHERTEXT_KEPT + 1 * DAY, False, False),
        ],
    )
    async def test_enqueues_what_is_due_before_the_next_one(
        self, after: timedelta, with_ciphertext: bool, found: bool
    ) -> None:
        now = NOW
        queue = WorkQueue(lambda: now)
        queue.open()
        cache = ObjectCache(queue, None)
        body = ended_request(1, NOW, **({"ciphertext": "CMS"} if with_ciphertext else {}))
        cache.renewals.upsert(body)
        item = await queue.take()
        assert item == Item(RENEWAL, key_of(body))
        queue.done(item, None)
        retirement = Retirement(cache, cast("Any", None), cast("Any", None), lambda: now)
        retention = Retention(cache.renewals, retirement, queue, lambda: now, LoopBudget())
        now = NOW + after
        assert await retention.reconcile(ObjectKey("", "")) == now + DAY
        assert queue.pop_due() == [item] * found
