"""docs/security.md names only existing tests, has a row for each required threat, and names each test of security."""

import re

import pytest

from tests.conftest import REPOSITORY
from tests.docs.pages import names_in, section

PAGE = REPOSITORY / "docs/security.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
MUST_HOLD = (
    "A private key, password or token shows in logs, status, Events, metrics, tracebacks or messages.",
    "A mention such as `<!channel>`, a link or a line break in any field is acted upon in Slack.",
    "A header or a body is put into a mail by a line break in a field.",
    "A message template reads attributes, or runs code.",
    "A reference reads an object in another namespace.",
    "An S3 endpoint or a webhook leads to loopback, to the cluster, to a private or metadata address",
    "A name has a public address when it is checked, and another one when the operator connects.",
    "A server redirects to a forbidden address.",
    "The answer of a foreign server is shown to tenants, or fills the status.",
    "A tenant reads a bucket with the pod's own identity.",
    "A tenant posts with the operator's own Slack token",
    "A tenant sends mail through the operator's mail server.",
    "A tenant writes a status, so that alerts cease.",
    "The key that the operator makes, the CA's key or an API key that is delivered with it is in clear somewhere",
    "A certificate is asked for with what belongs to another consumer",
    "A CSR asks for another subject in some encoding, for a CA",
    "Somebody repeats a proof of possession",
    "An editor of a policy has the operator sign with any key of the namespace, or mail out any Secret.",
    "One person alone has a certificate signed",
    "A request is approved, and another key is signed",
    "Somebody writes the status of a request or of a revocation",
    "The admission policies are missing",
)
"""The threats that the design requires, by the beginning of their row."""


def rows() -> list[list[str]]:
    """Threat, what prevents it, and the tests."""
    lines = [line for line in section(PAGE, "## Threats").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def named() -> set[tuple[str, str]]:
    """File and name of every test on the page."""
    return set(TEST.findall(PAGE.read_text()))


def test_every_named_test_exists() -> None:
    paths = {path for path, _ in named()}
    assert sorted(path for path in paths if not (REPOSITORY / path).exists()) == []
    existing = {(path, name) for path in paths for name in names_in(REPOSITORY / path)}
    assert sorted(named() - existing) == []


def test_every_row_says_what_prevents_the_threat_and_names_a_test() -> None:
    assert all(len(row) == 3 and all(row[:2]) for row in rows())
    assert [threat for threat, _, shown in rows() if not TEST.search(shown)] == []


@pytest.mark.parametrize("threat", MUST_HOLD)
def test_each_required_threat_has_a_row(threat: str) -> None:
    assert len([row for row in rows() if row[0].startswith(threat)]) == 1


def test_no_test_of_security_is_forgotten() -> None:
    """Every test in a file about security, or about hostile requests, is on the page."""
    folder = REPOSITORY / "tests/control_plane"
    files = sorted([*folder.glob("test_security_*.py"), *folder.glob("test_*hostile*.py")])
    assert files
    existing = {(str(path.relative_to(REPOSITORY)), name) for path in files for name in names_in(path)}
    assert sorted(existing - named()) == []
