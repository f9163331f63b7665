"""An image registry: the client `crane`, and a registry on loopback, which is the same program."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.control_plane.process import ChildProcess, free_port, on_free_ports
from tools.control_plane.servers import answers

from .commands import run

_START_SECONDS = 10.0


@dataclass(frozen=True)
class Crane:
    """Reads and writes images. A registry on loopback is spoken to without TLS, any other one with it."""

    binary: Path

    def digest(self, reference: str) -> str:
        """The digest that a tag has now, `sha256:…`."""
        return run(self.binary, "digest", reference).strip()

    def platforms(self, reference: str) -> dict[str, str]:
        """The digest of the image for each platform, e.g. `linux/arm64`; those without one are no images."""
        index = json.loads(run(self.binary, "manifest", reference))
        found = {}
        for each in index.get("manifests", []):
            platform = each.get("platform", {})
            if platform.get("os", "unknown") != "unknown":
                found[f"{platform['os']}/{platform['architecture']}"] = each["digest"]
        return found

    def config(self, reference: str) -> dict[str, Any]:
        """The configuration of the image for one platform."""
        found: dict[str, Any] = json.loads(run(self.binary, "config", reference))
        return found

    def compressed_size(self, reference: str) -> int:
        """The bytes that a node pulls for one platform."""
        return sum(layer["size"] for layer in json.loads(run(self.binary, "manifest", reference))["layers"])

    def export(self, reference: str, target: Path) -> Path:
        """Write the file system of the image for one platform as a tar archive."""
        run(self.binary, "export", reference, target)
        return target

    def push_root(self, archive: Path, reference: str, platform: str, environment: Sequence[str] = ()) -> None:
        """Publish a tar archive of a root file system as an image."""
        run(self.binary, "append", "--new_layer", archive, "--new_tag", reference)
        flags = [flag for variable in environment for flag in ("--env", variable)]
        run(self.binary, "mutate", reference, "--set-platform", platform, *flags, "--tag", reference)


@dataclass(frozen=True)
class LoopbackRegistry:
    """A registry that runs while the context manager does."""

    address: str
    crane: Crane


@contextmanager
def loopback_registry(crane: Crane, directory: Path, port: int | None = None) -> Iterator[LoopbackRegistry]:
    """Start an empty registry, on a free port unless one is given; its content and log are kept in the directory."""
    content = directory / "content"
    content.mkdir(parents=True)

    def start() -> tuple[ChildProcess, str]:
        chosen = port or free_port()
        address = f"127.0.0.1:{chosen}"
        command: list[str | Path] = [crane.binary, "registry", "serve", "--address", address, "--disk", content]
        environment = {"PATH": os.defpath, "HOME": str(directory)}
        process = ChildProcess.start(command, log_path=directory / "registry.log", env=environment, cwd=directory)
        process.wait_until(lambda: answers(chosen, "/v2/", 200), _START_SECONDS)
        return process, address

    process, address = on_free_ports(start)
    try:
        yield LoopbackRegistry(address, crane)
    finally:
        process.stop()
