"""The whole procedure of the team's guide (seed-000): expiring, mail, key pair, request, approval, signature, delivery,
mTLS with both certificates, bucket, and the alerts cease. On the real API, S3 and SMTP servers.
"""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.control_plane.buckets import Backup
from tests.control_plane.operators import Operators, with_mail
from tests.control_plane.renewal_people import People
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, slack_channel
from tools.certificates import CertificateAuthority
from tools.mail_server import LoopbackMailServer, Received
from tools.tls_server import accepts


@pytest.fixture
def client_ca(team: Team) -> CertificateAuthority:
    """The team's own CA, in a Secret that is labelled as an issuer."""
    authority = CertificateAuthority.create("Client CA", key="rsa", organization="The Team")
    team.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "client-ca", "labels": {"clientcert.dev/issuer": "allowed"}},
            "stringData": {
                "tls.crt": authority.identity.certificate_pem.decode(),
                "tls.key": authority.identity.private_key_pem.decode(),
            },
        }
    )
    return authority


def shell(directory: Path, command: str) -> str:
    """The output of a command in a consumer's shell."""
    ran = subprocess.run(command, shell=True, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def commands(mail: Received) -> list[str]:
    """The openssl commands of a mail."""
    return [line.strip() for line in mail.text.splitlines() if line.startswith("    openssl")]


def test_the_whole_procedure(
    team: Team,
    operators: Operators,
    backup: Backup,
    mail: LoopbackMailServer,
    client_ca: CertificateAuthority,
    tmp_path: Path,
) -> None:
    """As the guide says, step for step; what the guide leaves to people is seen, too."""
    consumer, people = team.consumer("nhs"), People(team, tmp_path)
    now = datetime.now(UTC)
    old = client_ca.issue(consumer, now - 345 * DAY, now + 20 * DAY, key="rsa", organization="NHS")
    requester, approver = people.terminal("requester"), people.terminal("approver")
    backup.declare(poll_every="10s")
    backup.upload("nhs", old)
    letters = {
        "name": "consumer",
        "type": "Email",
        "email": {"recipients": "Contact", "sender": "the API team", "system": "Integration API"},
    }
    policy = certificate_policy("renewing", slack_channel("team", "#operator"), letters)
    policy["spec"]["renewal"] = {"issuer": {"type": "CASecret", "caSecret": {"name": "client-ca"}}}
    team.apply(policy)
    team.declare(
        "nhs",
        policyRef={"name": "renewing"},
        source={"type": "S3", "s3": {"storeRef": {"name": "backup"}, "key": "nhs/client.pem"}},
    )
    with operators.running(team.namespace, settings=with_mail(mail, tmp_path)):
        # 1 and 2: the contact is told, with the two openssl commands.
        until(lambda: len(mail.mails) >= 1)
        eventually(lambda: team.serial("nhs"), old.serial_number_hex)
        laptop = tmp_path / "laptop"
        laptop.mkdir()
        asked_by = mail.mails[0]
        for command in commands(asked_by)[:2]:
            shell(laptop, command)
        [public_key] = [each for each in laptop.iterdir() if "public" in each.name]
        (requester.directory / "nhs.pem").write_text(public_key.read_text())

        # 3: the team passes the public key on; another user approves.
        name = requester.succeeds("renew", "nhs", "--public-key", "nhs.pem", "-o", "name").strip().split("/")[-1]
        eventually(lambda: team.status(name, "CertificateRenewal").get("state"), "AwaitingApproval")
        fingerprint = team.status(name, "CertificateRenewal")["keyHash"]
        until(lambda: any(fingerprint in each.text for each in mail.mails))  # the receipt
        approver.succeeds("approve", name, "--yes", "--confirmed-by", "phone call to the number in the contract")

        until(lambda: any(each.attachments for each in mail.mails))
        delivery = next(each for each in mail.mails if each.attachments)
        eventually(lambda: team.status(name, "CertificateRenewal").get("state"), "Done")

        # The consumer opens it with the command of the mail.
        for file, content in delivery.attachments.items():
            (laptop / file).write_bytes(content)
        [decrypt] = [each for each in commands(delivery) if "cms -decrypt" in each]
        private_key = next(each for each in laptop.iterdir() if "private" in each.name)
        shell(laptop, re.sub(r"-inkey \S+", f"-inkey {private_key.name}", decrypt))
        trust = client_ca.identity.certificate_pem
        assert accepts(trust, (laptop / "client.pem").read_bytes(), (laptop / "client.key").read_bytes()) == consumer
        assert accepts(trust, old.certificate_pem, old.private_key_pem) == consumer

        # The bucket has the new one, and the alerts cease.
        stored = backup.client.get_object(backup.bucket, "nhs/client.pem")
        assert (laptop / "client.pem").read_bytes().strip() in stored
        eventually(lambda: team.phase("nhs"), "Valid")
        until(lambda: any("renewed" in each.text or "replaced" in each.text for each in team.messages("nhs")))
