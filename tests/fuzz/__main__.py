"""`python -m tests.fuzz SECONDS`: what `make fuzz` does, with half of the time for the parser.

The rest is for what opens containers, and for the properties of tests/unit with many more examples than `make test`
has. Ends with 0 if nothing was found; with 1 if something was: then a reproducer lies in build/fuzz/found, and the
command for it is printed. Ends with 2 at once if atheris cannot be installed, whatever the reason: a search without it
looks at little, and who asked for one should know. FUZZ_WITHOUT_ATHERIS=1 says that this is known, and gives all of the
time to properties and mutations.
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
SHARES = {"parse": 1 / 2, "containers": 1 / 6}
WITHOUT_ATHERIS = "FUZZ_WITHOUT_ATHERIS"
_LIMITS = ("-max_len=16384", "-rss_limit_mb=1024", "-timeout=20", "-print_final_stats=1", "-verbosity=1")
_TOLD = ("INITED", "DONE", "ERROR", "SUMMARY", "stat::", "FindingError", "Exception", "Test unit written")


def main() -> int:
    """The exit code: 1 if anything was found, 2 if nothing can be searched by coverage."""
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
    """Whether it is there, or could be installed from a wheel."""
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
    """Whether an input was found that does what no input may do."""
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
    told = [line.strip() for line in (done.stdout + done.stderr).splitlines() if any(word in line for word in _TOLD)]
    print("\n".join(f"  {line}" for line in told), flush=True)
    if done.returncode:
        newest = max(FOUND.glob(f"{target}-*"), key=lambda path: path.stat().st_mtime, default=None)
        where = newest.relative_to(REPOSITORY) if newest else "FILE"
        print(f"{done.stderr[-3000:]}\nAgain: PYTHONPATH=operator:. {PYTHON.relative_to(REPOSITORY)} -m", end=" ")
        print(f"tests.fuzz.target {target} {where}", flush=True)
    return done.returncode != 0


def properties(seconds: float) -> bool:
    """Whether a property fails; each file of them has the same time, and those that are done early leave theirs."""
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
        return False  # an example that was being made smaller is kept by Hypothesis, and comes first the next time
    if done.returncode:
        print(done.stdout[-6000:], flush=True)
    return done.returncode != 0


def environment() -> dict[str, str]:
    """Our code is imported from where it lies, since the search has an environment of its own."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(REPOSITORY / "operator"), str(REPOSITORY)))}


if __name__ == "__main__":
    sys.exit(main())
