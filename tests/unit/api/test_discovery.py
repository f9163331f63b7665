"""The names of a certificate that was found: stable names, and an identity that the operator accepts."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.api.client_list import is_one_line
from clientcert.api.discovery import KeyPattern, consumer_of, key_problem, object_names, read_found
from clientcert.errors import CertificateError, Reason
from clientcert.lifecycle.spec import S3Source, SecretSource
from clientcert.pki.identity import Field, Identity
from clientcert.pki.parsing import parse
from tools.certificates import CertificateAuthority

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
AUTHORITY = CertificateAuthority.create("Integration CA")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
PATTERN = KeyPattern.parse("{consumer}/client.pem")
HOSTILE = (
    "..",
    ".",
    "a\nb",
    "x" * 1000,
    "\u202egpj",
    "Zoë",
    "NHS",
    "nhs ",
    "-",
    "{consumer}",
    "a: b",
    "<nhs>",
    "\udc80",
)
texts = st.text(st.characters(exclude_characters="/"), min_size=1, max_size=80)


class TestKeyPattern:
    @pytest.mark.parametrize(
        ("pattern", "key", "folder"),
        [
            ("{consumer}/client.pem", "nhs/client.pem", "nhs"),
            ("{consumer}/client.pem", "../client.pem", ".."),
            ("{consumer}/client.pem", "a\nb/client.pem", "a\nb"),
            ("{consumer}/client.pem", "/client.pem", None),
            ("{consumer}/client.pem", "prod/nhs/client.pem", None),
            ("{consumer}/client.pem", "nhs/client.pem.old", None),
            ("{consumer}/client.pem", "client.pem", None),
            ("clients/{consumer}.crt", "clients/nhs.crt", "nhs"),
            ("clients/{consumer}.crt", "clients/a/nhs.crt", None),
            ("aa{consumer}aa", "aaa", None),
        ],
    )
    def test_a_key(self, pattern: str, key: str, folder: str | None) -> None:
        """{consumer} is one folder or a part of a name, and never empty; everything else matches exactly."""
        assert KeyPattern.parse(pattern).folder(key) == folder

    @given(texts)
    def test_each_folder_is_found_again(self, folder: str) -> None:
        assert PATTERN.folder(PATTERN.key(folder)) == folder

    @pytest.mark.parametrize(
        "text", ["", "client.pem", "{consumer}/{consumer}.pem", "{env}/{consumer}", "{consumer}\n"]
    )
    def test_an_invalid_one(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"\{consumer\}"):
            KeyPattern.parse(text)

    @pytest.mark.parametrize(
        ("prefix", "listed"), [("", "clients/"), ("team/", "team/clients/"), ("team", "team"), ("team-", "team-")]
    )
    def test_what_is_listed(self, prefix: str, listed: str) -> None:
        """The beginning of every key that matches; after a prefix, a slash may come or not."""
        assert KeyPattern.parse("clients/{consumer}.crt").listed(prefix) == listed

    def test_a_folder_without_the_object(self) -> None:
        assert PATTERN.folder_above("nhs/client.csr") == "nhs"
        assert PATTERN.folder_above("nhs/old/client.pem") == "nhs"
        assert PATTERN.folder_above("readme.txt") is None
        assert KeyPattern.parse("{consumer}.pem").folder_above("nhs/client.pem") is None


class TestNames:
    @pytest.mark.parametrize(
        ("folder", "environment", "name"),
        [
            ("nhs", "prod", "nhs-prod"),
            ("court-lists", "preprod", "court-lists-preprod"),
            ("nhs.uk", "prod", "nhs.uk-prod"),
        ],
    )
    def test_the_usual_name(self, folder: str, environment: str, name: str) -> None:
        assert object_names(folder, environment, "s3 a b").usual == name

    @pytest.mark.parametrize(
        ("folder", "name"),
        [
            ("NHS England", "nhs-england-prod-559df6e13f"),
            ("..", "prod-8c27b60a21"),
            ("x" * 1000, f"{'x' * 40}-prod-d4f9ac5162"),
        ],
    )
    def test_a_name_that_kubernetes_refuses(self, folder: str, name: str) -> None:
        """Readable, with a hash; a change of these would rename objects that exist."""
        assert object_names(folder, "prod", "any").usual == name

    @given(texts | st.sampled_from(HOSTILE), texts)
    def test_every_name_is_valid(self, folder: str, environment: str) -> None:
        for name in object_names(folder, environment, "any"):
            assert NAME.fullmatch(name)
            assert len(name) <= 130

    def test_no_two_folders_have_the_same_name(self) -> None:
        """Neither letter case nor anything that a name cannot have makes two the same."""
        folders = [*HOSTILE, "nhs", "n.h.s", "nhs\u200b", "nhs-", "n h s"]
        assert len({object_names(each, "prod", "any").usual for each in folders}) == len(folders)

    def test_the_other_name(self) -> None:
        """For another source of the same consumer, or for words that are joined to the same name."""
        one, two = (
            object_names("a-b", "c", "s3 store a-b/client.pem"),
            object_names("a", "b-c", "s3 store a/client.pem"),
        )
        assert one.usual == two.usual == "a-b-c"
        assert len({one.other, two.other, object_names("a-b", "c", SecretSource("a", "b")).other, one.usual}) == 4

    def test_the_other_name_stays(self) -> None:
        """A change of it would rename objects that exist; an import and the discovery of a store give the same."""
        source = S3Source("backup", "nhs/client.pem")
        assert object_names("nhs", "prod", source) == ("nhs-prod", "nhs-prod-d0aeb0d1d4")
        assert object_names("nhs", "prod", "s3 backup nhs/client.pem") == object_names("nhs", "prod", source)

    @pytest.mark.parametrize("folder", ["nhs", "NHS England", "Zoë"])
    def test_a_consumer_is_called_as_its_folder(self, folder: str) -> None:
        assert consumer_of(folder) == folder

    @given(st.text(max_size=100) | st.sampled_from(HOSTILE))
    def test_every_consumer_is_accepted(self, folder: str) -> None:
        assert is_one_line(consumer_of(folder), 64)

    @pytest.mark.parametrize("key", ["a\nb/client.pem", "\u202egpj/client.pem", "a\0/client.pem", "x" * 1025])
    def test_a_key_that_no_object_can_name(self, key: str) -> None:
        assert key_problem(key)
        assert key_problem("../NHS England/client.pem") == ""
        assert "1024 characters" in key_problem("x" * 1025)


class TestReading:
    def test_a_folder_that_is_called_as_the_certificate(self) -> None:
        issued = AUTHORITY.issue("nhs", BEGIN, END)
        found = read_found(issued.certificate_pem, "nhs", now=NOW)
        assert (found.name, found.consumer, found.identity) == ("nhs", "nhs", ())

    @pytest.mark.parametrize("common_name", ["nhs-production", "NHS", "nhs ", 'a "b": c', "Zoë", "nh\u202es", "n" * 64])
    def test_another_name_is_declared(self, common_name: str) -> None:
        """So that the operator accepts it: its own parser says that nothing differs."""
        issued = AUTHORITY.issue(common_name, BEGIN, END)
        found = read_found(issued.certificate_pem, "nhs", now=NOW)
        assert found.consumer == "nhs"
        declared = Identity.declared("nhs", dict(found.identity))
        assert parse(issued.certificate_pem, identity=declared, now=NOW).identity_mismatch == ""
        expected = Field.SUBJECT_DN if "\u202e" in common_name else Field.COMMON_NAME
        assert [each for each, _ in found.identity] == [expected]

    def test_without_a_common_name(self) -> None:
        issued = AUTHORITY.issue("", BEGIN, END, organization="NHS", dns_names=["client.nhs.example"])
        assert read_found(issued.certificate_pem, "nhs", now=NOW).identity == ((Field.DNS_NAME, "client.nhs.example"),)

    def test_the_certificate_names_the_consumer(self) -> None:
        """Where no folder does; and if it has no name, what holds it does."""
        found = read_found(AUTHORITY.issue("NHS England", BEGIN, END).certificate_pem, "", now=NOW)
        assert (found.consumer, found.identity) == ("NHS England", ())
        person = AUTHORITY.issue("jo@nhs.example", BEGIN, END)
        assert read_found(person.certificate_pem, "", otherwise="nhs-cert", now=NOW).consumer == "nhs-cert"
        nameless = AUTHORITY.issue("", BEGIN, END, organization="NHS")
        found = read_found(nameless.certificate_pem, "", otherwise="nhs-cert", now=NOW)
        assert (found.consumer, found.identity) == ("nhs-cert", ((Field.SUBJECT_DN, "O=NHS"),))

    def test_a_certificate_without_any_name(self) -> None:
        """Nothing can be declared that would accept it, so it is a problem, in the words of the operator."""
        nameless = AUTHORITY.issue("", BEGIN, END)
        with pytest.raises(CertificateError) as caught:
            read_found(nameless.certificate_pem, "nhs", now=NOW)
        assert caught.value.reason is Reason.IDENTITY_MISMATCH

    def test_of_several_that_which_the_operator_will_read(self) -> None:
        old, new = AUTHORITY.issue("a", BEGIN, datetime(2026, 6, 1, tzinfo=UTC)), AUTHORITY.issue("b", BEGIN, END)
        content = old.certificate_pem + new.certificate_pem
        found = read_found(content, "nhs", now=NOW)
        assert found.identity == ((Field.COMMON_NAME, "b"),)
        assert found.certificate.fingerprint_sha256 == new.fingerprint_sha256

    def test_what_it_may_be_used_for(self) -> None:
        found = read_found(AUTHORITY.identity.certificate_pem, "", now=NOW)
        assert (found.is_authority, found.is_for_clients) == (True, True)
        assert read_found(AUTHORITY.issue("nhs", BEGIN, END).certificate_pem, "", now=NOW).is_for_clients

    @pytest.mark.parametrize("content", [b"", b"\0" * 10, bytes(range(100, 200)), b"-----BEGIN CERTIFICATE-----\nx\n"])
    def test_content_that_is_none(self, content: bytes) -> None:
        with pytest.raises(CertificateError):
            read_found(content, "nhs", now=NOW)
