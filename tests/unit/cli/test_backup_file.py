"""The file of a backup: what is left out of it, and what is not accepted."""

import io
import json
from typing import Any

import pytest

from clientcert.cli.backup_file import Item, end_line, head_line, lines_of, object_line, parse_backup
from clientcert.cli.errors import AnswerIsNo
from tests.builders import NOW
from tests.scenarios import API_VERSION


def stored(kind: str = "ClientCertificate", **more: Any) -> dict[str, Any]:
    """An object as the API server has it."""
    metadata = {
        "name": "nhs",
        "namespace": "integration",
        "generateName": "n",
        "uid": "0b5a",
        "resourceVersion": "7",
        "generation": 3,
        "managedFields": [{}],
        "finalizers": ["example.org/keep"],
        "ownerReferences": [{"uid": "1"}],
        "annotations": {"clientcert.dev/test-alert": "once", "clientcert.dev/restored": "then", "note": "kept"},
    }
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": {}} | more


def lines(*objects: dict[str, Any]) -> list[bytes]:
    return [head_line(NOW, None), *map(object_line, objects), end_line(len(objects))]


def test_what_belongs_to_the_cluster_is_left_out() -> None:
    found = json.loads(object_line(stored(status={"phase": "Valid", "test": {"value": "once"}})))
    assert found["metadata"] == {
        "name": "nhs",
        "namespace": "integration",
        "annotations": {"note": "kept"},
        "generation": 3,
    }
    assert found["status"] == {"phase": "Valid"}


def test_what_is_secret_of_a_request_is_left_out() -> None:
    request = stored(
        "CertificateRenewal",
        spec={"csr": "PEM", "proof": {"cms": "PEM"}, "requestedBy": "sam"},
        status={"ciphertext": "Q0FO", "issuance": {"request": "PEM", "serialNumber": "4af2"}, "state": "Done"},
    )
    found = json.loads(object_line(request))
    assert (found["spec"], found["status"]) == (
        {"requestedBy": "sam"},
        {"issuance": {"serialNumber": "4af2"}, "state": "Done"},
    )


def test_it_is_read_as_it_was_written() -> None:
    backup = parse_backup(lines(stored()))
    assert (backup.time, [*backup.lines]) == (NOW, [Item("integration", "ClientCertificate", "nhs")])
    assert backup.content(Item("integration", "ClientCertificate", "nhs"))["kind"] == "ClientCertificate"


def changed(**metadata: str) -> dict[str, Any]:
    found = stored()
    found["metadata"] |= metadata
    return found


def plain(**metadata: Any) -> bytes:
    """A line with metadata that clientcert backup does not write."""
    named = {"name": "nhs", "namespace": "integration"} | metadata
    return json.dumps({"apiVersion": API_VERSION, "kind": "ClientCertificate", "metadata": named}).encode()


def nested(levels: int) -> dict[str, Any]:
    return {"in": nested(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "cut off"),
        (lines(stored())[:-1], "cut off"),
        ([*lines(stored())[:-1], end_line(2)], "cut off"),
        ([*lines(stored()), object_line(stored())], "line 4: the backup goes on after its end"),
        ([b'{"format": "clientcert-backup/2"}'], "the format of the backup is clientcert-backup/2"),
        ([b'{"format": "clientcert-backup/1", "time": 7}'], "line 1: the backup has no time"),
        ([b"apiVersion: v1"], "line 1: no JSON object"),
        ([b"[]"], "line 1: no JSON object"),
        ([b"[" * 100_000], "line 1: no JSON object"),
        (lines(changed(name="../secrets/ca")), "line 2: no object of a backup"),
        (lines(changed(namespace="a/b")), "line 2: no object of a backup"),
        (lines(stored("Secret")), "line 2: no object of a backup"),
        (lines(stored(apiVersion="v1")), "line 2: no object of a backup"),
        (lines(stored(spec=[])), "line 2: no object of a backup"),
        ([head_line(NOW, None), plain(labels=["x"])], "line 2: no object of a backup"),
        ([head_line(NOW, None), plain(annotations={"note": 7})], "line 2: no object of a backup"),
        ([head_line(NOW, None), plain(finalizers=["example.org/keep"])], "line 2: no object of a backup"),
        (lines(stored(status=nested(80))), "line 2: no JSON object"),
        (lines(stored("ConfigMap", apiVersion="v1", data={})), "ConfigMap nhs .*: no policy of the backup"),
    ],
)
def test_another_file_is_refused(content: list[bytes], problem: str) -> None:
    with pytest.raises(AnswerIsNo, match=problem):
        parse_backup(content)


def test_a_line_without_end_is_not_read_to_its_end() -> None:
    stream = io.BytesIO(head_line(NOW, None) + b'{"apiVersion": "' + b"x" * 9 * 2**20)
    with pytest.raises(AnswerIsNo, match="line 2: no JSON object"):
        parse_backup(lines_of(stream))
    assert stream.tell() < 5 * 2**20
