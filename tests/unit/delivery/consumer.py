"""The consumer: a person with a private key, in a folder, at a shell. They type exactly what they are told."""

import functools
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clientcert.delivery.interface import Attachment
from clientcert.delivery.key_material import MadeKey, make_key
from clientcert.lifecycle.renewal.policy import KeySettings

EXCHANGE_KEY = "credential-exchange-private-key.pem"
KEYS = {
    "RSA 2048": KeySettings(algorithm="RSA", size=2048),
    "RSA 3072": KeySettings(algorithm="RSA", size=3072),
    "RSA 4096": KeySettings(algorithm="RSA", size=4096),
    "P-256": KeySettings(algorithm="ECDSA", size=256),
    "P-384": KeySettings(algorithm="ECDSA", size=384),
}


@functools.cache
def key(name: str) -> MadeKey:
    """One key of each kind for all tests."""
    return make_key(KEYS[name])


@dataclass(frozen=True)
class Consumer:
    folder: Path
    key: MadeKey

    def __post_init__(self) -> None:
        (self.folder / EXCHANGE_KEY).write_bytes(self.key.private_key_pem)

    def save(self, files: Iterable[Attachment]) -> None:
        for each in files:
            (self.folder / each.name).write_bytes(each.content)

    def type(self, command: str, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Run it in a shell without a terminal; the answers are what the program asks for."""
        return subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            input=answers,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,
            timeout=60,
        )

    def types(self, command: str, answers: str = "") -> str:
        """The output; the command must succeed."""
        ran = self.type(command, answers)
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        return ran.stdout

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()
