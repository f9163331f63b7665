"""Specs of the API are parsed to typed values."""

import pytest

from clientcert.api.client_certificate import parse_bucket, parse_duration, parse_spec
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.spec import Bucket, Contact, Person, S3Source, SecretKeyRef, SecretSource
from clientcert.pki.identity import Field, Identity

SPEC = {
    "consumer": "nhs",
    "environment": "prod",
    "contact": {"technical": {"name": "Jo Bloggs", "email": "jo@nhs.example"}, "lookup": ["Slack"]},
    "source": {"type": "Secret", "secret": {"name": "nhs-client-cert"}},
}


def test_the_minimal_spec():
    """Without `identity`, the expected CN is the consumer's name (design section 2)."""
    declaration = parse_spec(SPEC)
    assert declaration.source == SecretSource("nhs-client-cert", "tls.crt")
    assert declaration.contact == Contact(technical=Person("Jo Bloggs", "jo@nhs.example"), lookup=("Slack",))
    assert declaration.identity == Identity("nhs")
    assert declaration.silence is None


@pytest.mark.parametrize("field", Field)
def test_each_field_of_the_identity(field):
    """The consumer's name counts as well only if the issuer alone is declared."""
    name = "nhs" if field is Field.ISSUER_DN else ""
    assert parse_spec({**SPEC, "identity": {field.value: "a"}}).identity == Identity(name, ((field, "a"),))


def test_several_fields_of_the_identity():
    """An empty identity is as none at all; the order of the fields in the object does not matter."""
    assert parse_spec({**SPEC, "identity": {}}).identity == Identity("nhs")
    declared = parse_spec({**SPEC, "identity": {"issuerDN": "CN=CA", "uri": "spiffe://a"}}).identity
    assert declared == Identity("", ((Field.URI, "spiffe://a"), (Field.ISSUER_DN, "CN=CA")))


@pytest.mark.parametrize("reason", ["a public key has come", ""])
def test_an_acknowledgement(reason):
    said = {"serialNumber": "abcdef"} | ({"reason": reason} if reason else {})
    declaration = parse_spec({**SPEC, "acknowledgement": said})
    assert (declaration.acknowledged, declaration.acknowledged_because) == ("abcdef", reason)


def test_an_s3_source_with_a_password():
    source = {
        "type": "S3",
        "s3": {"storeRef": {"name": "backup"}, "key": "a/b.p12", "passwordSecretRef": {"name": "p", "key": "k"}},
    }
    assert parse_spec({**SPEC, "source": source}).source == S3Source("backup", "a/b.p12", SecretKeyRef("p", "k"))


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"type": "Vault"}},
        {"source": {}},
        {"silence": {"until": "soon", "reason": "x"}},
        {"silence": {"until": "9999-12-31T23:59:59-14:00", "reason": "in UTC it is in the year 10000"}},
        {"contact": "Jo"},
        {"identity": "nhs"},
        {"identity": {"issuerDN": 5}},
    ],
)
def test_an_invalid_spec_has_a_reason(change):
    with pytest.raises(ClientCertError) as caught:
        parse_spec({**SPEC, **change})
    assert caught.value.reason is Reason.SPEC_INVALID


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("90s", 90), ("24h", 86400)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "1.5h"])
def test_invalid_durations(text):
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_the_addressing_of_a_bucket():
    assert parse_bucket({"s3": {"bucket": "b", "addressing": "Virtual"}}).addressing == "Virtual"


def test_a_bucket():
    s3 = {"bucket": "b", "region": "eu-west-2", "credentialsSecretRef": {"name": "aws"}}
    assert parse_bucket({"s3": s3}) == Bucket("b", region="eu-west-2", credentials_secret="aws", poll_seconds=300)
