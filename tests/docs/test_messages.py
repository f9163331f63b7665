"""docs/messages.md shows every message, and matches the code."""

from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.docs.pages import anchors, blocks, section
from tools.render_messages.examples import GONE, NHS
from tools.render_messages.page import page

PAGE = REPOSITORY / "docs/messages.md"
HEADINGS = {
    "Slack": "## Slack",
    "Email": "## E-mail to the consumer",
    "Webhook": "## Webhooks",
    "Alertmanager": "## Alertmanager",
    "Apprise": "## Apprise",
}
EVENTS = "## Kubernetes Events"
FOR_MACHINES = (HEADINGS["Webhook"], HEADINGS["Alertmanager"], HEADINGS["Apprise"], EVENTS)


def test_the_page_is_what_the_generator_makes() -> None:
    """`python -m tools.render_messages` writes it."""
    assert PAGE.read_text() == page()


def test_it_is_made_the_same_again() -> None:
    """It depends on no clock, no random number and nothing of the machine."""
    assert page() == page()


def test_each_type_of_channel_has_a_section() -> None:
    schema = yaml.safe_load((REPOSITORY / "crds/certificatepolicies.yaml").read_text())["spec"]["versions"][0]["schema"]
    alerts = schema["openAPIV3Schema"]["properties"]["spec"]["properties"]["alerts"]["properties"]
    assert set(HEADINGS) == set(alerts["channels"]["items"]["properties"]["type"]["enum"])
    assert all("\n```" in section(PAGE, heading) for heading in (*HEADINGS.values(), EVENTS))


def test_each_message_has_a_heading_that_can_be_linked_to() -> None:
    headings = [
        line for line in PAGE.read_text().splitlines() if line.lstrip("#").startswith(" ") and line.startswith("#")
    ]
    assert len(anchors(PAGE)) == len(headings)


@pytest.mark.parametrize("heading", FOR_MACHINES)
def test_no_contact_is_named_where_machines_read(heading: str) -> None:
    """Nor in an Event, which everybody with access to the namespace can read."""
    people = NHS["contact"].values()
    personal = [value for person in people for value in person.values()]
    assert len(personal) == 4
    assert [value for value in personal if value in section(PAGE, heading)] == []
    assert all(value in section(PAGE, HEADINGS["Email"]) for value in personal)


def test_the_readme_quotes_the_mail() -> None:
    [quoted] = [block for block in blocks(REPOSITORY / "README.md", "console") if block.startswith("Subject: ")]
    subject, _, text = quoted.partition("\n\n")
    [mail] = [block for block in blocks(PAGE, "text") if subject in block and text in block]
    assert mail.startswith("From: ")


def test_the_words_of_the_examples_are_the_operators_own() -> None:
    """The error for a missing Secret is the real one."""
    source = Path(REPOSITORY / "operator/clientcert/sources/secret.py").read_text()
    assert "does not exist: create it, or correct the reference." in source
    assert GONE.endswith("does not exist: create it, or correct the reference")
