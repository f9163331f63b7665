"""Builds one program from the Go module proxy."""

from pathlib import Path

from .components import GO_MODULES, GoTool, incomplete
from .errors import ControlPlaneError
from .go_toolchain import find_go, go_environment
from .process import ChildProcess
from .progress import Stopwatch, report

_LOG_LINES_SHOWN = 30


def build(tool: GoTool, directory: Path) -> Path:
    """Build a program into `directory`, where it appears only when it is complete.

    Raises ControlPlaneError with the end of the log; the whole log stays in `directory`.
    """
    go = find_go()
    report(f"Building {tool.name} v{tool.version}: usually {tool.usual_time} on 2 cores, and only once.")
    stopwatch = Stopwatch(f"building {tool.name}")
    with incomplete(directory) as temporary:
        log_path = directory / f"{tool.name}.build.log"
        log_path.unlink(missing_ok=True)
        binary = temporary / tool.name
        command: list[str | Path] = [go, "build", "-trimpath", "-ldflags", tool.ldflags, "-o", binary, tool.package]
        folder = GO_MODULES / tool.go_module
        process = ChildProcess.start(command, log_path=log_path, env=go_environment(), cwd=folder)
        try:
            stopwatch.wait_for(lambda: process.returncode is not None)
        finally:
            process.stop()
        if process.returncode != 0:
            end = "\n".join(process.log_text().splitlines()[-_LOG_LINES_SHOWN:])
            raise ControlPlaneError(f"{tool.name} could not be built (go exited {process.returncode}):\n{end}")
        binary.replace(directory / tool.name)
    log_path.unlink()
    report(f"Built {tool.name} in {stopwatch.seconds} s.")
    return directory / tool.name
