"""The series of objects: what is not as it should be, what is silenced, and no series twice."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clientcert.api.store_discovery import Outcome
from clientcert.cache.objects import CertificateRecord, PolicyRecord, StoreRecord
from clientcert.cache.renewal_records import ObjectVersion, RenewalRecord, renewal_record
from clientcert.cache.revocations import RevocationCache
from clientcert.certificate_metrics import families, x509_families
from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Problem
from clientcert.lifecycle.conditions import SOURCE_READABLE
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.recorded_status import AcceptedCertificate, CertificateStatus, Condition
from clientcert.lifecycle.renewal.spec import RenewalSpec
from clientcert.lifecycle.renewal.status import RenewalStatus, State
from clientcert.lifecycle.spec import UNUSABLE_SPEC, ObjectKey, S3Source, SecretSource, Silence
from clientcert.object_metrics import open_requests, policies, stores
from clientcert.shared_sources import SharedSourcesSearch
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import CREATED, DAY, NOW, declaration, policy
from tests.unit.engine.one_record import record

Series = list[tuple[dict[str, str], float]]
READ = Condition(SOURCE_READABLE, "True", "Read")
UNREAD = Condition(SOURCE_READABLE, "False", "PasswordIncorrect")
PENDING = Condition(SOURCE_READABLE, "Unknown", "Pending")


def accepted(serial_number: str = "1a2b3") -> AcceptedCertificate:
    return AcceptedCertificate(
        subject_dn="CN=nhs",
        issuer_dn="CN=Integration CA",
        serial_number=serial_number,
        fingerprint_sha256=serial_number,
        not_before=NOW - 265 * DAY,
        not_after=NOW + 100 * DAY,
        key_algorithm="RSA 2048",
    )


def with_status(name: str, *conditions: Condition, serial_number: str = "1a2b3", **changes: Any) -> CertificateRecord:
    status = CertificateStatus(accepted=accepted(serial_number), conditions=conditions, phase="Valid")
    return record(key=ObjectKey("integration", name), status=status, **changes)


def exposed(*records: CertificateRecord) -> dict[str, Series]:
    """The series of these certificates, by name. No label set occurs twice."""
    search = SharedSourcesSearch(len(records))
    search.note(records)
    search.compare(records)
    revocations = RevocationCache(WorkQueue(lambda: NOW))
    text = ""
    for head, row in (*families(NOW, revocations), *x509_families(NOW, search.result)):
        text += head + "".join(row(each, None) for each in records)
    return parsed(text)


def parsed(text: str) -> dict[str, Series]:
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    for name, series in found.items():
        labels = [tuple(sorted(each.items())) for each, _ in series]
        assert len(labels) == len(set(labels)), name
    return found


class TestConditions:
    def test_only_those_that_are_not_as_they_should_be(self) -> None:
        found = exposed(
            with_status(
                "nhs",
                Condition("Ready", "False", "RateLimited"),
                READ,
                Condition("IdentityMatches", "Unknown", "Unread"),
                Condition("Expiring", "False", "Valid"),
                Condition("Silenced", "False", "SilenceEnded"),
                Condition("AlertsDelivered", "False", "RateLimited"),
                Condition("Renewable", "False", "TooEarly"),
            )
        )["clientcert_certificate_condition"]
        assert [(labels["condition"], labels["status"], labels["reason"]) for labels, _ in found] == [
            ("Ready", "False", "RateLimited"),
            ("IdentityMatches", "Unknown", "Unread"),
            ("AlertsDelivered", "False", "RateLimited"),
        ]
        assert {value for _, value in found} == {1.0}
        labels = {"namespace": "integration", "name": "nhs", "consumer": "nhs", "environment": "prod"}
        assert labels.items() <= found[0][0].items()

    @pytest.mark.parametrize(
        ("condition", "shown"),
        [
            (Condition("Expiring", "True", "ExpiringSoon"), True),
            (Condition("Renewable", "True", "Refused"), True),
            (Condition("Renewable", "True", "Renewable"), False),
            (Condition("Renewable", "False", "VettingRequired"), True),
            (Condition("Vetted", "False", "VettingLapses"), True),
            (Condition("Acknowledged", "False", "OtherCertificate"), True),
            (Condition("ContactResolved", "False", "NoContact"), True),
            (Condition("AlertsDelivered", "Unknown", "ObserveOnly"), False),
        ],
        ids=lambda value: f"{value.type} {value.reason}" if isinstance(value, Condition) else "",
    )
    def test_each_type(self, condition: Condition, shown: bool) -> None:
        assert ("clientcert_certificate_condition" in exposed(with_status("nhs", condition))) is shown


class TestSilence:
    def test_it_is_1_while_it_holds_and_0_afterwards(self) -> None:
        silent = declaration(silence=Silence(NOW + DAY, "retired"))
        over = declaration(silence=Silence(NOW, "retired"))
        found = exposed(with_status("a", spec=silent), with_status("b", spec=over), with_status("c"))
        assert [(labels["name"], value) for labels, value in found["clientcert_certificate_silenced"]] == [
            ("a", 1.0),
            ("b", 0.0),
        ]


class TestSharedSources:
    def test_two_objects_with_one_certificate_have_one_series(self) -> None:
        found = exposed(with_status("a", READ), with_status("b", READ))
        for name in ("x509_cert_not_after", "x509_cert_not_before", "x509_cert_expired", "x509_source_up"):
            assert len(found[name]) == 1
        assert len(found["clientcert_certificate_not_after_timestamp_seconds"]) == 2

    def test_two_certificates_of_one_source_have_two(self) -> None:
        """Objects with different identities may choose different certificates of the same file."""
        found = exposed(with_status("a", READ, serial_number="a"), with_status("b", READ, serial_number="b"))
        assert [labels["serial_number"] for labels, _ in found["x509_cert_not_after"]] == ["10", "11"]
        assert len(found["x509_source_up"]) == 1

    @pytest.mark.parametrize("conditions", [(READ, UNREAD), (UNREAD, READ), (UNREAD, READ, PENDING)])
    def test_a_source_is_down_if_one_object_cannot_read_it(self, conditions: Sequence[Condition]) -> None:
        found = exposed(*(with_status(f"c{number}", each) for number, each in enumerate(conditions)))
        assert [value for _, value in found["x509_source_up"]] == [0.0]

    def test_other_sources_are_not_concerned(self) -> None:
        """Another key, another namespace, and an object of a store with the same words."""
        sources = [SecretSource("s", "k"), SecretSource("s", "l"), S3Source("s", "k")]
        records = [with_status(f"c{n}", READ, spec=declaration(source=each)) for n, each in enumerate(sources)]
        records.append(replace(records[0], key=ObjectKey("elsewhere", "c0")))
        assert len(exposed(*records)["x509_source_up"]) == 4

    def test_objects_whose_spec_cannot_be_used(self) -> None:
        """They have no source, so there is nothing to be up; their last certificate is one all the same."""
        problem = Problem(Phase.INVALID, Reason.SPEC_INVALID, "…")
        found = exposed(*(with_status(name, READ, spec=UNUSABLE_SPEC, spec_problem=problem) for name in "ab"))
        assert "x509_source_up" not in found
        assert len(found["x509_cert_not_after"]) == 1


class TestLabelsOfTheUsualExporter:
    def test_of_a_secret(self) -> None:
        found = exposed(with_status("nhs", READ))
        source = {"secret_namespace": "integration", "secret_name": "nhs-client-cert", "secret_key": "tls.crt"}
        names = {"source_kind": "kubernetes", "source_name": "integration/nhs-client-cert/tls.crt"}
        assert found["x509_source_up"] == [(source | names, 1.0)]
        certificate = {"serial_number": str(0x1A2B3), "subject_CN": "nhs", "issuer_CN": "Integration CA"}
        assert found["x509_cert_expired"] == [(source | certificate, 0.0)]

    def test_of_an_object_in_a_bucket(self) -> None:
        found = exposed(with_status("nhs", READ, spec=declaration(source=S3Source("backup", 'dir/a"b.pem'))))
        [(labels, _)] = found["x509_source_up"]
        assert labels == {
            "filename": 'a"b.pem',
            "filepath": 'integration/backup/dir/a"b.pem',
            "source_kind": "s3",
            "source_name": 'integration/backup/dir/a"b.pem',
        }

    @pytest.mark.parametrize(("hexadecimal", "written"), [("00ff", "255"), ("-80", "-128"), ('no"hex', 'no"hex')])
    def test_serial_numbers_are_decimal(self, hexadecimal: str, written: str) -> None:
        """The exporter prints them so. A status may hold what somebody else has written."""
        [(labels, _)] = exposed(with_status("nhs", serial_number=hexadecimal))["x509_cert_not_after"]
        assert labels["serial_number"] == written

    def test_a_source_that_nobody_has_read_yet_has_no_series(self) -> None:
        assert "x509_source_up" not in exposed(with_status("nhs", PENDING))


class TestOtherObjects:
    def test_policies(self) -> None:
        ready = Condition("Ready", "False", "PolicyInvalid")
        issuer = Condition("IssuerReady", "False", "CAEndsSoon")
        lists = Condition("RevocationLists", "Unknown", "ObserveOnly")  # a metric of its own says so
        plain = PolicyRecord(
            ObjectKey("integration", "alerts"), "u", "1", 1, policy(), None, "", (ready, issuer, lists), (), b"", 1
        )
        new = replace(plain, key=ObjectKey("integration", "new"), conditions=())
        found = parsed("".join(render() for render in policies([plain, new], 1)))
        key = {"namespace": "integration", "name": "alerts"}
        assert found["clientcert_policy_ready"] == [(key, 0.0)]
        assert [(labels["condition"], labels["reason"]) for labels, _ in found["clientcert_policy_condition"]] == [
            ("Ready", "PolicyInvalid"),
            ("IssuerReady", "CAEndsSoon"),
        ]

    def test_stores(self) -> None:
        ready = Condition("Ready", "True", "Polled")
        discovered = Condition("Discovered", "False", "LimitReached")
        plain = StoreRecord(ObjectKey("integration", "backup"), "u", "1", 1, None, None, (ready,), b"", 1)
        looks = replace(
            plain,
            key=ObjectKey("integration", "looks"),
            conditions=(ready, discovered),
            outcome=Outcome(would_create=3),
        )
        found = parsed("".join(render() for render in stores([plain, looks], 1)))
        key = {"namespace": "integration", "name": "looks"}
        assert found["clientcert_store_ready"] == [(key | {"name": "backup"}, 1.0), (key, 1.0)]
        labels = {"condition": "Discovered", "status": "False", "reason": "LimitReached"}
        assert found["clientcert_store_condition"] == [(key | labels, 1.0)]
        assert found["clientcert_store_would_create"] == [(key, 3.0)]

    def test_open_requests(self) -> None:
        """With consumer, environment and owner of the certificate; not those that have ended or lost it."""
        certificate = with_status("nhs")
        made = [
            request("waits", State.AWAITING_APPROVAL),
            request("done", State.DONE),
            request("lost", State.WAITING, certificate="gone"),
        ]
        found = parsed("".join(render() for render in open_requests(made, {certificate.key: certificate}, 250)))
        [(labels, value)] = found["clientcert_renewal_open_since_timestamp_seconds"]
        assert (labels["name"], labels["certificate"], labels["state"]) == ("waits", "nhs", "AwaitingApproval")
        assert (labels["consumer"], labels["environment"], labels["owner"]) == ("nhs", "prod", "integration-team")
        assert value == CREATED.timestamp()

    def test_requests_that_wait_for_an_approval(self) -> None:
        """Since their checks passed, which may be long after they were made; no series in another state."""
        certificate = with_status("nhs")
        waits, other = request("waits", State.AWAITING_APPROVAL), request("other", State.WAITING)
        waits = replace(waits, awaiting_approval_since=CREATED + 3 * DAY)
        lost = replace(waits, key=ObjectKey("integration", "lost"), certificate="gone")
        renders = open_requests([waits, other, lost], {certificate.key: certificate}, 250)
        found = parsed("".join(render() for render in renders))
        [(labels, value)] = found["clientcert_renewal_awaiting_approval_since_timestamp_seconds"]
        assert (labels["name"], labels["certificate"], labels["consumer"]) == ("waits", "nhs", "nhs")
        assert value == (CREATED + 3 * DAY).timestamp()


def request(name: str, state: State, certificate: str = "nhs") -> RenewalRecord:
    version = ObjectVersion(ObjectKey("integration", name), "u", CREATED, "1", 1, b"")
    return renewal_record(version, RenewalSpec(certificate, "1a2b3", "sam"), RenewalStatus(state), "")
