"""The pure decisions of discovery: deletions, omissions and conditions."""

from datetime import timedelta
from typing import Any

import pytest

from clientcert.api.store_discovery import Discovery, Outcome, Skipped, parse_discovery, parse_outcome, render_outcome
from clientcert.cache.objects import CertificateRecord
from clientcert.controllers.store_discovery.candidates import Candidate, MatchingKeys, stores_of_bucket
from clientcert.controllers.store_discovery.decisions import Findings, is_unchanged, may_be_pruned, reason_to_skip
from clientcert.errors import ClientCertError, Reason
from clientcert.kube.decoding import decode_answer, decode_managers
from clientcert.lifecycle.recorded_status import CertificateStatus, SourceGap
from clientcert.lifecycle.spec import ObjectKey, S3Source, SecretSource
from clientcert.sources.interface import Listing
from tests.builders import DAY, HOUR, NOW, declaration
from tests.unit.engine.one_record import record

STORE = ObjectKey("integration", "backup")
KEY = "clients/nhs/client.pem"
LABELS = {"clientcert.dev/discovered": "true"}
LISTING = Listing({}, 3, prefix="clients/")


def looks(**fields: Any) -> Discovery:
    found = parse_discovery({"discovery": {"environment": "prod", **fields}})
    assert found is not None
    return found


def gone(since: timedelta | None = 7 * DAY, **changes: Any) -> CertificateRecord:
    """A certificate that discovery made, and whose key vanished that long ago."""
    gap = SourceGap(NOW - 30 * DAY, key_gone=NOW - since if since is not None else None)
    plain: dict[str, Any] = {
        "spec": declaration(source=S3Source("backup", KEY)),
        "status": CertificateStatus(source_gap=gap),
        "discovered_by": "backup",
    }
    return record(**plain | changes)


class TestPruning:
    def test_after_seven_days(self) -> None:
        assert may_be_pruned(gone(), STORE, LISTING, NOW)
        assert not may_be_pruned(gone(7 * DAY - HOUR), STORE, LISTING, NOW)

    @pytest.mark.parametrize(
        ("what", "changes"),
        [
            ("made by a person", {"discovered_by": ""}),
            ("made by another store", {"discovered_by": "another"}),
            ("of another store by now", {"spec": declaration(source=S3Source("another", KEY))}),
            ("of a Secret by now", {"spec": declaration(source=SecretSource("nhs", "tls.crt"))}),
            ("outside the prefix of the LIST", {"spec": declaration(source=S3Source("backup", "nhs/client.pem"))}),
            ("never gone", {"status": CertificateStatus()}),
            ("there again", {"status": CertificateStatus(source_gap=SourceGap(NOW - 9 * DAY, NOW, 0, NOW - 9 * DAY))}),
        ],
    )
    def test_not_what_is(self, what: str, changes: dict[str, Any]) -> None:
        assert not may_be_pruned(gone(**changes), STORE, LISTING, NOW)

    def test_not_while_only_the_bucket_or_its_credentials_are_gone(self) -> None:
        assert not may_be_pruned(gone(None), STORE, LISTING, NOW)

    def test_not_what_is_listed(self) -> None:
        assert not may_be_pruned(gone(), STORE, Listing({KEY: "1"}, 3, prefix="clients/"), NOW)

    def test_only_what_nobody_else_has_written(self) -> None:
        own = frozenset({"clientcert-discovery"})
        assert is_unchanged(gone(), own, LABELS)
        for managers in (set[str](), {"kubectl"}, {"clientcert-discovery", "kubectl-label"}):
            assert not is_unchanged(gone(), frozenset(managers), LABELS)
        assert not is_unchanged(gone(generation=2), own, LABELS)

    @pytest.mark.parametrize("labels", [{}, {"clientcert.dev/discovered": "false"}, {"mine": "yes"}])
    def test_not_what_has_lost_its_label(self, labels: dict[str, str]) -> None:
        """Whoever removes a label is no manager of a field, and changes no generation."""
        assert not is_unchanged(gone(), frozenset({"clientcert-discovery"}), labels)

    def test_writers_of_the_status_do_not_count(self) -> None:
        body = bytearray(
            b'{"metadata":{"name":"nhs","managedFields":[{"manager":"clientcert-discovery","fieldsV1":{"f:spec":{}}},'
            b'{"manager":"operator","subresource":"status"}]}}'
        )
        assert decode_managers(body) == {"clientcert-discovery"}
        assert "managedFields" not in decode_answer(body)["metadata"]
        assert decode_managers(bytearray(b'{"metadata":{}}')) == frozenset()


class TestSkipping:
    @pytest.mark.parametrize(
        ("folder", "ignored"),
        [("left", True), ("left-behind", False), ("Left", False), ("a\u202eb", False), ("a-b-4c8a87c4ac", False)],
    )
    def test_ignored_by_the_exact_name_until_the_end(self, folder: str, ignored: bool) -> None:
        until = f"{NOW + DAY:%Y-%m-%dT%H:%M:%SZ}"
        discovery = looks(ignore=[{"consumer": "left", "reason": "x", "until": until}])
        candidate = Candidate(f"{folder.replace(chr(0x202E), '-')}/client.pem", folder, "1")
        assert (reason_to_skip(candidate, discovery, NOW) is Reason.IGNORED) is ignored
        assert reason_to_skip(candidate, discovery, NOW + DAY) is None

    @pytest.mark.parametrize("key", ["a\nb/client.pem", "\u202egpj/client.pem", "x" * 1014 + "/client.pem"])
    def test_a_key_that_no_object_can_name(self, key: str) -> None:
        assert reason_to_skip(Candidate(key, "x", "1"), looks(), NOW) is Reason.KEY_UNUSABLE


class TestKeys:
    def test_those_that_match_below_the_prefix_and_are_watched_by_no_other_store(self) -> None:
        keys = MatchingKeys(looks().pattern, "clients", frozenset({"clients/seen/client.pem"}), frozenset(), 2)
        for _ in range(2):  # a LIST may begin again
            keys.begin()
            for each in ("a", "seen", "b", "c", "d"):
                keys.add(f"clients/{each}/client.pem", "1")
            keys.add("clients/e/client.key", "1")
            keys.add("clients/f/g/client.pem", "1")
        assert ([each.folder for each in keys.candidates], keys.left_out) == (["a", "b"], 2)

    def test_a_key_that_matches_may_be_watched_already(self) -> None:
        keys = MatchingKeys(looks().pattern, "", frozenset(), frozenset(), 2)
        assert not keys.matches_any([])
        assert not keys.matches_any(["README", "nhs/client.key"])
        assert keys.matches_any(["README", "nhs/client.pem"])

    def test_another_content_has_another_fingerprint(self) -> None:
        prints = {Candidate(key, "x", etag).fingerprint for key in ("a", "b\udcff") for etag in ("1", "2")}
        assert len(prints) == 4

    def test_without_a_bucket_there_are_no_stores_of_it(self) -> None:
        assert stores_of_bucket({}, store_without_bucket()) == ()


def store_without_bucket() -> Any:
    from clientcert.cache.decoding import decode_store

    metadata = {"uid": "u", "resourceVersion": "1", "generation": 1}
    return decode_store(STORE, {"metadata": metadata, "spec": {"s3": {}}}, None)


class TestTheSpec:
    def test_its_defaults_are_those_of_an_import(self) -> None:
        found = looks()
        assert not found.creates
        assert not found.prunes
        assert (str(found.pattern), found.limit) == ("{consumer}/client.pem", 1000)
        assert (found.lookup, found.policy) == (("Directory", "Slack"), "")
        assert parse_discovery({}) is None

    @pytest.mark.parametrize(
        "fields",
        [
            {"keyPattern": "client.pem"},
            {"limit": "many"},
            {"ignore": [{"consumer": "x", "until": "tomorrow"}]},
            {"ignore": [{"consumer": "x", "until": ""}]},
            {"template": "daily"},
            {"environment": None, "ignore": 3},
        ],
    )
    def test_what_cannot_be_used_has_a_reason(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ClientCertError) as refused:
            looks(**fields)
        assert refused.value.reason is Reason.SPEC_INVALID


class TestTheOutcome:
    def test_samples_are_the_first_by_their_keys_and_harmless(self) -> None:
        findings = Findings()
        for number in reversed(range(20)):
            findings.would_make(f"c{number:02}", Candidate(f"c{number:02}/client.pem", "x", "1"))
            findings.skip(Reason.KEY_UNUSABLE, Candidate(f"{number:02}\u202e\n" + "x" * 900, "x", "1"))
        found = findings.outcome()
        assert (found.would_create, [name for name, _ in found.sample]) == (20, [f"c{each:02}" for each in range(10)])
        [skipped] = found.skipped
        assert (skipped.reason, skipped.count, [each[:2] for each in skipped.sample]) == (
            "KeyUnusable", 20, ["00", "01", "02"]
        )  # fmt: skip
        assert all(each.isprintable() and len(each) <= 256 for each in skipped.sample)

    @pytest.mark.parametrize(
        "outcome",
        [
            Outcome(),
            Outcome(0),
            Outcome(2, (("a", "a/client.pem"),), (Skipped("Ignored", 3, ("x",)), Skipped("TooManyKeys", 9))),
        ],
    )
    def test_is_read_back_as_it_was_written(self, outcome: Outcome) -> None:
        assert parse_outcome(render_outcome(outcome)) == outcome

    @pytest.mark.parametrize("status", [{"wouldCreate": 3}, {"skipped": [{}]}, {"wouldCreate": {"sample": ["x"]}}])
    def test_one_that_cannot_be_read_is_none(self, status: dict[str, Any]) -> None:
        assert parse_outcome(status) == Outcome()
