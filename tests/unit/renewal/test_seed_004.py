"""The plan that the operator took over (`seed-004`, the OSG PKI's of 2013), one test a sentence, under its policy.

Each docstring is the plan's sentence; what is left out names a person or a ticket. Beside it stands what the milder
defaults allow. The decision page (docs/decisions/renewal.md) says what was taken over, and why.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import pkcs7

from clientcert.api.renewal import parse_renewal_spec
from clientcert.delivery.pkcs7 import certificates_only
from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Observation
from clientcert.lifecycle.contacts import Recipient, Role, batch_of, resolve_email
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel, ContactPolicy, EmailAddress, Schedule
from clientcert.lifecycle.renewal.approval import needs_approval
from clientcert.lifecycle.renewal.checks import Facts, run_checks
from clientcert.lifecycle.renewal.due_notices import due_notices
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.naming import request_name
from clientcert.lifecycle.renewal.outcome_rules import planned_end
from clientcert.lifecycle.renewal.policy import DeliverySettings, DeliveryType, KeyChange, KeySettings
from clientcert.lifecycle.renewal.progress import Progress, Step
from clientcert.lifecycle.renewal.request_rules import requester_of
from clientcert.lifecycle.renewal.spec import Mode, RevocationReason
from clientcert.lifecycle.renewal.state import decide
from clientcert.lifecycle.renewal.status import Issuance, RenewalStatus, State
from clientcert.lifecycle.renewal.subject import planned_names
from clientcert.lifecycle.renewal.vetting import vetted_until
from clientcert.lifecycle.spec import HOST, Contact, Person
from clientcert.messages.renewal_facts import RenewalFacts
from clientcert.messages.renewal_letters import renewal_letter
from tests.builders import CREATED, DAY, KEY, SECOND, UID, assessment, certificate, declaration, evaluation
from tests.builders import policy as alert_policy
from tests.unit.lifecycle.timeline import Timeline
from tests.unit.renewal.asking import (
    CSR,
    CURRENT,
    DEFAULTS,
    EMAIL,
    ENDS,
    ISSUED,
    NOW,
    OSG,
    asked,
    csr_pem,
    current,
    facts,
    holder,
    issue,
    outcome,
    proof,
    refused_by,
)

HALF_A_YEAR = ISSUED + 183 * DAY
VETTED_AT = datetime(2021, 9, 1, tzinfo=UTC)
FIVE_YEARS = datetime(2026, 9, 1, tzinfo=UTC)
"""1826 days after it: one leap day lies between."""
WEEKLY = Schedule(start_days_before=30, every_days=7)
OWNER = Channel("owner", "Email", WEEKLY, EmailAddress())
AUTOMATIC = replace(OSG, automatic=True)


def host(name: str, *, batch: str = "2026-spring") -> object:
    requester = Contact(requester=Person("", "ops@nhs.example"))
    spec = declaration(consumer=name, profile=HOST, batch=batch, contact=requester)
    return batch_of("integration", spec)


def steps(found: Facts) -> tuple[Step, State]:
    """The operator's first step with this request."""
    verdicts, reason = run_checks(found), needs_approval(found, ())
    decision = decide(Progress(found.now, found.renewal, RenewalStatus(), verdicts=verdicts, needs_approval=reason))
    return decision.step, decision.status.state


class TestIntroduction:
    def test_what_a_renewal_is(self) -> None:
        """“A user obtain a new certificate for the same DN and key pair, but with a refreshed expiration date.”

        By default another key is as good: rotating it costs nothing.
        """
        same_key = holder(csr=csr_pem(CURRENT.private_key), proof_pem=proof(csr_pem(CURRENT.private_key)))
        found = replace(same_key, policy=replace(OSG, key=KeySettings(KeyChange.REUSE)))
        names = planned_names(found.current_der, found.policy, found.certificate)
        assert names.subject_der == CURRENT.certificate.subject.public_bytes()
        assert planned_end(found) > ENDS
        assert outcome(facts(csr=CSR)) is None


class TestSupportedModesOfRenewal:
    def test_users_may_request(self) -> None:
        """“Users may request renewal of their own user certificate via either a new CLI script or the web (OIM).”

        The proof by the current key tells whose request it is. (There is no web page yet.)
        """
        assert outcome(holder()) is None
        assert requester_of(holder()) == "Holder"

    def test_ras_may_not_request(self) -> None:
        """“RAs may not request renewal of a user's certificate.”

        By default the team asks on the consumer's behalf, who answered a letter by mail.
        """
        assert (refused_by(facts(OSG)), outcome(facts(OSG))) == ("PossessionProved", Reason.REQUESTER_NOT_ALLOWED)
        assert outcome(facts(DEFAULTS)) is None

    def test_a_valid_certificate(self) -> None:
        """“User must have valid certificate and be registered with OIM.”

        To its last second, by default too. Registered is who has a ClientCertificate.
        """
        assert [outcome(holder(now=each)) for each in (ENDS, ENDS + SECOND)] == [None, Reason.EXPIRED]
        assert [outcome(facts(now=each)) for each in (ENDS, ENDS + SECOND)] == [None, Reason.EXPIRED]
        assert outcome(holder(revoked=RevocationReason.SUPERSEDED)) is Reason.REVOKED

    def test_no_guests(self) -> None:
        """“No guest/un-authenticated renewal.”

        A proof by another certificate's key is none. By default the user of the cluster is known who asks.
        """
        assert outcome(holder(proof_pem=proof(CSR, issue()))) is Reason.PROOF_INVALID
        assert outcome(facts(OSG)) is Reason.REQUESTER_NOT_ALLOWED
        assert facts(DEFAULTS).renewal.requested_by == "sam"

    @pytest.mark.parametrize(
        "refused",
        [
            holder(now=ENDS + SECOND),
            holder(revoked=RevocationReason.KEY_COMPROMISE, revocation_time=NOW - DAY),
            holder(contact_email="new@nhs.example", refused_time=NOW - DAY),
            facts(OSG, csr=csr_pem(subject=(("CN", "other"),)), refused_time=NOW - DAY),
        ],
    )
    def test_the_way_back(self, refused: Facts) -> None:
        """“If renewal cannot be accomplished for any reason, the user must re-request and be vetted.”

        A later vetting, mode Reissue, and a person who approves; by default, too.
        """
        again = replace(refused.renewal, mode=Mode.REISSUE, proof_pem="")
        for policy in (AUTOMATIC, DEFAULTS):
            unvetted = replace(refused, renewal=again, request=asked(CSR), policy=policy, vetting_date=date(2026, 1, 1))
            vetted = replace(unvetted, vetting_date=refused.now.date())
            assert outcome(refused) is not None
            assert outcome(unvetted) is Reason.VETTING_REQUIRED
            assert steps(vetted) == (Step.AWAIT_APPROVAL, State.AWAITING_APPROVAL)

    def test_the_vetting_is_less_than_five_years_old(self) -> None:
        """“Renewal can only be done if the vetting is less than 5-years old.”

        By default nobody asks when a consumer was vetted.
        """
        moments = (FIVE_YEARS - SECOND, FIVE_YEARS, FIVE_YEARS + SECOND)
        found = [outcome(holder(now=each, vetting_date=VETTED_AT.date())) for each in moments]
        assert found == [None, Reason.VETTING_REQUIRED, Reason.VETTING_REQUIRED]
        assert outcome(holder(vetting_date=None)) is Reason.VETTING_REQUIRED
        assert outcome(facts(DEFAULTS, vetting_date=None)) is None

    def test_the_current_email_address(self) -> None:
        """“The user's current email address in OIM must match the email address in their certificate.”

        By default, too; a certificate without an address has nothing to match.
        """
        for policy in (OSG, replace(DEFAULTS, proof_required=True)):
            assert outcome(holder(policy, contact_email="jo.bloggs@nhs.example")) is Reason.EMAILS_CHANGED
            assert outcome(holder(policy, contact_email=EMAIL)) is None
        assert outcome(facts(issued=issue(emails=()), contact_email="anybody@nhs.example")) is None

    def test_unchanged_attributes(self) -> None:
        """“To comply with policy on unchanged attributes.”

        A team that wants it otherwise says so with requireUnchanged; the certificate keeps its names all the same.
        """
        loose = replace(DEFAULTS, require_unchanged=frozenset())
        assert outcome(facts(loose, contact_email="jo.bloggs@nhs.example")) is None


class TestNotToBeSupported:
    def test_host_certificates(self) -> None:
        """“Host certificate renewal. Host certificates, as with the DOE Grids PKI, will be requested each time.”

        By default, too.
        """
        for found in (holder(), facts(DEFAULTS)):
            spec = replace(found.certificate, profile=HOST)
            assert outcome(replace(found, certificate=spec)) is Reason.HOST_CERTIFICATE

    def test_they_are_told_of(self) -> None:
        """“A email notification about expiring host certificates will be generated and sent.”

        They alert as any other certificate does.
        """
        life = Timeline(alert_policy(OWNER), Observation(certificate=certificate(ENDS, not_before=ISSUED)))
        life.reconcile(ENDS - 30 * DAY)
        assert [each.kind for each in life.sent] == [MessageKind.ALERT]

    def test_one_mail_a_group(self) -> None:
        """“One email will be sent for each group of host certificates from a bulk request.”

        (tests/unit/engine/test_batch_letters.py shows the letter.)
        """
        assert host("a") == host("b") is not None
        assert host("a") != host("c", batch="2026-autumn")


class TestCertificateLifecycle:
    def test_months_0_to_6(self) -> None:
        """“0-6 months: Certificate cannot be renewed.”

        By default, too.
        """
        for found in (holder(), facts(DEFAULTS)):
            moments = (ISSUED, HALF_A_YEAR - SECOND)
            assert [outcome(replace(found, now=each)) for each in moments] == [Reason.TOO_EARLY, Reason.TOO_EARLY]

    def test_no_accidents(self) -> None:
        """“To prevent multiple accidental renewals.”

        The renewed one is too young to be renewed; and asked twice for the same, it is the same request.
        """
        renewed = issue(not_before=NOW, not_after=NOW + 395 * DAY, private_key=CURRENT.private_key)
        assert outcome(facts(issued=renewed, now=NOW + DAY)) is Reason.TOO_EARLY
        names = {request_name("nhs-prod", CURRENT.serial_number_hex, asked(CSR).key_hash, Mode.RENEW) for _ in "12"}
        assert len(names) == 1

    def test_not_enforced_for_tests(self) -> None:
        """“Note that OIM-ITB will not enforce this restriction to allow for testing.”

        opensDaysAfterIssue: 0. A second later the new one ends later than the old one.
        """
        assert outcome(holder(replace(OSG, opens_days_after_issue=0), now=ISSUED + SECOND)) is None

    def test_months_7_to_12(self) -> None:
        """“7-12 months: Certificate can be renewed.”

        By default, too.
        """
        for found in (holder(), facts(DEFAULTS)):
            moments = (HALF_A_YEAR, HALF_A_YEAR + SECOND, ENDS - 30 * DAY)
            assert [outcome(replace(found, now=each)) for each in moments] == [None, None, None]

    def test_the_last_month(self) -> None:
        """“12-13 months: Weekly email notifications are sent to certificate owner reminding them of renewal.”

        By default daily: see `seed-000`.
        """
        days = [each for each in range(40, 0, -1) if _is_told(ENDS - each * DAY)]
        assert days == [30, 23, 16, 9, 2]
        assert not _is_told(ENDS - 30 * DAY - SECOND)

    def test_notifications_stop(self) -> None:
        """“Once renewed, notifications will stop.”

        After one closing message.
        """
        old = certificate(ENDS, not_before=ISSUED)
        life = Timeline(alert_policy(OWNER), Observation(certificate=old))
        life.reconcile(ENDS - 30 * DAY)
        life.source = Observation(certificate=certificate(ENDS + 300 * DAY, serial_number=7, not_before=NOW))
        for day in range(25):
            life.reconcile(ENDS - (25 - day) * DAY)
        assert [each.kind for each in life.sent] == [MessageKind.ALERT, MessageKind.CLOSING]

    def test_one_mail_about_hosts(self) -> None:
        """“A single email notification is sent to the original requestor of host certificates.”

        repeat: {onDays: [30]}.
        """
        once = replace(OWNER, schedule=Schedule(30, on_days=(30,)))
        life = Timeline(alert_policy(once), Observation(certificate=certificate(ENDS, not_before=ISSUED)))
        for day in range(60, 0, -1):
            life.reconcile(ENDS - day * DAY)
        assert [each.stage for each in life.sent] == [30]

    def test_month_13(self) -> None:
        """“13 months: Certificate expires, cannot be renewed.”

        By default, too: only reissued, after a vetting.
        """
        for found in (holder(), facts(DEFAULTS)):
            assert refused_by(replace(found, now=ENDS + SECOND)) == "InDate"

    def test_by_policy(self) -> None:
        """“By policy, user vetting is required every 5 years and renewal is only possible if user has been vetting in past 5 years.”

        A vetting of this year counts again, until five years from now.
        """  # noqa: E501
        late = holder(now=FIVE_YEARS, vetting_date=VETTED_AT.date())
        assert outcome(late) is Reason.VETTING_REQUIRED
        assert outcome(replace(late, vetting_date=FIVE_YEARS.date())) is None
        assert vetted_until(FIVE_YEARS.date(), 1826) == datetime(2031, 9, 1, tzinfo=UTC)


class TestNotification:
    def test_weekly_reminders(self) -> None:
        """“Starting one month from expiration, weekly reminders are sent to the user.”

        To the technical contact; to the second.
        """
        assert [_is_told(ENDS - 30 * DAY + shift) for shift in (-SECOND, timedelta(0))] == [False, True]
        first = resolve_email(declaration(), ContactPolicy(), None).recipients[0]
        assert (first.role, first.address) == (Role.TECHNICAL, EMAIL)

    def test_hosts(self) -> None:
        """“Or to the requestor if for a host certificate.”

        spec.contact.requester.
        """
        spec = declaration(profile=HOST, contact=Contact(requester=Person("", "ops@nhs.example")))
        assert [each.role for each in resolve_email(spec, ContactPolicy(), None).recipients] == [Role.REQUESTER]

    def test_on_renewal(self) -> None:
        """“On renewal, an email is sent to the user and relevant RAs/GAs notifying them of the renewal and asking them to contact the GOC if the renewal is unauthorized.”

        (The user's brings the certificate, and is its delivery; where that is handed over, it is a mail of its own.)
        """  # noqa: E501
        letters = _letters_about_the_issuance()
        assert {role for role, _ in letters} == {Role.TECHNICAL, Role.AUTHORITY}
        assert all("the GOC, +1 317 278 9699" in text for _, text in letters)

    def test_an_unauthorized_renewal(self) -> None:
        """“An example of an unauthorized renewal would be a user who has left a VO.”

        Whoever hears of it in time denies it: nothing is signed.
        """
        assert steps(holder()) == (Step.AWAIT_APPROVAL, State.AWAITING_APPROVAL)


class TestImplementationDecisions:
    def test_the_csr_is_used_again(self) -> None:
        """“We will re-use the CSR from the original request.”

        With --reuse; by default a new CSR or public key may come instead.
        """
        original = csr_pem(CURRENT.private_key)
        spec = replace(holder().renewal, csr_pem="", reuse=True, proof_pem=proof(original))
        assert outcome(holder(renewal=spec, request=asked(original))) is None
        assert outcome(facts(DEFAULTS, csr=CSR)) is None


class TestTheApi:
    def test_it_starts_and_returns(self) -> None:
        """“This API *starts* renewing certificate, will not wait until it's issued.”

        The object is all: its state tells where it stands.
        """
        assert steps(holder()) == (Step.AWAIT_APPROVAL, State.AWAITING_APPROVAL)
        assert steps(holder(AUTOMATIC)) == (Step.WRITE_AHEAD, State.APPROVED)

    def test_its_input(self) -> None:
        """“Inputs: DN and serial number of certificate to be renewed.”

        The serial number must be the current one.
        """
        other = replace(holder().renewal, serial_number="4af2")
        assert outcome(holder(renewal=other)) is Reason.NOT_CURRENT

    def test_the_dn_is_ignored(self) -> None:
        """“It is expected that the DN will be ignored today, but we send it in case it's useful for debugging.”

        spec.subjectDN is told, and not trusted.
        """
        spec = {"certificateRef": {"name": "nhs-prod"}, "serialNumber": "4af2", "requestedBy": "sam", "reuse": True}
        assert parse_renewal_spec(spec) == parse_renewal_spec({**spec, "subjectDN": "CN=admin"})

    def test_its_output(self) -> None:
        """“Output: request_id to be renewed.”

        The object's name, known before it is made.
        """
        name = request_name("nhs-prod", "4af2", asked(CSR).key_hash, Mode.RENEW)
        assert name.startswith("nhs-prod-")
        assert name != request_name("nhs-prod", "4af2", asked(csr_pem(CURRENT.private_key)).key_hash, Mode.RENEW)

    def test_it_is_asked_for_repeatedly(self) -> None:
        """“CLI will call this repeatedly until certificate is issued by DigiCert.”

        Asked again before that, the request is the same, and says what it waits for.
        """
        awaiting = Progress(NOW, holder().renewal, RenewalStatus(), verdicts=run_checks(holder()), needs_approval="…")
        first = decide(awaiting)
        assert (first.waits_for, decide(replace(awaiting, status=first.status))) == ("approval", first)

    def test_what_is_retrieved(self) -> None:
        """“Output: pkcs7, and pem encoded certificate/intermediate certificates.”

        (`clientcert retrieve ID [--wait] -o pem|pkcs7` calls repeatedly until it is issued.)
        """
        text = CURRENT.chain_pem.decode()
        assert pkcs7.load_pem_pkcs7_certificates(certificates_only(text).encode()) == [
            CURRENT.certificate,
            *CURRENT.authorities,
        ]


class TestRelevantPolicies:
    def test_in_short(self) -> None:
        """“A certificate can be automatically renewed if not expired, nothing has changed, it hasn't been compromised and it has been less than 5 years since manual RA vetting.”

        By default nothing is automatic.
        """  # noqa: E501
        assert steps(holder(AUTOMATIC)) == (Step.WRITE_AHEAD, State.APPROVED)
        broken = (
            holder(AUTOMATIC, now=ENDS + SECOND),
            holder(AUTOMATIC, contact_email="new@nhs.example"),
            holder(AUTOMATIC, compromised_key=True),
            holder(AUTOMATIC, now=FIVE_YEARS, vetting_date=VETTED_AT.date()),
        )
        assert {steps(each) for each in broken} == {(Step.REFUSE, State.REFUSED)}
        assert needs_approval(holder(AUTOMATIC), ("contact",)) != ""
        assert needs_approval(facts(DEFAULTS), ()) != ""

    def test_the_last_bit(self) -> None:
        """“Note the last bit, we should send email to the user on renewal.”

        Also where nobody had to approve: the mail with the certificate, or one about it.
        """
        assert Role.TECHNICAL in {role for role, _ in _letters_about_the_issuance()}

    def test_1_the_validity_period(self) -> None:
        """“The associated public key has not reached the end of its validity period.”"""
        assert [outcome(holder(now=each)) for each in (ENDS, ENDS + SECOND)] == [None, Reason.EXPIRED]

    def test_2_unchanged(self) -> None:
        """“The Subscriber name and attributes are unchanged.”"""
        renamed = csr_pem(subject=(("O", "NHS England"), ("CN", "nhs")))
        assert outcome(facts(OSG, csr=renamed, proof_pem=proof(renamed))) is Reason.SUBJECT_CHANGED
        assert outcome(holder(contact_email="new@nhs.example")) is Reason.EMAILS_CHANGED

    def test_3_uncompromised(self) -> None:
        """“The associated private key remains un compromised.”"""
        assert outcome(holder(compromised_key=True)) is Reason.KEY_NOT_ALLOWED
        assert outcome(holder(revoked=RevocationReason.KEY_COMPROMISE)) is Reason.REVOKED

    def test_4_no_re_verification(self) -> None:
        """“Re-verification of the Subscriber's identity is not required under Section 3.3.1.”"""
        found = holder(now=FIVE_YEARS - SECOND, vetting_date=VETTED_AT.date())
        assert [outcome(replace(found, now=each)) for each in (found.now, FIVE_YEARS)] == [
            None,
            Reason.VETTING_REQUIRED,
        ]

    def test_13_months(self) -> None:
        """“OSG certificates have a validity period of 13 months.”

        By default, too, and never longer than the CA.
        """
        assert planned_end(holder()) == NOW + 395 * DAY
        assert planned_end(facts(DEFAULTS, authority_not_after=NOW + 100 * DAY)) == NOW + 100 * DAY

    def test_up_to_five_years(self) -> None:
        """“OSG may rekey/renew certificates prior to their expiration date for additional 13 month periods up to a maximum of five years.”

        One vetting, renewed a week before each end: the sixth time it is refused.
        """  # noqa: E501
        issued, ends, periods = ISSUED, ENDS, 0
        while periods < 10:
            now = ends - 7 * DAY
            of = issue(not_before=issued, not_after=ends)
            signed = proof(CSR, of, "-cades")
            found = facts(OSG, issued=of, now=now, vetting_date=ISSUED.date(), proof_pem=signed)
            if outcome(replace(found, current=current(of, now=now))) is not None:
                break
            issued, ends, periods = now, planned_end(found), periods + 1
        assert (periods, refused_by(found)) == (4, "Vetted")
        assert ISSUED + 4 * 365 * DAY < ends < ISSUED + 5 * 395 * DAY

    def test_revalidation(self) -> None:
        """“OSG or a Trusted Agent revalidates the certificate information at least once every five years.”

        `clientcert vet` records it: with a new date the next five years begin.
        """
        found = holder(now=FIVE_YEARS, vetting_date=FIVE_YEARS.date() - timedelta(days=1))
        assert outcome(found) is None

    def test_no_additional_verification(self) -> None:
        """“No additional verification is required if the certificate subject information has not changed and less than five years have passed since the certificate's information was verified.”"""  # noqa: E501
        assert outcome(holder(now=FIVE_YEARS - SECOND, vetting_date=VETTED_AT.date())) is None

    def test_a_trusted_agent(self) -> None:
        """“A Trusted Agent must represent that the renewal request is authorized.”

        approval: Manual, by default, too: somebody with the verb approve.
        """
        assert steps(holder()) == steps(facts(DEFAULTS)) == (Step.AWAIT_APPROVAL, State.AWAITING_APPROVAL)

    def test_contact_information(self) -> None:
        """“The OSG Operator shall use contact information provided by the Subscriber to notify the Subscriber of the certificate's issuance.”

        The contact of record, also where the registration authority hears it.
        """  # noqa: E501
        assert Role.TECHNICAL in {role for role, _ in _letters_about_the_issuance()}


def _is_told(now: datetime) -> bool:
    """True if the owner gets a mail at that moment, having got all before."""
    life = Timeline(alert_policy(OWNER), Observation(certificate=certificate(ENDS, not_before=ISSUED)))
    for day in range(45, 0, -1):
        if ENDS - day * DAY < now:
            life.reconcile(ENDS - day * DAY)
    before = len(life.sent)
    life.reconcile(now)
    return len(life.sent) > before


def _letters_about_the_issuance() -> set[tuple[Role, str]]:
    """The letters about a certificate that is handed over, with all their words."""
    recipient = Recipient(Role.TECHNICAL, EMAIL)
    of = evaluation(assessment(certificate(ENDS, not_before=ISSUED), NOW), alert_policy(OWNER), first=Role.TECHNICAL)
    issuance = Issuance("5b", NOW, NOW + 395 * DAY, "", "", "", "")
    status = RenewalStatus(State.ISSUED, issuance=issuance, certificate_pem=CURRENT.certificate_pem.decode())
    by_hand = replace(OSG, delivery=DeliverySettings(DeliveryType.NONE))
    renewal = RenewalEvaluation(KEY, UID, CREATED, NOW, facts(OSG).renewal, status, of, by_hand, recipient)
    found = RenewalFacts.of(renewal, of, "ca@example.org")
    letters = [renewal_letter(renewal, each, found) for each in due_notices(renewal, has_mail_server=True)]
    return {(each.recipient.role, " ".join(part.text for part in each.parts)) for each in letters if each is not None}
