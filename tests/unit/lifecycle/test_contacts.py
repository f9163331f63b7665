"""Who gets which letter, and what the team is shown of them."""

from dataclasses import replace
from typing import Any

import pytest

from clientcert.lifecycle.contacts import (
    Recipient,
    Resolution,
    Role,
    StoodIn,
    addressed,
    batch_of,
    by_mail,
    same_people,
    slack_first,
    with_contact,
)
from clientcert.lifecycle.declaration import HOST, Contact, Person
from clientcert.lifecycle.policy import ContactPolicy
from tests.builders import declaration

JO = Recipient(Role.TECHNICAL, "jo@nhs.example", "Jo Bloggs")
SAM = Recipient(Role.BUSINESS, "sam@nhs.example", "Sam Patel")
OPS = Person("Ops", "ops@nhs.example")


def told(*recipients: Recipient) -> Resolution:
    return Resolution("TechnicalContact", "the technical contact is written to", recipients)


class TestAUserOfSlack:
    NOBODY = Resolution("SlackUserNotFound", "no Slack user has the consumer's name")

    def test_comes_before_whoever_gets_a_mail(self) -> None:
        user = Recipient(Role.SLACK, "U012AB3CD")
        assert slack_first(Resolution("SlackUser", "", (user,)), told(JO, SAM)).recipients == (user, JO, SAM)

    def test_who_is_not_found(self) -> None:
        """Is said with who is written to instead, if there is somebody."""
        said = slack_first(self.NOBODY, told(JO))
        assert (said.reason, said.recipients) == ("TechnicalContact", (JO,))
        assert said.message == f"the technical contact is written to; {self.NOBODY.message}"
        assert slack_first(self.NOBODY, Resolution("NoContact", "")) is self.NOBODY


class TestAnEscalation:
    def test_goes_to_the_business_contact_alone(self) -> None:
        """All other letters go to everybody, in turn."""
        assert addressed(told(JO, SAM), Role.BUSINESS) == (SAM,)
        assert addressed(told(JO, SAM), None) == (JO, SAM)

    @pytest.mark.parametrize("everybody", [(), (JO,), (SAM,), (SAM, Recipient(Role.BUSINESS, "lee@nhs.example"))])
    def test_adds_nothing_for_who_has_had_all_letters(self, everybody: tuple[Recipient, ...]) -> None:
        assert addressed(told(*everybody), Role.BUSINESS) == ()

    def test_adds_nothing_for_who_stands_in(self) -> None:
        """They get the letters of the technical contact, who cannot be reached; each of those tries both."""
        stands_in = replace(told(JO, SAM), stood_in=StoodIn(Role.BUSINESS, "the technical contact was refused"))
        assert addressed(stands_in, Role.BUSINESS) == ()
        assert addressed(stands_in, None) == (JO, SAM)

    @pytest.mark.parametrize("why", ["the technical contact was refused", "the Slack user, so to say, was refused"])
    def test_it_is_known_who_stood_in(self, why: str) -> None:
        """In the words that the status has: nothing else outlives a restart."""
        found = StoodIn(Role.BUSINESS, why)
        assert StoodIn.parse(str(found)) == found
        assert StoodIn.parse(why) is None


class TestTheSamePeople:
    def test_whatever_they_are_called(self) -> None:
        assert same_people((JO,), (Recipient(Role.TECHNICAL, "jo@nhs.example", "Josephine"),))

    @pytest.mark.parametrize("others", [(), (SAM,), (SAM, JO), (JO, SAM), (Recipient(Role.BUSINESS, JO.address),)])
    def test_others_or_in_another_order(self, others: tuple[Recipient, ...]) -> None:
        assert not same_people((JO,), others)


class TestAHostCertificate:
    DECLARED = declaration(profile=HOST, batch="spring", contact=Contact(requester=OPS))

    def test_its_requester_is_who_the_team_is_shown(self) -> None:
        """Declared, and found."""
        found = by_mail(self.DECLARED, ContactPolicy(), {})
        assert [each.role for each in found.recipients] == [Role.REQUESTER]
        assert with_contact(self.DECLARED, found).contact.requester == OPS

    @pytest.mark.parametrize(
        "other",
        [
            {"batch": "autumn"},
            {"policy": "another"},
            {"contact": Contact(requester=Person("", "other@nhs.example"))},
            {"batch": ""},
            {"profile": "Client"},
            {"contact": Contact(technical=OPS)},
        ],
    )
    def test_one_letter_is_about_one_batch_of_one_requester(self, other: dict[str, Any]) -> None:
        """In one namespace and by one policy; whoever has no requester is in no batch."""
        mine = batch_of("team", self.DECLARED)
        assert mine == batch_of("team", declaration(profile=HOST, batch="spring", contact=Contact(requester=OPS)))
        assert mine not in {batch_of("other", self.DECLARED), batch_of("team", replace(self.DECLARED, **other))}
