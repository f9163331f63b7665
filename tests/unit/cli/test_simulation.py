"""`clientcert forecast` predicts the engine's messages: both simulate the same month."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.cli.simulation import KnownCertificate, simulate
from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Observation, Problem, unread
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.policy import AlertPolicy, Schedule
from clientcert.lifecycle.recorded_status import CertificateStatus, Condition
from clientcert.lifecycle.spec import CertificateSpec, Silence
from clientcert.pki.certificate import Certificate
from tests.builders import CREATED, DAY, HOUR, KEY, NOW, certificate, channel, declaration, notified, policy
from tests.unit.lifecycle.test_schedule import schedules
from tests.unit.lifecycle.timeline import Timeline

MONTH = 30 * DAY
MISSING = unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it")
OF_ACME = Observation(problem=Problem(Phase.INVALID, Reason.IDENTITY_MISMATCH, "of acme"))
NOT_YET = Observation(problem=Problem(Phase.NOT_YET_VALID, Reason.NOT_YET_VALID, "not before"))

Messages = list[tuple[object, str, MessageKind, int | None]]


def predicted(life: Timeline, phase: Phase, conditions: tuple[Condition, ...] = ()) -> Messages:
    """The forecast for the month from NOW on, from the status at NOW."""
    spec: CertificateSpec = declaration(silence=life.silence)
    status = replace(life.recorded, conditions=conditions, phase=phase.value)
    known = KnownCertificate(KEY, spec, status, life.created)
    return [
        (each.when, each.notification.channel.name, each.notification.kind, each.notification.stage)
        for each in simulate(known, life.policy, NOW, NOW + MONTH)
    ]


def engine_run(life: Timeline) -> Messages:
    """The same month, as the engine runs it."""
    before = len(life.sent)
    life.run(NOW, NOW + MONTH)
    return [(sent.when, sent.channel, sent.kind, sent.stage) for sent in life.sent[before:]]


def read(seen: Certificate, plan: AlertPolicy | None = None, silence: Silence | None = None) -> Timeline:
    """A certificate that was last reconciled an hour ago."""
    life = Timeline(plan or policy(), Observation(certificate=seen), silence=silence)
    life.reconcile(NOW - HOUR)
    return life


def ready(reason: Reason) -> tuple[Condition, ...]:
    return (Condition("Ready", "False", reason, "words"), Condition("SourceReadable", "True", "Read"))


SOURCE_GONE = (Condition("SourceReadable", "False", Reason.SOURCE_NOT_FOUND, "words"),)


class TestAgreesWithTheEngine:
    @given(
        schedules,
        schedules,
        st.integers(-40 * 86_400, 70 * 86_400),
        st.one_of(st.none(), st.integers(-5 * 86_400, 40 * 86_400)),
        st.one_of(st.none(), st.integers(0, 20)),
    )
    def test_through_any_month(
        self, team: Schedule, pager: Schedule, seconds: int, silent_for: int | None, escalate_after: int | None
    ) -> None:
        """Two channels, before or after expiry, with or without a silence and an escalation."""
        silence = None if silent_for is None else Silence(NOW + timedelta(seconds=silent_for), "moving house")
        seen = certificate(NOW + timedelta(seconds=seconds), not_before=NOW - 300 * DAY)
        escalation = replace(channel("pager", pager), escalate_after=escalate_after)
        life = read(seen, policy(channel("team", team), escalation), silence)
        assert predicted(life, life.assess(NOW).phase) == engine_run(life)

    @pytest.mark.parametrize(
        ("source", "conditions"),
        [
            (MISSING, SOURCE_GONE),
            (OF_ACME, ready(Reason.IDENTITY_MISMATCH)),
            (NOT_YET, ready(Reason.NOT_YET_VALID)),
        ],
        ids=["missing", "of another", "not yet valid"],
    )
    @given(days=st.integers(-20, 60), every=st.integers(1, 7))
    def test_while_the_source_has_a_problem(
        self, source: Observation, conditions: tuple[Condition, ...], days: int, every: int
    ) -> None:
        """Alerts are daily, whatever the schedule says, unless the certificate is only not valid yet."""
        life = read(certificate(NOW + days * DAY + HOUR), policy(channel(every_days=every)))
        life.source = source
        life.reconcile(NOW - HOUR / 2)
        phase = life.assess(NOW).phase
        if phase is not Phase.EXPIRED or conditions == SOURCE_GONE:
            assert predicted(life, phase, conditions) == engine_run(life)

    def test_never_read_and_missing(self) -> None:
        """Each day, from the day on which the object was created."""
        life = Timeline(policy(), MISSING, created=NOW - 3 * DAY - HOUR)
        found = predicted(life, Phase.MISSING, SOURCE_GONE)
        assert found == engine_run(life)
        assert [stage for _, _, _, stage in found[:3]] == [-4, -5, -6]

    def test_a_closing_message_that_is_due(self) -> None:
        """The channel was alerted about the previous certificate."""
        life = read(certificate(NOW + 300 * DAY))
        life.recorded = replace(life.recorded, channels=(notified(12, "the fingerprint of the old one"),))
        assert predicted(life, Phase.VALID) == engine_run(life) == [(NOW, "team", MessageKind.CLOSING, None)]


class TestNoMessage:
    def test_never_reconciled(self) -> None:
        """Nothing can be predicted before the operator has read the source."""
        assert predicted(Timeline(policy(), Observation()), Phase.PENDING) == []

    def test_far_from_expiry(self) -> None:
        assert predicted(read(certificate(NOW + 61 * DAY)), Phase.VALID) == []

    def test_silenced_for_the_whole_month(self) -> None:
        """Although it has expired."""
        life = read(certificate(NOW - DAY), silence=Silence(NOW + 31 * DAY, "being decommissioned"))
        assert predicted(life, Phase.EXPIRED) == []

    def test_an_acknowledged_escalation(self) -> None:
        """The daily alert continues."""
        seen = certificate(NOW + 10 * DAY, serial_number=0x1A2B)
        escalation = replace(channel("boss"), escalate_after=0)
        life = Timeline(policy(channel("team"), escalation), Observation(certificate=seen))
        life.reconcile(NOW - 30 * DAY)
        notified = {}
        for serial in ("", "1a2b"):
            status = replace(life.recorded, phase=Phase.EXPIRING_SOON.value)
            known = KnownCertificate(KEY, declaration(acknowledged=serial), status, CREATED)
            notified[serial] = {each.notification.channel.name for each in simulate(known, life.policy, NOW, NOW + DAY)}
        assert notified == {"": {"team", "boss"}, "1a2b": {"team"}}

    def test_a_message_that_was_sent_already(self) -> None:
        """The first one is that of the next day."""
        life = read(certificate(NOW + 10 * DAY - 2 * HOUR))
        assert predicted(life, Phase.EXPIRING_SOON)[0] == (NOW + DAY - 2 * HOUR, "team", MessageKind.ALERT, 9)

    def test_a_status_of_another_version(self) -> None:
        """An unknown reason counts as a source that cannot be read."""
        conditions = (Condition("SourceReadable", "False", "FutureReason", "words"),)
        status = CertificateStatus(conditions=conditions, phase="Unreadable")
        known = KnownCertificate(KEY, declaration(), status, CREATED)
        assert next(simulate(known, policy(), NOW, NOW)).notification.kind is MessageKind.ALERT
