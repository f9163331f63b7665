"""A cache loads each key once for all callers, keeps an answer until it expires, and bounds what it keeps."""

import asyncio

import pytest

from clientcert.network.single_flight import SingleFlightCache

LIFETIME, SLOW, IDLE = 60.0, 30.0, 1000.0


class Loads:
    """Loads of a cache: their results, their duration, and the keys loaded so far."""

    def __init__(self) -> None:
        self.answers: dict[str, str | Exception] = {}
        self.seconds = 0.0
        self.loaded: list[str] = []

    def of(self, key: str):
        async def load() -> tuple[str, float]:
            self.loaded.append(key)
            await asyncio.sleep(self.seconds)
            answer = self.answers.get(key, key)
            if isinstance(answer, Exception):
                raise answer
            return answer, LIFETIME

        return load


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def cache() -> SingleFlightCache[str, str]:
    """For three characters."""
    return SingleFlightCache(3, len, IDLE)


async def test_callers_at_the_same_time_share_one_load(cache, loads) -> None:
    """Also a refresh. Another key has a load of its own."""
    loads.seconds = SLOW
    calls = [cache.get(key, loads.of(key)) for key in "aab"]
    assert await asyncio.gather(*calls, cache.refresh("a", loads.of("a"))) == ["a", "a", "b", None]
    assert loads.loaded == ["a", "b"]


async def test_an_answer_is_loaded_again_when_it_has_expired(cache, loads) -> None:
    """`latest` returns it even then."""
    assert await cache.get("a", loads.of("a")) == "a"
    await asyncio.sleep(LIFETIME - 1)
    assert await cache.get("a", loads.of("a")) == cache.fresh("a") == "a"
    await asyncio.sleep(1)
    assert (cache.fresh("a"), cache.latest("a")) == (None, "a")
    loads.answers["a"] = "A"
    assert await cache.get("a", loads.of("a")) == "A"
    assert loads.loaded == ["a", "a"]


async def test_an_error_reaches_all_callers_and_is_not_kept(cache, loads) -> None:
    """The next caller loads again; an earlier answer is still known."""
    await cache.get("a", loads.of("a"))
    await asyncio.sleep(LIFETIME)
    loads.answers["a"] = ValueError("no")
    errors = await asyncio.gather(*(cache.get("a", loads.of("a")) for _ in range(2)), return_exceptions=True)
    assert [str(error) for error in errors] == ["no", "no"]
    assert (cache.latest("a"), loads.loaded) == ("a", ["a", "a"])
    loads.answers["a"] = "A"
    assert await cache.get("a", loads.of("a")) == "A"


async def test_a_caller_that_gives_up_does_not_stop_the_load(cache, loads) -> None:
    """It gave up, or was cancelled; the answer is kept for the next caller."""
    loads.seconds = SLOW
    with pytest.raises(TimeoutError):
        await cache.get("a", loads.of("a"), SLOW - 1)
    await asyncio.sleep(2)
    assert cache.fresh("a") == "a"
    cancelled = asyncio.create_task(cache.get("b", loads.of("b")))
    await asyncio.sleep(1)
    cancelled.cancel()
    await asyncio.sleep(SLOW)
    assert cache.fresh("b") == "b"


async def test_the_least_recently_used_answers_are_dropped_first(cache, loads) -> None:
    """A refresh is no use. The most recently used answer is kept, even if it is too heavy alone."""
    for key in "abca":
        await cache.get(key, loads.of(key))
    await cache.refresh("b", loads.of("b"))
    await cache.get("d", loads.of("d"))
    assert cache.keys_in_use() == ("c", "a", "d")
    await cache.get("heavy", loads.of("heavy"))
    assert cache.keys_in_use() == ("heavy",)


async def test_an_answer_that_nobody_uses_is_dropped(cache, loads) -> None:
    """However often it is refreshed."""
    await cache.get("a", loads.of("a"))
    await asyncio.sleep(IDLE - 1)
    await cache.refresh("a", loads.of("a"))
    assert cache.keys_in_use() == ("a",)
    await asyncio.sleep(1)
    assert (cache.keys_in_use(), cache.latest("a")) == ((), None)


async def test_an_answer_that_was_dropped_during_its_refresh_stays_dropped(cache, loads) -> None:
    """Unless somebody asks for it meanwhile."""
    for asked in (False, True):
        await cache.get("a", loads.of("a"))
        loads.seconds = SLOW
        refresh = asyncio.create_task(cache.refresh("a", loads.of("a")))
        await asyncio.sleep(1)
        loads.seconds = 0.0
        await cache.get("heavy", loads.of("heavy"))
        if asked:
            assert await cache.get("a", loads.of("a")) == "a"
        await refresh
        assert cache.latest("a") == ("a" if asked else None)


async def test_close_cancels_the_loads(cache, loads) -> None:
    """Their callers are cancelled as well."""
    loads.seconds = SLOW
    caller = asyncio.create_task(cache.get("a", loads.of("a")))
    await asyncio.sleep(1)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await caller
