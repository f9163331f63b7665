"""Each piece of state has one owner: no code changes an object of another module (docs/architecture.md).

Shared values are frozen. Mutable state is an attribute that its own class assigns, or belongs to a private class
(`_Name`)
of the same module. The test reads the code.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "operator" / "clientcert"
MUTATORS = frozenset(
    {
        *("append", "extend", "insert", "remove", "clear", "sort", "reverse", "appendleft", "popleft"),
        *("add", "discard", "update", "setdefault", "pop", "popitem"),
    }
)
LIBRARIES = {
    # Objects of libraries that must be configured by assignment, each by the function that has created it.
    "kube/kubeconfig.py": {"context"},
    "sources/s3/page.py": {"parser"},
    "network/egress.py": {"trace"},
    "delivery/archive.py": {"entry"},
    "cli/report_html.py": {"environment"},
    "notifiers/slack/web_api.py": {"refuse_redirects"},
}


def foreign_writes(code: str) -> Iterator[str]:
    """Each expression that changes an attribute of an object other than `self`, unless its class is private here."""
    tree = ast.parse(code)
    private = set(_attributes_of_private_classes(tree))
    for node in ast.walk(tree):
        for target in _targets(node):
            owner, attribute = _foreign(target)
            if owner and attribute not in private:
                yield f"{node.lineno}: {owner}.{attribute}"  # type: ignore[attr-defined]


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from target.elts if isinstance(target, ast.Tuple) else [target]
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        yield node.target
    elif isinstance(node, ast.Delete):
        yield from node.targets
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        yield ast.Subscript(node.func.value, ast.Constant(0))


def _foreign(target: ast.expr) -> tuple[str, str]:
    """The object and the attribute that are changed, if the object is not `self`."""
    while isinstance(target, ast.Subscript):
        target = target.value
    if not isinstance(target, ast.Attribute):
        return "", ""
    owner = target.value
    if isinstance(owner, ast.Name):
        return ("", "") if owner.id in {"self", "cls"} else (owner.id, target.attr)
    # `self.other.field = …` changes an object that may belong to another module.
    return ast.unparse(owner), target.attr


def _attributes_of_private_classes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name.startswith("_"):
            for each in ast.walk(node):
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                    yield each.target.id
                elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id == "self":
                    yield each.attr


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_changes_an_object_of_another(module: Path) -> None:
    name = str(module.relative_to(PACKAGE))
    allowed = LIBRARIES.get(name, set())
    found = [each for each in foreign_writes(module.read_text()) if each.split()[1].split(".")[0] not in allowed]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "record.failing = None",
        "record.failing['team'] = failure",
        "record.sent.append(1)",
        "self._store.records[key] = 1",
        "self._store.wake = None",
        "del record.sent['x']",
        "a, record.b = 1, 2",
        "record.count += 1",
    ],
)
def test_such_code_is_found(code: str) -> None:
    """The check finds each way to change the state of another object."""
    assert list(foreign_writes(code)) != []


@pytest.mark.parametrize(
    "code",
    [
        "self._entries[key] = 1",
        "self._entries.pop(key)",
        "found.append(1)",
        "class _Entry:\n    sent: int = 0\n\nentry.sent = 1",
    ],
)
def test_an_owner_may_change_its_own(code: str) -> None:
    assert list(foreign_writes(code)) == []
