"""When a certificate may be renewed, and how its status says where its renewal stands."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.renewal.situation import RenewalSituation, RequestSummary
from clientcert.lifecycle.renewal.standing import Standing, standing
from clientcert.lifecycle.renewal.status import FINAL, State
from clientcert.lifecycle.renewal.vetting import vetted_until, vetting_condition, vetting_warning
from clientcert.lifecycle.renewal.window import Window, renewal_window
from clientcert.lifecycle.spec import ObjectKey
from clientcert.pki.certificate import Certificate, Expiry
from tests.builders import DAY, SECOND, assessment, certificate, declaration, evaluation, policy
from tests.unit.renewal.asking import DEFAULTS, ENDS, ISSUED

CURRENT = certificate(ENDS, not_before=ISSUED)
OPENS = ISSUED + 183 * DAY
VETTED = ISSUED.date() - timedelta(days=1826 - 300)
"""It lapses 300 days after the issue."""
ALWAYS = replace(DEFAULTS, opens_days_after_issue=0)


def request(state: State, **changes: object) -> RequestSummary:
    ended = OPENS if state in FINAL else None
    key, serial = ObjectKey("integration", "nhs-prod-1"), CURRENT.serial_number
    plain = RequestSummary(key, "uid-1", OPENS, state, "Renew", "", serial, 0x5B, None, False, ended, "")
    return replace(plain, **changes)


def seen(now: datetime, situation: RenewalSituation | None, of: Certificate | None = CURRENT) -> Evaluation:
    return replace(evaluation(assessment(of, now), policy()), renewal=situation)


def reason_at(now: datetime, of_policy: RenewalPolicy = DEFAULTS, **facts: object) -> str:
    return standing(seen(now, RenewalSituation(of_policy, **facts))).reason  # type: ignore[arg-type]


class TestTheWindow:
    def test_it_opens_half_a_year_after_the_issue(self) -> None:
        """And closes with the certificate; both ends belong to it."""
        window = renewal_window(CURRENT, DEFAULTS, 30)
        assert window == Window(OPENS, ENDS)
        moments = (OPENS - SECOND, OPENS, ENDS, ENDS + SECOND)
        assert [window.is_open(each) for each in moments] == [False, True, True, False]

    def test_never_later_than_the_alerts_begin(self) -> None:
        """Nobody is asked to renew what cannot be renewed yet."""
        short = certificate(ISSUED + 90 * DAY, not_before=ISSUED)
        assert renewal_window(short, DEFAULTS, 30).opens == ISSUED + 60 * DAY
        assert renewal_window(short, DEFAULTS, 365).opens == ISSUED

    def test_alerts_count_from_the_first_of_the_chain_to_end(self) -> None:
        """Its issuer may end before it; it closes with the certificate itself."""
        issuer = Expiry(ISSUED + 100 * DAY, "CN=Issuing CA", "1", "00")
        window = renewal_window(replace(CURRENT, ends_first=issuer), DEFAULTS, 30)
        assert window == Window(ISSUED + 70 * DAY, ENDS)

    def test_always(self) -> None:
        """With 0, and for a certificate of a CA that no longer signs."""
        assert renewal_window(CURRENT, ALWAYS, 30) == Window(ISSUED, ENDS)
        assert renewal_window(CURRENT, DEFAULTS, 30, of_former_ca=True) == Window(ISSUED, ENDS)

    @given(
        st.datetimes(timezones=st.just(UTC)),
        st.datetimes(timezones=st.just(UTC)),
        st.integers(0, 3650),
        st.integers(1, 3650),
    )
    def test_any_dates(self, one: datetime, other: datetime, after: int, before: int) -> None:
        """From year 1 to 9999: it never opens before notBefore, nor after the alerts begin."""
        not_before, not_after = sorted((one, other))
        found = certificate(not_after, not_before=not_before)
        window = renewal_window(found, replace(DEFAULTS, opens_days_after_issue=after), before)
        assert window.opens >= not_before
        assert window.closes == not_after
        assert window.opens == not_before or not_after - window.opens >= timedelta(days=before)


class TestWhereItStands:
    def test_in_the_life_of_a_certificate(self) -> None:
        """Too early, renewable, expired; to the second."""
        moments = (OPENS - SECOND, OPENS, ENDS, ENDS + SECOND)
        assert [reason_at(each) for each in moments] == ["TooEarly", "Renewable", "Renewable", "Expired"]

    def test_what_is_never_renewed_here(self) -> None:
        """Without a renewal in the policy, and a host's certificate."""
        assert standing(seen(OPENS, None)).reason == "NotConfigured"
        host = assessment(CURRENT, OPENS, declared=declaration(profile="Host"))
        found = replace(evaluation(host, policy()), renewal=RenewalSituation(DEFAULTS))
        assert (standing(found).reason, standing(found).renewable) == ("HostCertificate", False)

    def test_before_the_first_certificate(self) -> None:
        """There is no window yet."""
        found = standing(seen(OPENS, RenewalSituation(DEFAULTS), of=None))
        assert (found.reason, found.window, found.recorded("").opens) == ("NoCertificate", None, None)
        assert found.next_change(OPENS) is None

    def test_revoked(self) -> None:
        """It may not be renewed, only reissued."""
        found = standing(seen(OPENS, RenewalSituation(DEFAULTS, revoked=True)))
        assert (found.reason, found.condition.status) == ("Revoked", "False")
        assert "Reissue" in found.message

    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            (State.CHECKING, "Requested"),
            (State.WAITING, "Requested"),
            (State.AWAITING_APPROVAL, "Requested"),
            (State.APPROVED, "InProgress"),
            (State.ISSUED, "InProgress"),
            (State.DELIVERED, "InProgress"),
        ],
    )
    def test_an_open_request(self, state: State, expected: str) -> None:
        """It is named, with what it waits for; also for a certificate that has expired."""
        for now in (OPENS, ENDS + DAY):
            asked = request(state, waits_for="approval")
            found = standing(seen(now, RenewalSituation(DEFAULTS, open_request=asked)))
            assert found.reason == expected
            assert "nhs-prod-1" in found.message
            assert "waits for: approval" in found.message
            assert found.recorded("h").request_name == "nhs-prod-1"
            assert found.renewable == (now == OPENS)

    @pytest.mark.parametrize(("state", "expected"), [(State.REFUSED, "Refused"), (State.DENIED, "Denied")])
    def test_after_a_refusal(self, state: State, expected: str) -> None:
        """Another request may be made while the window is open; a refusal about an older certificate is past."""
        ended = request(state, reason="SubjectUnchanged")
        found = standing(seen(OPENS, RenewalSituation(DEFAULTS, last_ended=ended)))
        assert (found.reason, found.renewable) == (expected, True)
        older = replace(ended, old_serial=0x77)
        assert reason_at(OPENS, last_ended=older) == "Renewable"
        assert reason_at(OPENS, last_ended=request(State.ENDED)) == "Renewable"

    def test_renewed_but_not_in_the_source(self) -> None:
        """Also after the old one has ended: what is left to do is to put the new one there."""
        done = request(State.DONE, delivered=OPENS)
        for now in (OPENS, ENDS + DAY):
            found = standing(seen(now, RenewalSituation(DEFAULTS, last_ended=done, last_delivered=done)))
            assert (found.reason, "clientcert retrieve nhs-prod-1" in found.message) == ("Renewed", True)

    def test_renewed(self) -> None:
        """Until the new one may be renewed in its turn."""
        done = request(State.DONE, delivered=ISSUED, old_serial=0x77, new_serial=CURRENT.serial_number)
        found = RenewalSituation(DEFAULTS, last_ended=done, last_delivered=done)
        assert standing(seen(OPENS - SECOND, found)).reason == "Renewed"
        assert standing(seen(OPENS, found)).reason == "Renewable"

    def test_the_clock_changes_it_twice(self) -> None:
        """In between nothing is written, whatever the time: messages hold no moving ones."""
        found = [standing(seen(ISSUED + days * DAY, RenewalSituation(DEFAULTS))) for days in range(396)]
        assert len(set(map(_words, found))) == 2
        first = found[0]
        assert first.next_change(ISSUED) == OPENS
        assert first.next_change(OPENS) == ENDS + SECOND
        assert first.next_change(ENDS + SECOND) is None

    def test_the_condition(self) -> None:
        """Its reason and message are those of status.renewal."""
        found = standing(seen(OPENS, RenewalSituation(DEFAULTS)))
        assert found.condition.type == "Renewable"
        assert (found.condition.status, found.condition.reason) == ("True", "Renewable")
        recorded = found.recorded("uid=1")
        assert (recorded.opens, recorded.closes, recorded.declared_hash) == (OPENS, ENDS, "uid=1")
        assert recorded.message == found.condition.message


def _words(found: Standing) -> tuple[str, str]:
    return found.reason, found.message


class TestAVettingThatLapses:
    def test_before_the_certificate_ends(self) -> None:
        """It is said beforehand, with the date; not where vetting is not asked for."""
        asked = replace(DEFAULTS, max_vetting_age_days=1826)
        until = vetted_until(date(2022, 3, 1), 1826)
        assert until == datetime(2027, 3, 1, tzinfo=UTC)
        assert "2027-03-01" in vetting_warning(date(2022, 3, 1), asked, until)
        assert vetting_warning(date(2022, 3, 1), asked, until - SECOND) == ""
        assert "no vetting" in vetting_warning(None, asked, until)
        assert vetting_warning(None, DEFAULTS, until) == ""

    def test_the_condition_warns_before_it_lapses(self) -> None:
        """And says when it has, or there is none; without `maxVettingAgeDays` there is no condition."""
        asked, until = replace(DEFAULTS, max_vetting_age_days=1826), vetted_until(VETTED, 1826)

        def reason(now: datetime, ends: datetime, vetting: date | None = VETTED) -> tuple[str, str]:
            found = vetting_condition(vetting, asked, now, ends)
            assert found is not None
            return found.status, found.reason

        assert reason(until - DAY, until - SECOND) == ("True", "Vetted")
        assert reason(until - DAY, until) == ("False", "VettingLapses")
        assert reason(until, until + DAY) == ("False", "VettingRequired")
        assert reason(until - DAY, until, None) == ("False", "VettingRequired")
        assert vetting_condition(None, DEFAULTS, until, until) is None

    def test_without_it_nothing_is_renewable(self) -> None:
        """The check would refuse it; to the second. An open request is shown all the same."""
        asked = replace(DEFAULTS, max_vetting_age_days=1826)
        lapses = vetted_until(VETTED, 1826)
        alone = RenewalSituation(replace(asked, opens_days_after_issue=0))
        for now, expected in ((lapses - SECOND, ("Renewable", True)), (lapses, ("VettingRequired", False))):
            found = replace(seen(now, alone), spec=declaration(vetting_date=VETTED))
            assert (standing(found).reason, standing(found).renewable) == expected
            assert standing(found).next_change(lapses - SECOND) == lapses
        assert reason_at(OPENS, asked, open_request=request(State.CHECKING)) == "Requested"
