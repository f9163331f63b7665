"""Times are arguments: only the composition root reads the clock or the environment (design section 4, rule 10)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "operator" / "clientcert"
READS = frozenset(
    {
        *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
        *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.strftime"),
        *("os.environ", "os.environb", "os.getenv", "os.getenvb"),
    }
)
ALLOWED = {
    "settings.py": {"os.environ"},
    "app.py": {"datetime.now"},
    "__main__.py": {"datetime.now"},
    # Not read, but passed to the credential plugin that a kubeconfig names.
    "kube/kubeconfig.py": {"os.environ"},
    # KUBECONFIG, the proxy and the pod's API server, for the verbs: as kubectl reads them.
    "cli/api_server.py": {"os.environ"},
}


def reads(code: str) -> set[str]:
    """The reads of the wall clock or the environment in this code, however they are imported."""
    return set(_reads(ast.parse(code)))


def _reads(tree: ast.AST) -> Iterator[str]:
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {(name.asname or name.name): name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            aliases |= {(name.asname or name.name): f"{node.module}.{name.name}" for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = ast.unparse(node).partition(".")
            full = f"{aliases.get(first, first)}.{rest}".rstrip(".")
            yield from (read for read in READS if full == read or full.endswith(f".{read}"))


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_else_reads_clock_or_environment(module: Path) -> None:
    """Each module gets the time as an argument; otherwise --clock-offset would have no effect on it."""
    assert reads(module.read_text()) - ALLOWED.get(str(module.relative_to(PACKAGE)), set()) == set()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from datetime import datetime\ndatetime.now()", {"datetime.now"}),
        ("import datetime as d\nd.datetime.now()", {"datetime.now"}),
        ("from time import time\ntime()", {"time.time"}),
        ("from os import environ as e\ne['HOME']", {"os.environ"}),
        ("import os\nos.getenv('HOME')", {"os.getenv"}),
        ("import time\ntime.monotonic()", set()),
    ],
)
def test_the_check_itself(code: str, found: set[str]) -> None:
    """It finds aliases, and ignores the monotonic clock."""
    assert reads(code) == found
