"""The recipients of each letter, and the contact that the team sees."""

from dataclasses import replace
from typing import Any

import pytest

from clientcert.api.client_list import parse_client_list
from clientcert.lifecycle.contacts import (
    Directory,
    DirectoryEntry,
    Recipient,
    Resolution,
    Role,
    addressed,
    batch_of,
    resolve_email,
    same_people,
    slack_first,
    with_contact,
)
from clientcert.lifecycle.policy import ContactPolicy
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.lifecycle.spec import HOST, Contact, Person
from tests.builders import declaration

JO = Recipient(Role.TECHNICAL, "jo@nhs.example", "Jo Bloggs")
SAM = Recipient(Role.BUSINESS, "sam@nhs.example", "Sam Patel")
OPS = Person("Ops", "ops@nhs.example")


def resolution_with(*recipients: Recipient) -> Resolution:
    return Resolution("TechnicalContact", "the technical contact is written to", recipients)


class TestAUserOfSlack:
    NOBODY = Resolution("SlackUserNotFound", "no Slack user has the consumer's name")

    def test_comes_before_mail_contacts(self) -> None:
        user = Recipient(Role.SLACK, "U012AB3CD")
        assert slack_first(Resolution("SlackUser", "", (user,)), resolution_with(JO, SAM)).recipients == (user, JO, SAM)

    def test_not_found(self) -> None:
        """The condition names the fallback recipient, if there is one."""
        said = slack_first(self.NOBODY, resolution_with(JO))
        assert (said.reason, said.recipients) == ("TechnicalContact", (JO,))
        assert said.message == f"the technical contact is written to; {self.NOBODY.message}"
        assert slack_first(self.NOBODY, Resolution("NoContact", "")) is self.NOBODY


class TestTheClientList:
    """The contacts of a consumer in the list, and the problems of a lookup."""

    LISTED = ContactPolicy(directory="clients")
    BROKEN = DirectoryEntry(problem="key nhs: technical is a mapping")
    NOBODY = declaration(contact=Contact(lookup=("Directory",)))

    @pytest.mark.parametrize(
        ("directory", "words"),
        [
            ({}, "has no e-mail address for the consumer: add one"),
            ({"nhs": BROKEN}, "an entry for the consumer that cannot be used: correct key nhs: technical is a mapping"),
            (
                {"nhs": DirectoryEntry(remark="key a counts")},
                "`clientcert contact set`, or to spec.contact; key a counts",
            ),
        ],
    )
    def test_no_entry(self, directory: Directory, words: str) -> None:
        """`contact set` refuses to overwrite an unreadable entry, so the message does not suggest it then."""
        found = resolve_email(self.NOBODY, self.LISTED, directory)
        assert (found.reason, found.resolved) == ("NotInDirectory", False)
        assert words in found.message
        assert ("contact set" in found.message) == (directory != {"nhs": self.BROKEN})

    @pytest.mark.parametrize("listed", ["NHS", "nhs", "Nhs"])
    @pytest.mark.parametrize("asked", ["NHS", "nhs", "Nhs"])
    def test_upper_and_lower_case(self, asked: str, listed: str) -> None:
        directory, _ = parse_client_list({listed: "technical: {email: jo@nhs.example}"})
        found = resolve_email(replace(self.NOBODY, consumer=asked), self.LISTED, directory)
        assert found.resolved == (asked == listed)
        said = f"correct {'the entry of' if listed == 'nhs' else 'key'} {listed}: it has the consumer's name in another"
        assert (said in found.message) == (asked != listed)

    def test_only_a_business_contact(self) -> None:
        """The business contact is asked, and the message says where a technical contact can be added."""
        declared = replace(self.NOBODY, contact=Contact(business=Person("", SAM.address)))
        found = resolve_email(declared, self.LISTED, {"nhs": self.BROKEN})
        assert [each.role for each in found.recipients] == [Role.BUSINESS]
        assert (found.reason, found.complete) == ("NotInDirectory", False)
        assert "correct key nhs" in found.message

    def test_two_keys(self) -> None:
        """The message says which of them is used."""
        directory, _ = parse_client_list({"a": "consumer: nhs\ntechnical: {email: jo@nhs.example}", "nhs": ""})
        found = resolve_email(self.NOBODY, self.LISTED, directory)
        assert found.resolved
        assert found.complete
        assert "as the client list says; its key a is used, and key nhs has the same" in found.message


class TestAnEscalation:
    def test_goes_to_the_business_contact_alone(self) -> None:
        """All other letters go to all recipients, in order."""
        assert addressed(resolution_with(JO, SAM), Role.BUSINESS) == (SAM,)
        assert addressed(resolution_with(JO, SAM), None) == (JO, SAM)

    @pytest.mark.parametrize("everybody", [(), (JO,), (SAM,), (SAM, Recipient(Role.BUSINESS, "lee@nhs.example"))])
    def test_adds_nothing_for_a_recipient_of_all_letters(self, everybody: tuple[Recipient, ...]) -> None:
        assert addressed(resolution_with(*everybody), Role.BUSINESS) == ()

    def test_adds_nothing_for_the_fallback_recipient(self) -> None:
        """They get the letters of the technical contact, who cannot be reached; each of those letters tries both."""
        stands_in = replace(
            resolution_with(JO, SAM),
            fallback_recipient=FallbackRecipient(Role.BUSINESS, "the technical contact was refused"),
        )
        assert addressed(stands_in, Role.BUSINESS) == ()
        assert addressed(stands_in, None) == (JO, SAM)


class TestTheSamePeople:
    def test_names_do_not_matter(self) -> None:
        assert same_people((JO,), (Recipient(Role.TECHNICAL, "jo@nhs.example", "Josephine"),))

    @pytest.mark.parametrize("others", [(), (SAM,), (SAM, JO), (JO, SAM), (Recipient(Role.BUSINESS, JO.address),)])
    def test_others_or_in_another_order(self, others: tuple[Recipient, ...]) -> None:
        assert not same_people((JO,), others)


class TestAHostCertificate:
    DECLARED = declaration(profile=HOST, batch="spring", contact=Contact(requester=OPS))

    def test_the_team_sees_its_requester(self) -> None:
        """Both in the spec and after the lookup."""
        found = resolve_email(self.DECLARED, ContactPolicy(), {})
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
        """In one namespace and of one policy; a certificate without a requester is in no batch."""
        mine = batch_of("team", self.DECLARED)
        assert mine == batch_of("team", declaration(profile=HOST, batch="spring", contact=Contact(requester=OPS)))
        assert mine not in {batch_of("other", self.DECLARED), batch_of("team", replace(self.DECLARED, **other))}
