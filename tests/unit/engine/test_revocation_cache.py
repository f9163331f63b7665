"""The known revocations: from objects, and from the entries beside the lists. Revoked is final."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clientcert.cache.revocations import ListProblem, ListState, RevocationCache
from clientcert.controllers.certificate_revocation.conditions import conclusions, of_policy
from clientcert.errors import Reason
from clientcert.lifecycle.renewal.spec import RevocationReason, RevocationSpec
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import WorkQueue

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
CA = "CN=Client CA,O=The Team"
KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
NAME = ObjectKey("team", "nhs-1")


@pytest.fixture
def cache() -> RevocationCache:
    return RevocationCache(WorkQueue(lambda: NOW))


def body(name: str = "nhs-1", version: int = 1, **spec: Any) -> dict[str, Any]:
    known = {
        "issuerDN": CA,
        "serialNumber": "4af2",
        "consumer": "nhs",
        "reason": "Superseded",
        "revocationTime": "2026-11-21T09:00:00Z",
        "notAfter": "2027-11-21T09:00:00Z",
    }
    metadata = {"namespace": "team", "name": name, "uid": name, "generation": 1, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": known | spec}


def spec(**other: Any) -> RevocationSpec:
    facts = {
        "issuer_dn": CA,
        "serial_number": "4af2",
        "consumer": "nhs",
        "reason": RevocationReason.SUPERSEDED,
        "revocation_time": NOW - timedelta(days=1),
        "not_after": NOW + timedelta(days=364),
    }
    return RevocationSpec(**(facts | other))


class TestACertificate:
    def test_is_revoked_by_issuer_and_number(self, cache: RevocationCache) -> None:
        """In any form of the issuer's name, and with zeros in front of the number."""
        cache.upsert(body(issuerDN="O = The Team, CN = Client CA", serialNumber="00004af2"))
        found = cache.revoked("team", CA, "4af2")
        assert found is not None
        assert found.reason is RevocationReason.SUPERSEDED
        for namespace, issuer, serial in (("other", CA, "4af2"), ("team", "CN=Other", "4af2"), ("team", CA, "4af3")):
            assert cache.revoked(namespace, issuer, serial) is None

    def test_stays_revoked_when_the_object_is_deleted(self, cache: RevocationCache) -> None:
        cache.upsert(body())
        cache.remove(NAME)
        assert cache.revoked("team", CA, "4af2") is not None
        assert cache.is_revoked("team", "nhs", "4af2")
        assert (cache.in_namespace("team"), cache.specs_in("team")) == ((), [spec()])

    def test_is_revoked_by_what_was_kept(self, cache: RevocationCache) -> None:
        """New entries are reported, so that its certificates are looked at."""
        assert not cache.knows_kept("team")
        assert cache.keep("team", [spec()]) == [spec()]
        assert cache.keep("team", [spec()]) == []
        cache.kept_is_known("team", {"client-ca"})
        assert (cache.knows_kept("team"), cache.knows_kept("other")) == (True, False)
        assert cache.revoked("team", CA, "4af2") == spec()

    def test_another_object_of_the_name_takes_nothing_back(self, cache: RevocationCache) -> None:
        """It was deleted and made anew while nobody watched."""
        cache.upsert(body())
        cache.upsert(body(version=2, serialNumber="4af3"))
        assert cache.revoked("team", CA, "4af2") is not None
        assert cache.revoked("team", CA, "4af3") is not None

    def test_of_a_deleted_object_is_known_while_a_list_has_it(self, cache: RevocationCache) -> None:
        """So the memory is bounded by the objects and the lists, as after a restart."""
        cache.upsert(body())
        cache.upsert(body("nhs-2", serialNumber="4af3"))
        cache.upsert(body("nhs-3", serialNumber="4af4", notAfter="2026-11-22T08:00:00Z"))
        listed = {(CA, "4af2"), (CA, "4af4")}
        cache.forget_unlisted("team", (), NOW)
        assert len(cache.specs_in("team")) == 3
        for name in ("nhs-1", "nhs-2", "nhs-3"):
            cache.remove(ObjectKey("team", name))
        cache.forget_unlisted("team", listed, NOW)
        assert cache.specs_in("team") == [spec()]
        cache.forget_unlisted("team", listed, NOW + timedelta(days=365))
        assert cache.specs_in("team") == []

    def test_that_came_and_went_during_a_pass_is_left_to_the_next(self, cache: RevocationCache) -> None:
        """The pass may have planned its lists before: nothing would ever refuse the certificate."""
        cache.begin_pass("team")
        cache.upsert(body())
        cache.remove(NAME)
        cache.forget_unlisted("team", (), NOW)
        assert cache.specs_in("team") == [spec()]
        cache.begin_pass("team")
        cache.forget_unlisted("team", (), NOW)
        assert cache.specs_in("team") == []

    def test_that_come_and_go_leave_nothing(self, cache: RevocationCache) -> None:
        for number in range(1000):
            serial = f"{number:x}"
            cache.upsert(body(serial, serialNumber=serial, reason="KeyCompromise", keyHash=f"{number:064x}"))
            cache.remove(ObjectKey("team", serial))
            cache.forget_unlisted("team", (), NOW)
        assert cache.specs_in("team") == []
        assert not cache.is_compromised("team", f"{999:064x}")


class TestAKey:
    def test_that_was_seen_in_a_source_is_barred_while_the_object_exists(self, cache: RevocationCache) -> None:
        """Also if no list has its CA."""
        cache.upsert(body(reason="KeyCompromise"))
        cache.keep("team", [spec(reason=RevocationReason.KEY_COMPROMISE, key_hash=KEY)])
        cache.forget_unlisted("team", (), NOW)
        assert cache.is_compromised("team", KEY)
        cache.remove(NAME)
        cache.forget_unlisted("team", (), NOW)
        assert not cache.is_compromised("team", KEY)

    def test_is_barred_for_ever_by_a_compromise_alone(self, cache: RevocationCache) -> None:
        cache.upsert(body(keyHash=KEY))
        assert not cache.is_compromised("team", KEY)
        cache.upsert(body("nhs-2", reason="KeyCompromise", keyHash=KEY))
        cache.remove(ObjectKey("team", "nhs-2"))
        assert cache.is_compromised("team", KEY)
        assert not cache.is_compromised("other", KEY)

    def test_is_barred_by_the_beginning_of_its_hash(self, cache: RevocationCache) -> None:
        """So much is known of the key of a certificate in a source."""
        cache.keep("team", [spec(reason=RevocationReason.KEY_COMPROMISE, key_hash=KEY[:32])])
        assert cache.is_compromised("team", KEY)


class TestTheConditions:
    LISTED = ListState("client-ca", (CA,), frozenset({(CA, "4af2")}), exists=True, crl_dn=CA)

    def reasons(self, *states: ListState, **other: Any) -> list[tuple[str, str, str]]:
        return [(each.type, each.status, each.reason) for each in conclusions(spec(**other), states, NOW)]

    def test_say_that_list_and_crl_have_it(self) -> None:
        assert self.reasons(self.LISTED) == [("Listed", "True", "Listed"), ("InCRL", "True", "Signed")]

    def test_say_nothing_before_they_do(self) -> None:
        assert self.reasons(self.LISTED, serial_number="1") == []

    def test_say_what_is_in_the_way(self) -> None:
        problem = ListProblem(Reason.WRITE_NOT_ALLOWED, "bind the role")
        crl = ListState("a", (CA,), frozenset({(CA, "4af2")}), crl_dn=CA, crl_problem=problem)
        listing = ListState("a", (CA,), frozenset({(CA, "4af2")}), list_problem=problem)
        unread = ListState("a", list_problem=ListProblem(Reason.ISSUER_NOT_FOUND, "the Secret is missing"))
        assert self.reasons(crl) == [("Listed", "True", "Listed"), ("InCRL", "False", "WriteNotAllowed")]
        assert self.reasons(listing) == [("Listed", "False", "WriteNotAllowed")]
        assert conclusions(spec(), [unread], NOW)[0].message == "the Secret is missing"
        assert self.reasons() == [("Listed", "False", "IssuerNotFound")]

    def test_say_nothing_of_lists_that_are_only_observed(self) -> None:
        """Another operator may keep them."""
        problem = ListProblem(Reason.OBSERVE_ONLY, "nothing is written")
        state = ListState("a", (CA,), frozenset({(CA, "4af2")}), exists=True, crl_dn=CA)
        state = replace(state, list_problem=problem, crl_problem=problem)
        assert self.reasons(state) == [("Listed", "Unknown", "ObserveOnly"), ("InCRL", "Unknown", "ObserveOnly")]
        found = of_policy(state)
        assert found is not None
        assert (found.status, found.reason) == ("Unknown", "ObserveOnly")

    def test_have_no_crl_of_a_former_ca(self) -> None:
        former = ListState("a", ("CN=New", CA), frozenset({(CA, "4af2")}), exists=True, crl_dn="CN=New")
        assert self.reasons(former) == [("Listed", "True", "Listed")]

    def test_say_when_the_certificate_has_ended(self) -> None:
        assert self.reasons(not_after=NOW) != [("Listed", "False", "Ended")]
        assert self.reasons(not_after=NOW - timedelta(seconds=1)) == [("Listed", "False", "Ended")]

    def test_of_a_policy_are_there_where_there_is_a_list(self) -> None:
        assert of_policy(None) is None
        assert of_policy(ListState("client-ca", (CA,))) is None
        found = of_policy(self.LISTED)
        assert found is not None
        assert (found.type, found.status) == ("RevocationLists", "True")
