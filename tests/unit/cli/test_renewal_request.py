"""The request of `clientcert renew`; it may be the same as the one before."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import click
import pytest

from clientcert.api.kinds import Kind
from clientcert.api.renewal import parse_renewal_spec
from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import AlreadyExists
from clientcert.cli.renewal_request import Ask, ask, difference, manifest, request_id
from clientcert.lifecycle.renewal.spec import Mode, RenewalSpec
from clientcert.pki.key_request import read_request
from tests.unit.cli.renewal_objects import CSR, KEY, certification_request, of_nhs, public_key

PROOF = "-----BEGIN CMS-----\nMIIB\n-----END CMS-----\n"


def asking(text: str = "", **changes: Any) -> Ask:
    wanted = Ask(Mode.RENEW, "kim", read_request(text.encode()) if text else None)
    return replace(wanted, **changes)


def spec(wanted: Ask) -> dict[str, Any]:
    found: dict[str, Any] = manifest(of_nhs(), "nhs-prod-1", wanted)["spec"]
    return found


class TestManifest:
    def test_by_a_csr(self) -> None:
        """The operator reads back what was asked; the subject of the CSR is told for people."""
        sent = spec(asking(CSR, proof_pem=PROOF, reason="a new server"))
        assert parse_renewal_spec(sent) == RenewalSpec(
            certificate="nhs-prod",
            serial_number="4af2",
            requested_by="kim",
            csr_pem=CSR,
            proof_pem=PROOF,
            reason="a new server",
        )
        assert sent["subjectDN"] == "CN=nhs,O=NHS Digital,C=GB"

    def test_by_a_public_key(self) -> None:
        sent = parse_renewal_spec(spec(asking(public_key(KEY))))
        assert (sent.public_key_pem, sent.csr_pem, sent.reuse) == (public_key(KEY), "", False)

    def test_by_reuse(self) -> None:
        sent = parse_renewal_spec(spec(asking()))
        assert (sent.public_key_pem, sent.csr_pem, sent.reuse) == ("", "", True)

    def test_a_consumers_first(self) -> None:
        """There is no serial number, and no field is null."""
        certificate = of_nhs()
        del certificate["status"]
        sent = manifest(certificate, "nhs-prod-1", asking(public_key(KEY), mode=Mode.REISSUE))["spec"]
        assert set(sent) == {"certificateRef", "mode", "publicKey", "requestedBy"}


@dataclass
class Requests:
    """The requests of a cluster."""

    found: dict[str, Any] = field(default_factory=dict)

    def create(self, _kind: Kind, manifest: dict[str, Any]) -> dict[str, Any]:
        name = manifest["metadata"]["name"]
        if name in self.found:
            raise AlreadyExists("it exists")
        return self.found.setdefault(name, manifest)

    def get(self, _kind: Kind, name: str) -> dict[str, Any]:
        return dict(self.found[name])

    def leave(self, *_: object) -> None:
        pass


class TestALostCertificate:
    @pytest.mark.parametrize("reason", ["SourceNotFound", "KeyMissing", "Empty"])
    def test_it_is_reissued_without_its_number(self, reason: str) -> None:
        """One that names it would wait until somebody puts it back."""
        lost = of_nhs(conditions=[{"type": "SourceReadable", "status": "False", "reason": reason}])
        for mode, expected in ((Mode.REISSUE, None), (Mode.RENEW, "4af2")):
            sent = manifest(lost, "nhs-prod-1", asking(CSR, mode=mode))["spec"]
            assert sent.get("serialNumber") == expected

    @pytest.mark.parametrize(("status", "reason"), [("False", "AccessDenied"), ("True", "Read")])
    def test_one_that_may_be_there_is_named(self, status: str, reason: str) -> None:
        known = of_nhs(conditions=[{"type": "SourceReadable", "status": status, "reason": reason}])
        assert manifest(known, "nhs-prod-1", asking(CSR, mode=Mode.REISSUE))["spec"]["serialNumber"] == "4af2"

    def test_a_request_that_waits_for_it_is_in_nobodys_way(self) -> None:
        """It was made before, and the next one has another name; asked again, that one is the same."""
        requests, wanted = Requests(), asking(CSR, mode=Mode.REISSUE)
        lost = of_nhs(conditions=[{"type": "SourceReadable", "status": "False", "reason": "SourceNotFound"}])
        cluster, now = cast("Cluster", requests), datetime(2026, 11, 1, tzinfo=UTC)
        before = ask(cluster, of_nhs(), wanted, now)
        after = ask(cluster, lost, wanted, now)
        assert after.is_new
        assert after.found["metadata"]["name"] == before.found["metadata"]["name"] + "-2"
        again = ask(cluster, lost, wanted, now)
        assert (again.is_new, again.found) == (False, after.found)


class TestTheSame:
    def test_asked_again(self) -> None:
        """By somebody else, for another reason, or with a CSR that was made anew of the same key and subject."""
        before = spec(asking(CSR))
        again = certification_request(KEY)
        assert again != CSR
        assert difference(asking(again, requested_by="lee", reason="again"), before) == ""
        assert difference(asking(), spec(asking())) == ""
        assert difference(asking(public_key(KEY)), spec(asking(public_key(KEY)))) == ""

    def test_a_proof_is_kept(self) -> None:
        """One that came before counts for a request without one."""
        assert difference(asking(CSR), spec(asking(CSR, proof_pem=PROOF))) == ""

    @pytest.mark.parametrize(
        ("before", "now", "words"),
        [
            ({}, {"proof_pem": PROOF}, "without a proof"),
            ({"text": public_key(KEY)}, {}, "with the public key alone"),
            ({}, {"text": public_key(KEY)}, "with a CSR"),
            ({"text": certification_request(KEY, common_name="other")}, {}, "with another content"),
            ({"text": certification_request(KEY, alternative="nhs.example")}, {}, "with another content"),
        ],
    )
    def test_something_else_with_the_same_key(self, before: dict[str, Any], now: dict[str, Any], words: str) -> None:
        """It has the same name, so the difference must be told, not hidden."""
        assert difference(asking(**({"text": CSR} | now)), spec(asking(**({"text": CSR} | before)))) == words


@pytest.mark.parametrize("prefix", ["", "certificaterenewal.clientcert.dev/", "certificaterenewals/", "cren/"])
def test_the_id_as_kubectl_prints_it(prefix: str) -> None:
    context = click.Context(click.Command("any"))
    assert request_id(context, click.Option(["-x"]), f"{prefix}nhs-prod-1") == "nhs-prod-1"


@pytest.mark.parametrize("value", ["secrets/nhs", "../nhs", "cren/../nhs"])
def test_an_id_with_a_path_stays_invalid(value: str) -> None:
    assert "/" in request_id(click.Context(click.Command("any")), click.Option(["-x"]), value)
