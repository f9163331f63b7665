"""Compares the versions of the installed kinds, and of the replica that leads, with the version of this replica."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from clientcert import __version__
from clientcert.api.installed_kinds import installed_versions
from clientcert.errors import KubeError, Reason
from clientcert.kube.decoding import Object
from clientcert.metrics import Metrics
from clientcert.versions import Skew, skew, skew_of_all

_OLDER_KINDS = "The kinds are older than this operator, and the API server drops the fields that they do not know"
_NEWER_KINDS = "The kinds are newer than this operator, which does not act on the fields that it does not know"
_WHAT_TO_DO = "%s. This operator has version %s; others have: %s. docs/upgrade.md says what to do"

logger = logging.getLogger(__name__)


class VersionCheck:
    """Reports versions that differ: one line in the log for each change, and a metric."""

    def __init__(
        self,
        read_openapi: Callable[[], Awaitable[Object]],
        leader_version: Callable[[], str | None],
        metrics: Metrics,
        own_version: str = __version__,
    ) -> None:
        """`read_openapi` reads the OpenAPI document of the kinds, and raises KubeError."""
        self._read_openapi = read_openapi
        self._leader_version = leader_version
        self._own_version = own_version
        self._kinds: dict[str, str] = {}
        self._last_words: tuple[str, ...] = ()
        metrics.version_skew.labels("kinds").set_function(lambda: self._kinds_skew)
        metrics.version_skew.labels("leader").set_function(lambda: self._leader_skew)

    async def run(self, seconds: float) -> None:
        """Check now, and then regularly, until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(seconds)

    async def check(self) -> None:
        """Read the versions of the kinds, and report what differs. If they cannot be read, keep the last ones."""
        try:
            self._kinds = installed_versions(await self._read_openapi())
        except KubeError as error:
            if error.reason is not Reason.API_UNAVAILABLE:
                logger.info("The versions of the kinds cannot be read: %s", error.message)
        self._report()

    @property
    def _kinds_skew(self) -> Skew:
        return skew_of_all(list(self._kinds.values()), self._own_version)

    @property
    def _leader_skew(self) -> Skew:
        return skew(self._leader_version(), self._own_version)

    def _report(self) -> None:
        words = tuple(self._words())
        if words != self._last_words:
            self._last_words = words
            for each in words or ("All kinds, and the replica that leads, have the version of this operator",):
                logger.log(logging.WARNING if words else logging.INFO, "%s", each)

    def _words(self) -> list[str]:
        own, found = self._own_version, []
        if self._kinds_skew is not Skew.NONE:
            others = [f"{plural} {version or 'none'}" for plural, version in self._kinds.items() if skew(version, own)]
            cause = _OLDER_KINDS if self._kinds_skew is Skew.OLDER else _NEWER_KINDS
            found.append(_WHAT_TO_DO % (cause, own, ", ".join(others)))
        if self._leader_skew is not Skew.NONE:
            leader = self._leader_version() or "none"
            found.append(_WHAT_TO_DO % ("The replica that leads has another version", own, leader))
        return found
