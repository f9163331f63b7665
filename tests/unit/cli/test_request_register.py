"""The register of renewals as CSV: what other people have written cannot become a formula, a line or an address."""

import csv
import io

from clientcert.cli.request_register import renewal_line, renewals_csv
from tests.unit.cli.renewal_objects import request


def rows(text: str) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(text))]


def test_one_line_for_each_request() -> None:
    """In the order of their names; a request that nobody has decided about has empty fields."""
    decided = request("Issued", status={"issuance": {"serialNumber": "4af3"}}, approval={"decision": "Approve"})
    found = rows(renewals_csv([renewal_line(decided), renewal_line({"metadata": {"name": "a"}})]))
    assert [(each["name"], each["decision"], each["serialNumber"]) for each in found] == [
        ("a", "", ""),
        ("nhs-prod-0123456789", "Approve", "4af3"),
    ]


def test_hostile_names() -> None:
    line = renewal_line(request("Issued", requestedBy='=HYPERLINK("x")\r\n"nhs,=1+1'))
    [found] = rows(renewals_csv([line]))
    assert found["requestedBy"].startswith("'=")
    assert "\n" not in found["requestedBy"]


def test_users_that_are_addresses() -> None:
    asked = request("Issued", requestedBy="oidc:jo@nhs.example")
    assert "jo@nhs.example" not in renewals_csv([renewal_line(asked)])
    assert "jo@nhs.example" in renewals_csv([renewal_line(asked, contacts=True)])
