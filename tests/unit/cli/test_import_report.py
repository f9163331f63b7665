"""The report of `clientcert import`: no entry of a list is without an effect unseen, and no address is printed."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clientcert.cli.client_list_file import Row
from clientcert.cli.ignored_words import IgnoredWord
from clientcert.cli.import_candidate import Candidate
from clientcert.cli.import_lists import about_the_lists
from clientcert.cli.import_options import ImportOptions
from clientcert.cli.import_plan import Planned, Result
from clientcert.cli.import_report import report
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.cli.manifest_text import write_text
from clientcert.lifecycle.spec import CertificateSpec, Contact, Person, S3Source, Silence
from tools.certificates import CertificateAuthority

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
AUTHORITY = CertificateAuthority.create("Integration CA")
ADDRESS = "canary.jo@nhs.example"
REQUEST = ImportRequest(NOW, "prod", "", Silence(END, "left"))


def planned(consumer: str, result: Result, words: str = "", *, silenced: bool = False) -> Planned:
    source = S3Source("backup", f"{consumer}/client.pem")
    spec = CertificateSpec(consumer, "prod", source, Contact(), silence=REQUEST.silence if silenced else None)
    return Planned(Candidate("team", source.key, "any", consumer, source=source), result, words, spec=spec)


def copy_of(consumer: str) -> Planned:
    each = planned(consumer, Result.LEFT_OUT, "it is the same certificate")
    return replace(each, candidate=replace(each.candidate, left_out=each.words))


PLACES = [
    planned("new", Result.NEW, silenced=True),
    copy_of("new"),
    planned("mine", Result.KEPT, "somebody has changed the file", silenced=True),
    planned("kept", Result.KEPT, "somebody has changed the file"),
    planned("broken", Result.UNREADABLE, "Empty: the file is empty"),
    planned("watched", Result.LEFT_OUT, "ClientCertificate mine watches it"),
]


def test_every_ignored_word_without_a_silence_is_named() -> None:
    """With the reason; one whose manifest has a silence already is none."""
    words = [IgnoredWord("prod", each) for each in ("new", "mine", "kept", "broken", "watched", "nobody")]
    words += [IgnoredWord("dev", "new"), IgnoredWord("dev", "kept")]
    assert about_the_lists(PLACES, replace(REQUEST, words=tuple(words))) == [
        "No certificate is called as the list of --ignored says: prod/nobody.",
        "prod/kept is ignored, but not silenced: kept/client.pem: somebody has changed the file.",
        "prod/broken is ignored, but not silenced: broken/client.pem: Empty: the file is empty.",
        "prod/watched is ignored, but not silenced: watched/client.pem: ClientCertificate mine watches it.",
        "Silence an object that exists with `clientcert silence`.",
        "Ignored words of other environments: dev/new, dev/kept.",
    ]


def test_every_row_without_a_manifest_is_named() -> None:
    """The consumer, and not its people."""
    jo = Person("Jo Bloggs", ADDRESS)
    rows = {each: Row(2, each, jo) for each in ("new", "watched", "nobody")} | {"kept": Row(2, "kept", note="a note")}
    found = about_the_lists(PLACES, replace(REQUEST, rows=rows))
    words = "watched/client.pem: ClientCertificate mine watches it."
    assert found == [
        "Consumers of the client list without a certificate here: 1.",
        f"The people of watched in the client list are not written: {words}",
        "Write the people of an object that exists with `clientcert contact`.",
    ]


def test_of_many_rows_the_first() -> None:
    places = [planned(f"c{number}", Result.LEFT_OUT, "it is watched") for number in range(15)]
    rows = {each.candidate.folder: Row(2, each.candidate.folder, Person("", ADDRESS)) for each in places}
    found = about_the_lists(places, replace(REQUEST, rows=rows))
    assert len(found) == 12
    assert found[10] == "Consumers of the client list of whom the same is true: 5 more."


@pytest.mark.parametrize("output", ["table", "json"])
def test_no_address_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    """The field of spec.identity that has it is named; the file has the value."""
    issued = AUTHORITY.issue(ADDRESS, BEGIN, END)
    candidate = Candidate("team", "nhs/client.pem", "any", "nhs", source=S3Source("backup", "nhs/client.pem"))
    read = candidate.read(lambda: issued.certificate_pem, NOW)
    (tmp_path / "acme-prod.yaml").write_bytes(write_text("any", [{"a": "b"}]))
    options = ImportOptions("prod", tmp_path, output, None, None, None, None, None)
    result = Planned(read, Result.CHANGED, file="nhs-prod.yaml", name="nhs-prod", changes=("contact", "identity"))
    report([result], [], REQUEST, options, ManifestDirectory.read(tmp_path).applied_in("team"))
    out, err = capsys.readouterr()
    assert ADDRESS not in out + err
    if output == "json":
        document = json.loads(out)
        assert document["identity"] == {"commonName": "an address, see the file"}
        assert document["changed"] == ["contact", "identity"]
    else:
        assert "changed: contact, identity; identity.commonName: an address, see the file" in out
        assert "1 changed. Manifests in " in out
        assert "Others there, of earlier imports: 1." in out
