"""`clientcert check`: what the API server answers to the dry runs, and what the other checks do with it."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clientcert.cli.api_server import Object
from tests.scenarios import (
    Manifest,
    certificate_policy,
    certificate_store,
    client_certificate,
    in_secret,
    in_store,
    slack_channel,
)
from tests.unit.cli.check_scene import Answer, Call, Server, applied, write

ADDRESS = "jo.canary@nhs.example"


def to_dry_runs(status: int, message: str, *causes: tuple[str, str]) -> Callable[[str, str, Object], Answer | None]:
    content = {"message": message, "details": {"causes": [{"field": of, "message": words} for of, words in causes]}}
    return lambda _, path, __: (status, content) if "dryRun" in path else None


def found(call: Call) -> list[tuple[str, str, str]]:
    return [(each.subject.name, str(each.reason), each.message) for each in call.outcome().findings]


def every_field() -> list[Manifest]:
    renewal: Manifest = {
        "issuer": {"type": "CASecret", "caSecret": {"name": "ca", "certificateKey": "a", "privateKeyKey": "b"}},
        "trust": [{"name": "t"}],
        "revocation": {"crlSecretRef": {"name": "crl", "key": "k"}},
        "delivery": {"extras": [{"secretRef": {"name": "e", "key": "k"}}]},
    }
    by_manager = {"type": "CertManager", "certManager": {"name": "c", "caRef": {"name": "a", "key": "b"}}}
    policy = certificate_policy(
        "daily",
        slack_channel("a", "#x", "s"),
        {"name": "b", "type": "Webhook", "webhook": {"urlSecretRef": {"name": "s", "key": "k"}}},
        {"name": "c", "type": "Email", "email": {"replyTo": "x", "subject": "z"}},
        sendAt={"time": "09:00", "timezone": "UTC"},
        repeat={"everyDays": 1, "onDays": [1, 2]},
        escalateAfterDays=3,
        group="Auto",
    )
    policy["spec"] |= {"contacts": {"directoryRef": {"name": "d"}, "internalEnvironments": ["x"]}, "renewal": renewal}
    other = certificate_policy("daily")
    other["spec"]["renewal"] = {"issuer": by_manager}
    request = {"metadata": {"name": "r"}, "spec": {"certificateRef": {"name": "a"}, "serialNumber": "1"}}
    return [
        client_certificate("a", source=in_secret("s", "k", {"name": "p", "key": "q"}), policyRef={"name": "daily"}),
        client_certificate("a", source=in_store("st", "k"), identity={"serialNumber": "1"}),
        certificate_store("st", "b", "https://e", "c"),
        policy,
        other,
        {"kind": "CertificateRenewal"} | request,
        {"kind": "CertificateRevocation"} | request,
    ]


def places(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in inner:
        yield from places(value, (*above, name))


def with_value(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.copy(content)
    changed[place[0]] = with_value(content[place[0]], place[1:], value)
    return changed


WRONG = [2026, True, None, [ADDRESS], {"a": ADDRESS}, "", "99999999999999999999:00", 10**30]


class TestNoValueBreaksACheck:
    """Whatever a field has, the other objects are checked, and the value is not quoted."""

    @pytest.mark.parametrize("manifest", every_field(), ids=lambda each: each["kind"])
    def test_in_any_field_that_no_dry_run_has_checked(self, tmp_path: Path, manifest: Manifest) -> None:
        server = Server(answer=to_dry_runs(409, "exists already"))
        for place in places(manifest["spec"]):
            wrong = [
                manifest | {"metadata": {"name": f"a{number}"}, "spec": with_value(manifest["spec"], place, value)}
                for number, value in enumerate(WRONG)
            ]
            outcome = Call(server, write(tmp_path, *wrong)).outcome()
            assert not any(ADDRESS in each.message + each.action for each in outcome.findings), place

    def test_in_a_field_that_the_api_server_refuses(self, tmp_path: Path) -> None:
        server = Server(answer=to_dry_runs(422, "no", ("spec.x", 'Invalid value: "integer": must be string')))
        source = in_secret("s")
        wrong = [
            client_certificate(f"a{number}", source={"type": "Secret", "secret": source["secret"] | {"name": value}})
            for number, value in enumerate(WRONG)
        ]
        assert {reason for _, reason, _ in found(Call(server, write(tmp_path, *wrong)))} == {"Refused"}


def test_a_refused_manifest_has_its_place(tmp_path: Path) -> None:
    """References to it are good, and so is what else the folder has."""
    refused = to_dry_runs(422, "no", ("spec.alerts", "Required value"))

    def answer(method: str, path: str, content: Object) -> Answer | None:
        return refused(method, path, content) if "certificatepolicies" in path else None

    certificate = client_certificate("nhs", policyRef={"name": "daily"})
    folder = write(tmp_path, certificate, certificate_policy("daily", slack_channel("a", "#a", "gone")))
    call = Call(Server(answer=answer), folder)
    assert found(call) == [("daily", "Refused", "spec.alerts: Required value")]
    assert call.objects == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (to_dry_runs(413, "Request entity too large: limit is 3145728"), "Request entity too large: limit is 3145728"),
        (
            to_dry_runs(
                500,
                "failed to create typed patch object (team/nhs; clientcert.dev/v1alpha1, Kind=ClientCertificate):"
                " errors:\n  .spec.policyReff: field not declared in schema\n"
                f"  .spec.consumer: expected string, got &value.valueUnstructured{{Value:[]{{{ADDRESS}}}}}",
            ),
            ".spec.policyReff: field not declared in schema; .spec.consumer: expected string",
        ),
    ],
)
def test_a_refusal_with_another_status(tmp_path: Path, answer: Any, words: str) -> None:
    assert found(Call(Server(answer=answer), write(tmp_path, client_certificate("nhs")))) == [("nhs", "Refused", words)]


@pytest.mark.parametrize(("status", "words"), [(409, "exists already"), (500, 'failed calling webhook "kyverno"')])
def test_a_dry_run_that_fails_is_a_check_that_was_not_made(tmp_path: Path, status: int, words: str) -> None:
    """The others are made; one line says which were not."""
    folder = write(tmp_path, *(client_certificate(f"c{number}") for number in range(5)))

    def answer(_: str, path: str, content: Object) -> Answer | None:
        return (status, {"message": words}) if "dryRun" in path and content["metadata"]["name"] != "c0" else None

    outcome = Call(Server(answer=answer), folder).outcome()
    assert [(each.what, each.why) for each in outcome.not_made] == [
        ("ClientCertificate c1, ClientCertificate c2, ClientCertificate c3 and 1 more", f"{words}: try again")
    ]
    assert outcome.findings == ()


def test_unknown_fields_outside_the_spec_are_sent(tmp_path: Path) -> None:
    """So that the API server refuses them; also of an object that `kubectl apply` has made."""
    manifest = client_certificate("nhs")
    last = manifest | {"metadata": {"name": "nhs", "labels": {"old": "x"}}}
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(last)}
    server = Server(applied(manifest, annotations=annotation))
    changed = manifest | {"metadata": {"name": "nhs", "lables": {}, "uid": "1"}, "specc": {}, "status": {}}
    Call(server, write(tmp_path, changed), skip=["rights"]).outcome()
    [sent] = server.sent
    assert sent["metadata"] == {
        "name": "nhs", "namespace": "team", "lables": {}, "annotations": {}, "labels": None
    }  # fmt: skip
    assert (sent["specc"], "status" in sent) == ({}, False)
