"""The tool that counts the path of one alert counts as its docstring says."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tools.trace_alert import Trace, layers, long_signatures

LOWER = """
async def work(call_back):
    await call_back()
    return [given() for given in (lambda: 1,)]

def go_through(generator):
    return list(generator)
"""
UPPER = """
import asyncio
from traced.lower import go_through, work

def numbers():
    yield 1

async def answered():
    await asyncio.sleep(0)

class Reconciler:
    async def reconcile(self):
        await answered()

    def run(self):
        asyncio.run(work(self.reconcile))
        return go_through(iter(next(iter([numbers()]))))
"""


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package of two layers; the lower one calls back."""
    package = tmp_path / "traced"
    package.mkdir()
    for name, source in (("__init__", ""), ("lower", LOWER), ("upper", UPPER)):
        (package / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("traced.upper")
    for name in [name for name in sys.modules if name.partition(".")[0] == "traced"]:
        del sys.modules[name]


def run_traced(traced: ModuleType) -> Trace:
    trace = Trace({"upper": 0, "lower": 1}, Path(str(traced.__file__)).parent)
    sys.setprofile(trace)
    try:
        traced.Reconciler().run()
    finally:
        sys.setprofile(None)
    return trace


def test_functions_are_counted_without_lambdas_and_comprehensions(traced: ModuleType) -> None:
    """The functions of a file have their qualified names, each once."""
    assert run_traced(traced).functions == {
        "lower.py": ["go_through", "work"],
        "upper.py": ["Reconciler.reconcile", "Reconciler.run", "answered", "numbers"],
    }


def test_call_from_a_lower_layer_into_a_higher_one_is_upward(traced: ModuleType) -> None:
    """A callback is upward, and so is a generator that the lower layer starts; a resumed coroutine is no call."""
    assert list(run_traced(traced).upward) == [
        "lower.py:work -> upper.py:Reconciler.reconcile",
        "lower.py:go_through -> upper.py:numbers",
    ]


def test_layers_are_read_from_the_contract(tmp_path: Path) -> None:
    """The first line is the top, and siblings are at one level."""
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text("""
[[tool.importlinter.contracts]]
name = "Another one"
layers = ["wrong"]
[[tool.importlinter.contracts]]
name = "Imports go one way"
layers = ["app", "handlers | cli", "kube"]
""")
    assert layers(pyproject) == {"app": 0, "handlers": 1, "cli": 1, "kube": 2}


def test_more_than_five_parameters_are_too_many(tmp_path: Path) -> None:
    """`self` and `cls` do not count, keyword-only ones do, and a constructor may take more."""
    (tmp_path / "signatures.py").write_text("""
def five(a, b, c, /, d, *, e): ...
async def six(a, b, c, /, d, *, e, f): ...
class Wired:
    def __init__(self, a, b, c, d, e, f): ...
    def five(self, a, b, c, d, e): ...
    @classmethod
    def six_of_a_class(cls, a, b, c, d, e, f): ...
    @staticmethod
    def six_without_self(a, b, c, d, e, f):
        def inner(a, b, c, d, e, **f): ...
""")
    assert list(long_signatures(tmp_path)) == [
        "signatures.py:six (6)",
        "signatures.py:Wired.six_of_a_class (6)",
        "signatures.py:Wired.six_without_self (6)",
        "signatures.py:Wired.six_without_self.inner (6)",
    ]
