"""Certificates in a bucket: one LIST for all, a GET for each change, a reason for each failure (rows 14 to 16)."""

from collections.abc import Callable

import pytest
from aiohttp import web

from tests.control_plane.buckets import CREDENTIALS, STORE, Backup
from tests.control_plane.operators import Operator
from tests.control_plane.sentences import expiring, replaced
from tests.control_plane.waiting import eventually, until


def test_one_list_serves_all_and_unchanged_objects_are_not_read(backup: Backup, operator: Operator) -> None:
    """Once the objects are known, a poll of the bucket is one request, for any content, and writes nothing."""
    backup.declare()
    names = [f"consumer-{number}" for number in range(5)]
    for name in names:
        backup.hand_out(name, days=200)
    for name in names:
        eventually(lambda name=name: backup.team.phase(name), "Valid")
    backup.poll(operator)
    eventually(lambda: counted(backup), (len(names), len(names)))  # the last that the poll writes
    lists, gets, versions = backup.proxy.lists, backup.proxy.gets, backup.team.versions()
    for number in (1, 2):
        backup.poll(operator)
        assert (backup.proxy.lists, backup.proxy.gets) == (lists + number, gets)
    changed = {item for item, version in backup.team.versions().items() if versions[item] != version}
    assert changed == {("Secret", CREDENTIALS)}


def counted(backup: Backup) -> tuple[int, int]:
    """Objects and certificates of the store, by its status."""
    status = backup.team.status(STORE, "CertificateStore")
    return status.get("objects", 0), status.get("certificates", 0)


def test_a_renewed_upload_is_closed(backup: Backup, operator: Operator) -> None:
    """A renewed certificate in the bucket ends the alerts with one message, at the next poll."""
    backup.declare()
    team = backup.team
    backup.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    new = team.issue("nhs", days=365)
    backup.upload("nhs", new)
    backup.poll(operator)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20), replaced("nhs", new)])
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    assert team.serial("nhs") == new.serial_number_hex


def test_another_etag_with_the_same_certificate_is_no_replacement(backup: Backup, operator: Operator) -> None:
    """The object was uploaded again with another comment: it is read, and no message is sent."""
    backup.declare()
    team = backup.team
    issued = backup.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    backup.poll(operator)
    before, gets = team.status("nhs")["source"]["version"], backup.proxy.gets
    backup.upload("nhs", b"uploaded again\n" + issued.certificate_pem)
    backup.poll(operator)
    eventually(lambda: team.status("nhs")["source"]["version"] == before, expected=False)
    assert backup.proxy.gets == gets + 1
    assert team.notified("nhs") == [expiring("nhs", 20)]
    assert team.status("nhs").get("history") is None
    assert "Renewed" not in team.events("nhs")


def test_an_object_that_is_deleted_and_uploaded_again(backup: Backup, operator: Operator) -> None:
    """Missing at the next poll, with the last known date; recovered at the poll after the upload."""
    backup.declare()
    team = backup.team
    issued = backup.hand_out("nhs", days=100)
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    backup.client.delete_object(backup.bucket, backup.key("nhs"))
    backup.poll(operator)
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "SourceNotFound"))
    assert (team.phase("nhs"), team.status("nhs")["daysRemaining"]) == ("Missing", 99)
    backup.upload("nhs", issued)
    backup.poll(operator)
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))


Act = Callable[[Backup], None]
GONE = frozenset({"BucketNotFound", "CredentialsNotFound"})
"""A moment without these is no alarm."""
REFUSALS: dict[str, tuple[str, str, Act, Act]] = {
    "a deleted bucket": (
        "BucketNotFound",
        "does not exist: create it, or correct CertificateStore backup",
        lambda backup: (backup.delete_bucket(), backup.trigger_poll()),
        lambda backup: (backup.recreate(), backup.trigger_poll()),
    ),
    "no such bucket": (
        "BucketNotFound",
        "does not exist: create it, or correct CertificateStore backup",
        lambda backup: backup.declare_store(bucket="another-bucket"),
        lambda backup: backup.declare_store(),
    ),
    "no right to it": (
        "AccessDenied",
        "s3:ListBucket",
        lambda backup: (backup.proxy.refuses(403, "AccessDenied"), backup.trigger_poll()),
        lambda backup: (setattr(backup.proxy, "behaviour", None), backup.trigger_poll()),
    ),
    "a wrong secret": (
        "CredentialsInvalid",
        "is not accepted (SignatureDoesNotMatch): correct it",
        lambda backup: backup.give_credentials("wrong"),
        lambda backup: backup.give_credentials(backup.server.secret_key),
    ),
    "no credentials": (
        "CredentialsNotFound",
        "does not exist: create it, or correct the reference",
        lambda backup: backup.team.delete("Secret", CREDENTIALS),
        lambda backup: backup.give_credentials(backup.server.secret_key),
    ),
    "an endpoint inside the cluster": (
        "EndpointNotAllowed",
        "CLIENTCERT_ALLOWED_HOSTS",
        lambda backup: backup.declare_store(endpoint="http://10.0.0.1:9000"),
        lambda backup: backup.declare_store(),
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_bucket_that_cannot_be_read(what: str, backup: Backup, operator: Operator) -> None:
    """Store and certificate say why and what to fix, the alert is sent, and both recover as soon as it is fixed."""
    reason, words, break_it, mend_it = REFUSALS[what]
    backup.declare()
    team = backup.team
    backup.hand_out("nhs", days=20)
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "ExpiringSoon"))
    eventually(backup.store_says, ("True", "Polled"))
    break_it(backup)
    eventually(backup.store_says, ("False", reason))
    assert words in team.words(STORE, "Ready", of="CertificateStore")
    eventually(lambda: team.condition("nhs", "Ready"), ("False", reason))
    assert words in team.words("nhs", "Ready")
    eventually(lambda: reason in team.events("nhs"), expected=True)
    assert team.status("nhs")["daysRemaining"] == 19
    mend_it(backup)
    eventually(backup.store_says, ("True", "Polled"))
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "ExpiringSoon"))
    alert, *problems = until(lambda: team.notified("nhs"))
    assert alert == expiring("nhs", 20)
    assert len(problems) <= (reason not in GONE)  # it may be over before the message has its turn in the channel
    assert all(words in each for each in problems)


def test_a_store_that_is_deleted(backup: Backup, operator: Operator) -> None:
    """Its certificates are Missing with StoreNotFound; when the store is recreated they recover."""
    backup.declare()
    team = backup.team
    backup.hand_out("nhs", days=100)
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
    team.delete("CertificateStore", STORE)
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "StoreNotFound"))
    assert "create it, or correct spec.source.s3.storeRef" in team.words("nhs", "Ready")
    assert team.phase("nhs") == "Missing"
    backup.declare_store()
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))


def test_an_object_that_is_too_large(backup: Backup, operator: Operator) -> None:
    """More than 1 MiB is not read; another certificate in the bucket is."""
    backup.declare()
    backup.upload("large", b"-" * (1024 * 1024 + 1))
    backup.watch("large")
    backup.hand_out("nhs", days=100)
    eventually(lambda: backup.team.condition("large", "Ready"), ("False", "TooLarge"))
    assert "name an object that is only a certificate" in backup.team.words("large", "Ready")
    eventually(lambda: backup.team.condition("nhs", "Ready"), ("True", "Valid"))


def test_private_keys_in_the_bucket_are_reported(backup: Backup, operator: Operator) -> None:
    """They are recognised by their names in the LIST; their removal is reported, too."""
    backup.declare()
    team = backup.team
    for key in ("nhs/client.key", "nhs/client.pem"):
        backup.client.put_object(backup.bucket, key, b"-")
    eventually(backup.store_says, ("True", "Polled"))
    backup.poll(operator)
    eventually(lambda: team.condition(STORE, "PrivateKeysAbsent", of="CertificateStore"), ("False", "PrivateKeysFound"))
    assert "nhs/client.key: remove them" in team.words(STORE, "PrivateKeysAbsent", of="CertificateStore")
    backup.client.delete_object(backup.bucket, "nhs/client.key")
    backup.poll(operator)
    eventually(lambda: team.condition(STORE, "PrivateKeysAbsent", of="CertificateStore"), ("True", "NoneFound"))
    assert team.status(STORE, kind="CertificateStore")["objects"] == 1


def test_a_bucket_that_may_not_be_listed_is_read_by_name(backup: Backup, operator: Operator) -> None:
    """Some stores allow only GET: the store reports that, and a renewed upload is still noticed."""

    async def refuse_lists(request: web.Request) -> web.Response | None:
        if "list-type" not in request.query:
            return None
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")

    backup.proxy.behaviour = refuse_lists
    backup.declare()
    team = backup.team
    backup.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20)])
    eventually(backup.store_says, ("False", "AccessDenied"))
    new = team.issue("nhs", days=365)
    backup.upload("nhs", new)
    backup.poll(operator)
    eventually(lambda: team.notified("nhs"), [expiring("nhs", 20), replaced("nhs", new)])
