"""The secrets in the operator's settings, each with its present value: the files of some change while it runs.

    secrets = OwnSecrets(settings)
    token = secrets.of("slack_token")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(secrets.follow())

Kubelet replaces the files of a Secret together, by the swap of a symbolic link, about a minute after the change.
"""

import asyncio
import logging
from pathlib import Path

from clientcert.settings import Settings, read_secret_file, variable_of

EVERY_SECONDS = 10.0
"""The interval in which files are read: no message waits for a read, and none causes one."""
_MOST_READS = 5

logger = logging.getLogger(__name__)


class OwnSecret:
    """One secret; it is false if it is not set."""

    def __init__(self, value: str = "") -> None:
        self._value = value

    def __repr__(self) -> str:
        return "OwnSecret()"

    def __bool__(self) -> bool:
        return bool(self._value)

    @property
    def value(self) -> str:
        """The present value."""
        return self._value


class OwnSecrets:
    """All of them. A setting that is empty at the start is not followed: it takes effect by a restart."""

    def __init__(self, settings: Settings, every_seconds: float = EVERY_SECONDS) -> None:
        self._settings = settings
        self._every_seconds = every_seconds
        self._followed = {name: _FileSecret(settings, name, path) for name, path in settings.secret_files.items()}

    def of(self, name: str) -> OwnSecret:
        """The secret of the setting with this name."""
        return self._followed.get(name) or OwnSecret(getattr(self._settings, name))

    async def follow(self) -> None:
        """Read the files from time to time, until cancelled. No file ends this."""
        while True:
            await asyncio.sleep(self._every_seconds)
            for secret, found in (await asyncio.to_thread(self._read)).items():
                secret.take(found)

    def _read(self) -> "dict[_FileSecret, str]":
        """The content of each file; read again until two reads agree, as a user name and its password must."""
        found: dict[_FileSecret, str] = {}
        for _ in range(_MOST_READS):
            before, found = found, {each: each.read() for each in self._followed.values()}
            if found == before:
                break
        return found


class _FileSecret(OwnSecret):
    """A secret that follows its file. While that is empty or cannot be read, the last value is kept."""

    def __init__(self, settings: Settings, name: str, path: Path) -> None:
        super().__init__(getattr(settings, name))
        self._variable = f"{variable_of(name)}_FILE"
        self._path = path
        self._is_missing = False

    def read(self) -> str:
        """The content of the file; empty if it cannot be read."""
        try:
            return read_secret_file(self._path)
        except (OSError, UnicodeDecodeError):
            return ""

    def take(self, found: str) -> None:
        """Use what the file holds now. Whether it holds anything is logged when that changes."""
        if not found and not self._is_missing:
            logger.warning(
                "The file of %s is empty or cannot be read, so its last value is kept: put the secret there again",
                self._variable,
            )
        elif found and found != self._value:
            self._value = found
            logger.info("The file of %s has changed: its new value is used from now on", self._variable)
        elif found and self._is_missing:
            logger.info("The file of %s holds its last value again", self._variable)
        self._is_missing = not found
