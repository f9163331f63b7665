"""The key that the operator makes, the CA's key and what is delivered with a key are nowhere in clear after a whole
renewal: not in etcd (but for the Secrets that hold the CA and the extra), the bucket, mails, messages, logs or metrics.
"""

import asyncio
import base64
import io
import secrets as randomness
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from bench.etcd import Etcd
from tests.control_plane.buckets import Backup
from tests.control_plane.operators import Operators, with_mail
from tests.control_plane.renewal_scene import RenewalScene, public_key_pem
from tests.control_plane.team import DAY, Team
from tests.control_plane.test_canary import anywhere_in_base64
from tests.control_plane.waiting import eventually
from tests.scenarios import in_store, secret
from tools.certificates import CertificateAuthority, PrivateKey, make_private_key
from tools.control_plane import ControlPlane
from tools.mail_server import LoopbackMailServer, Received

WINDOW = 16
"""Every part of a secret that is twice as long has one of its windows; no other content has one by chance."""
EXTRA = {"secretRef": {"name": "api-key", "key": "api-key.txt"}}


def pieces(secret_content: bytes) -> set[bytes]:
    """Windows of a secret as it is, in hex, in base64 at any position, and in base64 of that."""
    inner = [text.encode() for text in anywhere_in_base64(secret_content)]
    outer = [text.encode() for each in inner for text in anywhere_in_base64(each)]
    forms = [secret_content, secret_content.hex().encode(), *inner, *outer]
    return {form[at : at + WINDOW] for form in forms for at in range(0, len(form) - WINDOW + 1, WINDOW)}


def pieces_of_key(key: PrivateKey) -> set[bytes]:
    """Of each private number, also in decimal."""
    if isinstance(key, rsa.RSAPrivateKey):
        private = key.private_numbers()
        numbers = [private.d, private.p, private.q, private.dmp1, private.dmq1, private.iqmp]
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        numbers = [key.private_numbers().private_value]
    found: set[bytes] = set()
    for number in numbers:
        decimal = str(number).encode()
        found |= pieces(number.to_bytes((number.bit_length() + 7) // 8, "big"))
        found |= {decimal[at : at + WINDOW] for at in range(0, len(decimal) - WINDOW + 1, WINDOW)}
    return found


def where(wanted: set[bytes], places: Mapping[str, bytes]) -> set[str]:
    """The places that hold a piece, with or without the line breaks of a PEM or a mail."""
    found = set()
    for name, content in places.items():
        joined = content.replace(b"\\n", b"").replace(b"\r", b"").replace(b"\n", b"")
        if any(each in content or each in joined for each in wanted):
            found.add(name)
    return found


def in_etcd(control_plane: ControlPlane) -> dict[str, bytes]:
    """Every object, as etcd holds it, by its key."""
    values = asyncio.run(Etcd(control_plane).values("/registry/"))
    return {base64.b64decode(key).decode(): base64.b64decode(value) for key, value in values.items()}


def on_disk(control_plane: ControlPlane) -> dict[str, bytes]:
    """The files of etcd, which also have what was overwritten: a write-ahead log and the database."""
    files = [each for each in (control_plane.directory / "etcd").rglob("*") if each.is_file()]
    return {f"etcd file {each.name}": each.read_bytes().replace(bytes(64), b"") for each in files}


def parts(mails: list[Received]) -> Iterator[tuple[str, bytes]]:
    """Each mail as it was sent, and each of its parts, decoded."""
    for number, mail in enumerate(mails):
        yield f"mail {number}", mail.content
        for part in mail.message.walk():
            payload = part.get_payload(decode=True)
            yield f"mail {number}, {part.get_content_type()}", payload if isinstance(payload, bytes) else b""


def opened(mails: list[Received], consumers_key: PrivateKey, folder: Path) -> dict[str, bytes]:
    """The files of the delivery, as the consumer opens it."""
    delivery = next(each for each in mails if each.attachments)
    pem = consumers_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "own.key").write_bytes(pem)
    (folder / "sealed").write_bytes(delivery.attachments["client.tar.gz.cms"])
    command = ["openssl", "cms", "-decrypt", "-inform", "PEM", "-binary", "-in", "sealed", "-inkey", "own.key"]
    archive = subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        found = {each.name: files.extractfile(each) for each in files if each.isfile()}
        return {name: content.read() for name, content in found.items() if content is not None}


@pytest.mark.parametrize("ca_key", ["ec", "rsa"])
def test_no_key_is_anywhere_in_clear(
    ca_key: str,
    team: Team,
    control_plane: ControlPlane,
    operators: Operators,
    backup: Backup,
    mail: LoopbackMailServer,
    tmp_path: Path,
) -> None:
    """Each secret is where its owner has put it, and nowhere else; the made key is with the consumer alone."""
    scene = RenewalScene.of(team)
    scene.authority = CertificateAuthority.create("Client CA", key=ca_key)
    scene.old = scene.authority.issue(team.consumer("nhs"), team.began - 345 * DAY, team.began + 20 * DAY)
    api_key = randomness.token_urlsafe(40)
    extra = secret("api-key", **{"api-key.txt": api_key})
    extra["metadata"]["labels"] = {"clientcert.dev/deliver": "allowed"}
    team.apply(extra)
    scene.apply_ca({"clientcert.dev/issuer": "allowed"})
    scene.apply_policy(delivery={"extras": [EXTRA]})
    backup.declare()
    backup.upload("nhs", scene.old)
    team.declare("nhs", policyRef={"name": "renewing"}, source=in_store("backup", "nhs/client.pem"))
    consumers_key = make_private_key("rsa")
    settings = {"CLIENTCERT_LOG_LEVEL": "debug", **with_mail(mail, tmp_path)}
    with operators.running(team.namespace, settings=settings) as operator:
        name = scene.ask(publicKey=public_key_pem(consumers_key))
        scene.approve(name)
        eventually(lambda: scene.state(name), "Done")
        operator.settle()
        metrics = operator.get("/metrics")[1]
    files = opened(mail.mails, consumers_key, tmp_path)
    made = load_pem_private_key(files["client.key"], None)
    assert isinstance(made, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    stored = {key: backup.client.get_object(backup.bucket, key) for key in backup.client.list_keys(backup.bucket)}
    places = {
        **in_etcd(control_plane),
        **{f"bucket {key}": content for key, content in stored.items()},
        **dict(parts(mail.mails)),
        "Slack": repr([message.payload for message in team.slack.messages]).encode(),
        "log": operator.process.log_text().encode(),
        "metrics": metrics.encode(),
    }
    own = f"/registry/secrets/{team.namespace}"
    assert where(pieces_of_key(scene.authority.identity.private_key), places) == {f"{own}/client-ca"}
    assert where(pieces(api_key.encode()), places) == {f"{own}/api-key"}
    assert where(pieces_of_key(made), places | on_disk(control_plane)) == set()
    assert where(pieces_of_key(made), {"client.key": files["client.key"]}) == {"client.key"}
    assert api_key.encode() in files["extras/api-key.txt"]


@pytest.mark.parametrize("form", ["PEM", "DER", "hex", "decimal", "base64 of the PEM"])
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_key_is_found_where_it_is(kind: str, form: str) -> None:
    """The check itself: a key in a place is found, in each form."""
    key = make_private_key(kind)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    numbers = key.private_numbers()
    number = numbers.d if isinstance(numbers, rsa.RSAPrivateNumbers) else numbers.private_value
    forms = {
        "PEM": pem,
        "DER": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "hex": f"0x{number:x}".encode(),
        "decimal": str(number).encode(),
        "base64 of the PEM": base64.b64encode(pem.replace(b"\n", b"")),
    }
    assert where(pieces_of_key(key), {"a log": b"before " + forms[form] + b" after"}) == {"a log"}
    assert where(pieces_of_key(make_private_key(kind)), {"a log": forms[form]}) == set()
