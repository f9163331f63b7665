"""Wrong calls, which are refused without a cluster: exit code 2, and a message that helps and holds no address."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from clientcert.cli import cli
from tests.unit.cli.renewal_objects import CSR, KEY, public_key

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def clientcert(*arguments: str) -> Result:
    """A call without a kubeconfig: it ends with 1 if it gets as far as to connect."""
    return CliRunner().invoke(
        cli, [*arguments], obj={"now": lambda: NOW}, env={"KUBECONFIG": "/nowhere/kubeconfig", "COLUMNS": "200"}
    )


class TestSilence:
    @pytest.mark.parametrize(
        ("until", "words"),
        [
            ("2026-11-22T08:59:59Z", "--until is in the past"),
            ("2026-11-22T10:00:00+01:00", "--until is in the past"),
            ("0d", "--until is in the past"),
            ("tomorrow", "--until must be an RFC 3339 time"),
            ("2026-12-24", "--until must be an RFC 3339 time"),
            ("2026-12-24T00:00:00", "--until must be an RFC 3339 time"),
            ("2026-13-24T00:00:00Z", "--until must be an RFC 3339 time"),
            ("0000-12-24T00:00:00Z", "--until must be an RFC 3339 time"),
            ("9999-12-31T23:59:59-23:00", "--until must be an RFC 3339 time"),
            ("99999d", "--until must be an RFC 3339 time"),
            ("-5d", "--until must be an RFC 3339 time"),
            ("nand", "--until must be an RFC 3339 time"),
            ("9" * 5000 + "d", "--until must be an RFC 3339 time"),
            ("", "--until must be an RFC 3339 time"),
        ],
    )
    def test_an_invalid_end(self, until: str, words: str) -> None:
        """The end must be in the future and have a time zone."""
        result = clientcert("silence", "nhs-prod", "--until", until, "--reason", "moving house")
        assert (result.exit_code, words in result.stderr) == (2, True)

    @pytest.mark.parametrize("reason", ["", "two\nlines", " padded", "<!channel>", "r" * 257, "turned\u202e"])
    def test_a_reason_that_the_schema_would_refuse(self, reason: str) -> None:
        result = clientcert("silence", "nhs-prod", "--until", "30d", "--reason", reason)
        assert result.exit_code == 2
        assert "--reason must be one line of visible characters" in result.stderr

    @pytest.mark.parametrize(
        "arguments",
        [[], ["--until", "30d"], ["--reason", "moving"], ["--end", "--until", "30d"], ["--end", "--reason", "x"]],
    )
    def test_an_end_and_a_reason_or_neither(self, arguments: list[str]) -> None:
        result = clientcert("silence", "nhs-prod", *arguments)
        assert result.exit_code == 2
        assert "--end" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deny", "nhs-1", "--reason", "Any", "-o", "yaml"], "-o needs --yes or --dry-run"),
        (["retire", "nhs", "-o", "name", "--dry-run=none"], "-o needs --yes or --dry-run"),
        (["vet", "nhs", "--dry-run", "server"], "Got unexpected extra argument (server)"),
        (["vet", "nhs", "--dry-run=all"], "'all' is not one of 'none', 'client', 'server'"),
    ],
)
def test_a_dry_run(arguments: list[str], words: str) -> None:
    """The output for programs has no question in it; `--dry-run` takes a value after = only."""
    result = clientcert(*arguments)
    assert (result.exit_code, words in result.stderr) == (2, True)


class TestContact:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "nothing to record: give --technical, --business or --note"),
            (["--technical", "Jo <jo@acme.example>"], "--technical must be one plain e-mail address"),
            (["--business", "jo@acme.example\nBcc: x@acme.example"], "--business must be one plain e-mail address"),
            (["--technical-name", "Jo of acme.example"], "give the address, too"),
            (
                ["--technical", "a@b.example", "--technical-name", "<jo@acme.example>"],
                "--technical-name must be one line",
            ),
            (["--note", "acme.example" * 100], "--note has more than 1024 characters"),
        ],
    )
    def test_an_invalid_person(self, arguments: list[str], words: str) -> None:
        """The message does not repeat the refused value, because it may be kept in a log."""
        result = clientcert("contact", "set", "nhs-prod", *arguments)
        assert result.exit_code == 2
        assert words in result.stderr
        assert "acme.example" not in result.stderr

    def test_a_list_with_invalid_lines(self, tmp_path: Path) -> None:
        """Exit code 3, the first twenty lines, and no request to a cluster."""
        file = tmp_path / "list.csv"
        file.write_text("consumer,technical_email\n" + "".join(f"c{number},@acme.example\n" for number in range(25)))
        result = clientcert("contact", "import", str(file), "--configmap", "clients")
        assert result.exit_code == 3
        lines = result.stderr.splitlines()
        assert lines[0] == "Error: nothing was imported:"
        assert [line.split(":")[0] for line in lines[1:21]] == [f"line {number}" for number in range(2, 22)]
        assert lines[21:] == ["and 5 more"]
        assert "acme.example" not in result.stderr

    def test_a_file_that_is_no_list(self, tmp_path: Path) -> None:
        """A file above the limit is not read to its end."""
        file = tmp_path / "disk.img"
        with file.open("wb") as stream:
            stream.truncate(9 * 1024 * 1024)
        result = clientcert("contact", "import", str(file), "--configmap", "clients")
        assert (result.exit_code, result.stderr) == (
            3,
            "Error: the file is larger than 8 MiB, the limit of a client list\n",
        )
        assert clientcert("contact", "import", str(tmp_path / "none.csv"), "--configmap", "c").exit_code == 2


class TestCheck:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-A", "-n", "team"], "give --namespace or --all-namespaces, not both"),
            ([".", "-A"], "with DIR give neither --all-namespaces nor --selector"),
            ([".", "-l", "a=b"], "with DIR give neither --all-namespaces nor --selector"),
            (["there-is-no-such-folder"], "does not exist"),
            (["--wait", "soon"], "must be a duration like 90s, 2m or 1h30m"),
            (["--skip", "everything"], "is not one of"),
            (["--operator-service-account", "operator"], "must be namespace and name"),
            (["--operator-service-account", "a:../b"], "must be namespace and name"),
            (["-o", "yaml"], "is not one of"),
        ],
    )
    def test_an_invalid_option(self, arguments: list[str], words: str) -> None:
        result = clientcert("check", *arguments)
        assert (result.exit_code, words in result.stderr) == (2, True)


class TestForecast:
    @pytest.mark.parametrize("arguments", [["--days", "-1"], ["--days", "367"], ["-A", "-n", "team"], ["-o", "xml"]])
    def test_an_invalid_option(self, arguments: list[str]) -> None:
        result = clientcert("forecast", *arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("Usage: clientcert forecast")


class TestImport:
    S3 = ("s3", "bucket", "--store", "backup", "--environment", "prod")
    FILES = ("files", ".", "--environment", "prod")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("s3", "bucket", "--store", "backup"), "Missing option '--environment'"),
            (("s3", "bucket", "--environment", "prod"), "Missing option '--store'"),
            ((*S3[:4], "--environment", "prod\n"), "--environment must be one line"),
            ((*S3, "--store", "../backup"), "is not a valid name of a CertificateStore"),
            ((*S3, "--credentials-secret", "A"), "is not a valid name of a Secret"),
            ((*S3, "--policy", "a/b"), "is not a valid name of a CertificatePolicy"),
            ((*S3, "--key-pattern", "client.pem"), "--key-pattern must have {consumer} once"),
            ((*FILES, "--key-pattern", "{name}/{consumer}"), "--key-pattern knows no field but {consumer}"),
            ((*FILES, "--ignored-until", "30d"), "need --ignored"),
            ((*FILES, "--ignored", __file__, "--ignored-until", "0d"), "--ignored-until is in the past"),
            ((*FILES, "--ignored", __file__, "--ignored-reason", "<left>"), "--ignored-reason must be one line"),
            (("secrets", "--environment", "prod", "-A", "-n", "team"), "not both"),
        ],
    )
    def test_an_invalid_option(self, arguments: tuple[str, ...], words: str) -> None:
        result = clientcert("import", *arguments)
        assert (result.exit_code, words in result.stderr) == (2, True)

    def test_lists_with_invalid_lines(self, tmp_path: Path) -> None:
        """Exit code 3, without a call of a cluster; no word and no address is repeated."""
        ignored, contacts = tmp_path / "ignored", tmp_path / "clients.csv"
        ignored.write_text("prod/nhs\nacme.example\n")
        contacts.write_text("consumer,technical_email\nnhs,@acme.example\n")
        for option, file, words in (
            ("--ignored", ignored, "the file of --ignored cannot be used:\nline 2: "),
            ("--contacts", contacts, "nothing was imported:\nline 2: "),
        ):
            result = clientcert("import", *self.FILES, option, str(file))
            assert (result.exit_code, words in result.stderr) == (3, True)
            assert "acme.example" not in result.stderr

    def test_a_directory_of_somebody_else(self, tmp_path: Path) -> None:
        (tmp_path / "kustomization.yaml").write_text("resources: []\n")
        result = clientcert("import", *self.FILES, "--out", str(tmp_path))
        assert (result.exit_code, "name another directory with --out" in result.stderr) == (3, True)


class TestReport:
    @pytest.mark.parametrize("arguments", [["-A", "-n", "team"], ["-o", "xml"], ["-o", "table"], ["nhs-prod"]])
    def test_an_invalid_option(self, arguments: list[str]) -> None:
        result = clientcert("report", *arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("Usage: clientcert report")


class TestRenew:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["nhs-prod"], "give one of --csr, --public-key and --reuse"),
            (["nhs-prod", "--csr", "a", "--reuse"], "give one of --csr, --public-key and --reuse"),
            (["nhs-prod", "--csr", "a", "--public-key", "b"], "give one of --csr, --public-key and --reuse"),
            (["--reuse"], "give NAME, or -l or --all"),
            (["nhs-prod", "--reuse", "--all"], "give NAME, or -l or --all"),
            (["--csr", "a", "-l", "team=a"], "a CSR, key or proof belongs to one certificate"),
            (["--reuse", "--proof", "a", "--all"], "a CSR, key or proof belongs to one certificate"),
            (["--reuse", "--all", "-l", "team=a"], "give either -l or --all"),
            (["nhs-prod", "--reuse", "-A"], "-A goes with -l or --all"),
            (["--reuse", "--all", "-A", "-n", "team"], "-A goes with -l or --all, and without -n"),
            (["nhs-prod", "--reuse", "--reissue"], "the old key is not used again"),
            (["nhs-prod", "--csr", "-", "--proof", "-"], "only one file can be standard input"),
            (["nhs-prod", "--reuse", "--reason", "two\nlines"], "--reason must be one line"),
            (["nhs-prod", "--reuse", "--reason", "r" * 257], "--reason must be one line"),
        ],
    )
    def test_options_that_do_not_go_together(self, arguments: list[str], words: str) -> None:
        result = clientcert("renew", *arguments)
        assert (result.exit_code, words in result.stderr) == (2, True)

    @pytest.mark.parametrize("option", ["--csr", "--public-key", "--proof"])
    def test_a_private_key_goes_nowhere(self, option: str, tmp_path: Path) -> None:
        """It is refused before a cluster is connected to, and the message says that another key is needed."""
        key = ec.generate_private_key(ec.SECP256R1())
        (tmp_path / "sent.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (tmp_path / "key.pem").write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        files = {"--public-key": str(tmp_path / "key.pem")} if option == "--proof" else {}
        arguments = [part for pair in (files | {option: str(tmp_path / "sent.pem")}).items() for part in pair]
        result = clientcert("renew", "nhs-prod", *arguments)
        assert result.exit_code == 3
        assert "have the consumer make another key" in result.stderr
        assert "PRIVATE KEY" not in result.stderr

    def test_a_file_for_the_other_option(self, tmp_path: Path) -> None:
        """With a public key the operator makes the key; with a CSR it does not: nothing is guessed."""
        (tmp_path / "nhs.csr").write_text(CSR)
        (tmp_path / "nhs.pem").write_text(public_key(KEY))
        for arguments, words in (
            (["--public-key", str(tmp_path / "nhs.csr")], "give it with --csr"),
            (["--csr", str(tmp_path / "nhs.pem")], "give it with --public-key"),
            (["--csr", str(tmp_path / "none.csr")], "the file does not exist"),
        ):
            result = clientcert("renew", "nhs-prod", *arguments)
            assert (result.exit_code, words in result.stderr) == (3, True)


class TestDecision:
    @pytest.mark.parametrize("way", ["mail", "e-mail", "by mail", "Email", "an e-mail."])
    def test_a_mail_confirms_nothing(self, way: str) -> None:
        result = clientcert("approve", "nhs-prod-1", "--confirmed-by", way)
        assert (result.exit_code, "a mail proves nothing" in result.stderr) == (2, True)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["approve", "nhs-prod-1", "--confirmed-by", "two\nlines"], "--confirmed-by must be one line"),
            (["approve", "nhs-prod-1", "--message", "m" * 1025], "--message must be one line"),
            (["approve", "nhs-prod-1", "--reason", "two words"], "--reason must be one word"),
            (["deny", "nhs-prod-1"], "give --reason or --message"),
            (["deny", "nhs-prod-1", "--message", "turned\u202e"], "--message must be one line"),
        ],
    )
    def test_words_that_the_schema_would_refuse(self, arguments: list[str], words: str) -> None:
        result = clientcert(*arguments)
        assert (result.exit_code, words in result.stderr) == (2, True)


class TestRetrieve:
    @pytest.mark.parametrize(
        "arguments", [["-o", "pem", "--to", "place"], ["--wait", "--timeout", "soon"], ["-o", "pkcs12"]]
    )
    def test_an_invalid_option(self, arguments: list[str]) -> None:
        assert clientcert("retrieve", "nhs-prod-1", *arguments).exit_code == 2


class TestVet:
    @pytest.mark.parametrize("day", ["2026-11-23", "yesterday", "2026-13-01", "2026-02-30", "26-1-1", ""])
    def test_a_day_that_is_none_or_not_yet(self, day: str) -> None:
        result = clientcert("vet", "nhs-prod", "--date", day)
        assert (result.exit_code, "--date " in result.stderr) == (2, True)

    def test_an_address_that_is_none(self) -> None:
        result = clientcert("vet", "nhs-prod", "--by", "jo.acme.example")
        assert result.exit_code == 2
        assert "acme.example" not in result.stderr


class TestRevoke:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["revoke", "nhs-prod"],
            ["revoke", "nhs-prod", "--reason", "Boredom"],
            ["revoke", "nhs-prod", "--reason", "Superseded", "--serial", "xyz"],
            ["retire"],
            ["retire", "nhs-prod", "--serial", "../nhs"],
        ],
    )
    def test_an_invalid_call(self, arguments: list[str]) -> None:
        assert clientcert(*arguments).exit_code == 2


VERBS = [
    ["silence", "nhs-prod", "--end"],
    ["contact", "set", "nhs-prod", "--technical", "jo@nhs.example"],
    ["contact", "show", "nhs-prod"],
    ["forecast"],
    ["import", "files", ".", "--environment", "prod"],
    ["import", "s3", "bucket", "--store", "backup", "--environment", "prod"],
    ["report"],
    ["renew", "nhs-prod", "--reuse"],
    ["retrieve", "nhs-prod-1"],
    ["approve", "nhs-prod-1"],
    ["deny", "nhs-prod-1", "--reason", "KeyNotConfirmed"],
    ["handed-over", "nhs-prod-1"],
    ["vet", "nhs-prod"],
    ["retire", "nhs-prod"],
    ["revoke", "nhs-prod", "--reason", "Superseded"],
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_verb_that_connects_needs_a_kubeconfig(verb: list[str]) -> None:
    """Exit code 1, as no cluster has refused anything."""
    result = clientcert(*verb)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("content", ["", "[", "apiVersion: v1\nkind: Config\n", "{\x00", "current-context: none\n"])
def test_an_invalid_kubeconfig(content: str, tmp_path: Path) -> None:
    """One line that says what to set, and no traceback. In a process of its own: the library reads KUBECONFIG once."""
    file = tmp_path / "kubeconfig"
    file.write_text(content)
    ran = subprocess.run(
        [sys.executable, "-m", "clientcert", "forecast"],
        env={"KUBECONFIG": str(file), "HOME": str(tmp_path), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: the kubeconfig cannot be used: set KUBECONFIG to a valid file")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give NAME or --policy"),
        (["nhs-prod", "--policy", "default"], "give NAME or --policy"),
        (["nhs-prod", "--to", "ours"], "--to must be one e-mail address"),
        (["nhs-prod", "--to", "a@b.example\nBcc: c@d.example"], "--to must be one e-mail address"),
        (["nhs-prod", "--to", "a@" + "b" * 300], "--to must be one e-mail address"),
        (["nhs-prod", "--wait", "soon"], "must be a duration"),
    ],
)
def test_a_test_of_nothing(arguments: list[str], words: str) -> None:
    """It needs one object, and an address in one line."""
    result = clientcert("test-alert", *arguments)
    assert (result.exit_code, words in result.stderr) == (2, True)
