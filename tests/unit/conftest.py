"""All tests here run on virtual time, except those that are marked `real_time`.

Properties are tried with a hundred examples, and with a thousand by `make fuzz` (`--hypothesis-profile=long`).
"""

import asyncio
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, settings

from tests.virtual_time import VirtualTimeLoop

settings.register_profile("long", max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("real_time"):
        return {"real time": asyncio.new_event_loop}
    return {"virtual time": VirtualTimeLoop}
