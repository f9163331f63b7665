"""The command of `make fuzz`: `python -m tests.fuzz SECONDS`. Three eighths of the time are for the parser.

The rest is for the reader of requests, for the openers of containers, and for the properties of tests/unit with more
examples than in `make test`. Exit code 0: nothing was found. 1: a finding; build/fuzz/found has a reproducer, and its
command is printed. 2: atheris cannot be installed, for any reason; this is an error, because a search without it covers
little. With FUZZ_WITHOUT_ATHERIS=1 it is not an error, and all of the time is for properties and mutations.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.seeds import SEEDS, write_seeds

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build/fuzz"
PYTHON = BUILD / "venv/bin/python"
FOUND = BUILD / "found"
SHARES = {"parse": 3 / 8, "requests": 2 / 8, "containers": 1 / 8}
WITHOUT_ATHERIS = "FUZZ_WITHOUT_ATHERIS"
_LIMITS = ("-max_len=16384", "-rss_limit_mb=1024", "-timeout=20", "-print_final_stats=1", "-verbosity=1")
_TOLD = ("INITED", "DONE", "ERROR", "SUMMARY", "stat::", "FindingError", "Exception", "Test unit written")


def main() -> int:
    """Return the exit code: 1 after a finding, 2 if a search by coverage is not possible."""
    seconds = float(sys.argv[1])
    failed = False
    if has_atheris():
        for target in SEEDS:
            failed |= search(target, seconds * SHARES[target])
        seconds *= 1 - sum(SHARES.values())
    elif os.environ.get(WITHOUT_ATHERIS) == "1":
        print("fuzz: nothing is searched by coverage: all of the time goes to properties and mutations", flush=True)
    else:
        print(
            "fuzz: atheris was not installed, so nothing can be searched by coverage; pip says above why. Let it reach"
            " its package index, and make .venv with a Python and on a platform that atheris has a wheel for"
            f" (requirements/fuzz.in). Or set {WITHOUT_ATHERIS}=1, and only properties and mutations are tried."
        )
        return 2
    failed |= properties(seconds)
    print("fuzz: something was found, see above" if failed else "fuzz: nothing was found")
    return int(failed)


def has_atheris() -> bool:
    """True if atheris is installed, or can be installed from a wheel."""
    lock = REPOSITORY / "requirements/fuzz.lock"
    done = BUILD / "venv/.done"
    if done.exists() and done.stat().st_mtime > lock.stat().st_mtime:
        return True
    subprocess.run([sys.executable, "-m", "venv", BUILD / "venv"], check=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    if subprocess.run([PYTHON, *install, "--require-hashes", "-r", lock], check=False).returncode:
        return False
    done.touch()
    return True


def search(target: str, seconds: float) -> bool:
    """Search with one target; return true after a finding."""
    seeds, corpus = BUILD / "seeds" / target, BUILD / "corpus" / target
    write_seeds(target, seeds)
    for directory in (corpus, FOUND):
        directory.mkdir(parents=True, exist_ok=True)
    command = [str(PYTHON), "-m", "tests.fuzz.target", target]
    limits = (*_LIMITS, f"-max_total_time={max(int(seconds), 1)}", f"-artifact_prefix={FOUND}/{target}-")
    print(f"fuzz: {target} for {seconds:.0f} s", flush=True)
    done = subprocess.run(
        [*command, *limits, corpus, seeds],
        env=environment(),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    findings = [
        line.strip() for line in (done.stdout + done.stderr).splitlines() if any(word in line for word in _TOLD)
    ]
    print("\n".join(f"  {line}" for line in findings), flush=True)
    if done.returncode:
        newest = max(FOUND.glob(f"{target}-*"), key=lambda path: path.stat().st_mtime, default=None)
        where = newest.relative_to(REPOSITORY) if newest else "FILE"
        print(f"{done.stderr[-3000:]}\nAgain: PYTHONPATH=operator:. {PYTHON.relative_to(REPOSITORY)} -m", end=" ")
        print(f"tests.fuzz.target {target} {where}", flush=True)
    return done.returncode != 0


def properties(seconds: float) -> bool:
    """Run the properties; return true if one fails. All files share the time; unused time goes to the others."""
    files = sorted(
        path for path in (REPOSITORY / "tests/unit").rglob("test_*.py") if "@given" in path.read_text("utf-8")
    )
    random.shuffle(files)
    ends = time.monotonic() + seconds
    print(f"fuzz: properties of {len(files)} files for {seconds:.0f} s", flush=True)
    failed = False
    for number, path in enumerate(files):
        share = (ends - time.monotonic()) / (len(files) - number)
        failed |= _has_failing_property(path, share)
    return failed


def _has_failing_property(path: Path, seconds: float) -> bool:
    options = ("-q", "-x", "--no-header", "--timeout=0", "--hypothesis-profile=long")
    command = [sys.executable, "-m", "pytest", *options, path]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=max(seconds, 1), check=False
        )
    except subprocess.TimeoutExpired:
        return False  # Hypothesis keeps an example that it was shrinking, and tries it first the next time
    if done.returncode:
        print(done.stdout[-6000:], flush=True)
    return done.returncode != 0


def environment() -> dict[str, str]:
    """Variables for the search, whose own environment has not installed our code."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(REPOSITORY / "operator"), str(REPOSITORY)))}


if __name__ == "__main__":
    sys.exit(main())
