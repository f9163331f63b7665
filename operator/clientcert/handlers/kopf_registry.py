"""Everything special about our use of kopf, in one place. tests/control_plane/test_kopf_contract.py tests it.

kopf puts a finalizer on every object that has a timer, and a finalizer makes `kubectl delete` hang when the operator
is gone (docs/decisions/finalizers.md). It asks a part of its registry whether one is needed. Ours says no.

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
"""Told to peers, of which kopf has none here. By itself it asks for its user's name, and that of a pod has none."""


class RegistryWithoutFinalizers(kopf.OperatorRegistry):
    """A registry whose timers put nothing on the objects."""

    def __init__(self) -> None:
        super().__init__()
        self._spawning = _SpawningWithoutFinalizers()


class _SpawningWithoutFinalizers(SpawningRegistry):
    def requires_finalizer(self, *_: Any, **__: Any) -> bool:
        """Never: the timer ends when its `when=` says no, and the watch tells us of the deletion."""
        return False


class NoDiffs(kopf.DiffBaseStorage):
    """Remembers nothing of an object: kopf would copy each one deeply, to find changes that we do not ask for."""

    def build(self, **_: Any) -> Any:
        """Nothing is essential."""
        return {}

    def fetch(self, **_: Any) -> Any:
        """Nothing was ever stored."""
        return None

    def store(self, **_: Any) -> None:
        """Nothing is."""


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
    # kopf kills its process ten minutes after it was asked to stop; ours may have been restarted within it.
    settings.process.ultimate_exiting_timeout = None
    return settings
