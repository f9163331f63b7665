"""`clientcert import`: with a real S3 server, with Secrets of the API server, and with files."""

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.conftest import REPOSITORY
from tests.control_plane.operators import Operators
from tests.control_plane.team import DAY, Team
from tests.control_plane.test_canary import Canaries
from tests.control_plane.test_cli import Terminal
from tests.control_plane.waiting import eventually
from tests.docs.commands import run_dry
from tests.docs.pages import blocks
from tests.scenarios import client_certificate, in_store, secret, store_credentials
from tools.certificates import make_private_key
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client
from tools.helm import Helm

STORE, SECRET = "backup", "backup-credentials"
ADDRESS = "canary.jo@nhs.example"
CSV = f"Consumer,Technical name,Technical email\nnhs,Jo Bloggs,{ADDRESS}\nelsewhere,,kim@elsewhere.example\n"
IGNORED = "IGNORED=(\n  prod/left  # moved away\n  preprod/nhs prod/nobody\n)\n"
HIDDEN = "\u202egpj"


@dataclass(frozen=True)
class Scene:
    """A bucket as the former script has it, and a person with AWS credentials and a kubeconfig."""

    team: Team
    terminal: Terminal
    server: S3Server
    client: S3Client
    canaries: Canaries

    @property
    def bucket(self) -> str:
        return f"backup-{self.team.namespace}"

    @property
    def call(self) -> tuple[str, ...]:
        options = ("--store", STORE, "--environment", "prod", "--endpoint-url", self.server.endpoint)
        lists = ("--contacts", "clients.csv", "--ignored", "ignored.txt", "--credentials-secret", SECRET)
        return ("import", "s3", self.bucket, *options, *lists)

    def upload(self, key: str, content: bytes) -> None:
        self.client.put_object(self.bucket, key, content)

    def files(self, directory: str) -> dict[str, bytes]:
        return {each.name: each.read_bytes() for each in (self.terminal.directory / directory).iterdir()}

    def rows(self, *call: str) -> dict[str, dict[str, Any]]:
        """The results by source, of a call with -o json."""
        printed = self.terminal.clientcert(*call, "-o", "json").stdout
        return {found["source"]: found for found in map(json.loads, printed.splitlines())}

    def apply(self, directory: str, *options: str) -> list[str]:
        """The output of `kubectl apply -k`."""
        return self.team.control_plane.kubectl(
            "apply", "-k", self.terminal.directory / directory, *options
        ).splitlines()


@pytest.fixture(scope="module")
def scene(lasting_team: Team, s3: tuple[S3Server, S3Client], tmp_path_factory: pytest.TempPathFactory) -> Scene:
    team, (server, client), home = lasting_team, s3, tmp_path_factory.mktemp("person")
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text(f"[default]\nregion = {server.region}\n")
    keys = f"aws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    (home / ".aws/credentials").write_text(f"[default]\n{keys}")
    (home / "clients.csv").write_text(CSV)
    (home / "ignored.txt").write_text(IGNORED)
    issued = team.authority.issue("nhs", team.began - 10 * DAY, team.began + 200 * DAY)
    scene = Scene(team, Terminal(team, home), server, client, Canaries(issued))
    client.create_bucket(scene.bucket)
    scene.upload("nhs/client.pem", issued.certificate_pem)
    scene.upload("nhs/client.key", issued.private_key_pem)
    for folder, name in (
        ("weather", "weather-production"),
        ("NHS England", "NHS England"),
        ("left", "left"),
        ("watched", "watched"),
        (HIDDEN, "gpj"),
        ("0o17", "0o17"),
    ):
        certificate = team.authority.issue(name, team.began - 10 * DAY, team.began + 100 * DAY)
        scene.upload(f"{folder}/client.pem", certificate.certificate_pem)
    scene.upload("broken/client.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    scene.upload("only-a-request/client.csr", issued.csr_pem())
    team.apply(client_certificate("by-hand", consumer="watched", source=in_store(STORE, "watched/client.pem")))
    return scene


@pytest.fixture(scope="module")
def first(scene: Scene) -> str:
    """The output of the first import from the bucket."""
    versions = scene.team.versions()
    ran = scene.terminal.clientcert(*scene.call, now=scene.team.began)
    assert (ran.returncode, ran.stderr) == (3, "")
    assert scene.team.versions() == versions
    return ran.stdout


class TestBucket:
    def test_the_report(self, scene: Scene, first: str) -> None:
        """A line for each place, also for what cannot be read; and what the lists have that is not here."""
        table, remarks = first.split("\n\n")
        expires, sooner = (f"{scene.team.began + days * DAY:%Y-%m-%d}" for days in (200, 100))
        rows = {
            line.partition("/client.pem")[0]: line.partition("/client.pem")[2].split() for line in table.splitlines()
        }
        assert rows["nhs"] == ["new", "nhs-prod", expires]
        assert rows["weather"] == ["new", "weather-prod", sooner, "identity.commonName:", '"weather-production"']
        assert rows["left"][:5] == ["new", "left-prod", sooner, "silenced", "until"]
        assert rows["watched"] == ["left", "out", "-", sooner, "ClientCertificate", "by-hand", "watches", "it"]
        assert rows["broken"][:4] == ["unreadable", "-", "-", "InvalidCertificate:"]
        assert rows["only-a-request"][:4] == ["unreadable", "-", "-", "SourceNotFound:"]
        assert rows[r"\x202egpj"][:4] == ["unreadable", "-", "-", "SpecInvalid:"]
        assert remarks.splitlines() == [
            "2 objects do not match {consumer}/client.pem, such as nhs/client.key, only-a-request/client.csr.",
            "CertificateStore backup is written, too; it needs Secret backup-credentials.",
            "No certificate is called as the list of --ignored says: prod/nobody.",
            "Ignored words of other environments: preprod/nhs.",
            "Consumers of the client list without a certificate here: 1.",
            "5 new, 1 left out, 3 unreadable. Manifests in clientcert-manifests: 5.",
            "Read them, then: kubectl apply -k clientcert-manifests",
        ]
        assert all(each.isprintable() for each in first.splitlines())

    def test_one_file_each(self, scene: Scene, first: str) -> None:
        written = scene.files("clientcert-manifests")
        [england] = [name for name in written if name.startswith("nhs-england-prod-")]
        every = {"nhs-prod.yaml", "weather-prod.yaml", "left-prod.yaml", "0o17-prod.yaml", england}
        assert set(written) == every | {"certificatestore_backup.yaml", "kustomization.yaml"}
        assert yaml.safe_load(written["left-prod.yaml"])["spec"]["contact"] == {"lookup": ["Directory", "Slack"]}
        assert yaml.safe_load(written[england])["spec"]["consumer"] == "NHS England"

    def test_the_same_again(self, scene: Scene, first: str) -> None:
        """Byte by byte; also in another directory, and after a day."""
        written = scene.files("clientcert-manifests")
        later = scene.team.began + timedelta(days=1)
        assert scene.terminal.clientcert(*scene.call, now=later).returncode == 3
        assert scene.files("clientcert-manifests") == written
        scene.terminal.clientcert(*scene.call, "--out", "elsewhere", now=scene.team.began)
        assert scene.files("elsewhere") == written

    def test_personal_data_is_where_it_was_asked_for_alone(self, scene: Scene, first: str) -> None:
        """An address is in one manifest, and a private key or a credential nowhere."""
        written = scene.files("clientcert-manifests")
        assert [name for name, content in written.items() if ADDRESS.encode() in content] == ["nhs-prod.yaml"]
        everything = b"".join(written.values()).decode() + first
        assert ADDRESS not in first
        assert scene.server.secret_key not in everything
        assert [piece for piece in scene.canaries.pieces() if piece in everything] == []

    def test_errors_of_the_whole_bucket(self, scene: Scene) -> None:
        """One line, and no text of the server; nothing is written."""
        wrong = ("import", "s3", f"{scene.bucket}-2", *scene.call[3:], "--out", "nothing")
        assert scene.terminal.fails(*wrong) == (3, f"Error: bucket {scene.bucket}-2 does not exist")
        code, words = scene.terminal.fails(*scene.call, "--profile", "none", "--out", "nothing")
        assert (code, "none" in words) == (1, True)
        assert not (scene.terminal.directory / "nothing").exists()

    def test_day_one(self, scene: Scene, operators: Operators, first: str) -> None:
        """The API server accepts every manifest, and the operator reads each certificate as the consumer's own."""
        dry = scene.apply("clientcert-manifests", "--dry-run=server")
        assert len(dry) == 6
        assert all(line.endswith("created (server dry run)") for line in dry)
        scene.team.apply(store_credentials(SECRET, scene.server.access_key, scene.server.secret_key))
        scene.apply("clientcert-manifests")
        names = [each["metadata"]["name"] for each in scene.team.items("ClientCertificate")]
        assert len(names) == 6
        with operators.running():
            for name in names:
                eventually(lambda name=name: scene.team.condition(name, "IdentityMatches")[0], "True")
            assert {scene.team.phase(name) for name in names} == {"Valid"}
        again = scene.rows(*scene.call)
        assert {each["result"] for each in again.values()} == {"unchanged", "left out", "unreadable"}
        elsewhere = scene.rows(*scene.call, "--out", "empty")
        assert {each["result"] for each in elsewhere.values()} == {"left out", "unreadable"}
        assert not (scene.terminal.directory / "empty").exists()

    def test_another_bucket_than_that_of_the_store(self, scene: Scene, first: str) -> None:
        """After `test_day_one`, the store exists."""
        code, words = scene.terminal.fails("import", "s3", "another", *scene.call[3:])
        words_of_store = f"CertificateStore {STORE} is of bucket {scene.bucket}: name that one, or another store"
        assert (code, words) == (3, f"Error: {words_of_store}")
        code, words = scene.terminal.fails(*scene.call, "--out", "new", "--endpoint-url", "https://s3.example")
        assert (code, words.partition(" at ")[0]) == (3, f"Error: CertificateStore {STORE} is")
        assert words.endswith("the call reads https://s3.example: correct --endpoint-url, or name another store")

    def test_the_server_of_the_store(self, scene: Scene, first: str) -> None:
        """A call need not name it; and what one store of the bucket watches, another does, too."""
        call = ("import", "s3", scene.bucket, "--environment", "prod")
        found = scene.rows(*call, "--store", STORE)
        assert {each["result"] for each in found.values()} == {"unchanged", "left out", "unreadable"}
        server = ("--endpoint-url", scene.server.endpoint)
        found = scene.rows(*call, "--store", "another", *server, "--out", "another")
        assert {each["result"] for each in found.values()} == {"left out", "unreadable"}


def test_the_page_for_those_who_come_from_a_script(scene: Scene, helm: Helm, tmp_path: Path) -> None:
    """At most five commands, which work in their order; afterwards every certificate of the bucket is watched."""
    [block] = blocks(REPOSITORY / "docs/from-the-cron-script.md", "sh")
    commands = [line.replace(" integration-api ", f" {scene.team.namespace} ") for line in block.splitlines()]
    assert len(commands) <= 5
    bucket = "integration-api-prod-certificates-backup"
    scene.client.create_bucket(bucket)
    scene.client.put_object(bucket, "nhs/client.pem", scene.canaries.issued.certificate_pem)
    scene.client.put_object(bucket, "pmcphee/client.pem", scene.team.issue("pmcphee", days=3).certificate_pem)
    home = tmp_path / "home"
    shutil.copytree(scene.terminal.directory / ".aws", home / ".aws")
    with (home / ".aws/config").open("a") as config:
        config.write(f"endpoint_url = {scene.server.endpoint}\n")
    [lists] = blocks(REPOSITORY / "docs/from-the-cron-script.md", "text")
    (home / "clients.csv").write_text(CSV)
    (home / "ignored.txt").write_text(lists)
    terminal = Terminal(scene.team, home)
    kubectl = scene.team.control_plane.kubectl
    schedule = ("--image=script", "--schedule=0 9 * * *", "-n", scene.team.namespace)
    kubectl("create", "cronjob", "check-certificates", *schedule)
    for command in commands:
        program, *arguments = shlex.split(command)
        if program == "helm":
            run_dry(command, helm)
        elif program == "clientcert":
            terminal.succeeds(*arguments)
        else:
            kubectl(*(str(home / each) if each == "clientcert-manifests" else each for each in arguments))
    store = scene.team.get("CertificateStore", "backup-prod")["spec"]["s3"]
    assert (store["bucket"], store["region"]) == (bucket, scene.server.region)
    silences = {
        each["spec"]["consumer"]: "silence" in each["spec"]
        for each in scene.team.items("ClientCertificate")
        if each["spec"]["source"]["s3"]["storeRef"]["name"] == "backup-prod"
    }
    assert silences == {"nhs": False, "pmcphee": True}


def issued_for(team: Team, name: str, usage: x509.ObjectIdentifier) -> bytes:
    """A certificate for this purpose."""
    key, authority = make_private_key(), team.authority.identity
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(team.began)
        .not_valid_after(team.began + 90 * DAY)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    return builder.sign(authority.private_key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def terminal(team: Team, tmp_path: Path) -> Terminal:
    return Terminal(team, tmp_path)


def test_secrets(team: Team, terminal: Terminal) -> None:
    """Client certificates that nobody renews; each in its namespace, with the CN as the consumer."""
    nhs, weather = team.issue("nhs", days=100), team.issue("weather", days=100)
    servers = issued_for(team, "server", ExtendedKeyUsageOID.SERVER_AUTH)
    renewed = secret("renewed", tls_crt=team.issue("renewed", days=10).certificate_pem)
    renewed["metadata"]["annotations"] = {"cert-manager.io/certificate-name": "renewed"}
    ca = team.authority.identity.certificate_pem
    watched = secret("watched-cert", tls_crt=team.issue("watched", days=9).certificate_pem)
    labelled = secret("labelled", client_pem=weather.chain_pem)
    labelled["metadata"]["labels"] = {"kind": "client"}
    team.apply(
        secret(
            "nhs", tls_crt=nhs.certificate_pem, tls_key=nhs.private_key_pem, ca_crt=ca, client_der=nhs.certificate_der
        ),
        labelled,
        secret("server", tls_crt=servers),
        renewed,
        watched,
        client_certificate("watched", source={"type": "Secret", "secret": {"name": "watched-cert"}}),
        secret("container", client_p12=nhs.pkcs12("a password")),
        secret("settings", password="any", text_pem=""),
    )
    call = ("import", "secrets", "--environment", "prod")
    ran = terminal.clientcert(*call, "-o", "json")
    assert ran.returncode == 3
    rows = {found["source"]: found for found in map(json.loads, ran.stdout.splitlines())}
    outcome = {
        source: (each["result"], each["object"] or each["reason"] or each["message"]) for source, each in rows.items()
    }
    name = team.consumer("nhs")
    assert outcome == {
        "Secret nhs, key tls.crt": ("new", f"{name}-prod"),
        "Secret nhs, key client.der": ("left out", "it is the same certificate as in Secret nhs, key tls.crt"),
        "Secret nhs, key ca.crt": (
            "left out",
            "it is the certificate of a CA; if a client uses it, write its manifest yourself",
        ),
        "Secret labelled, key client.pem": ("new", f"{team.consumer('weather')}-prod"),
        "Secret server, key tls.crt": ("left out", "it is for servers: its extendedKeyUsage lacks clientAuth"),
        "Secret renewed, key tls.crt": ("new", f"{team.consumer('renewed')}-prod"),  # cert-manager is not installed
        "Secret watched-cert, key tls.crt": ("left out", "ClientCertificate watched watches it"),
        "Secret container, key client.p12": ("unreadable", "PasswordRequired"),
        "Secret settings, key text.pem": ("unreadable", "Empty"),
    }
    found = yaml.safe_load((terminal.directory / f"clientcert-manifests/{name}-prod.yaml").read_text())
    assert found["metadata"]["namespace"] == team.namespace
    assert found["spec"]["consumer"] == name
    assert "identity" not in found["spec"]
    team.control_plane.kubectl("apply", "-k", terminal.directory / "clientcert-manifests", "--dry-run=server")
    printed = terminal.succeeds(*call, "-l", "kind=client", "--out", "selected")
    assert printed.splitlines()[1].startswith("Secret labelled, key client.pem  new")
    printed = terminal.clientcert(*call, "-A", "--out", "everywhere").stdout
    assert f"Secret {team.namespace}/nhs, key tls.crt" in printed
    assert (terminal.directory / f"everywhere/{team.namespace}_{name}-prod.yaml").exists()


def test_files(team: Team, terminal: Terminal) -> None:
    """A Secret for each certificate, without its key; what is something else is listed."""
    place = terminal.directory / "backup"
    nhs, weather = team.issue("nhs", days=100), team.issue("weather", days=100)
    contents = {
        "nhs/client.pem": nhs.chain_pem,
        "nhs/client.key": nhs.private_key_pem,
        "nhs/client.csr": nhs.csr_pem(),
        "nhs/client.p12": nhs.pkcs12("a password"),
        "weather.p12": weather.pkcs12("a password"),
        "ca.crt": team.authority.identity.certificate_pem,
        ".hidden/client.pem": nhs.certificate_pem,
        "a\nb/client.pem": weather.certificate_pem,
    }
    for name, content in contents.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    (terminal.directory / "password").write_text("a password\n")
    call = ("import", "files", "backup", "--environment", "prod", "--password-file", "password", "--out", "backup/out")
    printed = terminal.succeeds(*call)
    assert all(line.isprintable() for line in printed.splitlines())
    table = printed.partition("\n\n")[0].splitlines()[1:]
    results = {line[: line.index("  ")]: re.split(" {2,}", line)[1] for line in table}
    assert results == {
        "nhs/client.csr": "left out",
        "nhs/client.key": "left out",
        "nhs/client.p12": "new",
        "nhs/client.pem": "left out",
        "weather.p12": "new",
        "ca.crt": "left out",
        r"a\x0ab/client.pem": "new",
    }
    out = place / "out"
    before = {each.name: each.read_bytes() for each in out.iterdir()}
    assert len(before) == 4
    assert terminal.succeeds(*call).count("unchanged") == 4  # with the summary
    assert {each.name: each.read_bytes() for each in out.iterdir()} == before
    canaries = [*Canaries(nhs).pieces(), *Canaries(weather).pieces()]
    assert [piece for piece in canaries if any(piece.encode() in each for each in before.values())] == []
    said = team.control_plane.kubectl("apply", "-k", out, "--dry-run=server").splitlines()
    assert len(said) == 6
    shutil.rmtree(out)
