"""Small mistakes in the operator, each of which the simulation must notice."""

from dataclasses import dataclass

DUE = "lifecycle/due.py"
SCHEDULE = "lifecycle/schedule.py"
ASSESSMENT = "lifecycle/assessment.py"
DISPATCHER = "alerting/dispatcher.py"
RECEIVER_BACKOFF = "alerting/receiver_backoff.py"
WORK_QUEUE = "workqueue/work_queue.py"
ALERT_GROUP = "controllers/alert_group.py"
GROUPING, GROUPS = "alerting/grouping.py", "alerting/groups.py"
RECONCILER = "controllers/certificate/reconciler.py"
SOURCES = "cache/source_cache.py"
OBJECTS = "cache/object_cache.py"
REQUEUE = "controllers/certificate/requeue.py"
POLICY = "controllers/certificate_policy.py"
DECODING = "cache/decoding.py"


@dataclass(frozen=True)
class Mutant:
    """One replacement in one file."""

    file: str
    name: str
    old: str
    new: str
    seed: int = 0
    """A small history that notices it soon; the search goes on from there."""


MUTANTS = (
    Mutant(
        DUE, "a told stage is due again", "return told.stage <= stage.days and", "return told.stage < stage.days and"
    ),
    Mutant(
        DUE,
        "any stage counts as told",
        "return told.stage <= stage.days and not (from_the_future and told.stage < stage.days)",
        "return True",
    ),
    Mutant(DUE, "the silence is ignored", "return silence is not None and now < silence.until", "return False", seed=1),
    Mutant(DUE, "the end of a silence is missed", "        moments.append(silence.until)\n", "        pass\n"),
    Mutant(
        DUE, "the closing message is lost", "return DueNotification(channel, MessageKind.CLOSING, None)", "return None"
    ),
    Mutant(
        DUE,
        "the closing message is not recorded",
        "    if notification.kind is MessageKind.CLOSING:\n        return told\n",
        "    if notification.kind is MessageKind.CLOSING and before:\n        return before\n",
    ),
    Mutant(
        DUE,
        "a problem has no daily alerts",
        "if assessment.alarm is None or channel.to_consumer or channel.escalation:\n        return",
        "if assessment.alarm is None or channel:\n        return",
    ),
    Mutant(DUE, "the next slot is not waited for", "            moments.append(stage.slot)\n", "            pass\n"),
    Mutant(
        DUE, "a problem waits for the next stage", "if begins is not None and begins <= assessment.now:", "if False:"
    ),
    Mutant(
        DUE, "a problem is told again and again", "return each.time + _TOLD_AGAIN_AFTER if", "return now if", seed=275
    ),
    Mutant(SCHEDULE, "weekends are days like others", "_WEEKEND = 5", "_WEEKEND = 7"),
    Mutant(
        SCHEDULE,
        "a slot may be after notAfter",
        "if day >= 0 and slot >= not_after:",
        "if day > 0 and slot < falls_due:",
    ),
    Mutant(
        SCHEDULE,
        "the time zone is ignored",
        "datetime.combine(date, send_at.time_of_day, send_at.timezone)",
        "datetime.combine(date, send_at.time_of_day, UTC)",
    ),
    Mutant(
        SCHEDULE, "a stage is sent a day late", "if stage.slot <= now), None)", "if stage.slot <= now - DAY), None)"
    ),
    Mutant(
        SCHEDULE,
        "after expiry there is silence",
        "        return not ended and (-day - 1)",
        "        return day > -2 and not ended and (-day - 1)",
    ),
    Mutant(SCHEDULE, "onDays are no limit", "return day in schedule.on_days and day", "return day"),
    Mutant(
        ASSESSMENT,
        "any identity is a replacement",
        "    if certificate.identity_mismatch:\n",
        "    if not certificate.fingerprint_sha256:\n",
    ),
    Mutant(
        ASSESSMENT,
        "a future certificate is a replacement",
        "if certificate.not_before > now:",
        "if certificate.not_before > certificate.not_after:",
    ),
    Mutant(
        ASSESSMENT,
        "an expired certificate is a replacement",
        "    if certificate.not_after < now:\n        words",
        "    if certificate.not_after < certificate.not_before:\n        words",
    ),
    Mutant(
        ASSESSMENT,
        "a replacement is not accepted",
        "accepted, replaced = seen, before",
        "accepted, replaced = before, None",
    ),
    Mutant(DISPATCHER, "the fence is removed", "return self._may_start(SEND_SECONDS) and not", "return not", seed=18),
    Mutant(DISPATCHER, "the fence is too short", "SEND_SECONDS = 17.0", "SEND_SECONDS = 2.0", seed=18),
    Mutant(
        DISPATCHER,
        "sending goes on without records",
        "self._may_start(SEND_SECONDS) and not self._outbox.is_blocked()",
        "self._may_start(SEND_SECONDS)",
    ),
    Mutant(
        DISPATCHER,
        "the record is dropped after a send",
        "self._outbox.record_delivery(record, delivered(evaluation, notification, delivery), evaluation.log)\n"
        "            self._metrics",
        "self._metrics",
    ),
    Mutant(
        DISPATCHER,
        "one failure holds back the other channels",
        "if failure is None or not failure.waits(now):",
        "if not failures:",
    ),
    Mutant(REQUEUE, "a retry is dropped", "for failure in evaluation.failures.values():", "for failure in ():"),
    Mutant(
        RECEIVER_BACKOFF,
        "a failing channel rests for a day",
        "self.until = max(self.asked_until, now + (retry_after or backoff.delay(self.failures)))",
        "self.until = max(self.asked_until, now + (retry_after or 86_400))",
    ),
    Mutant(
        RECEIVER_BACKOFF,
        "Retry-After is ignored",
        "self.until = max(self.asked_until, now + (retry_after or backoff.delay(self.failures)))",
        "self.until = now + backoff.delay(self.failures)",
    ),
    Mutant(
        ALERT_GROUP,
        "a member of a digest is omitted",
        "compose_digest([each.message for each in due])",
        "compose_digest([each.message for each in due[:-1] or due])",
    ),
    Mutant(
        ALERT_GROUP,
        "a digest is not in the policy",
        "self._outbox.add_digests(group.policy, tuple(DigestRecord(group.destination, sent, each) for each in keys))",
        "del keys",
    ),
    Mutant(
        GROUPING, "many alerts are many messages", "if self._cache.count_certificates_of(key) <= single:", "if single:"
    ),
    Mutant(
        GROUPS,
        "a group that is too small is forgotten",
        "        self._members.enqueue_all(group.members)\n\n    # For the kinds",
        "\n    # For the kinds",
    ),
    Mutant(
        RECONCILER,
        "a conflict loses what was sent",
        "            # The object has changed: its new version is evaluated, and nothing is sent twice.\n",
        "            self._outbox.forget(key)\n",
    ),
    Mutant(
        WORK_QUEUE, "a failed reconcile is not retried", "        if not is_enqueued:\n", "        if failures < 0:\n"
    ),
    Mutant(
        RECONCILER,
        "a write counts as done before it is",
        "            self._outbox.write_failed(before, unanswered=unanswered)\n",
        "            self._outbox.written(before, self._outbox.unrecorded(before))\n",
    ),
    Mutant(
        POLICY,
        "a changed policy concerns nobody",
        "if is_another or failed or self._has_no_contact(certificate):",
        "if self._has_no_contact(certificate):",
    ),
    Mutant(
        SOURCES,
        "a missing Secret is no problem",
        "if not error.retryable or failures >= _REPORTED_AFTER or lasts:",
        "if failures >= _REPORTED_AFTER:",
    ),
    Mutant(
        OBJECTS,
        "a changed Secret is not read",
        "return change is not None and (not change or change != self._read_versions.get(key))",
        "return change is not None and not change",
    ),
    Mutant(
        DECODING,
        "the status of a restart is not read",
        "status = _status(content, generation) if content else CertificateStatus()",
        "status = CertificateStatus()",
    ),
)
