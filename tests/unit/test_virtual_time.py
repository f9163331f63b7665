"""The event loop of these tests: timers take no time, threads take no virtual time, and sockets are refused."""

import asyncio
import time

import pytest


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_sleep_of_a_day_takes_no_time() -> None:
    """It lasts exactly its time on the virtual clock; timers fire in order."""
    began, real, came = now(), time.monotonic(), list[float]()
    asyncio.get_running_loop().call_later(7200, came.append, 2)
    asyncio.get_running_loop().call_later(3600, came.append, 1)
    await asyncio.sleep(86_400)
    assert (now() - began, came) == (86_400, [1, 2])
    assert time.monotonic() - real < 60


async def test_a_thread_is_waited_for_while_the_clock_stands_still() -> None:
    """A timeout counts virtual time, so a slow machine is no reason for one."""
    began = now()
    async with asyncio.timeout(0.001):
        assert await asyncio.to_thread(lambda: time.sleep(0.05) or "done") == "done"
    assert now() == began


async def test_time_continues_after_a_failed_thread() -> None:
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 / 0)
    began = now()
    await asyncio.sleep(1)
    assert now() == began + 1


async def test_a_socket_is_refused() -> None:
    """The peer would be waited for in virtual time, so every timeout would expire at once."""
    with pytest.raises(RuntimeError, match="real_time"):
        await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)


@pytest.mark.real_time
async def test_a_test_may_ask_for_the_real_clock() -> None:
    assert abs(now() - time.monotonic()) < 1
