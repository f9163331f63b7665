"""The words of the verbs about a request: the next step, or the reason why there is no certificate."""

import pytest

from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.next_step import next_step, refusal, waits_for
from clientcert.cli.renewal_request import state_of, why_not
from clientcert.cli.retrieve import certificate_of
from clientcert.lifecycle.renewal.status import State
from tests.unit.cli.renewal_objects import request

ID = "nhs-prod-0123456789"
CHECKS = [
    {"name": "SourceReadable", "passed": True, "message": "the source was read"},
    {"name": "IssuerReady", "passed": False, "waits": True, "message": "Secret client-ca is missing: create it"},
    {"name": "WindowOpen", "passed": False, "message": "it may be renewed from 2026-12-01"},
    {"name": "KeyAllowed", "passed": False, "message": "not decisive"},
]


@pytest.mark.parametrize("state", State)
def test_each_state_has_a_sentence(state: State) -> None:
    """Every one says what to do, or what the operator does."""
    said = next_step(request(state))
    assert said.endswith(".")
    assert said[0].isupper()
    assert "None" not in said


@pytest.mark.parametrize(("state", "kind"), [(State.APPROVED, "Issued"), (State.DELIVERED, "Stored")])
def test_what_the_operator_only_observes_goes_no_further(state: State, kind: str) -> None:
    words = "nothing is signed: the operator only observes (CLIENTCERT_OBSERVE_ONLY)"
    held = {"type": kind, "status": "Unknown", "reason": "ObserveOnly", "message": words}
    said = next_step(request(state, status={"conditions": [held]}))
    assert said == "Nothing is signed: the operator only observes (CLIENTCERT_OBSERVE_ONLY)."
    elsewhere = next_step(request(State.AWAITING_APPROVAL, status={"conditions": [held]}))
    assert elsewhere.startswith("Somebody who may approve decides")


def test_a_new_request_is_being_checked() -> None:
    assert state_of(request("")) is State.CHECKING
    assert next_step(request("")) == (
        f"The operator checks it; `clientcert retrieve {ID} --wait` waits for the certificate."
    )


def test_a_state_of_a_later_version_counts_as_open() -> None:
    assert state_of(request("Pondering")) is State.CHECKING


def test_a_refusal_names_the_check() -> None:
    """The first that refuses, not one that waits."""
    found = request("Refused", status={"checks": CHECKS})
    assert refusal(found) == f"request {ID} was refused: check WindowOpen: it may be renewed from 2026-12-01"


def test_a_denial_has_the_words_of_the_approver() -> None:
    """Their name is not among them: whoever asks has not asked for it."""
    denied = {"decision": "Deny", "by": "lee", "reason": "KeyNotConfirmed", "message": "nobody answered"}
    found = request("Denied", approval=denied)
    assert refusal(found) == f"request {ID} was denied: KeyNotConfirmed: nobody answered"
    assert refusal(request("Denied")) == f"request {ID} was denied: no reason given"


def test_an_end_has_the_reason_of_its_condition() -> None:
    accepted = {"type": "Accepted", "status": "True", "reason": "ChecksPassed", "message": "all checks have passed"}
    failed = {"type": "Failed", "status": "True", "reason": "CertificateGone", "message": "it was deleted."}
    found = request("Ended", status={"conditions": [accepted, failed]})
    assert refusal(found) == f"request {ID} has ended: CertificateGone: it was deleted"
    assert why_not(request("Ended")) == "no reason is recorded"


def test_what_it_waits_for() -> None:
    assert waits_for(request("Waiting", status={"checks": CHECKS})) == (
        "IssuerReady: Secret client-ca is missing: create it"
    )
    assert waits_for(request("AwaitingApproval", status={"waitsFor": "approval"})) == "approval"
    assert waits_for(request("")) == "Checking"


def test_text_of_an_object_cannot_control_the_terminal() -> None:
    checks = [{"name": "WindowOpen", "passed": False, "message": "x\x1b[2J\ny"}]
    assert refusal(request("Refused", status={"checks": checks})).isprintable()


class TestCertificate:
    @pytest.mark.parametrize("state", ["Issued", "Delivered", "Done"])
    def test_is_there(self, state: str) -> None:
        assert certificate_of(request(state, status={"certificate": "PEM"})) == "PEM"

    @pytest.mark.parametrize("state", ["Refused", "Denied", "Ended"])
    def test_will_never_come(self, state: str) -> None:
        """3, also if there was one: its request has ended."""
        with pytest.raises(AnswerIsNo) as raised:
            certificate_of(request(state, status={"certificate": "PEM"}))
        assert raised.value.exit_code == 3

    @pytest.mark.parametrize("state", ["", "Waiting", "AwaitingApproval", "Approved"])
    def test_may_come(self, state: str) -> None:
        """1; a certificate that is not recorded as issued yet is not handed out."""
        for certificate in ("", "PEM"):
            with pytest.raises(Failed) as raised:
                certificate_of(request(state, status={"certificate": certificate}))
            assert raised.value.exit_code == 1
