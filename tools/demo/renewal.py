"""The steps of a renewal: from the letter to the certificate in use. Each docstring is shown before its step runs."""

from typing import Any

from tools.demo.cast import ALEX, ON_CALL, PRISON_VISITS, TEAM
from tools.demo.checks import NotSeenError, eventually
from tools.demo.mailbox import as_read
from tools.demo.people import commands
from tools.demo.stage import BUCKET, NAMESPACE, REPOSITORY, Stage
from tools.mail_server import Received
from tools.tls_server import accepts

_POLICY = "tools/demo/renewal-by-our-ca.yaml"
_CONFIRMED = "phone call to the number in our contract"
_STORED = "prison-visits/client.pem"
_COLUMNS = ("get", "certificaterenewals", "-n", NAMESPACE)


def let_sign(stage: Stage) -> None:
    """The operator may sign, with four lines.

    The CA is in a Secret whose label allows it, and the policy of prison-visits names it. Of two people of the team,
    one may ask for certificates and the other may approve what others ask for. RBAC says so, and admission policies.
    """
    authority = stage.cast.authority.identity
    stage.put_secret(
        "client-ca",
        {"tls.crt": authority.certificate_pem, "tls.key": authority.private_key_pem},
        type_="kubernetes.io/tls",
    )
    label = ("label", "secret", "client-ca", "-n", NAMESPACE, "clientcert.dev/issuer=allowed")
    stage.show(*label)
    stage.screen.output((REPOSITORY / _POLICY).read_text())
    patch = ("patch", "certificatepolicy", "weekdays", "-n", NAMESPACE, "--type=merge", "--patch-file")
    stage.screen.command(f"kubectl {' '.join(patch)} {_POLICY}", stage.kubectl(*patch, REPOSITORY / _POLICY))
    stage.bring_people()
    stage.screen.seen("requester has the ClusterRoles clientcert-view and clientcert-renewal-requester")
    stage.screen.seen("approver has the ClusterRoles clientcert-view and clientcert-renewal-approver")


def ask(stage: Stage) -> None:
    """The consumer answers the letter, and one person asks.

    Alex types both commands of the letter and sends the public key by mail. Whoever gets it passes it on. The operator
    checks the request, and Alex gets a receipt: a mail proves nothing, so it says what to do if it was not Alex.
    """
    mails = len(stage.mailbox.server.mails)
    for command in commands(_mail(stage, "Action needed"))[:2]:
        stage.laptop.type(command)
        stage.screen.command(command, "", user="alex")
    [public_key] = stage.laptop.directory.glob("*public-key.pem")
    asked = ("renew", PRISON_VISITS, "--public-key")
    output = stage.people["requester"].clientcert(*asked, public_key)
    stage.screen.command(f"clientcert {' '.join(asked)} {public_key.name}", output, user="requester")
    eventually("The request is checked", "AwaitingApproval", lambda: _standing(stage)[0])
    stage.show(*_COLUMNS)
    receipt = _mail(stage, "", mails)
    if _request(stage)["status"]["keyHash"] not in "".join(receipt.text.split()):
        raise NotSeenError("The fingerprint in the receipt", _request(stage)["status"]["keyHash"], receipt.text)
    stage.screen.output(as_read(receipt))


def approve(stage: Stage) -> None:
    """Another person approves, and everything else happens by itself.

    The operator makes a key, encrypts it to Alex, records what it is going to sign, signs, mails both to the contact of
    record, and writes the certificate to the bucket. The private key was never anywhere in clear.
    """
    mails, messages = len(stage.mailbox.server.mails), len(stage.slack.messages)
    name = _request(stage)["metadata"]["name"]
    output = stage.people["approver"].clientcert("approve", name, "--yes", "--confirmed-by", _CONFIRMED)
    stage.screen.command(f'clientcert approve {name} --yes --confirmed-by "{_CONFIRMED}"', output, user="approver")
    eventually("The request is done, and all were told", ("Done", ""), lambda: _standing(stage))
    stage.show(*_COLUMNS)
    delivery = _mail(stage, "Done: ", mails)
    stage.screen.output(as_read(delivery, lines=19))
    stage.screen.seen(f"Attached: {', '.join(stage.laptop.save(delivery))}")
    eventually("A closing message in each channel", {TEAM, ON_CALL}, lambda: _closed(stage, messages))
    stage.screen.output("\n".join(f"{each.channel}   {each.text}" for each in stage.messages(messages)))
    eventually("The alerts have ended", "Valid", lambda: stage.statuses()[PRISON_VISITS].get("phase"))
    stage.show("get", "clientcertificates", "-n", NAMESPACE, PRISON_VISITS)


def use(stage: Stage) -> None:
    """Alex opens the mail with its own command, and uses the certificate.

    A TLS server that trusts the CA accepts the new certificate. The old one is still valid, so that nobody is cut off
    while it is being replaced. The bucket holds the new one.
    """
    decrypt = next(each for each in commands(_mail(stage, "Done: ")) if "cms -decrypt" in each)
    stage.screen.command(decrypt, stage.laptop.type(decrypt), user="alex")
    new = [(stage.laptop.directory / name).read_bytes() for name in ("client.pem", "client.key")]
    old, trusted = stage.cast.visits, stage.cast.authority.identity.certificate_pem
    for which, pair in (("new", new), ("old", [old.certificate_pem, old.private_key_pem])):
        if (seen := accepts(trusted, *pair)) != "prison-visits":
            raise NotSeenError(f"The TLS server accepts the {which} certificate", "prison-visits", seen)
        stage.screen.seen(f"A TLS server has accepted the {which} certificate, of CN=prison-visits")
    if new[0].strip() not in (stored := stage.bucket.get_object(BUCKET, _STORED)):
        raise NotSeenError("The new certificate in the bucket", new[0], stored)
    stage.screen.seen(f"s3://{BUCKET}/{_STORED} holds the new certificate")


def _mail(stage: Stage, subject: str, since: int = 0) -> Received:
    """The last mail to the consumer with these words in its subject, without the first `since` of all mails."""

    def found() -> list[Received]:
        mails = [each for each in stage.mailbox.mails(since) if each.recipient == ALEX]
        return [each for each in mails if subject in each.subject]

    eventually(f"A mail to {ALEX}: {subject or 'another one'}", True, lambda: bool(found()))
    return found()[-1]


def _request(stage: Stage) -> dict[str, Any]:
    """The one request about the certificate; {} before there is one."""
    return next((each for each in stage.requests() if each["spec"]["certificateRef"]["name"] == PRISON_VISITS), {})


def _standing(stage: Stage) -> tuple[str, str]:
    """The columns STATE and WAITS FOR."""
    status = _request(stage).get("status") or {}
    return status.get("state", ""), status.get("waitsFor", "")


def _closed(stage: Stage, since: int) -> set[str]:
    """The channels with a closing message."""
    closing = f"was replaced by serial number {_request(stage)['status']['issuance']['serialNumber']}"
    return {each.channel for each in stage.messages(since) if closing in each.text}
