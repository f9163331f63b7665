"""Small mistakes in the operator, each of which the simulation must notice.

    python -m tests.simulation.mutants            all of them
    python -m tests.simulation.mutants 3 fence    those with these words in their name

Each is made in a copy of the package, in a folder that is deleted afterwards, and the copy plays small histories in a
process of its own until one breaks a rule.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.simulation.__main__ import BROKEN
from tests.simulation.mutations import MUTANTS, Mutant

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "operator" / "clientcert"
HISTORIES = 60
"""The budget: a mutant that survives so many small histories is not caught."""


def apply(mutant: Mutant, folder: Path) -> None:
    """Write a copy of the package with this mistake."""
    shutil.copytree(PACKAGE, folder / "clientcert", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "clientcert" / mutant.file
    text = file.read_text()
    found = len(re.findall(re.escape(mutant.old), text))
    assert found == 1, f"{mutant.name}: its line is {found} times in {mutant.file}; adapt the mutant"
    file.write_text(text.replace(mutant.old, mutant.new))


def verdict(mutant: Mutant, histories: int = HISTORIES) -> tuple[bool, str]:
    """True if the simulation notices the mistake; and what it printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        apply(mutant, folder)
        first = str(mutant.seed)
        run = subprocess.run(
            [sys.executable, "-m", "tests.simulation", first, str(mutant.seed + histories), "--small"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode in {0, BROKEN}, run.stderr[-2000:]
    return run.returncode == BROKEN, run.stdout


def main(words: list[str]) -> int:
    """Print a line for each mutant; returns 1 if one survived."""
    survived = 0
    for mutant in MUTANTS:
        if words and not any(word in mutant.name for word in words):
            continue
        caught, output = verdict(mutant)
        lines = output.splitlines()
        last = next((line for line in reversed(lines) if line.startswith("seed")), "")
        rules = sorted({line.partition(":")[0] for line in lines if not line.startswith("seed")})
        print(
            f"{'caught' if caught else 'SURVIVED'}  {mutant.name}: {last.partition(':')[0]} {', '.join(rules)}",
            flush=True,
        )
        survived += not caught
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
