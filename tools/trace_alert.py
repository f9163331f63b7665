"""`python -m tools.trace_alert`: the way of one alert through the code, counted.

One certificate with 14 days left, from its watch event to the Slack message, the status patch and rest, in the engine
of `tests/unit/engine/engine_harness.py`: the operator's own parts, with stand-ins outside. The tool counts the files
and functions of `operator/clientcert` that run meanwhile. Lambdas, comprehensions and all that they contain are not
functions.

A call is upward if its nearest caller of ours is in a lower layer than the function itself. The layers are those of the
contract "Imports go one way" in `pyproject.toml`. A coroutine or generator is called once, when it begins; its later
resumptions are no calls. The event loop is not of ours: a task or callback that it starts has no caller.

The tool also lists, from the source, the functions with more than five parameters besides `self`. Constructors are
excepted, since they wire parts together.
"""

import argparse
import ast
import asyncio
import dis
import importlib
import re
import sys
import threading
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import clientcert

_PACKAGE = Path(clientcert.__file__).parent
_REPOSITORY = _PACKAGE.parents[1]
_HARNESS = "tests.unit.engine.engine_harness"
_CONTRACT = "Imports go one way"
MOST_FILES = 40
MOST_FUNCTIONS = 240
MOST_PARAMETERS = 5
_REST_SECONDS = 1.0
"""After the message: the status is written, and the channel is free again."""
_ANONYMOUS = re.compile(r"<(lambda|\w+comp|genexpr)>")
"""Part of the qualified names of lambdas, comprehensions, generator expressions and all that they contain."""
_RESUME = dis.opmap["RESUME"]
_RESUME_REASON = 3
"""The bits of RESUME's argument that say why; 0 is the beginning of a function."""


@dataclass(slots=True)
class Trace:
    """The calls that were seen. A file is a path below `operator/clientcert`, a function is `file:qualified.name`."""

    levels: Mapping[str, int]
    """Of each layer: its place from the top."""
    package: Path = _PACKAGE
    calls: Counter[str] = field(default_factory=Counter)
    """The number of times that each function ran, or was resumed."""
    upward: dict[str, None] = field(default_factory=dict)
    """`caller -> callee`, in the order in which each was first seen."""

    @property
    def functions(self) -> Mapping[str, list[str]]:
        """The functions of each file, lambdas and comprehensions left out."""
        found: dict[str, list[str]] = defaultdict(list)
        for called in sorted(self.calls):
            file, _, name = called.partition(":")
            if not _ANONYMOUS.search(name):
                found[file].append(name)
        return found

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Note a call; `sys.setprofile` takes this as its function."""
        if event != "call" or not (called := self._named(frame)):
            return
        self.calls[called] += 1
        caller = self._nearest_caller(frame)
        if caller and _begins(frame) and self._level(caller) > self._level(called):
            self.upward[f"{caller} -> {called}"] = None

    def _level(self, called: str) -> int:
        return self.levels[re.split(r"[/.]", called, maxsplit=1)[0]]

    def _named(self, frame: FrameType) -> str:
        """The function that a frame runs; empty if it is not ours, or is the top of a module."""
        path, name, prefix = frame.f_code.co_filename, frame.f_code.co_qualname, f"{self.package}/"
        return f"{path.removeprefix(prefix)}:{name}" if path.startswith(prefix) and name != "<module>" else ""

    def _nearest_caller(self, frame: FrameType) -> str:
        """The function of ours that called, directly or through functions that are not ours; empty if there is none."""
        caller = frame.f_back
        while caller is not None and not self._named(caller):
            caller = caller.f_back
        return self._named(caller) if caller else ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.trace_alert", description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="every file with its functions")
    limits = f"{MOST_FILES} files, {MOST_FUNCTIONS} functions, no upward call, {MOST_PARAMETERS} parameters"
    parser.add_argument("--check", action="store_true", help=f"exit with 1 if there is more than {limits}")
    asked = parser.parse_args()
    trace = Trace(layers())
    asyncio.run(_alert(trace))
    files, functions = len(trace.functions), sum(map(len, trace.functions.values()))
    long = list(long_signatures())
    print(f"{files} files, {functions} functions")
    for folder, count in Counter(name.partition("/")[0] for name in trace.functions).most_common():
        print(f"  {count:3} {folder}")
    _print_all(f"{len(trace.upward)} upward calls", trace.upward)
    _print_all(f"{len(long)} functions with more than {MOST_PARAMETERS} parameters", long)
    for file, names in sorted(trace.functions.items()) if asked.list else ():
        _print_all(file, names)
    holds = files <= MOST_FILES and functions <= MOST_FUNCTIONS and not trace.upward and not long
    return 0 if holds or not asked.check else 1


async def _alert(trace: Trace) -> None:
    """Trace one alert, without the construction and the start of the engine."""
    harness = importlib.import_module(_HARNESS)  # at run time: mypy does not check the tests
    engine = harness.EngineHarness()
    engine.policy(harness.TEAM)
    async with engine.running():
        await engine.until_idle()  # the policy has been reconciled: the following calls are those of the certificate
        threading.setprofile(trace)
        sys.setprofile(trace)
        try:
            engine.hand_out("nhs", days=14)
            await harness.until(lambda: engine.slack.notified)
            await asyncio.sleep(_REST_SECONDS)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


def layers(pyproject: Path = _REPOSITORY / "pyproject.toml") -> dict[str, int]:
    """The place of each layer, from the top; siblings (`a | b`) have the same."""
    linter = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]
    contract = next(each for each in linter["contracts"] if each["name"] == _CONTRACT)
    return {name: level for level, line in enumerate(contract["layers"]) for name in re.findall(r"\w+", line)}


def long_signatures(package: Path = _PACKAGE) -> Iterator[str]:
    """`file:name (number of parameters)` of each function that takes too many."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, count in _signatures(tree, within=""):
            if count > MOST_PARAMETERS and not name.endswith("__init__"):
                yield f"{path.relative_to(package)}:{name} ({count})"


def _signatures(node: ast.AST, within: str) -> Iterator[tuple[str, int]]:
    """Name and number of parameters of each function below a node."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            is_method = isinstance(node, ast.ClassDef) and "staticmethod" not in map(ast.unparse, child.decorator_list)
            yield f"{within}{child.name}", _parameters(child.args) - is_method
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _signatures(child, f"{within}{child.name}.")
        else:
            yield from _signatures(child, within)


def _parameters(taken: ast.arguments) -> int:
    """The number of them, `*args` and `**kwargs` included."""
    named = len(taken.posonlyargs) + len(taken.args) + len(taken.kwonlyargs)
    return named + (taken.vararg is not None) + (taken.kwarg is not None)


def _begins(frame: FrameType) -> bool:
    """True if the frame was entered from its top, and is no coroutine or generator that goes on (`dis`, RESUME)."""
    code, at = frame.f_code.co_code, frame.f_lasti
    return code[at] == _RESUME and code[at + 1] & _RESUME_REASON == 0


def _print_all(heading: str, lines: Iterable[str]) -> None:
    print(heading)
    for line in lines:
        print(f"  {line}")


if __name__ == "__main__":
    raise SystemExit(main())
