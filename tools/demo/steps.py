"""The story. The docstring of a step is what the person at the screen reads before they see it."""

from collections.abc import Callable, Mapping

from tools.demo.cast import NHS, ON_CALL, PASSWORD, PRISON_VISITS, TEAM, Seen
from tools.demo.checks import NotSeenError, eventually
from tools.demo.mailbox import Mailed, as_read
from tools.demo.stage import BUCKET, NAMESPACE, REPOSITORY, Stage
from tools.slack_server import render

_EVENTS = (
    "get", "events", "-n", NAMESPACE, "--sort-by=.involvedObject.name",
    "-o", "custom-columns=OBJECT:.involvedObject.name,TYPE:.type,REASON:.reason,MESSAGE:.message",
)  # fmt: skip
_CONTACT = (
    "get", "clientcertificates", "-n", NAMESPACE, NHS,
    "-o", "custom-columns=NAME:.metadata.name,CONTACT:.status.conditions[?(@.type=='ContactResolved')].message",
)  # fmt: skip
_EXAMPLES = ("minimal", "from-secret", "from-s3", "silenced", "policy-daily", "policy-on-days", "policy-weekdays")
_CONSUMER_CHANNEL = "tools/demo/consumer-channel.yaml"
_S3_SECONDS = 40.0
"""The bucket is listed every ten seconds."""


def start(stage: Stage) -> None:
    """A Kubernetes API, a bucket, a Slack and a mail server.

    A real kube-apiserver with etcd, a real S3 server, a server that speaks Slack, and one that takes mail and delivers
    none; all of them on this machine, on free ports, and gone when the demo ends. No other cluster is touched.
    """
    stage.start_servers()
    stage.screen.seen(f"API server {stage.control_plane.url}")
    stage.screen.seen(f"S3 server {stage.s3.endpoint}, bucket {BUCKET}")
    stage.screen.seen(f"Slack {stage.slack.url}, channels {TEAM} and {ON_CALL}")
    stage.screen.seen(f"Mail server {stage.mailbox.server.host}:{stage.mailbox.server.port}, with TLS and a login")


def install(stage: Stage) -> None:
    """Install what the operator needs.

    Three kinds of objects (ClientCertificate, CertificatePolicy, CertificateStore), and the rights of the operator: it
    reads what people declare and the Secrets they name, and writes nothing but status and Events.
    """
    output = stage.control_plane.apply_kustomize(REPOSITORY / "deploy/kustomize/base")
    stage.screen.command("kubectl apply -k deploy/kustomize/base", output)


def hand_out(stage: Stage) -> None:
    """Certificates were handed to consumers outside the cluster.

    What the team keeps of each is a copy: in a Secret, or in the backup bucket, in a folder for each consumer. Some
    are fine, some end soon, one has expired, and some are not what they should be.
    """
    stage.control_plane.create_namespace(NAMESPACE)
    for name, files in stage.cast.secrets.items():
        stage.put_secret(name, files)
        stage.screen.seen(f"Secret {name}: {', '.join(files)}")
    for key, content in stage.cast.objects.items():
        stage.bucket.put_object(BUCKET, key, content)
        stage.screen.seen(f"s3://{BUCKET}/{key}")


def declare(stage: Stage) -> None:
    """Declare one ClientCertificate for each, a policy that says how to alert, and a store for the bucket.

    Most of deploy/examples, and tools/demo/manifests for the phases that are not in it. The Secrets that the examples
    leave to their reader are filled, and the store gets the address of the S3 server on this machine and is polled
    every ten seconds. The least that a certificate needs, and the channel by which a consumer gets mail, are these:
    """
    minimal = (REPOSITORY / "deploy/examples/minimal.yaml").read_text()
    stage.screen.output("\n".join(line for line in minimal.splitlines() if not line.startswith("#")))
    files = [*(f"deploy/examples/{name}.yaml" for name in _EXAMPLES), "tools/demo/manifests"]
    output = stage.kubectl("apply", "-n", NAMESPACE, *(part for each in files for part in ("-f", REPOSITORY / each)))
    stage.put_settings_of_examples()
    stage.screen.command(f"kubectl apply -n {NAMESPACE} -f {' -f '.join(files)}", output)
    stage.screen.output((REPOSITORY / _CONSUMER_CHANNEL).read_text())
    patch = ("patch", "certificatepolicy", "daily", "-n", NAMESPACE, "--type=json", "--patch-file")
    output = stage.kubectl(*patch, REPOSITORY / _CONSUMER_CHANNEL)
    stage.screen.command(f"kubectl {' '.join(patch)} {_CONSUMER_CHANNEL}", output)


def run_operator(stage: Stage) -> None:
    """Start the operator, and see the days left.

    It runs under its own ServiceAccount with the rights that were just installed. It reads each Secret that is
    named, lists the bucket once for all certificates in it, and writes what it found into the status of each object.
    """
    stage.start_operator()
    expected = _phases_and_days(stage.cast.today)
    eventually("Phase and days of every ClientCertificate", expected, stage.phases_and_days)
    eventually("CertificateStore backup-prod lists the bucket", "True", lambda: _store_condition(stage, "Ready"))
    stage.show("get", "clientcertificates", "-A")
    eventually(
        "The private key in the bucket is reported", "False", lambda: _store_condition(stage, "PrivateKeysAbsent")
    )
    stage.show("get", "certificatestores", "-A")
    reported = _store_condition(stage, "PrivateKeysAbsent", "message")
    stage.screen.note(f"What should not be in a bucket is reported in the status of the store: {reported}.")


def see_messages(stage: Stage) -> None:
    """The team on call is told in Slack.

    Who, where, how long, whom to ask and what to do stand in the channel, the rest in the thread of each message (a
    webhook cannot reply, so it brings all at once). court-lists ends in ten days and nothing is said about it: it is
    silenced, by name, with a reason and an end.
    """
    eventually("The messages in Slack", _expected_messages(stage.cast.today), lambda: stage.told(stage.cast.today))
    first, *others = sorted(stage.messages(), key=lambda message: "nhs" not in message.text)
    eventually("The details in the thread", True, lambda: bool(stage.slack.replies(first)))
    stage.screen.output(render(first, stage.slack.replies(first)))
    for message in others:
        stage.screen.output(render(message))


def see_mail(stage: Stage) -> None:
    """The consumer is told by mail.

    The technical contact of nhs gets what somebody used to write by hand, with every step; once a week, as the channel
    says. Who was found, and where, stands in the status; no name or address does.
    """
    _see_letters(stage, "The mail to the contact of nhs", [stage.cast.letter])
    contact = "the technical contact is written to, as spec.contact says"
    eventually("Who is written to, in the status of nhs", True, lambda: contact in stage.kubectl(*_CONTACT))
    stage.show(*_CONTACT)


def see_events(stage: Stage) -> None:
    """The same as Kubernetes Events.

    One for each object and reason, for `kubectl describe` and for whatever collects Events; said again, it is counted
    up.
    """
    expected = {(name, seen.event) for name, seen in stage.cast.today.items() if seen.event}
    eventually("The Events", expected, stage.events)
    stage.show(*_EVENTS)


def renew(stage: Stage) -> None:
    """Two certificates are renewed, and the alerts about them cease.

    nhs puts the renewed one into its Secret, prison-visits into the bucket, which is listed every ten seconds here.
    Each channel that was alerted gets one closing message, with the new serial number, and so does the contact of nhs.
    """
    before, mails = len(stage.slack.messages), len(stage.mailbox.server.mails)
    nhs, visits = stage.cast.renewed[NHS], stage.cast.renewed[PRISON_VISITS]
    stage.put_secret("nhs-client-cert", {"client.p12": nhs.pkcs12(PASSWORD)})
    stage.bucket.put_object(BUCKET, "prison-visits/client.pem", visits.certificate_pem)
    stage.screen.seen(f"Secret nhs-client-cert holds serial number {nhs.serial_number_hex}")
    stage.screen.seen(f"s3://{BUCKET}/prison-visits/client.pem holds serial number {visits.serial_number_hex}")
    expected = _phases_and_days(stage.cast.today)
    expected.update(dict.fromkeys(stage.cast.renewed, ("Valid", 365)))
    eventually("The days of both go up", expected, stage.phases_and_days, _S3_SECONDS)
    eventually("One closing message for each channel", _closings(), lambda: _found_closings(stage, before))
    stage.show("get", "clientcertificates", "-n", NAMESPACE, *stage.cast.renewed)
    for message in stage.messages(before):
        stage.screen.output(render(message))
    _see_letters(stage, "The closing mail to the contact of nhs", [stage.cast.last_letter], mails)
    renewed = {(name, "Renewed") for name in stage.cast.renewed}
    eventually("An Event Renewed for each", renewed, lambda: {each for each in stage.events() if each[1] == "Renewed"})
    stage.show("get", "events", "-n", NAMESPACE, "--field-selector=reason=Renewed", *_EVENTS[-2:])


def see_next_day(stage: Stage) -> None:
    """The next day: silence for those that were renewed, and another message for the others.

    The operator is restarted with `--clock-offset 24h`, which moves its clock and nothing else. What it sent is in the
    status of each object, so a restart alone repeats nothing.
    """
    before, mails = len(stage.slack.messages), len(stage.mailbox.server.mails)
    stage.start_operator("--clock-offset", "24h")
    cast = stage.cast.tomorrow
    expected = _phases_and_days(cast)
    eventually("Phase and days of the next day", expected, stage.phases_and_days)
    eventually("The messages of the next day", _expected_messages(cast), lambda: stage.told(cast, before))
    stage.show("get", "clientcertificates", "-A")
    stage.screen.output("\n".join(f"{each.channel}   {each.text}" for each in stage.messages(before)))
    if (found := _found_closings(stage, 0)) != _closings():
        raise NotSeenError("Still one closing message for each channel", _closings(), found)
    if more := stage.mailbox.mails(mails):
        raise NotSeenError("No more mails", [], [str(mail.message["Subject"]) for mail in more])
    stage.screen.seen(
        "Not a word about nhs and prison-visits: what is sent is sent before the new day is in the status."
    )


def _see_letters(stage: Stage, what: str, expected: list[Mailed], since: int = 0) -> None:
    eventually(what, expected, lambda: stage.mailbox.told(expected, since))
    for mail in stage.mailbox.mails(since):
        stage.screen.output(as_read(mail))


def _store_condition(stage: Stage, kind: str, field: str = "status") -> str:
    path = f"jsonpath={{.status.conditions[?(@.type=='{kind}')].{field}}}"
    return stage.kubectl("get", "certificatestore", "backup-prod", "-n", NAMESPACE, "-o", path)


def _phases_and_days(cast: Mapping[str, Seen]) -> dict[str, tuple[str | None, int | None]]:
    return {name: (seen.phase, seen.days) for name, seen in cast.items()}


def _expected_messages(cast: Mapping[str, Seen]) -> dict[tuple[str, str], int]:
    """One in each channel."""
    return {(name, channel): 1 for name, seen in cast.items() if seen.says for channel in seen.channels}


def _closings() -> dict[tuple[str, str], int]:
    return {(NHS, TEAM): 1, (PRISON_VISITS, TEAM): 1, (PRISON_VISITS, ON_CALL): 1}


def _found_closings(stage: Stage, since: int) -> dict[tuple[str, str], int]:
    words = {
        name: Seen("Valid", None, says=f"was replaced by serial number {issued.serial_number_hex}")
        for name, issued in stage.cast.renewed.items()
    }
    return {key: count for key, count in stage.told(words, since).items() if key[0] in words}


STEPS: tuple[Callable[[Stage], None], ...] = (
    start, install, hand_out, declare, run_operator, see_messages, see_mail, see_events, renew, see_next_day,
)  # fmt: skip
