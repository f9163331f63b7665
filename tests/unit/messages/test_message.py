"""The content of every message; each of its sentences is true."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Observation, unread
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import DEFAULT_MESSAGE, Schedule, SendAt
from clientcert.lifecycle.recorded_status import PreviousCertificate
from clientcert.lifecycle.spec import CertificateSpec, Contact, ObjectKey, Person, S3Source, SecretSource
from clientcert.messages.alert_text import LONGEST_STEP, LONGEST_TEXT
from clientcert.messages.message import Message
from clientcert.messages.topic import Topic
from tests.builders import DAY, HOUR, KEY, NOW, SECOND, UID, certificate, channel, declaration, notified, policy
from tests.unit.messages.composing import composed, knowing

GONE = "there is no Secret nhs-client-cert: create it, or correct spec.source.secret.name"
MISSING = unread(Reason.SOURCE_NOT_FOUND, GONE)
UNREADABLE = unread(Reason.PASSWORD_INCORRECT, "the password does not open it: correct the Secret that holds it")
LAST_DAY = "The certificate for nhs in prod will expire within the next 24 hours"


def fact(message: Message, name: str) -> str:
    return dict(message.shown(contact=True)).get(name, "")


def detail(message: Message, name: str) -> str:
    return dict(message.details).get(name, "")


class TestTheSentenceOfExpiry:
    @pytest.mark.parametrize(
        ("left", "days"),
        [
            (30 * DAY, 30),
            (30 * DAY - SECOND, 30),
            (14 * DAY + SECOND, 15),
            (14 * DAY, 14),
            (14 * DAY - SECOND, 14),
            (2 * DAY, 2),
            (DAY + SECOND, 2),
        ],
    )
    def test_is_the_one_of_the_documentation(self, left: timedelta, days: int) -> None:
        """Word for word, with the days rounded up so that it is true."""
        message = composed(certificate(NOW + left))
        assert message.text == f"The certificate for nhs in prod will expire within the next {days} days"
        assert (message.kind, message.reason) == (MessageKind.ALERT, "Expiring")

    @pytest.mark.parametrize("left", [DAY, DAY - SECOND, SECOND])
    def test_on_the_last_day(self, left: timedelta) -> None:
        """The sentence has hours, since "1 days" is not English."""
        assert composed(certificate(NOW + left)).text == LAST_DAY

    def test_in_the_last_second(self) -> None:
        """At notAfter the first stage after expiry is due, and its sentence says that the certificate expired."""
        assert composed(certificate(NOW)).reason == "Expired"
        assert composed(certificate(NOW), plan=policy(channel(on_days=(0,)))).reason == "Expired"

    @pytest.mark.parametrize(
        ("passed", "ago"),
        [
            (SECOND, "less than a day ago"),
            (DAY, "1 day ago"),
            (2 * DAY + HOUR, "2 days ago"),
            (400 * DAY, "400 days ago"),
        ],
    )
    def test_after_expiry(self, passed: timedelta, ago: str) -> None:
        """The sentence has the date, and says that there is no replacement."""
        message = composed(certificate(NOW - passed))
        date = (NOW - passed).date().isoformat()
        expected = f"The certificate for nhs in prod expired on {date}, {ago}: no replacement has been seen"
        assert (message.reason, message.text) == ("Expired", expected)
        assert message.next_step.startswith("nhs may already have lost access. Ask the technical contact")

    @given(st.timedeltas(timedelta(days=-3), timedelta(days=30)))
    def test_is_true_at_any_moment(self, left: timedelta) -> None:
        """Its statement about the future comes true, and its statement about the past is correct."""
        message = composed(certificate(NOW + left))
        if message.reason == "Expired":
            assert left <= timedelta(0)
        elif message.text == LAST_DAY:
            assert timedelta(0) <= left <= DAY
        else:
            days = int(message.text.removesuffix(" days").rpartition(" ")[2])
            assert (days - 1) * DAY < left <= days * DAY
            assert days > 1

    def test_when_a_weekend_moved_the_stage(self) -> None:
        """A message on Friday about an end on Sunday counts from Friday."""
        friday = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
        plan = policy(channel(send_at=SendAt(friday.time(), weekdays_only=True), start_days_before=1))
        message = composed(certificate(friday + 2 * DAY + 9 * HOUR), friday, plan=plan)
        assert message.text == "The certificate for nhs in prod will expire within the next 3 days"

    def test_of_a_certificate_without_an_end(self) -> None:
        """9999-12-31 is a date like any other, for a schedule that starts 8,000 years before it."""
        no_end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        message = composed(certificate(no_end), plan=policy(channel(start_days_before=3_000_000)))
        assert message.text == "The certificate for nhs in prod will expire within the next 2912118 days"
        assert fact(message, "Expires") == "9999-12-31 23:59 UTC"


class TestTheSentenceOfAPolicy:
    TEMPLATE = "{owner}: {name}/{environment} {serialNumber} ends {date} (in {duration} days)"

    def test_has_fixed_fields(self) -> None:
        """Every field that the documentation names, and nothing else."""
        plan = policy(message=self.TEMPLATE)
        message = composed(certificate(NOW + 14 * DAY), plan=plan)
        assert message.text == "integration-team: nhs/prod 1a2b3 ends 2026-12-06 (in 14 days)"

    def test_on_the_last_day(self) -> None:
        """A policy's own words are used until expiry; the duration in them is at least one day."""
        plan = policy(message=self.TEMPLATE)
        assert composed(certificate(NOW + SECOND), plan=plan).text.endswith("(in 1 days)")

    def test_after_expiry(self) -> None:
        """They are written for a certificate that will expire; after expiry the default sentence is used."""
        message = composed(certificate(NOW - 3 * DAY), plan=policy(message=self.TEMPLATE))
        assert message.text.startswith("The certificate for nhs in prod expired on 2026-11-19, 3 days ago")

    def test_runs_no_code(self) -> None:
        """Attributes and conversions stay text, and a value that looks like a field is not a field."""
        plan = policy(message="{name.__init__.__globals__} {name!r} {name}")
        message = composed(
            certificate(NOW + 14 * DAY),
            plan=plan,
            consumer="{duration}",
        )
        assert message.text == "{name.__init__.__globals__} {name!r} {duration}"

    def test_an_empty_one_is_replaced(self) -> None:
        """A template of empty fields would make an empty message."""
        message = composed(certificate(NOW + 14 * DAY), plan=policy(message=" {owner} "), owner="")
        assert message.text == "The certificate for nhs in prod will expire within the next 14 days"

    def test_is_one_line(self) -> None:
        """Several lines in YAML become one line."""
        assert composed(certificate(NOW + 14 * DAY), plan=policy(message="a\n b\r\n{name}")).text == "a b nhs"


class TestProblems:
    def test_far_from_expiry_the_problem_is_the_sentence(self) -> None:
        """It is the reason for the alert; the last known date follows."""
        message = composed(MISSING, recorded=knowing(certificate(NOW + 100 * DAY)))
        assert message.text == (
            f"The certificate for nhs in prod is missing: {GONE}; the last known one expires on 2027-03-02"
        )
        assert message.reason == "SourceNotFound"
        assert "Fix the source: Secret nhs-client-cert, key tls.crt" in message.next_step

    def test_unreadable_content(self) -> None:
        """The sentence says that it could not be read."""
        message = composed(UNREADABLE, recorded=knowing(certificate(NOW + 100 * DAY)))
        assert message.text.startswith(
            "The certificate for nhs in prod could not be read: the password does not open it"
        )
        assert message.reason == "PasswordIncorrect"

    def test_never_read(self) -> None:
        """There is no known date."""
        message = composed(MISSING)
        assert message.text == (
            f"The certificate for nhs in prod is missing: {GONE}; none was ever read, so its date is unknown"
        )
        assert [name for name, _ in message.shown(contact=True)] == [
            "Consumer",
            "Environment",
            "Owner",
            "Contact",
            "Problem",
        ]

    @pytest.mark.parametrize("source", [MISSING, UNREADABLE])
    def test_near_expiry_the_date_comes_first(self, source: Observation) -> None:
        """The consumer loses access, whatever the problem with the source is; the problem is the first next step."""
        message = composed(source, recorded=knowing(certificate(NOW + 5 * DAY)))
        assert source.problem is not None
        assert message.text == "The certificate for nhs in prod will expire within the next 5 days"
        assert message.reason == "Expiring"
        assert fact(message, "Problem") == source.problem.message
        assert message.next_step.lower().startswith(source.problem.message.lower() + ".")

    def test_expired_and_missing(self) -> None:
        """The sentence claims no more than was observed."""
        message = composed(MISSING, recorded=knowing(certificate(NOW - 5 * DAY)))
        assert message.reason == "Expired"
        assert message.text.endswith("5 days ago: no replacement has been seen")
        assert fact(message, "Problem") == GONE

    def test_a_replacement_of_another_consumer(self) -> None:
        """The old certificate is usable, so the sentence does not call it unusable."""
        recorded = knowing(certificate(NOW + 100 * DAY, serial_number=1))
        message = composed(certificate(common_name="acme", serial_number=2), recorded=recorded)
        assert message.text == (
            "The certificate for nhs in prod needs attention: the source holds"
            ' a certificate of "acme", not of "nhs": put the right certificate there,'
            ' or set spec.identity.commonName: "acme";'
            " the last known one expires on 2027-03-02"
        )
        assert message.reason == "IdentityMismatch"
        assert fact(message, "Serial number") == "1"

    def test_another_one_that_has_expired(self) -> None:
        """The reason is Expired, and the topic shows that the certificate in use has not expired."""
        recorded = knowing(certificate(NOW + 200 * DAY))
        message = composed(certificate(NOW - 5 * DAY, serial_number=2), recorded=recorded)
        assert (message.topic, message.reason) == (Topic.PROBLEM, "Expired")
        assert message.text.startswith("The certificate for nhs in prod needs attention: the source holds another")

    def test_a_replacement_that_is_not_valid_yet(self) -> None:
        """If the old one expires soon: its date first, then the beginning of the new one."""
        recorded = knowing(certificate(NOW + 5 * DAY, serial_number=1))
        new = certificate(NOW + 400 * DAY, serial_number=2, not_before=NOW + DAY)
        message = composed(new, recorded=recorded)
        assert message.text == "The certificate for nhs in prod will expire within the next 5 days"
        assert "serial number 2 in the source is not valid before 2026-11-23 09:00 UTC" in fact(message, "Problem")
        assert message.next_step.endswith("If that is too late, put one there that is valid now: the alerts stop.")

    def test_one_that_is_not_valid_yet_and_short_lived(self) -> None:
        """It is the only certificate, so it must be renewed."""
        message = composed(certificate(NOW + 5 * DAY, not_before=NOW + DAY))
        assert "If there is no renewed certificate yet: ask the technical contact to renew it" in message.next_step

    def test_a_certificate_that_was_never_valid(self) -> None:
        """Its dates are not a date of expiry."""
        message = composed(certificate(NOW - 2 * DAY, not_before=NOW - DAY))
        assert message.text == (
            "The certificate for nhs in prod needs attention: the certificate's notBefore is later than its notAfter:"
            " it was never valid; issue it again"
        )
        assert message.reason == "InvalidValidity"


class TestClosing:
    OLD = certificate(NOW + 5 * DAY, serial_number=0xAA)
    NEW = certificate(NOW + 400 * DAY, serial_number=0xBB)
    TOLD = notified(6, OLD.fingerprint_sha256)

    def test_has_the_replacement(self) -> None:
        """The new serial number and date, the date of the next alert, and that there is nothing to do."""
        message = composed(self.NEW, recorded=knowing(self.OLD, self.TOLD))
        assert message.kind is MessageKind.CLOSING
        assert message.reason == "Renewed"
        assert (
            message.text == "The certificate for nhs in prod was replaced by serial number bb, valid until 2027-12-27"
        )
        assert message.next_step == (
            "Nothing to do. The alerts have stopped; the alerts about this certificate begin on 2027-11-27."
        )
        assert fact(message, "Serial number") == "bb"
        assert fact(message, "Replaces") == "serial number aa, valid until 2026-11-27"

    def test_when_it_was_delayed(self) -> None:
        """The status has the new certificate already; the replaced one is in the history."""
        recorded = knowing(self.NEW, self.TOLD, history=(PreviousCertificate("aa", self.OLD.not_after, NOW - DAY),))
        message = composed(self.NEW, recorded=recorded)
        assert fact(message, "Replaces") == "serial number aa, valid until 2026-11-27"

    def test_when_the_new_one_ends_sooner(self) -> None:
        """The message says so, and what to check."""
        old = certificate(NOW + 20 * DAY, serial_number=0xAA)
        sooner = certificate(NOW + 3 * DAY, serial_number=0xCC)
        message = composed(sooner, recorded=knowing(old, notified(21, old.fingerprint_sha256)))
        assert message.text == (
            "The certificate for nhs in prod was replaced by serial number cc, valid until 2026-11-25,"
            " sooner than the one before it (2026-12-12)"
        )
        assert message.next_step == (
            "Check that the right certificate was put into Secret nhs-client-cert, key tls.crt."
            " This one must be renewed as well, so the alerts continue."
        )

    def test_when_the_new_one_has_expired_meanwhile(self) -> None:
        """A channel that failed for a year does not get a message that all is well."""
        message = composed(self.NEW, self.NEW.not_after + DAY, recorded=knowing(self.NEW, self.TOLD))
        assert message.text.endswith("was replaced by serial number bb, which expired on 2027-12-27")
        assert message.next_step.endswith("so the alerts continue.")

    def test_when_nothing_had_ever_been_read(self) -> None:
        """No certificate was replaced: one was read for the first time."""
        message = composed(self.NEW, recorded=knowing(None, notified(-3, "")))
        assert (message.kind, message.reason) == (MessageKind.CLOSING, "SourceReadable")
        assert message.text == (
            "The certificate for nhs in prod can be read now: serial number bb, valid until 2027-12-27"
        )
        assert fact(message, "Replaces") == ""

    def test_when_the_first_readable_certificate_is_wrong(self) -> None:
        """The sentence includes the problem."""
        message = composed(certificate(common_name="acme"), recorded=knowing(None, notified(-3, "")))
        assert "can be read now" in message.text
        assert '; but the source holds a certificate of "acme", not of "nhs"' in message.text
        assert message.next_step == "The alerts continue until that is fixed."

    def test_when_the_new_one_is_missing_already(self) -> None:
        """The sentence says both: replaced, and missing."""
        message = composed(MISSING, recorded=knowing(self.NEW, self.TOLD))
        assert message.reason == "Renewed"
        assert message.text.endswith(f"; but {GONE}")


class TestFacts:
    def test_every_alert_has_these_facts(self) -> None:
        """Consumer, environment, time left and date, serial number, owner, contact: in this order."""
        assert composed(certificate(NOW + 13 * DAY + 5 * HOUR)).shown(contact=True) == (
            ("Consumer", "nhs"),
            ("Environment", "prod"),
            ("Time left", "13 days, 5 hours"),
            ("Expires", "2026-12-05 14:00 UTC"),
            ("Serial number", "1a2b3"),
            ("Owner", "integration-team"),
            ("Contact", "Jo Bloggs, jo@nhs.example (technical contact)"),
        )

    @pytest.mark.parametrize(
        ("contact", "shown", "step"),
        [
            (
                Contact(technical=Person("Jo", "jo@nhs.example"), business=Person("Sam", "sam@nhs.example")),
                "Jo, jo@nhs.example (technical contact)",
                "Ask the technical contact to renew it",
            ),
            (
                Contact(business=Person("", "sam@nhs.example"), slack_email="jo@gov.example"),
                "sam@nhs.example (business contact)",
                "Ask the business contact for a technical contact who can renew it",
            ),
            (
                Contact(technical=Person(" ", ""), business=Person("Sam Patel")),
                "Sam Patel (business contact)",
                "Ask the business contact for a technical contact who can renew it",
            ),
            (Contact(slack_member_id="U012AB3CD"), "U012AB3CD (in Slack)", "Ask the contact in Slack to renew it"),
            (
                Contact(lookup=("Slack",), pending=True),
                "is being looked up",
                "Ask the contact behind nhs to renew it (kubectl describe shows who it is as soon as that is known)",
            ),
            (
                Contact(lookup=("Slack", "Directory")),
                "none declared",
                "Find out who is behind nhs, add them to spec.contact and ask them to renew it",
            ),
        ],
    )
    def test_the_contact_is_the_first_known_one(self, contact: Contact, shown: str, step: str) -> None:
        """The technical contact, else the business contact, else Slack; and the next step fits."""
        message = composed(certificate(NOW + 14 * DAY), contact=contact)
        assert fact(message, "Contact") == shown
        assert message.next_step.startswith(step)

    @pytest.mark.parametrize("left", [200 * DAY, 14 * DAY, -DAY])
    @pytest.mark.parametrize("source", [None, MISSING])
    def test_names_of_people_are_in_the_contact_only(self, left: timedelta, source: Observation | None) -> None:
        """The other texts also go to places without personal data, such as Events."""
        seen = certificate(NOW + left)
        message = composed(source or seen, recorded=knowing(seen))
        assert message.contact == "Jo Bloggs, jo@nhs.example (technical contact)"
        everything_else = str(replace(message, contact=""))
        assert "Bloggs" not in everything_else
        assert "jo@" not in everything_else

    def test_without_an_owner_none_is_named(self) -> None:
        """The owner is optional."""
        assert fact(composed(certificate(NOW + DAY), owner=""), "Owner") == ""

    def test_the_source_of_the_renewed_certificate_is_named(self) -> None:
        """A bucket by its store and key."""
        message = composed(certificate(NOW + DAY), source=S3Source("backup-prod", "nhs/client.pem"))
        assert "put the renewed certificate into CertificateStore backup-prod, key nhs/client.pem" in message.next_step


class TestDetails:
    def test_for_a_closer_check(self) -> None:
        """The values of kubectl and openssl for comparison, the history, and the next alert."""
        seen = certificate(NOW + 13 * DAY + 5 * HOUR)
        history = (PreviousCertificate("99", NOW - 30 * DAY, NOW - 60 * DAY),)
        recorded = knowing(seen, notified(15, seen.fingerprint_sha256), history=history)
        assert composed(seen, recorded=recorded).details == (
            ("Object", "ClientCertificate nhs-prod in namespace integration"),
            ("Source", "Secret nhs-client-cert, key tls.crt"),
            ("Subject", "CN=nhs"),
            ("Issuer", "CN=Integration CA,O=Example"),
            ("Key", "RSA 2048"),
            ("Valid from", "2026-03-02 09:00 UTC"),
            ("SHA-256 fingerprint", seen.fingerprint_sha256),
            ("openssl x509 -serial", "serial=01A2B3"),
            ("Last message here", "2026-11-21 09:00 UTC"),
            ("Next alert here", "2026-11-22 14:00 UTC"),
            ("Before it", "serial number 99, valid until 2026-10-23, replaced on 2026-09-23"),
            ("Look closer", "kubectl describe clientcertificate nhs-prod --namespace integration"),
        )

    @pytest.mark.parametrize(
        ("serial_number", "shown"), [(1, "01"), (0xAB, "AB"), (0xABC, "0ABC"), (-1, "-01"), (0, "00")]
    )
    def test_the_serial_number_as_openssl_shows_it(self, serial_number: int, shown: str) -> None:
        """Whole octets in upper case."""
        message = composed(certificate(NOW + DAY, serial_number=serial_number))
        assert detail(message, "openssl x509 -serial") == f"serial={shown}"

    def test_when_the_schedule_has_ended(self) -> None:
        """The details name no next alert."""
        plan = policy(channel(schedule=Schedule(after_expiry_for_days=1)))
        assert detail(composed(certificate(NOW - HOUR), plan=plan), "Next alert here") == ""

    def test_it_belongs_to_its_object(self) -> None:
        """The message has the object's key and uid."""
        message = composed(certificate(NOW + DAY))
        assert (message.object_key, message.object_uid) == (KEY, UID)


class TestRunbook:
    @pytest.mark.parametrize("url", ["https://runbooks.example/x?a=1&b=2#c", "HTTP://runbooks.example"])
    def test_a_link_that_can_be_followed(self, url: str) -> None:
        """https or http."""
        assert composed(certificate(NOW + DAY), plan=policy(runbook_url=url)).runbook_url == url

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "javascript:alert(1)",
            "slack://channel",
            "https://x|label",
            "https://x>",
            "https://x y",
            "https://x\ny",
            "https://ex\u202eample",
            "https://" + "x" * 3000,
        ],
    )
    def test_anything_else_is_left_out(self, url: str) -> None:
        """A link that could break out of its markup is left out."""
        assert composed(certificate(NOW + DAY), plan=policy(runbook_url=url)).runbook_url == ""


HOSTILE = [
    "<!channel>",
    "@here",
    "<http://evil.example|click>",
    "*bold* `code` ~no~ _i_",
    "line\r\nBcc: x@evil.example",
    "\u202egnp.exe",
    "\u200b",
    "{duration}",
    "%s%n",
    "&lt;!channel&gt;",
    "x" * 10_000,
    "<" * 10_000,
    "é" * 10_000,
    "🔒" * 10_000,
    "\ud800",
]


class TestHostileValues:
    @pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:24]))
    @pytest.mark.parametrize("left", [14 * DAY, -DAY])
    def test_in_every_field_at_once(self, value: str, left: timedelta) -> None:
        """Each text of a message is one printable line within its limit, for any text in the object."""
        seen = certificate(NOW + left, common_name=value, issuer_dn=value, declared=value)
        message = composed(seen, declared=hostile(value), plan=policy(message=f"{{name}} {value}", runbook_url=value))
        check_texts(message)

    @pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:24]))
    def test_in_a_problem(self, value: str) -> None:
        """Texts from other systems are truncated and sanitized as well."""
        source = unread(Reason.SOURCE_UNAVAILABLE, value)
        check_texts(composed(source, declared=hostile(value), key=ObjectKey(value, value)))
        check_texts(composed(source, declared=hostile(value), recorded=knowing(certificate(NOW + DAY))))

    @given(st.text(st.characters(), max_size=400), st.text(st.characters(), max_size=400))
    def test_any_text_at_all(self, one: str, other: str) -> None:
        """The same for any text from Hypothesis."""
        seen = certificate(NOW + 14 * DAY, common_name=one, issuer_dn=other, declared=one)
        check_texts(composed(seen, declared=hostile(one), plan=policy(message=other + "{name}", runbook_url=other)))

    def test_a_name_that_fits_is_whole(self) -> None:
        """The default sentence is exact up to the longest name that a Kubernetes object may have."""
        name = "n" * 253
        message = composed(certificate(NOW + 14 * DAY), consumer=name)
        assert message.text == DEFAULT_MESSAGE.format(name=name, environment="prod", duration=14)


def hostile(value: str) -> CertificateSpec:
    person = Person(value, value)
    return declaration(
        consumer=value,
        environment=value,
        owner=value,
        contact=Contact(technical=person),
        source=SecretSource(value, value),
    )


def check_texts(message: Message) -> None:
    pairs = [*message.shown(contact=True), *message.details]
    for text in [message.text, message.next_step, *(value for _, value in pairs)]:
        assert text.isprintable()
        assert text.strip() == text
        text.encode()
    assert len(message.text) <= LONGEST_TEXT
    assert len(message.next_step) <= LONGEST_STEP
    assert all(0 < len(value) <= 1000 for _, value in pairs if value)
    assert len(pairs) < 25
