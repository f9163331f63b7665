"""docs/contacts.md describes each result of a contact lookup."""

import re

import yaml

from clientcert.alerting.retries import OF_THE_RECIPIENT
from clientcert.errors import Reason
from clientcert.lifecycle.conditions import CONTACT_RESOLVED
from tests.conftest import REPOSITORY
from tests.docs.pages import section

PAGE = REPOSITORY / "docs/contacts.md"
FINDS = ("lifecycle/contacts.py", "cache/contact_lookup.py", "notifiers/slack/user_directory.py")
_WRITTEN = re.compile(r'(?:Resolution|_found)\(\s*"([A-Z]\w+)"|"([A-Z]\w+)" if |else "([A-Z]\w+)"')
FOUND = {"TechnicalContact", "BusinessContact", "Requester", "SlackUser"}
PASSING = {"LookupUnavailable", "NotLookedUp"}


def written() -> set[str]:
    """Every reason of a resolution."""
    texts = ((REPOSITORY / "operator/clientcert" / file).read_text() for file in FINDS)
    return {word for text in texts for groups in _WRITTEN.findall(text) for word in groups if word}


def test_each_reason_of_a_failed_lookup_has_a_row() -> None:
    """Also each reason why a known contact is not written to."""
    rows = [line for line in section(PAGE, "## When nobody is found").splitlines() if line.startswith("| `")]
    named = {word for row in rows if CONTACT_RESOLVED not in row for word in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == (written() - FOUND - PASSING) | OF_THE_RECIPIENT | {Reason.CHANNEL_NOT_FOUND}


def test_every_reason_can_be_looked_up() -> None:
    """The reference has all reasons; the runbook has those without a problem, and links the page for the others."""
    assert written() >= FOUND | PASSING
    reference, runbook = ((REPOSITORY / page).read_text() for page in ("docs/reference.md", "docs/runbook.md"))
    assert sorted(reason for reason in written() if f"`{reason}`" not in reference) == []
    assert sorted(reason for reason in FOUND | PASSING if f"`{reason}`" not in runbook) == []


def test_every_example_that_is_named_exists() -> None:
    """Examples are named without their folder."""
    named = set(re.findall(r"`([\w-]+\.yaml)`", PAGE.read_text()))
    assert len(named) >= 5
    assert sorted(name for name in named if not (REPOSITORY / "deploy/examples" / name).exists()) == []


def test_each_field_about_contacts_is_explained() -> None:
    schema = yaml.safe_load((REPOSITORY / "crds/certificatepolicies.yaml").read_text())["spec"]["versions"][0]["schema"]
    spec = schema["openAPIV3Schema"]["properties"]["spec"]["properties"]
    channel = spec["alerts"]["properties"]["channels"]["items"]["properties"]
    fields = {f"email.{name}" for name in channel["email"]["properties"]}
    fields |= {f"contacts.{name}" for name in spec["contacts"]["properties"]}
    text = section(PAGE, "## A policy that writes to contacts")
    assert fields == set(re.findall(r"`((?:email|contacts)\.\w+)`", text))
