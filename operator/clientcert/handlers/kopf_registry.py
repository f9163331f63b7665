"""The specifics of our use of kopf, in one place. tests/control_plane/test_kopf_contract.py tests them.

kopf puts a finalizer on every object that has a timer, and a finalizer makes `kubectl delete` hang when the operator
is gone (docs/decisions/finalizers.md). A part of its registry decides if one is needed. Ours always returns False.

Import kopf from this module only. kopf imports the official `kubernetes` client if it is installed, to recognise its
models: 350 modules and 17 MB for nothing, as no handler of ours uses them. The command line needs that client, so it
is installed; here kopf is imported as if it were not.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _not_installed(package: str) -> Iterator[None]:
    loaded = sys.modules.pop(package, None)
    sys.modules[package] = None  # type: ignore[assignment] # documented: such an import raises ModuleNotFoundError
    try:
        yield
    finally:
        del sys.modules[package]
        if loaded is not None:
            sys.modules[package] = loaded


with _not_installed("kubernetes"):
    import kopf
    from kopf._core.engines.peering import Identity
    from kopf._core.intents.registries import SpawningRegistry

__all__ = ["KOPF_IDENTITY", "NoDiffs", "RegistryWithoutFinalizers", "kopf", "kopf_settings"]

KOPF_IDENTITY = Identity("clientcert-operator")
"""For peering, which is off. By default kopf would look up the name of its user, and a pod's user has none."""


class RegistryWithoutFinalizers(kopf.OperatorRegistry):
    """A registry whose timers put no finalizers on the objects."""

    def __init__(self) -> None:
        super().__init__()
        self._spawning = _SpawningWithoutFinalizers()


class _SpawningWithoutFinalizers(SpawningRegistry):
    def requires_finalizer(self, *_: Any, **__: Any) -> bool:
        """Return False: the timer ends when its `when=` is false, and the watch reports the deletion."""
        return False


class NoDiffs(kopf.DiffBaseStorage):
    """Stores nothing of an object: kopf would deep-copy each one, to find changes that no handler of ours uses."""

    def build(self, **_: Any) -> Any:
        """Return an empty essence of the object."""
        return {}

    def fetch(self, **_: Any) -> Any:
        """Return None: nothing was ever stored."""
        return None

    def store(self, **_: Any) -> None:
        """Store nothing."""


def kopf_settings() -> kopf.OperatorSettings:
    """Settings of kopf for an operator that must not write, must not stall and must not give up (design section 5)."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.queueing.worker_limit = 200
    settings.queueing.idle_timeout = 0.1
    settings.watching.chunk_size = 100
    settings.watching.inactivity_timeout = 70
    settings.networking.error_backoffs = (0.2, 0.5, 1, 2, *([5] * 120))
    settings.networking.request_timeout = 30
    settings.persistence.diffbase_storage = NoDiffs()
    # kopf kills the process ten minutes after it was asked to stop; by then we may have restarted kopf in it.
    settings.process.ultimate_exiting_timeout = None
    return settings
