"""A report as a page: it loads nothing, runs one script that it names, and shows text of strangers as text."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from clientcert.cli.report_html import Heading, as_html, headline, source_hash
from tests.unit.cli.report_objects import ADDRESS, NOW, certificate, condition, fleet, four, reported

HOSTILE = (
    "</script></style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"' {{7*7}} {% x %} `a` &amp; \u202e"
)
_VOID = {"meta", "br", "!doctype"}


class Page(HTMLParser):
    """The elements of a page, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.cells: dict[str, list[list[str]]] = {}
        """By the id of the section: the rows of its table."""
        self._open: list[str] = []
        self._section = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        self._section = found["id"] if tag == "section" else self._section
        if tag == "tr":
            self.cells.setdefault(self._section, []).append([])
        if tag in {"td", "th"}:
            self.cells[self._section][-1].append("")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        tag = self._open[-1] if self._open else ""
        self.texts.setdefault(tag, []).append(data)
        if {"td", "th"} & set(self._open):
            row = self.cells[self._section][-1]
            row[-1] += data if tag != "title" else ""


def page(objects: list[dict[str, Any]], *, everywhere: bool = False, contacts: bool = False) -> str:
    heading = Heading("Client certificates", "Namespace integration", everywhere, contacts)
    return as_html(reported(objects, contacts=contacts), heading)


def rows(objects: list[dict[str, Any]], section: str) -> list[list[str]]:
    """Those below the headings."""
    return Page(page(objects)).cells.get(section, [])[1:]


def test_it_loads_nothing_and_runs_one_script() -> None:
    """No address, no handler and no style is in an attribute; the policy names the content of script and style."""
    found = Page(page(four()))
    tags = Counter(tag for tag, _ in found.elements)
    assert (tags["script"], tags["style"], tags["link"], tags["img"], tags["iframe"]) == (1, 1, 0, 0, 0)
    attributes = [(name, value) for _, attrs in found.elements for name, value in attrs.items()]
    assert {value for name, value in attributes if name == "href"} == {"#attention", "#all", "#silenced"}
    assert [name for name, _ in attributes if name.startswith("on") or name in {"style", "src", "action"}] == []
    [policy] = [attrs["content"] for _, attrs in found.elements if attrs.get("http-equiv")]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src '{source_hash(''.join(found.texts['style']))}'",
        f"script-src '{source_hash(''.join(found.texts['script']))}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    style = "".join(found.texts["style"])
    assert not re.search(r"url\(|@import|https?:", style + "".join(found.texts["script"]))


def test_each_section_shows_its_certificates() -> None:
    assert [row[0] for row in rows(four(), "all")] == [
        "court-lists-preprod",
        "nhs-prod",
        "weather-prod",
        "tribunals-test",
    ]
    [old] = rows(four(), "silenced")
    assert old[5:] == ["Expired", "-3", "2026-12-24 00:00 UTC", "being decommissioned", "clientcert"]
    wrong = rows(four(), "attention")
    assert [(row[0], row[5]) for row in wrong] == [
        ("nhs-prod", "Alerts not delivered: ChannelNotFoundEnds within 7 days"),
        ("tribunals-test", "Not looked at yet"),
    ]
    assert "Channel team: there is no Slack channel #integration-api-alerts" in wrong[0][7]
    months = [row for row in rows(four(), "months") if row[2]]
    assert months == [
        ["Expired", "", "1", "", "1", ""],
        ["Nov 2026", "", "1", "1", "", ""],
        ["Sep 2027", "", "1", "1", "", ""],
    ]


def test_one_look() -> None:
    assert headline(reported(four())) == (
        "2 of 4 certificates need attention. The next to end is nhs-prod (nhs in prod), in 3 days."
    )
    good = [certificate("nhs-prod", NOW.replace(year=2027), phase="Valid")]
    assert headline(reported(good)).startswith("Nothing needs attention. The next to end is nhs-prod")
    assert headline(reported([certificate("nhs-prod", None)])) == "1 certificate needs attention."
    cards = [each for each in Page(page(four())).texts["b"] if each.isdigit()]
    assert cards == ["2", "1", "1", "1", "1", "1", "4"]


def test_what_is_wrong_with_a_silenced_certificate() -> None:
    """It is with the silence, and the figures at the top say how many of them need no attention."""
    untold = condition("AlertsDelivered", "False", "ChannelNotFound")
    silence = {"until": "2099-01-01T00:00:00Z", "reason": "moving"}
    found = [certificate("nhs-prod", NOW, untold, phase="ExpiringSoon", silence=silence), *four()]
    [_, last] = rows(found, "silenced")
    assert last[5] == "Alerts not delivered: ChannelNotFoundEnds within 7 days"
    assert "expired (1 silenced)" in page(found)
    assert "end within 7 days (1 silenced)" in page(found)


def test_what_a_reader_must_know() -> None:
    """While the operator only observes, that nothing is wrong does not mean that all is well."""
    observed = condition("AlertsDelivered", "Unknown", "ObserveOnly")
    found = page([certificate("nhs-prod", NOW.replace(year=2027), observed, phase="Valid"), *four()])
    assert "The operator only observes 1 certificate of 5: it sends no alert about it." in found
    assert "only observes" not in page(four())
    heading = Heading("Client certificates", "Namespace integration", everywhere=False, contacts=False)
    assert "could not be read with the rights of the caller" not in page(four())
    text = as_html(reported(four()), replace(heading, reads_requests=False))
    assert "could not be read with the rights of the caller" in text
    assert "1 certificate has no date: the operator has not read it yet." in page(four())
    two = [certificate(f"nhs{number}-prod", None) for number in range(2)]
    assert "2 certificates have no date: the operator has not read them yet." in page(two)


def test_what_is_wrong_is_sorted_by_its_gravity() -> None:
    """The script sorts by this number; it is that of the worst."""
    found = re.findall(r'<td class="bad" data-value="(\d+)">([^<]+)', page(fleet(400)))
    assert {name.partition(":")[0] for value, name in found if value == "0"} == {"Expired"}
    assert len({value for value, _ in found}) > 3


def test_the_end_of_another_certificate_is_named() -> None:
    found = certificate("nhs-prod", NOW, phase="Valid")
    found["status"]["certificate"] |= {"fingerprintSHA256": "a"}
    found["status"]["expires"] |= {"subjectDN": "CN=Sub CA", "fingerprintSHA256": "b"}
    assert rows([found], "all")[0][7] == "2026-11-22the end of CN=Sub CA, in the same file"


def test_the_page_of_nothing_wrong() -> None:
    found = page([certificate("nhs-prod", NOW.replace(year=2027), phase="Valid")])
    assert "Nothing is wrong with a certificate that is not silenced." in found
    assert "No certificate is silenced." in found


@pytest.mark.parametrize("contacts", [False, True])
def test_text_of_strangers_is_text(contacts: bool) -> None:
    """Wherever it comes from, the page has the same elements and attributes as one with harmless words."""

    def with_words(words: str) -> list[dict[str, Any]]:
        spec: dict[str, Any] = dict.fromkeys(("consumer", "environment", "owner"), words)
        person = {"name": words, "email": words}
        spec |= {"contact": {"technical": person, "slack": {"memberID": words}, "lookup": [words]}}
        found = [
            certificate(words, NOW, condition("Ready", "False", words, words), phase=words, **spec),
            certificate(words, NOW, phase=words, silence={"until": "2099-01-01T00:00:00Z", "reason": words}, **spec),
        ]
        for each in found:
            each["metadata"] |= {
                "namespace": words,
                "managedFields": [{"manager": words, "fieldsV1": {"f:spec": {"f:silence": {}}}}],
            }
            each["status"]["certificate"] = {"serialNumber": words, "issuerDN": words}
        return found

    def shape(words: str) -> list[tuple[str, tuple[str, ...]]]:
        heading = Heading(words, words, everywhere=True, contacts=contacts)
        found = Page(as_html(reported(with_words(words), contacts=contacts), heading))
        return [(tag, tuple(attrs)) for tag, attrs in found.elements if tag != "code"]

    assert shape(HOSTILE) == shape("words")
    text = page(with_words(HOSTILE), contacts=contacts)
    assert "{{7*7}}" in text
    assert "\u202e" not in text


def test_addresses_are_there_only_if_asked_for() -> None:
    assert ADDRESS not in page(four())
    assert "addresses of people" not in page(four())
    assert f"Jo Bloggs &lt;{ADDRESS}&gt; (technical contact)" in page(four(), contacts=True)
    assert "This page has addresses of people." in page(four(), contacts=True)


def test_commands_stand_out() -> None:
    renewable = condition("Renewable", "True", "Renewable")
    found = certificate("nhs-prod", NOW, renewable, phase="ExpiringSoon")
    assert "<code>clientcert renew nhs-prod</code>" in page([found])


def test_the_style_names_the_columns_of_a_narrow_screen() -> None:
    """Each row has as many cells as there are headings, and their names there are those of the headings."""
    found = Page(page(four()))
    style = "".join(found.texts["style"])
    for section in ("attention", "silenced"):
        names = dict(re.findall(rf"#{section} td:nth-child\((\d+)\)::before[^{{]*{{ content: \"([^\"]+)\"", style))
        headings, *others = found.cells[section]
        assert {len(row) for row in others} == {len(headings)}
        unnamed = {"Certificate", "What is wrong"}
        assert {headings[int(at) - 1]: name for at, name in names.items()} == {
            each: each for each in headings if each not in unnamed
        }


def test_namespaces_are_shown_if_there_may_be_several() -> None:
    assert '<body class="one">' in page(four())
    assert "<body>" in page(four(), everywhere=True)


def test_ten_thousand() -> None:
    """Small enough for a browser, and for a mail."""
    text = page(fleet(10_000), everywhere=True)
    assert text.count("<tr>") > 10_000
    assert len(text.encode()) < 6_000_000
