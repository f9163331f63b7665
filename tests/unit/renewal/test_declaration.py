"""The changes of an editor to a certificate since the last delivery are named to the approver."""

from typing import Any

import pytest

from clientcert.lifecycle.renewal.declaration import changed_fields, declared_hash
from clientcert.lifecycle.spec import CertificateSpec, S3Source, SecretKeyRef, SecretSource
from clientcert.pki.identity import Field, Identity
from tests.builders import UID, declaration

PEOPLE = ("jo@nhs.example", "sam@nhs.example")
BEFORE = declared_hash(UID, declaration(), PEOPLE)


def changed(recipients: tuple[str, ...] = PEOPLE, uid: str = UID, **changes: Any) -> tuple[str, ...]:
    return changed_fields(BEFORE, declared_hash(uid, declaration(**changes), recipients))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"policy": "lenient"}, "policyRef"),
        ({"identity": Identity("dwp")}, "identity"),
        ({"identity": Identity("nhs", ((Field.ISSUER_DN, "CN=Another"),))}, "identity"),
        ({"profile": "Host"}, "profile"),
        ({"source": SecretSource("another", "tls.crt")}, "source"),
        ({"source": SecretSource("nhs-client-cert", "tls.crt", SecretKeyRef("p", "k"))}, "source"),
        ({"source": S3Source("nhs-client-cert", "tls.crt")}, "source"),
        ({"recipients": ("eve@elsewhere.example",)}, "contact"),
        ({"recipients": PEOPLE[::-1]}, "contact"),
        ({"recipients": ()}, "contact"),
    ],
)
def test_each_field_is_named(changes: dict[str, Any], expected: str) -> None:
    """Of the contact, what is found counts, also in a client list."""
    assert changed(**changes) == (expected,)


def test_nothing_else_matters() -> None:
    """Neither an owner, nor a silence, nor a vetting: they make no certificate go to somebody else."""
    assert changed() == ()
    assert changed(owner="others", batch="2026-spring", acknowledged="4af2") == ()


def test_another_object_of_the_same_name() -> None:
    """Everything about it is another then, so only that is named."""
    assert changed(uid="another") == ("uid",)


def test_nothing_is_known_of_before() -> None:
    """At the first look nothing is a change; a field that a later version adds is none, either."""
    now = declared_hash(UID, declaration(), PEOPLE)
    assert changed_fields("", now) == ()
    assert changed_fields(";".join(now.split(";")[:3]), now) == ()


def test_it_fits_into_the_status_and_names_nobody() -> None:
    """512 characters; no address, which is personal, and none that can be guessed without the uid."""
    spec = CertificateSpec("c" * 253, "e" * 253, declaration().source, declaration().contact, policy="p" * 253)
    found = declared_hash(UID, spec, PEOPLE * 100)
    assert len(found) <= 512
    assert "jo@" not in found
    assert found != declared_hash("another", spec, PEOPLE * 100)
